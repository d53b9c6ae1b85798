//! The statements of a login, word for word Usher's, through pools set up as Usher's (`usher-store`). The benchmark
//! asks Postgres whether they are the same.

use std::{str::FromStr as _, time::Duration};

use anyhow::Context as _;
use sqlx::{
    Connection as _, PgPool, SqlitePool,
    pool::PoolOptions,
    postgres::PgConnectOptions,
    sqlite::{SqliteConnectOptions, SqliteSynchronous},
};

const MAX_CONNECTIONS: u32 = 10;
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
const STATEMENT_TIMEOUT_MS: u64 = 10_000;
const TRUSTED_IDLE: Duration = Duration::from_secs(1);
/// A token's, in milliseconds.
const LIFETIME: i64 = 120_000;
/// A lease's, in milliseconds.
const LEASE: i64 = 15_000;

const FIND_PERSON: &str = "
    SELECT choices.server_name AS server_name, NULL AS mxid, NULL AS state, NULL AS origin
    FROM choices
    WHERE choices.provider = $1 AND choices.issuer = $2 AND choices.subject = $3
    UNION ALL
    SELECT links.server_name, accounts.mxid, accounts.state, accounts.origin
    FROM links JOIN accounts ON accounts.mxid = links.mxid
    WHERE links.provider = $1 AND links.issuer = $2 AND links.subject = $3";

const INSERT_TOKEN: &str = "
    INSERT INTO login_tokens
        (token_hash, attempt_hash, mxid, audience, provider, issuer, subject, upstream_session_hash,
         state, issued_at, lifetime, expires_at, keep_until, begun_at)
    SELECT $1, $2, $3, $4, $5, $6, $7, $8, 'issued', $9, $10, $11, $12, $13
    WHERE NOT (EXISTS (SELECT 1 FROM logouts
            WHERE logouts.upstream_session_hash IN ($8, substr($8, 1, 32))
                AND (substr($8, 1, 1) <> 'g' OR logouts.received_at >= $13))
        OR EXISTS (SELECT 1 FROM logouts
            WHERE logouts.provider = $5 AND logouts.issuer = $6 AND logouts.subject = $7
                AND (logouts.upstream_session_hash IS NULL OR $8 IS NULL) AND logouts.received_at >= $13))
    ON CONFLICT DO NOTHING";

const CLAIM: &str = "
    UPDATE login_tokens SET
        state = 'claimed', lease = $2, claimed_until = $3, device_id = COALESCE(device_id, $4),
        expires_at = CASE WHEN $3 > keep_until - lifetime THEN keep_until ELSE $3 + lifetime END
    WHERE token_hash = $1 AND expires_at > $5
        AND (state = 'issued' OR (state = 'claimed' AND claimed_until <= $5))
        AND ($6 IS NULL OR audience = $6)
        AND EXISTS (SELECT 1 FROM links JOIN accounts ON accounts.mxid = links.mxid
            WHERE links.provider = login_tokens.provider AND links.issuer = login_tokens.issuer
                AND links.subject = login_tokens.subject AND links.server_name = login_tokens.audience
                AND links.mxid = login_tokens.mxid AND accounts.state = 'active')
        AND NOT (EXISTS (SELECT 1 FROM logouts
                WHERE logouts.upstream_session_hash
                        IN (login_tokens.upstream_session_hash, substr(login_tokens.upstream_session_hash, 1, 32))
                    AND (substr(login_tokens.upstream_session_hash, 1, 1) <> 'g'
                        OR logouts.received_at >= COALESCE(login_tokens.begun_at, login_tokens.issued_at)))
            OR EXISTS (SELECT 1 FROM logouts
                WHERE logouts.provider = login_tokens.provider AND logouts.issuer = login_tokens.issuer
                    AND logouts.subject = login_tokens.subject
                    AND (logouts.upstream_session_hash IS NULL OR login_tokens.upstream_session_hash IS NULL)
                    AND logouts.received_at >= COALESCE(login_tokens.begun_at, login_tokens.issued_at)))
    RETURNING mxid, device_id, provider, issuer, subject, upstream_session_hash,
        COALESCE(begun_at, issued_at) AS begun_at";

