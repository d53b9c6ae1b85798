//! How connections to either database are opened and kept.

use std::{path::Path, time::Duration};

use sqlx::{
    ConnectOptions as _, Connection as _, PgPool, SqlitePool,
    pool::PoolOptions,
    postgres::PgConnectOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode},
};

use crate::{
    OpenError, Options,
    error::{Fault, is_busy},
    options::{postgres_options, sqlite_options},
};

/// An idle connection is asked whether it is alive only after this long: a busy pool is never asked, and after
/// a restart of Postgres a quiet pool does not hand out dead connections one by one. It is not a statement.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);
/// How often two processes that create the same file at once try to switch it to a write-ahead log.
const WAL_RETRY: Duration = Duration::from_millis(20);
/// `server_version_num` of the oldest Postgres that Usher is tested with.
const OLDEST_POSTGRES: u32 = 150_000;

/// Pages that the writer keeps, in KiB (negative means that): with a million rows in every table the inner pages of the
/// indexes it changes are about as much. A small database takes what it is large.
const WRITER_CACHE: &str = "-8192";

/// The connections of one database.
#[derive(Clone, Debug)]
pub(crate) enum Pools {
    Sqlite(SqlitePools),
    Postgres(PgPool),
}

/// SQLite has one writer at a time. Ours wait for it in the writer pool's queue, first come first served,
/// instead of polling the file's lock; readers do not wait for it at all (<https://sqlite.org/wal.html>).
#[derive(Clone, Debug)]
pub(crate) struct SqlitePools {
    pub(crate) writer: SqlitePool,
    pub(crate) reader: SqlitePool,
}

pub(crate) async fn open_sqlite(path: &Path, options: &Options) -> Result<Pools, OpenError> {
    create_private(path).await?;
    let connect = sqlite_options(path, options.acquire_timeout);
    switch_to_wal(&connect, options.acquire_timeout).await?;
    let writer = sqlite_pool(1, connect.clone().pragma("cache_size", WRITER_CACHE), options).await?;
    let reader = sqlite_pool(options.max_connections, connect.pragma("query_only", "ON"), options).await?;
    Ok(Pools::Sqlite(SqlitePools { writer, reader }))
}

/// The file is created readable by its owner only; SQLite gives its log and index the mode of the file.
async fn create_private(path: &Path) -> Result<(), OpenError> {
    let mut file = tokio::fs::OpenOptions::new();
    file.create(true).append(true);
    #[cfg(unix)]
    file.mode(0o600);
    match file.open(path).await {
        Ok(_) => Ok(()),
        Err(error) => Err(OpenError::Refused(Fault::new(format!("{}: {error}", path.display())))),
    }
}

/// A database file remembers that it has a write-ahead log. The switch needs the file alone, and SQLite does not
/// wait for that (<https://sqlite.org/pragma.html#pragma_journal_mode>), so this does.
async fn switch_to_wal(connect: &SqliteConnectOptions, patience: Duration) -> Result<(), OpenError> {
    let connect = connect.clone().journal_mode(SqliteJournalMode::Wal);
    let attempts = async {
        loop {
            match connect.connect().await {
                Ok(connection) => return connection.close().await,
                Err(error) if is_busy(&error) => tokio::time::sleep(WAL_RETRY).await,
                Err(error) => return Err(error),
            }
        }
    };
    match tokio::time::timeout(patience, attempts).await {
        Ok(outcome) => outcome.map_err(OpenError::from),
        Err(_) => Err(OpenError::Unavailable(Fault::new("another process holds the database file"))),
    }
}

async fn sqlite_pool(
    size: u32,
    connect: SqliteConnectOptions,
    options: &Options,
) -> Result<SqlitePool, OpenError> {
    let pool = PoolOptions::new()
        .max_connections(size)
        .acquire_timeout(options.acquire_timeout)
        .test_before_acquire(false)
        // A connection to a file does not age, and each keeps its prepared statements.
        .idle_timeout(None)
        .max_lifetime(None);
    #[cfg(feature = "count-statements")]
    let pool = pool.after_connect(|connection, _| Box::pin(crate::sqlite_trace::count(connection)));
    Ok(pool.connect_with(connect).await?)
}

pub(crate) async fn open_postgres(connect: &PgConnectOptions, options: &Options) -> Result<Pools, OpenError> {
    // One connection by hand first: the pool would try again until its patience ends, and then name only that.
    let first = postgres_options(connect, options.statement_timeout);
    match tokio::time::timeout(options.acquire_timeout, first.connect()).await {
        Ok(connection) => connection?.close().await?,
        Err(_) => return Err(OpenError::Unavailable(Fault::new("no answer in time"))),
    }
    let pool: PgPool = PoolOptions::new()
        .max_connections(options.max_connections)
        .acquire_timeout(options.acquire_timeout)
        .test_before_acquire(false)
        .before_acquire(|connection: &mut sqlx::PgConnection, meta| {
            Box::pin(async move {
                if meta.idle_for >= TRUSTED_IDLE {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .connect_with(postgres_options(connect, options.statement_timeout))
        .await?;
    let version = pool.acquire().await?.server_version_num();
    if version.is_some_and(|version| version < OLDEST_POSTGRES) {
        return Err(OpenError::Refused(Fault::new("Postgres 15 or newer is needed")));
    }
    Ok(Pools::Postgres(pool))
}
