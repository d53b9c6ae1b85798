//! Usher's database as a test sees it: its rows, and locks that stop Usher between two statements.

use std::{collections::BTreeMap, path::Path, time::Duration};

use anyhow::Context as _;
use sqlx::{
    AssertSqlSafe, Connection as _, PgConnection, SqlSafeStr, SqliteConnection, sqlite::SqliteConnectOptions,
};

use url::Url;

use crate::components::{eventually, postgres};

/// Which database Usher runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
}

impl Kind {
    pub(crate) const BOTH: [Self; 2] = [Self::Sqlite, Self::Postgres];
}

/// A database that one test owns; empty until Usher starts.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    url: String,
}

/// Writes to a table wait as long as this lives; reads go on.
pub(crate) struct Blocked {
    connection: PgConnection,
    table: &'static str,
}

impl Database {
    /// `name` is not used twice; a file lies in `directory`.
    pub(crate) async fn create(kind: Kind, name: &str, directory: &Path) -> anyhow::Result<Self> {
        let url = match kind {
            Kind::Sqlite => format!("sqlite:{}", directory.join("usher.db").display()),
            Kind::Postgres => postgres().await?.create_database(name).await?.into(),
        };
        Ok(Self { url })
    }

    /// One that the test has made.
    pub(crate) fn at(url: &Url) -> Self {
        Self { url: url.to_string() }
    }

    /// For `database.url`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The first column of every row, in order.
    pub(crate) async fn column(&self, sql: impl SqlSafeStr) -> anyhow::Result<Vec<String>> {
        let mut column: Vec<String> = if let Some(path) = self.url.strip_prefix("sqlite:") {
            let options = SqliteConnectOptions::new().filename(path).read_only(true);
            let mut connection = SqliteConnection::connect_with(&options).await?;
            sqlx::query_scalar(sql).fetch_all(&mut connection).await?
        } else {
            let mut connection = self.connect_to_postgres().await?;
            sqlx::query_scalar(sql).fetch_all(&mut connection).await?
        };
        // Here and not in SQL, where the order would depend on the database's collation.
        column.sort();
        Ok(column)
    }

    /// `@alice:eng.localhost active`
    pub(crate) async fn accounts(&self) -> anyhow::Result<Vec<String>> {
        self.column("SELECT mxid || ' ' || state FROM accounts").await
    }

    /// The state of one account.
    pub(crate) async fn account(&self, mxid: &str) -> anyhow::Result<String> {
        let accounts = self.accounts().await?;
        let mut states = accounts.iter().filter_map(|account| account.strip_prefix(mxid)?.strip_prefix(' '));
        Ok(states.next().with_context(|| format!("{mxid} has no account"))?.to_owned())
    }

    /// The states of all login tokens of one account.
    pub(crate) async fn token_states_of(&self, mxid: &str) -> anyhow::Result<Vec<String>> {
        let tokens = self.column("SELECT mxid || ' ' || state FROM login_tokens").await?;
        let states = tokens.iter().filter_map(|token| token.strip_prefix(mxid)?.strip_prefix(' '));
        Ok(states.map(str::to_owned).collect())
    }

    /// Takes every row away, in any order that the references allow.
    pub(crate) async fn forget_everybody(&self) -> anyhow::Result<()> {
        for table in ["sessions", "login_tokens", "choices", "links", "accounts"] {
            self.execute(AssertSqlSafe(format!("DELETE FROM {table}"))).await?;
        }
        Ok(())
    }

    /// Runs one statement, or several, as somebody who is not Usher.
    pub(crate) async fn execute(&self, sql: impl SqlSafeStr) -> anyhow::Result<()> {
        if let Some(path) = self.url.strip_prefix("sqlite:") {
            let options = SqliteConnectOptions::new().filename(path);
            let mut connection = SqliteConnection::connect_with(&options).await?;
            sqlx::raw_sql(sql).execute(&mut connection).await?;
            connection.close().await?;
        } else {
            let mut connection = self.connect_to_postgres().await?;
            sqlx::raw_sql(sql).execute(&mut connection).await?;
            connection.close().await?;
        }
        Ok(())
    }