const REDEEM: &str = "
    UPDATE login_tokens SET state = 'redeemed', lease = NULL, claimed_until = NULL
    WHERE token_hash = $1 AND state = 'claimed' AND lease = $2
        AND NOT (EXISTS (SELECT 1 FROM logouts
                WHERE logouts.upstream_session_hash
                        IN (login_tokens.upstream_session_hash, substr(login_tokens.upstream_session_hash, 1, 32))
                    AND (substr(login_tokens.upstream_session_hash, 1, 1) <> 'g'
                        OR logouts.received_at >= COALESCE(login_tokens.begun_at, login_tokens.issued_at)))
            OR EXISTS (SELECT 1 FROM logouts
                WHERE logouts.provider = login_tokens.provider AND logouts.issuer = login_tokens.issuer
                    AND logouts.subject = login_tokens.subject
                    AND (logouts.upstream_session_hash IS NULL OR login_tokens.upstream_session_hash IS NULL)
                    AND logouts.received_at >= COALESCE(login_tokens.begun_at, login_tokens.issued_at)))";

const INSERT_SESSION: &str = "
    INSERT INTO sessions
        (mxid, device_id, provider, issuer, subject, upstream_session_hash, opened_at, ended_at, begun_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, NULL, $8)
    ON CONFLICT (mxid, device_id) DO UPDATE SET
        provider = excluded.provider,
        issuer = excluded.issuer,
        subject = excluded.subject,
        upstream_session_hash = excluded.upstream_session_hash,
        opened_at = excluded.opened_at,
        ended_at = NULL,
        begun_at = excluded.begun_at";

pub(crate) enum Pools {
    Sqlite { writer: SqlitePool, reader: SqlitePool },
    Postgres(PgPool),
}

#[derive(Clone, Copy)]
pub(crate) struct Person<'a> {
    pub(crate) provider: &'a str,
    pub(crate) issuer: &'a str,
    pub(crate) subject: &'a str,
}

pub(crate) struct Token<'a> {
    /// Its hash.
    pub(crate) hash: &'a str,
    /// Its attempt's.
    pub(crate) attempt: &'a str,
    pub(crate) mxid: &'a str,
    pub(crate) server_name: &'a str,
    pub(crate) person: Person<'a>,
    pub(crate) upstream_session: &'a str,
    pub(crate) issued_at: i64,
    pub(crate) keep_until: i64,
}

#[derive(sqlx::FromRow)]
pub(crate) struct Claimed {
    pub(crate) mxid: String,
    pub(crate) device_id: String,
    provider: String,
    issuer: String,
    subject: String,
    upstream_session_hash: Option<String>,
    begun_at: i64,
}

type PersonRow = (String, Option<String>, Option<String>, Option<String>);

/// Evaluates `$call` with `$pool` bound to a pool of the right type.
macro_rules! on {
    ($pools:expr, $side:ident, $pool:ident => $call:expr) => {
        match $pools {
            Pools::Sqlite { $side: $pool, .. } => $call,
            Pools::Postgres($pool) => $call,
        }
    };
}

/// Marks the token as redeemed and records the session, in a transaction; ends the function if it is not ours.
macro_rules! redeem_in {
    ($tx:expr, $token_hash:expr, $lease:expr, $claimed:expr, $now:expr) => {{
        let mut tx = $tx;
        let redeemed = sqlx::query(REDEEM).bind($token_hash).bind($lease).execute(&mut *tx).await?;
        if redeemed.rows_affected() != 1 {
            return Ok(false);
        }
        let session = sqlx::query(INSERT_SESSION).bind(&$claimed.mxid).bind(&$claimed.device_id);
        let session = session.bind(&$claimed.provider).bind(&$claimed.issuer).bind(&$claimed.subject);
        let session = session.bind(&$claimed.upstream_session_hash).bind($now).bind($claimed.begun_at);
        session.execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(true)
    }};
}

