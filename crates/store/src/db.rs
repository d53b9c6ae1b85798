//! On what a statement runs: alone on the store, or within a caller's transaction; on SQLite or on Postgres.
//!
//! sqlx's `Any` driver would hide the difference at twice the cost of a statement. Instead [`execute!`] and
//! [`fetch!`] expand one text for both typed pools.

use std::time::Duration;

use sqlx::{Database, Pool, Postgres, SqlSafeStr, Sqlite, pool::PoolConnection};
use sqlx_core::transaction::TransactionManager as _;
use tokio::time::error::Elapsed;

use crate::{Store, StoreError, error::Fault, pools::Pools};

/// Where a statement runs.
#[derive(Debug)]
pub enum Db<'a> {
    /// On a connection of its own; it stands alone.
    Store(&'a Store),
    /// In a transaction.
    Tx(&'a mut Tx),
}

impl<'a> From<&'a Store> for Db<'a> {
    fn from(store: &'a Store) -> Self {
        Self::Store(store)
    }
}

impl<'a> From<&'a mut Tx> for Db<'a> {
    fn from(tx: &'a mut Tx) -> Self {
        Self::Tx(tx)
    }
}

/// A transaction. Dropped without [`Tx::commit`], it is rolled back.
#[derive(Debug)]
pub struct Tx {
    pub(crate) lent: TxLent,
}

#[derive(Debug)]
pub(crate) enum TxLent {
    Sqlite(Lent<Sqlite>),
    Postgres(Lent<Postgres>),
}

impl Tx {
    pub(crate) async fn begin(store: &Store) -> Result<Self, StoreError> {
        let limit = store.statement_timeout;
        let lent = match &store.pools {
            // A deferred transaction that reads first and then writes fails if another wrote in between.
            Pools::Sqlite(pools) => {
                TxLent::Sqlite(Lent::begin(&pools.writer, limit, Some("BEGIN IMMEDIATE")).await?)
            }
            Pools::Postgres(pool) => TxLent::Postgres(Lent::begin(pool, limit, None).await?),
        };
        Ok(Self { lent })
    }

    /// Makes it permanent. Refused if a statement failed: Postgres would answer the COMMIT with a silent rollback.
    ///
    /// After [`StoreError::Unavailable`] it is unknown whether it was made permanent.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn commit(self) -> Result<(), StoreError> {
        match self.lent {
            TxLent::Sqlite(lent) => lent.commit().await,
            TxLent::Postgres(lent) => lent.commit().await,
        }
    }
}

/// A connection on loan from its pool.
///
/// A statement that is not answered in time leaves its connection waiting for the answer. Giving that back would
/// keep its place in the pool for as long as the network takes to notice, so it is thrown away instead.
pub(crate) struct Lent<DB: Database> {
    connection: Option<PoolConnection<DB>>,
    limit: Duration,
    is_in_transaction: bool,
    has_failed: bool,
}

impl<DB: Database> Lent<DB> {
    /// Waits at most the pool's own timeout.
    pub(crate) async fn acquire(pool: &Pool<DB>, limit: Duration) -> Result<Self, StoreError> {
        let connection = Some(pool.acquire().await?);
        Ok(Self { connection, limit, is_in_transaction: false, has_failed: false })
    }

    async fn begin(
        pool: &Pool<DB>,
        limit: Duration,
        statement: Option<&'static str>,
    ) -> Result<Self, StoreError> {
        let mut lent = Self::acquire(pool, limit).await?;
        let statement = statement.map(SqlSafeStr::into_sql_str);
        // From here on a drop rolls back: this future may be dropped after the statement was sent.
        lent.is_in_transaction = true;
        let outcome =
            tokio::time::timeout(limit, DB::TransactionManager::begin(lent.connection()?, statement)).await;
        lent.settle(outcome)?;
        Ok(lent)
    }

