//! Fills a database by SQL of its own shell: one text for both, save for what numbers the rows and mixes the hashes.

use anyhow::Context as _;

use super::{
    database::{Database, Kind},
    site::{DEVICE, HOMESERVERS, NAME},
};

/// When everything happened, in milliseconds: a day like any other, and its last digits number the rows.
const BEGAN: i64 = 1_790_000_000_000;
/// Far enough away: in the year 2100.
const LATER: i64 = 4_102_444_800_000;

/// Every `step`th of so many people, with their account, link, choice, and a session; in a table `people` as well,
/// for what follows.
pub(super) async fn insert_people(
    kind: Kind,
    database: &Database,
    issuer: &str,
    people: usize,
    step: usize,
) -> anyhow::Result<()> {
    let last = people.saturating_sub(1);
    let numbers = match kind {
        Kind::Sqlite => format!(
            "WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + {step} FROM numbers WHERE n + {step} <= {last})"
        ),
        Kind::Postgres => format!(
            "WITH numbers AS (SELECT n FROM generate_series(0::bigint, {last}::bigint, {step}::bigint) AS n)"
        ),
    };
    let [(_, even), (_, odd)] = HOMESERVERS;
    let hash = hash(kind, "session");
    let script = format!(
        "{begin}
         CREATE TABLE bench_people AS {numbers}
             SELECT n, '{NAME}' || n AS subject,
                 CASE n % 2 WHEN 0 THEN '{even}' ELSE '{odd}' END AS server_name,
                 '@{NAME}' || n || ':' || CASE n % 2 WHEN 0 THEN '{even}' ELSE '{odd}' END AS mxid
             FROM numbers;
         INSERT INTO accounts (mxid, server_name, state, origin, created_at, updated_at)
             SELECT mxid, server_name, 'active', 'created', {BEGAN}, {BEGAN} FROM bench_people;
         INSERT INTO links (provider, issuer, subject, server_name, mxid, created_at)
             SELECT 'corp', '{issuer}', subject, server_name, mxid, {BEGAN} FROM bench_people;
         INSERT INTO choices (provider, issuer, subject, server_name, chosen_at)
             SELECT 'corp', '{issuer}', subject, server_name, {BEGAN} FROM bench_people;
         INSERT INTO sessions
                 (mxid, device_id, provider, issuer, subject, upstream_session_hash, opened_at, ended_at)
             SELECT mxid, '{DEVICE}' || n, 'corp', '{issuer}', subject, {hash}, {BEGAN} + n,
                 CASE n % 4 WHEN 0 THEN {BEGAN} + n + 1 END
             FROM bench_people;",
        begin = quickly(kind),
    );
    database.run(&script).await.map(drop)
}

/// A login token for each of the people that were inserted: one in ten was never used, one in ten is being used, the
/// others are redeemed. None is to be swept.
pub(super) async fn insert_tokens(kind: Kind, database: &Database, issuer: &str) -> anyhow::Result<()> {
    let (token, attempt, session) = (hash(kind, "token"), hash(kind, "attempt"), hash(kind, "session"));
    let script = format!(
        "{begin}
         INSERT INTO login_tokens
                 (token_hash, attempt_hash, mxid, audience, provider, issuer, subject, upstream_session_hash,
                  device_id, state, lease, claimed_until, issued_at, lifetime, expires_at, keep_until)
             SELECT {token}, {attempt}, mxid, server_name, 'corp', '{issuer}', subject, {session},
                 CASE n % 10 WHEN 0 THEN NULL ELSE '{DEVICE}' || n END,
                 CASE n % 10 WHEN 0 THEN 'issued' WHEN 1 THEN 'claimed' ELSE 'redeemed' END,
                 CASE n % 10 WHEN 1 THEN 'lease-' || n END,
                 CASE n % 10 WHEN 1 THEN {LATER} - 15000 END,
                 {BEGAN} + n, 120000, {LATER} - 1, {LATER} + n
             FROM bench_people;",
        begin = quickly(kind),
    );
    database.run(&script).await.map(drop)
}