    /// Whether somebody is writing to a SQLite file at this moment.
    pub(crate) async fn is_locked(&self) -> anyhow::Result<bool> {
        let path = self.url.strip_prefix("sqlite:").context("not a file")?;
        let options = SqliteConnectOptions::new().filename(path).busy_timeout(Duration::ZERO);
        let mut connection = SqliteConnection::connect_with(&options).await?;
        let is_locked = sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut connection).await.is_err();
        connection.close().await?;
        Ok(is_locked)
    }

    /// Has every write to a SQLite file wait from now on.
    pub(crate) async fn lock_file(&self) -> anyhow::Result<LockedFile> {
        let path = self.url.strip_prefix("sqlite:").context("not a file")?;
        let options = SqliteConnectOptions::new().filename(path);
        let mut connection = SqliteConnection::connect_with(&options).await?;
        sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut connection).await?;
        Ok(LockedFile { connection })
    }

    /// `alice @alice:eng.localhost`
    pub(crate) async fn links(&self) -> anyhow::Result<Vec<String>> {
        self.column("SELECT subject || ' ' || mxid FROM links").await
    }

    /// The states of all login tokens.
    pub(crate) async fn login_tokens(&self) -> anyhow::Result<Vec<String>> {
        self.column("SELECT state FROM login_tokens").await
    }

    /// `alice @alice:eng.localhost PHONE`
    pub(crate) async fn sessions(&self) -> anyhow::Result<Vec<String>> {
        self.column("SELECT subject || ' ' || mxid || ' ' || device_id FROM sessions").await
    }

    /// Every table and how many rows it has.
    pub(crate) async fn row_counts(&self) -> anyhow::Result<BTreeMap<String, i64>> {
        let mut counts = BTreeMap::new();
        let tables = if self.url.starts_with("sqlite:") {
            self.column("SELECT name FROM sqlite_schema WHERE type = 'table'").await?
        } else {
            self.column("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").await?
        };
        for table in tables {
            let sql = format!("SELECT CAST(count(*) AS TEXT) FROM \"{table}\"");
            let count = self.column(AssertSqlSafe(sql)).await?;
            counts.insert(table, count.first().context("a count is one row")?.parse()?);
        }
        Ok(counts)
    }

    /// The bytes of the file and of its log. Nothing on Postgres.
    pub(crate) fn file_sizes(&self) -> anyhow::Result<Vec<u64>> {
        let Some(path) = self.url.strip_prefix("sqlite:") else { return Ok(Vec::new()) };
        let size = |path: String| anyhow::Ok(std::fs::metadata(path)?.len());
        [path.to_owned(), format!("{path}-wal")].into_iter().map(size).collect()
    }

    /// Every byte on disk: the file and its log. Nothing on Postgres.
    pub(crate) fn files(&self) -> anyhow::Result<Vec<String>> {
        let Some(path) = self.url.strip_prefix("sqlite:") else { return Ok(Vec::new()) };
        let read = |path: String| anyhow::Ok(String::from_utf8_lossy(&std::fs::read(path)?).into_owned());
        [path.to_owned(), format!("{path}-wal")].into_iter().map(read).collect()
    }

    /// Has every write to `table` wait from now on. Postgres only.
    pub(crate) async fn block_writes(&self, table: &'static str) -> anyhow::Result<Blocked> {
        let mut connection = self.connect_to_postgres().await?;
        sqlx::raw_sql("BEGIN").execute(&mut connection).await?;
        let lock = format!("LOCK TABLE {table} IN EXCLUSIVE MODE");
        sqlx::raw_sql(AssertSqlSafe(lock)).execute(&mut connection).await?;
        Ok(Blocked { connection, table })
    }

    /// Waits until nobody but this test is connected: what a killed process had asked of Postgres is done or undone.
    pub(crate) async fn settled(&self) -> anyhow::Result<()> {
        if self.url.starts_with("sqlite:") {
            return Ok(());
        }
        let mut connection = self.connect_to_postgres().await?;
        let others = "SELECT count(*) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid()";
        eventually("the killed process is gone from Postgres", async || {
            let left: i64 = sqlx::query_scalar(others).fetch_one(&mut connection).await?;
            Ok((left == 0).then_some(()))
        })
        .await
    }

    async fn connect_to_postgres(&self) -> anyhow::Result<PgConnection> {
        PgConnection::connect(&self.url).await.context("the test cannot connect to Postgres")
    }
}

/// Writes to the whole file wait as long as this lives; reads go on.
pub(crate) struct LockedFile {
    connection: SqliteConnection,
}

impl LockedFile {
    /// Lets the writes go on.
    pub(crate) async fn release(self) -> anyhow::Result<()> {
        self.connection.close().await.context("the lock cannot be given back")
    }
}

impl Blocked {
    /// Waits until somebody waits for this lock.
    pub(crate) async fn arrived(&mut self) -> anyhow::Result<()> {
        self.arrived_together(1).await
    }

    /// Waits until so many wait for this lock, or more.
    pub(crate) async fn arrived_together(&mut self, count: i64) -> anyhow::Result<()> {
        let Self { connection, table } = self;
        let sql =
            format!("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = '{table}'::regclass");
        eventually("somebody writes to the locked table", async || {
            let sql = AssertSqlSafe(sql.clone());
            let waiting: i64 = sqlx::query_scalar(sql).fetch_one(&mut *connection).await?;
            Ok((waiting >= count).then_some(()))
        })
        .await
    }

    /// Lets the writes go on.
    pub(crate) async fn release(self) -> anyhow::Result<()> {
        self.connection.close().await.context("the lock cannot be given back")
    }
}
