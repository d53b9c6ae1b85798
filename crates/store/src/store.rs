//! The store: one database, opened once and shared by everything in the process.

use std::{fmt, time::Duration};

use sqlx::{postgres::PgConnectOptions, sqlite::SqliteConnectOptions};

use crate::{
    Db, OpenError, Options, StoreError, Tx,
    db::fetch,
    migrations,
    options::{Target, sqlite_options},
    pools::{Pools, open_postgres, open_sqlite},
};

/// One database. Cheap to clone: clones share the connections.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) pools: Pools,
    pub(crate) statement_timeout: Duration,
    maintenance: Maintenance,
}

/// How to open a connection for migrations, which may take longer than a login is allowed to.
#[derive(Clone)]
enum Maintenance {
    Sqlite(Box<SqliteConnectOptions>),
    Postgres(Box<PgConnectOptions>),
}

/// Nothing of the options: sqlx shows the password in theirs.
impl fmt::Debug for Maintenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Maintenance(..)")
    }
}

/// How long a migration waits for another process that is migrating the same SQLite file.
const MIGRATION_LOCK_WAIT: Duration = Duration::from_mins(1);

impl Store {
    /// Opens the database; a SQLite file that is missing is created, readable by its owner only.
    pub async fn connect(options: &Options) -> Result<Self, OpenError> {
        match Target::parse(&options.url)? {
            Target::Sqlite(path) => Ok(Self {
                pools: open_sqlite(&path, options).await?,
                // SQLite waits for another process's lock within the statement, and then says so itself.
                statement_timeout: options.acquire_timeout.saturating_add(options.statement_timeout),
                maintenance: Maintenance::Sqlite(Box::new(sqlite_options(&path, MIGRATION_LOCK_WAIT))),
            }),
            Target::Postgres(connect) => Ok(Self {
                pools: open_postgres(&connect, options).await?,
                statement_timeout: options.statement_timeout,
                maintenance: Maintenance::Postgres(connect),
            }),
        }
    }

    /// Runs the migrations that are missing. Several replicas may do so at once: one works, the others wait.
    pub async fn migrate(&self) -> Result<(), OpenError> {
        match &self.maintenance {
            Maintenance::Sqlite(connect) => migrations::run_on_sqlite(connect).await,
            Maintenance::Postgres(connect) => migrations::run_on_postgres(connect).await,
        }
    }

    /// Checks that exactly the migrations of this release have been run, and changes nothing.
    pub async fn check_migrated(&self) -> Result<(), OpenError> {
        match &self.pools {
            Pools::Sqlite(pools) => migrations::check(&mut *pools.reader.acquire().await?).await,
            Pools::Postgres(pool) => migrations::check(&mut *pool.acquire().await?).await,
        }
    }

    /// Begins a transaction. On SQLite it is the only writer until it ends: hold it across no network call, and
    /// do not write through the store meanwhile, which would wait for it.
    pub async fn begin(&self) -> Result<Tx, StoreError> {
        Tx::begin(self).await
    }

    /// Asks the database for an answer.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let _: Vec<(i32,)> = fetch!(Db::from(self), reader, (i32,), "SELECT 1")?;
        Ok(())
    }

    /// Waits for connections in use, then closes all. SQLite's write-ahead log is merged into the file.
    pub async fn close(&self) {
        match &self.pools {
            Pools::Sqlite(pools) => {
                pools.reader.close().await;
                pools.writer.close().await;
            }
            Pools::Postgres(pool) => pool.close().await,
        }
    }
}