/// Four UI-auth sessions for each of the people that were inserted, all of the one device they have: one waits, one is
/// confirmed, one is spent and one was denied. None is to be swept.
pub(super) async fn insert_ui_auth_sessions(
    kind: Kind,
    database: &Database,
    issuer: &str,
) -> anyhow::Result<()> {
    let (session, handle, attempt) = (hash(kind, "session"), hash(kind, "handle"), hash(kind, "attempt"));
    let has_attempt = "state IN ('confirmed', 'spent')";
    let script = format!(
        "{begin}
         INSERT INTO ui_auth_sessions
                 (session_hash, handle_hash, server_name, mxid, device_id, operation, method, path, body, client,
                  user_agent, state, attempt_hash, provider, issuer, subject, is_fresh, confirmed_at,
                  created_at, expires_at, description)
             SELECT {session}, {handle}, server_name, mxid, '{DEVICE}' || person, 'delete_device', 'DELETE',
                 '/devices/OLD' || n, '{{}}', '192.0.2.7', 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Firefox/140.0',
                 state, CASE WHEN {has_attempt} THEN {attempt} END,
                 CASE WHEN {has_attempt} THEN 'corp' END, CASE WHEN {has_attempt} THEN '{issuer}' END,
                 CASE WHEN {has_attempt} THEN subject END, CASE WHEN {has_attempt} THEN 1 ELSE 0 END,
                 CASE WHEN {has_attempt} THEN {BEGAN} + n END, {BEGAN} + n, {LATER} + n,
                 'delete the device \"OLD' || n || '\"'
             FROM (SELECT 4 * n + place AS n, n AS person, mxid, server_name, subject, state
                   FROM bench_people CROSS JOIN
                       (SELECT 0 AS place, 'pending' AS state UNION ALL SELECT 1, 'confirmed'
                        UNION ALL SELECT 2, 'spent' UNION ALL SELECT 3, 'denied') AS states) AS numbered;",
        begin = quickly(kind),
    );
    database.run(&script).await.map(drop)
}

/// Forgets the UI-auth sessions that people have opened by themselves, so that each run begins with the same table.
pub(super) async fn forget_opened_sessions(kind: Kind, database: &Database) -> anyhow::Result<()> {
    let settle = match kind {
        Kind::Sqlite => "PRAGMA wal_checkpoint(TRUNCATE);",
        Kind::Postgres => "VACUUM ANALYZE ui_auth_sessions; CHECKPOINT;",
    };
    let script = format!("DELETE FROM ui_auth_sessions WHERE expires_at < {LATER}; {settle}");
    database.run(&script).await.map(drop)
}

/// As an operator's database is some time after such a change: Postgres does this by itself, and Usher leaves SQLite
/// without statistics.
pub(super) async fn settle(kind: Kind, database: &Database) -> anyhow::Result<()> {
    let script = match kind {
        Kind::Sqlite => {
            "DROP TABLE bench_people; PRAGMA journal_mode = WAL; PRAGMA wal_checkpoint(TRUNCATE);"
        }
        Kind::Postgres => "DROP TABLE bench_people; VACUUM ANALYZE; CHECKPOINT;",
    };
    database.run(script).await.map(drop)
}

/// Three in ten of the tokens that [`insert_tokens`] made are to be swept from now on.
pub(super) async fn expire(kind: Kind, database: &Database) -> anyhow::Result<()> {
    let script = format!(
        "{begin}
         UPDATE login_tokens SET expires_at = issued_at, keep_until = issued_at
             WHERE state = 'redeemed' AND keep_until > {LATER} AND issued_at % 10 IN (2, 3, 4);",
        begin = quickly(kind),
    );
    database.run(&script).await?;
    let script = match kind {
        Kind::Sqlite => "PRAGMA journal_mode = WAL; PRAGMA wal_checkpoint(TRUNCATE);",
        Kind::Postgres => "VACUUM ANALYZE login_tokens; CHECKPOINT;",
    };
    database.run(script).await.map(drop)
}

/// How many of them are still there.
pub(super) async fn count_expired(database: &Database) -> anyhow::Result<u32> {
    let question = format!("SELECT count(*) FROM login_tokens WHERE keep_until < {BEGAN} + 100000000;");
    database.run(&question).await?.parse().context("the database gave no number")
}

/// Nobody else uses the database meanwhile, and nobody needs what is in it if the machine fails. Foreign keys hold
/// because of how the rows are made.
fn quickly(kind: Kind) -> &'static str {
    match kind {
        Kind::Sqlite => {
            "PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF; PRAGMA cache_size = -400000; PRAGMA foreign_keys = OFF;"
        }
        Kind::Postgres => "SET synchronous_commit = off; SET session_replication_role = replica;",
    }
}

/// 64 hexadecimal digits for each row.
fn hash(kind: Kind, what: &str) -> String {
    match kind {
        Kind::Sqlite => "lower(hex(randomblob(32)))".to_owned(),
        Kind::Postgres => format!("md5('{what}' || n) || md5(n || '{what}')"),
    }
}
