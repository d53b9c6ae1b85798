//! The schema, embedded from `migrations/` at the root of the repository: the same files for both databases,
//! append-only, and such that the previous release still works with the new schema.

use std::collections::BTreeMap;

use sqlx::{
    ColumnIndex, ConnectOptions as _, Connection, Database, Decode, Executor, Type,
    migrate::{MigrateError, Migrator},
    postgres::PgConnectOptions,
    sqlite::SqliteConnectOptions,
};

use crate::{OpenError, error::Fault};

static MIGRATOR: Migrator = sqlx::migrate!("../../migrations");

/// `run_direct`, because the future of `Migrator::run` is not `Send`.
///
/// sqlx takes an advisory lock, which ends with the connection even if a migration fails.
pub(crate) async fn run_on_postgres(connect: &PgConnectOptions) -> Result<(), OpenError> {
    let mut connection = connect.connect().await?;
    let outcome = MIGRATOR.run_direct(None, &mut connection, false).await;
    // Nothing more is asked of it; an error here changes nothing.
    let _ = connection.close().await;
    Ok(outcome?)
}

/// sqlx takes no lock on SQLite, so the file's own write lock is held from before the look at what was run until
/// all is run; sqlx's own transactions become savepoints of this one.
pub(crate) async fn run_on_sqlite(connect: &SqliteConnectOptions) -> Result<(), OpenError> {
    let mut connection = connect.connect().await?;
    let mut tx = connection.begin_with("BEGIN IMMEDIATE").await?;
    MIGRATOR.run_direct(None, &mut *tx, false).await?;
    tx.commit().await?;
    Ok(connection.close().await?)
}

/// Compares what was run with what this release has.
pub(crate) async fn check<C>(connection: &mut C) -> Result<(), OpenError>
where
    C: Connection,
    for<'c> &'c mut C: Executor<'c, Database = C::Database>,
    for<'r> i64: Decode<'r, C::Database> + Type<C::Database>,
    for<'r> Vec<u8>: Decode<'r, C::Database> + Type<C::Database>,
    usize: ColumnIndex<<C::Database as Database>::Row>,
    <C::Database as Database>::Arguments: sqlx::IntoArguments<C::Database>,
{
    let applied = sqlx::query_as::<_, (i64, Vec<u8>)>("SELECT version, checksum FROM _sqlx_migrations")
        .fetch_all(connection)
        .await
        .or_else(|error| if is_missing_table(&error) { Ok(Vec::new()) } else { Err(error) })?;
    compare(&applied.into_iter().collect())
}

fn compare(applied: &BTreeMap<i64, Vec<u8>>) -> Result<(), OpenError> {
    if let Some(&version) = applied.keys().find(|version| !MIGRATOR.version_exists(**version)) {
        return Err(OpenError::Ahead { version });
    }
    let mut missing = Vec::new();
    for migration in MIGRATOR.iter() {
        match applied.get(&migration.version) {
            None => missing.push(migration.version),
            Some(checksum) if *checksum != *migration.checksum => {
                return Err(OpenError::Changed { version: migration.version });
            }
            Some(_) => {}
        }
    }
    match missing.first() {
        Some(&first) => Err(OpenError::Behind { first, missing: missing.len() }),
        None => Ok(()),
    }
}

fn is_missing_table(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| {
        // Postgres: undefined_table. SQLite has one code for every mistake in a statement.
        error.code().as_deref() == Some("42P01") || error.message().starts_with("no such table")
    })
}

impl From<MigrateError> for OpenError {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::Execute(error) => error.into(),
            MigrateError::VersionMissing(version) => Self::Ahead { version },
            MigrateError::VersionMismatch(version) => Self::Changed { version },
            MigrateError::ExecuteMigration(error, version) => {
                Self::Migration(Fault::new(format!("{version}: {}", Fault::from_sqlx(&error))))
            }
            error => Self::Migration(Fault::new(error.to_string())),
        }
    }
}
