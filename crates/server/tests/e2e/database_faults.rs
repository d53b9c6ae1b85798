//! The database is locked, full, stopped or frozen: every request is answered in bounded time, says so, and loses
//! nothing; everything works by itself when the database is back; and Usher itself neither dies nor hangs.

use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use reqwest::{Method, StatusCode};
use tokio::task::JoinSet;
use usher_lab::real::postgres::Postgres;

use crate::{
    components::{eventually, run},
    config::{APP, Portal},
    database::{Database, Kind},
    footprint::limit_file_size,
    person::Landed,
    scripted::{ALICE, Stage},
    world::BINARY,
};

const TIMEOUT: Duration = Duration::from_secs(30);
/// A connection is waited for 5 seconds and a statement 10, on SQLite 15; and the machine may be busy.
const BOUND: Duration = Duration::from_secs(25);
/// As long as the database is away.
const AWAY: Duration = Duration::from_secs(10);

pub(crate) async fn soon<T>(
    what: &str,
    answer: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    tokio::time::timeout(BOUND, answer).await.with_context(|| format!("{what}: not answered in time"))?
}

/// A page that says the portal is out of order and can be tried again.
fn is_out_of_order(landed: &Landed) {
    let (status, text) = landed.page();
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{text}");
    assert!(text.contains("out of order for the moment"), "{text}");
}