    async fn commit(mut self) -> Result<(), StoreError> {
        if self.has_failed {
            return Err(StoreError::Rejected(Fault::new("a statement of this transaction failed")));
        }
        let limit = self.limit;
        let outcome = tokio::time::timeout(limit, DB::TransactionManager::commit(self.connection()?)).await;
        self.settle(outcome)?;
        self.is_in_transaction = false;
        Ok(())
    }

    pub(crate) fn limit(&self) -> Duration {
        self.limit
    }

    /// Fails once the connection was thrown away.
    pub(crate) fn connection(&mut self) -> Result<&mut DB::Connection, sqlx::Error> {
        self.connection.as_deref_mut().ok_or(sqlx::Error::PoolClosed)
    }

    /// Every statement's outcome passes through here.
    pub(crate) fn settle<T>(
        &mut self,
        outcome: Result<Result<T, sqlx::Error>, Elapsed>,
    ) -> Result<T, StoreError> {
        let outcome = outcome.map_err(|_| StoreError::timed_out()).and_then(|outcome| Ok(outcome?));
        if let Err(error) = &outcome {
            self.has_failed = true;
            if matches!(error, StoreError::Unavailable(_)) {
                drop(self.connection.take().map(PoolConnection::detach));
            }
        }
        outcome
    }
}

impl<DB: Database> std::fmt::Debug for Lent<DB> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lent").field("is_in_transaction", &self.is_in_transaction).finish_non_exhaustive()
    }
}

impl<DB: Database> Drop for Lent<DB> {
    fn drop(&mut self) {
        if self.is_in_transaction
            && let Some(connection) = &mut self.connection
        {
            // Queued here, sent when the pool takes the connection back.
            DB::TransactionManager::start_rollback(connection);
        }
    }
}

/// Evaluates `$call` with `$connection` bound to a connection of the right type, within the statement timeout.
/// `$side` is SQLite's pool for a statement that stands alone: `reader` or `writer`.
macro_rules! on_connection {
    ($db:expr, $side:ident, $connection:ident => $call:expr) => {
        match $db.into() {
            $crate::Db::Store(store) => match &store.pools {
                $crate::pools::Pools::Sqlite(pools) => {
                    let mut lent = $crate::db::Lent::acquire(&pools.$side, store.statement_timeout).await?;
                    $crate::db::on_lent!(&mut lent, $connection => $call)
                }
                $crate::pools::Pools::Postgres(pool) => {
                    let mut lent = $crate::db::Lent::acquire(pool, store.statement_timeout).await?;
                    $crate::db::on_lent!(&mut lent, $connection => $call)
                }
            },
            $crate::Db::Tx(tx) => match &mut tx.lent {
                $crate::db::TxLent::Sqlite(lent) => $crate::db::on_lent!(lent, $connection => $call),
                $crate::db::TxLent::Postgres(lent) => $crate::db::on_lent!(lent, $connection => $call),
            },
        }
    };
}

macro_rules! on_lent {
    ($lent:expr, $connection:ident => $call:expr) => {{
        let lent = $lent;
        let limit = lent.limit();
        let outcome = match lent.connection() {
            Ok($connection) => tokio::time::timeout(limit, $call).await,
            Err(error) => Ok(Err(error)),
        };
        lent.settle(outcome)
    }};
}

/// Runs a statement that writes; how many rows it touched.
macro_rules! execute {
    ($db:expr, $sql:expr $(, $value:expr)* $(,)?) => {
        $crate::db::on_connection!($db, writer, connection => async {
            sqlx::query($sql)$(.bind($value))*.execute(connection).await.map(|done| done.rows_affected())
        })
    };
}

/// Runs a statement that returns rows, all of them.
///
/// Also where there is at most one: sqlx stops stepping after the row it was asked for, and on SQLite a write
/// with RETURNING is complete only once it was stepped to its end.
macro_rules! fetch {
    ($db:expr, $side:ident, $row:ty, $sql:expr $(, $value:expr)* $(,)?) => {
        $crate::db::on_connection!($db, $side, connection =>
            sqlx::query_as::<_, $row>($sql)$(.bind($value))*.fetch_all(connection)
        )
    };
}

pub(crate) use {execute, fetch, on_connection, on_lent};
