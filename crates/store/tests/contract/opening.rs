//! Opening a database, and being told why not.

use std::error::Error as _;

use futures_util::future::join_all;
use usher_lab::real::postgres::{Postgres, Settings};
use usher_store::{OpenError, Store};

use crate::harness::{TestDb, impatient, options};

#[tokio::test]
async fn a_new_file_belongs_to_its_owner_alone() -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("usher.db");
    let store = Store::connect(&options(&format!("sqlite:{}", path.display()))).await?;
    store.migrate().await?;
    for entry in std::fs::read_dir(dir.path())? {
        let entry = entry?;
        assert_eq!(entry.metadata()?.permissions().mode() & 0o777, 0o600, "{:?}", entry.file_name());
    }
    store.close().await;
    assert_eq!(std::fs::read_dir(dir.path())?.count(), 1, "the log is merged into the file");
    Ok(())
}

#[tokio::test]
async fn many_processes_may_create_the_same_file_at_once() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let url = format!("sqlite:{}", dir.path().join("usher.db").display());
    let starts = (0..12).map(|_| {
        let options = options(&url);
        tokio::spawn(async move {
            let store = Store::connect(&options).await?;
            store.migrate().await?;
            store.check_migrated().await
        })
    });
    for outcome in join_all(starts).await {
        outcome??;
    }
    Ok(())
}

#[tokio::test]
async fn a_directory_that_is_missing_is_named() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("none/usher.db");
    let error =
        Store::connect(&options(&format!("sqlite:{}", path.display()))).await.expect_err("no directory");
    let source = error.source().map(ToString::to_string).unwrap_or_default();
    assert!(source.contains(&path.display().to_string()), "{error:?}");
    Ok(())
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("usher.db");
    std::fs::write(&path, "This is a letter, not a database. ".repeat(200))?;
    let outcome = Store::connect(&options(&format!("sqlite:{}", path.display()))).await;
    assert!(matches!(outcome, Err(OpenError::Refused(_))), "{outcome:?}");
    Ok(())
}

#[tokio::test]
async fn a_refused_password_is_not_repeated() -> anyhow::Result<()> {
    let settings = Settings { password: Some("correct".to_owned()), ..Settings::default() };
    let postgres = Postgres::start_with(settings).await?;
    let store = Store::connect(&options(postgres.url().as_str())).await?;
    let shown = format!("{store:?} {:?}", options(postgres.url().as_str()));
    assert!(!shown.contains("correct"), "{shown}");

    let mut url = postgres.url();
    url.set_password(Some("hunter2")).expect("a URL with a host can have a password");
    let error = Store::connect(&options(url.as_str())).await.expect_err("the password is wrong");
    assert!(matches!(error, OpenError::Refused(_)), "{error:?}");
    let shown = format!("{error} {error:?} {}", error.source().map(ToString::to_string).unwrap_or_default());
    assert!(shown.contains("authentication failed"), "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
    Ok(())
}

#[tokio::test]
async fn a_database_that_is_not_there_is_refused_and_one_that_is_away_is_not_available() -> anyhow::Result<()>
{
    let mut postgres = Postgres::start().await?;
    let mut url = postgres.url();
    url.set_path("missing");
    let outcome = Store::connect(&options(url.as_str())).await;
    assert!(matches!(outcome, Err(OpenError::Refused(_))), "{outcome:?}");
    postgres.stop().await?;
    let outcome = Store::connect(&impatient(postgres.url().as_str())).await;
    assert!(matches!(outcome, Err(OpenError::Unavailable(_))), "{outcome:?}");
    Ok(())
}

#[tokio::test]
async fn readers_do_not_wait_for_the_writer() -> anyhow::Result<()> {
    let db = TestDb::on_sqlite().await?;
    let tx = db.store.begin().await?;
    db.store.ping().await?;
    drop(tx);
    Ok(())
}