/// One of everything, all at the same time, while the database is away.
async fn is_borne(stage: &Stage, token: &str, is_readable: bool) -> anyhow::Result<()> {
    let expected = if is_readable { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let (signed_in, redeemed, health, flows, begun) = tokio::join!(
        Box::pin(soon("a sign-in", stage.sign_in())),
        soon("POST /login", stage.client.redeem(token)),
        soon("health", health_is(stage, expected)),
        soon("GET /login", stage.client.call(Method::GET, "_matrix/client/v3/login", None)),
        Box::pin(soon("a redirect", stage.begin())),
    );
    is_out_of_order(&signed_in?);
    let redeemed = redeemed?;
    assert_eq!((redeemed.status, redeemed.errcode()), (StatusCode::SERVICE_UNAVAILABLE, "M_UNKNOWN"));
    health?;
    assert_eq!(flows?.status, StatusCode::OK, "flows are not hidden");
    begun
}

/// Waits for it: the database is asked once a second.
async fn health_is(stage: &Stage, expected: StatusCode) -> anyhow::Result<()> {
    eventually("health is told as it is", async || {
        let health = stage.client.call(Method::GET, "_usher/health", None).await?;
        Ok((health.status == expected).then_some(()))
    })
    .await
}

/// Everything is as it was, by itself.
async fn is_well_again(stage: &Stage, token: &str) -> anyhow::Result<()> {
    health_is(stage, StatusCode::OK).await?;
    assert_eq!(stage.client.redeem(token).await?.expect_ok()?.field("user_id")?, ALICE);
    let token = stage.sign_in().await?.login_token()?;
    assert_eq!(stage.client.redeem(&token).await?.expect_ok()?.field("user_id")?, ALICE);
    assert_eq!(stage.database.accounts().await?, [format!("{ALICE} active")]);
    assert_eq!(stage.homeserver.users(), [ALICE]);
    Ok(())
}

#[test]
fn a_file_that_another_process_locks_for_ten_seconds_is_waited_for() -> anyhow::Result<()> {
    run(async {
        let stage = Stage::set(Kind::Sqlite, TIMEOUT).await?;
        let token = stage.sign_in().await?.login_token()?;
        let lock = stage.database.lock_file().await?;
        let locked = Instant::now();
        while locked.elapsed() < AWAY {
            is_borne(&stage, &token, true).await?;
        }
        lock.release().await?;
        is_well_again(&stage, &token).await?;

        // For less than the patience of a request, nobody notices.
        let lock = stage.database.lock_file().await?;
        let visit = stage.start_sign_in();
        eventually("the ticket is validated", async || {
            Ok((!stage.cas.script().take_validations().is_empty()).then_some(()))
        })
        .await?;
        lock.release().await?;
        visit.await??.login_token()?;
        Ok(())
    })
}

#[test]
fn a_full_disk_is_said_and_everything_works_when_there_is_room() -> anyhow::Result<()> {
    run(async {
        let directory = tempfile::tempdir()?;
        let binary = bearing_limits(directory.path())?;
        let stage = Stage::set_with_binary(&binary, Kind::Sqlite, TIMEOUT, |_| {}).await?;
        let token = stage.sign_in().await?.login_token()?;
        let log = stage.database.file_sizes()?[1];
        limit_file_size(&stage.usher, Some(log))?;
        for _ in 0..2 {
            is_borne(&stage, &token, true).await?;
        }
        limit_file_size(&stage.usher, None)?;
        is_well_again(&stage, &token).await
    })
}

/// Usher, started so that a write beyond a limit fails instead of ending the process: as on a full disk.
fn bearing_limits(directory: &Path) -> anyhow::Result<PathBuf> {
    let path = directory.join("usher-that-bears-limits");
    std::fs::write(&path, format!("#!/bin/sh\ntrap '' XFSZ\nexec {BINARY} \"$@\"\n"))?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
    Ok(path)
}

#[test]
fn a_postgres_that_is_away_for_ten_seconds_is_missed_and_found_again() -> anyhow::Result<()> {
    run(async {
        let (mut postgres, stage) = stage_on_its_own_postgres().await?;
        let token = stage.sign_in().await?.login_token()?;
        postgres.kill().await?;
        let away = Instant::now();
        while away.elapsed() < AWAY {
            is_borne(&stage, &token, false).await?;
        }
        postgres.start_again().await?;
        is_well_again(&stage, &token).await
    })
}

#[test]
fn a_postgres_that_never_comes_back_keeps_usher_neither_from_answering_nor_from_ending() -> anyhow::Result<()>
{
    run(async {
        let (mut postgres, mut stage) = stage_on_its_own_postgres().await?;
        let token = stage.sign_in().await?.login_token()?;
        postgres.stop().await?;
        for _ in 0..2 {
            is_borne(&stage, &token, false).await?;
        }
        stage.usher.stop().await
    })
}

#[test]
fn a_postgres_that_answers_nothing_keeps_nobody_waiting_for_long() -> anyhow::Result<()> {
    run(async {
        let (postgres, mut stage) = stage_on_its_own_postgres().await?;
        let token = stage.sign_in().await?.login_token()?;
        postgres.pause()?;
        is_borne(&stage, &token, false).await?;
        // More at once than there are connections.
        let mut crowd = JoinSet::new();
        for _ in 0..30 {
            let (person, client, token) = (stage.person(), stage.client.clone(), token.clone());
            crowd.spawn(async move {
                is_out_of_order(&soon("one of many sign-ins", person.sign_in()).await?);
                let answer = soon("one of many logins", client.redeem(&token)).await?;
                anyhow::ensure!(answer.status == StatusCode::SERVICE_UNAVAILABLE, "{answer:?}");
                Ok(())
            });
        }
        crowd.join_all().await.into_iter().collect::<anyhow::Result<()>>()?;
        postgres.resume()?;
        is_well_again(&stage, &token).await?;

        // Nor does it keep Usher from ending, with a statement under way.
        postgres.pause()?;
        let health = stage.client.clone();
        let asked = tokio::spawn(async move { health.call(Method::GET, "_usher/health", None).await });
        stage.usher.stop().await?;
        // Answered, or refused if it came too late.
        let _ = asked.await?;
        Ok(())
    })
}

async fn stage_on_its_own_postgres() -> anyhow::Result<(Postgres, Stage)> {
    on_its_own_postgres(|_| {}).await
}

/// With a config that `edit` has changed.
pub(crate) async fn on_its_own_postgres(edit: impl FnOnce(&mut Portal)) -> anyhow::Result<(Postgres, Stage)> {
    let postgres = Postgres::start().await?;
    let url = postgres.create_database("usher").await?;
    let stage = Stage::set_on(Database::at(&url), TIMEOUT, edit).await?;
    Ok((postgres, stage))
}

impl Stage {
    /// As far as the CAS server, and no further.
    async fn begin(&self) -> anyhow::Result<()> {
        let url = self.person().login_url("v3", APP);
        let page = usher_lab::browser::Browser::new().open_once(url).await?;
        anyhow::ensure!(page.status() == StatusCode::FOUND, "{page:?}");
        Ok(())
    }
}
