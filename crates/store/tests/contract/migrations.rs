//! The schema comes up once, whoever starts first, and a schema of another release is noticed.

use futures_util::future::join_all;
use usher_store::{OpenError, Origin, Store, accounts};

use crate::harness::{TestDb, ms, mxid};

on_both!(
    migrating_twice_changes_nothing,
    a_migration_that_is_not_ours_is_noticed,
    a_migration_that_changed_is_noticed,
    a_missing_migration_is_noticed,
);

mod at_once {
    use super::{TestDb, many_replicas_migrate_at_once};

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn on_sqlite() -> anyhow::Result<()> {
        many_replicas_migrate_at_once(&TestDb::on_empty_sqlite().await?).await
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn on_postgres() -> anyhow::Result<()> {
        many_replicas_migrate_at_once(&TestDb::on_empty_postgres().await?).await
    }
}

async fn many_replicas_migrate_at_once(db: &TestDb) -> anyhow::Result<()> {
    let outcome = db.store.check_migrated().await;
    assert!(matches!(outcome, Err(OpenError::Behind { first: 20_261_123_000_000, .. })), "{outcome:?}");
    let replicas = join_all((0..6).map(|_| db.another())).await;
    let replicas = replicas.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    all_migrate(&replicas).await?;
    db.store.check_migrated().await?;
    // An upgrade: the table of migrations is there already, and one is new.
    db.run("DROP TABLE spent; DELETE FROM _sqlx_migrations WHERE version = 20261123000500").await?;
    all_migrate(&replicas).await?;
    db.store.check_migrated().await?;
    Ok(())
}

async fn all_migrate(replicas: &[Store]) -> anyhow::Result<()> {
    let migrations = replicas.iter().cloned().map(|store| tokio::spawn(async move { store.migrate().await }));
    for outcome in join_all(migrations).await {
        outcome??;
    }
    Ok(())
}

async fn migrating_twice_changes_nothing(db: &TestDb) -> anyhow::Result<()> {
    accounts::insert_reserved(&db.store, &mxid("alice"), Origin::Created, ms(0)).await?;
    db.store.migrate().await?;
    db.store.check_migrated().await?;
    assert!(accounts::find(&db.store, &mxid("alice")).await?.is_some());
    Ok(())
}

async fn a_migration_that_is_not_ours_is_noticed(db: &TestDb) -> anyhow::Result<()> {
    db.run("UPDATE _sqlx_migrations SET version = 20991231000000 WHERE version = 20261123000500").await?;
    for outcome in [db.store.check_migrated().await, db.store.migrate().await] {
        assert!(matches!(outcome, Err(OpenError::Ahead { version: 20_991_231_000_000 })), "{outcome:?}");
    }
    Ok(())
}

async fn a_migration_that_changed_is_noticed(db: &TestDb) -> anyhow::Result<()> {
    let change = if db.is_sqlite() {
        "UPDATE _sqlx_migrations SET checksum = X'00' WHERE version = 20261123000100"
    } else {
        "UPDATE _sqlx_migrations SET checksum = '\\x00' WHERE version = 20261123000100"
    };
    db.run(change).await?;
    for outcome in [db.store.check_migrated().await, db.store.migrate().await] {
        assert!(matches!(outcome, Err(OpenError::Changed { version: 20_261_123_000_100 })), "{outcome:?}");
    }
    Ok(())
}

async fn a_missing_migration_is_noticed(db: &TestDb) -> anyhow::Result<()> {
    db.run("DELETE FROM _sqlx_migrations WHERE version = 20261123000500").await?;
    let error = db.store.check_migrated().await.expect_err("one is missing").to_string();
    assert!(error.contains("20261123000500"), "{error}");
    assert!(error.contains("usher migrate"), "{error}");
    // Running it fails, because its table is there; nothing of it is kept and the error says which.
    let error = db.store.migrate().await.expect_err("the table exists");
    assert!(matches!(&error, OpenError::Migration(_)), "{error:?}");
    assert!(format!("{error:?}").contains("20261123000500"), "{error:?}");
    Ok(())
}