impl Pools {
    pub(crate) async fn open(url: &str) -> anyhow::Result<Self> {
        if let Some(path) = url.strip_prefix("sqlite:") {
            let connect = SqliteConnectOptions::new()
                .filename(path)
                .foreign_keys(true)
                .synchronous(SqliteSynchronous::Normal)
                .busy_timeout(ACQUIRE_TIMEOUT)
                .pragma("journal_size_limit", "67108864");
            let pool = |size| {
                PoolOptions::new()
                    .max_connections(size)
                    .acquire_timeout(ACQUIRE_TIMEOUT)
                    .test_before_acquire(false)
                    .idle_timeout(None)
                    .max_lifetime(None)
            };
            let writer = pool(1).connect_with(connect.clone().pragma("cache_size", "-8192")).await?;
            let reader = pool(MAX_CONNECTIONS).connect_with(connect.pragma("query_only", "ON")).await?;
            return Ok(Self::Sqlite { writer, reader });
        }
        let connect = PgConnectOptions::from_str(url)?.options([
            ("statement_timeout", STATEMENT_TIMEOUT_MS),
            ("idle_in_transaction_session_timeout", 3 * STATEMENT_TIMEOUT_MS),
        ]);
        let pool = PoolOptions::new()
            .max_connections(MAX_CONNECTIONS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire(false)
            .before_acquire(|connection: &mut sqlx::PgConnection, meta| {
                Box::pin(async move {
                    if meta.idle_for >= TRUSTED_IDLE {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            });
        Ok(Self::Postgres(pool.connect_with(connect).await?))
    }

    /// Server name and MXID of the account a person has.
    pub(crate) async fn find_account(&self, person: &Person<'_>) -> anyhow::Result<Option<(String, String)>> {
        let rows: Vec<PersonRow> = on!(self, reader, pool => {
            let query = sqlx::query_as(FIND_PERSON);
            query.bind(person.provider).bind(person.issuer).bind(person.subject).fetch_all(pool).await?
        });
        Ok(rows.into_iter().find_map(|(server_name, mxid, ..)| Some((server_name, mxid?))))
    }

    pub(crate) async fn insert_token(&self, token: &Token<'_>) -> anyhow::Result<bool> {
        let inserted = on!(self, writer, pool => {
            let query = sqlx::query(INSERT_TOKEN).bind(token.hash).bind(token.attempt);
            let query = query.bind(token.mxid).bind(token.server_name).bind(token.person.provider);
            let query = query.bind(token.person.issuer).bind(token.person.subject);
            let query = query.bind(token.upstream_session).bind(token.issued_at).bind(LIFETIME);
            let query = query.bind(token.issued_at + LIFETIME).bind(token.keep_until).bind(token.issued_at);
            query.execute(pool).await?.rows_affected()
        });
        Ok(inserted == 1)
    }

    pub(crate) async fn claim(
        &self,
        token_hash: &str,
        lease: &str,
        device_id: &str,
        now: i64,
    ) -> anyhow::Result<Option<Claimed>> {
        let rows: Vec<Claimed> = on!(self, writer, pool => {
            let query = sqlx::query_as(CLAIM).bind(token_hash).bind(lease).bind(now + LEASE);
            query.bind(device_id).bind(now).bind(None::<&str>).fetch_all(pool).await?
        });
        Ok(rows.into_iter().next())
    }

    pub(crate) async fn redeem(
        &self,
        token_hash: &str,
        lease: &str,
        claimed: &Claimed,
        now: i64,
    ) -> anyhow::Result<bool> {
        match self {
            Self::Sqlite { writer, .. } => {
                let tx = writer.begin_with("BEGIN IMMEDIATE").await;
                redeem_in!(tx.context("no transaction")?, token_hash, lease, claimed, now)
            }
            Self::Postgres(pool) => {
                redeem_in!(pool.begin().await.context("no transaction")?, token_hash, lease, claimed, now)
            }
        }
    }
}
