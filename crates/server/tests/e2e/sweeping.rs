//! Expired rows go, a batch at a time, while people log in: the writer is free between two batches.

use std::time::Duration;

use anyhow::Context as _;
use sqlx::AssertSqlSafe;

use crate::{
    components::{eventually, run},
    database::Kind,
    scripted::{ALICE, SERVER_NAME, Stage},
};

const TIMEOUT: Duration = Duration::from_secs(30);
/// Of each kind: login tokens, keys that were spent, and people who were asked something and never answered.
const EXPIRED: i64 = 200_000;
/// As many rows as may go during one login, on average. A batch is 500 of each, and a login writes three times: on an
/// idle machine it meets some thousands. A sweep that keeps the writer lets nobody in until all are gone.
const DURING_A_LOGIN: i64 = 3 * EXPIRED / 20;
/// A time that never comes.
const NEVER: i64 = 9_000_000_000_000;

/// Rows that are good, or that somebody still holds, and rows whose time is over.
fn rows(kind: Kind) -> String {
    let (numbers, hash) = match kind {
        Kind::Sqlite => (
            "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count})",
            "printf('%c%063d', '{letter}', n)",
        ),
        Kind::Postgres => (
            "WITH numbers (n) AS (SELECT generate_series(1, {count}))",
            "('{letter}' || lpad(n::text, 63, '0'))",
        ),
    };
    let hash = |letter: &str| hash.replace("{letter}", letter);
    let tokens = |count: i64, letters: [&str; 2], state: &str, keep_until: &str| {
        let numbers = numbers.replace("{count}", &count.to_string());
        let (token, attempt) = (hash(letters[0]), hash(letters[1]));
        format!(
            "INSERT INTO login_tokens (token_hash, attempt_hash, mxid, audience, provider, issuer, subject, state,
                 lease, claimed_until, device_id, issued_at, lifetime, expires_at, keep_until)
             {numbers} SELECT {token}, {attempt}, '{ALICE}', '{SERVER_NAME}', 'corp', 'nobody', 'nobody', {state},
                 0, 0, 0, {keep_until} FROM numbers;"
        )
    };
    let keys = |count: i64, letter: &str, keep_until: &str| {
        let (numbers, hash) = (numbers.replace("{count}", &count.to_string()), hash(letter));
        format!(
            "INSERT INTO spent (key_hash, keep_until) {numbers} SELECT {hash}, {keep_until} FROM numbers;"
        )
    };
    let people = |count: i64, letter: &str, expires_at: &str| {
        let (numbers, hash) = (numbers.replace("{count}", &count.to_string()), hash(letter));
        format!(
            "INSERT INTO pending (attempt_hash, identity, expires_at)
             {numbers} SELECT {hash}, '{{}}', {expires_at} FROM numbers;"
        )
    };
    let never = NEVER.to_string();
    let held = format!("'claimed', 'somebody', {NEVER}, 'X'");
    [
        "BEGIN;".to_owned(),
        tokens(EXPIRED, ["a", "b"], "'redeemed', NULL, NULL, 'X'", "n"),
        tokens(300, ["c", "d"], "'issued', NULL, NULL, NULL", &never),
        tokens(1, ["e", "f"], &held, "n"),
        keys(EXPIRED, "a", "n"),
        keys(300, "b", &never),
        people(EXPIRED, "a", "n"),
        people(300, "b", &never),
        "COMMIT;".to_owned(),
    ]
    .concat()
}

async fn count(stage: &Stage, sql: &'static str) -> anyhow::Result<i64> {
    Ok(stage.database.column(sql).await?.first().context("a count")?.parse()?)
}

/// Rows whose time is over and that nobody holds.
async fn expired(stage: &Stage) -> anyhow::Result<i64> {
    let sql = "SELECT CAST((SELECT count(*) FROM login_tokens WHERE keep_until < 1000000 AND lease IS NULL)
             + (SELECT count(*) FROM spent WHERE keep_until < 1000000)
             + (SELECT count(*) FROM pending WHERE expires_at < 1000000) AS TEXT)";
    count(stage, sql).await
}

async fn logs_in(stage: &Stage) -> anyhow::Result<()> {
    let token = stage.sign_in().await?.login_token()?;
    assert_eq!(stage.client.redeem(&token).await?.expect_ok()?.field("user_id")?, ALICE);
    Ok(())
}

async fn goes_unnoticed(kind: Kind) -> anyhow::Result<()> {
    let stage = Stage::set_with(kind, TIMEOUT, |config| "1s".clone_into(&mut config.sweep_interval)).await?;
    logs_in(&stage).await?;
    stage.database.execute(AssertSqlSafe(rows(kind))).await?;
    let all = eventually("the sweep has begun", async || {
        let left = expired(&stage).await?;
        Ok((left < 3 * EXPIRED).then_some(left))
    })
    .await?;
    let mut logins = 0;
    while expired(&stage).await? > 0 {
        logs_in(&stage).await?;
        logins += 1;
    }
    println!("{kind:?}: {logins} logins while {all} rows went");
    assert!(logins * DURING_A_LOGIN >= all, "{logins} logins while {all} rows went");
    let kept =
        "SELECT CAST(count(*) AS TEXT) FROM login_tokens WHERE provider = 'corp' AND issuer = 'nobody'";
    assert_eq!(count(&stage, kept).await?, 301, "tokens that are good, and one that somebody holds");
    assert_eq!(count(&stage, "SELECT CAST(count(*) AS TEXT) FROM spent").await?, 300);
    assert_eq!(count(&stage, "SELECT CAST(count(*) AS TEXT) FROM pending").await?, 300);
    let own = "SELECT CAST(count(*) AS TEXT) FROM login_tokens WHERE subject = 'alice'";
    assert_eq!(count(&stage, own).await?, logins + 1, "attempts stay spent");
    Ok(())
}

#[test]
fn two_hundred_thousand_expired_rows_go_while_people_log_in_on_sqlite() -> anyhow::Result<()> {
    run(goes_unnoticed(Kind::Sqlite))
}

#[test]
fn two_hundred_thousand_expired_rows_go_while_people_log_in_on_postgres() -> anyhow::Result<()> {
    run(goes_unnoticed(Kind::Postgres))
}
