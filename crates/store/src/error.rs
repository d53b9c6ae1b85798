//! What can go wrong, by what the caller does about it. No text contains a value from a row, a bound parameter
//! or the connection URL.

use std::fmt;

/// Why a statement has no result.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database is away, overloaded or too slow: 503, try later. A write may or may not have happened.
    #[error("the database is not available")]
    Unavailable(#[source] Fault),
    /// A row does not parse: 500, an operator must look at it.
    #[error("a row of the database cannot be read")]
    Corrupt(#[source] Fault),
    /// The database refused the statement (a constraint, a missing table): 500, a mistake in Usher or in its schema.
    #[error("the database refused a statement")]
    Rejected(#[source] Fault),
}

/// Why the store could not be opened or migrated: Usher does not start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL is not one of a database that Usher can use. The text says what would be right.
    #[error("the database URL is not usable: {0}")]
    Url(String),
    /// The database does not answer: worth another try.
    #[error("the database is not available")]
    Unavailable(#[source] Fault),
    /// The database answers, but not to us: password, name, permissions, version.
    #[error("the database refuses Usher")]
    Refused(#[source] Fault),
    /// Migrations are missing, and Usher was told not to run them.
    #[error(
        "the database lacks {missing} migration(s), from {first} on: run `usher migrate`, or start without `--no-migrate`"
    )]
    Behind {
        /// The oldest missing version.
        first: i64,
        /// How many.
        missing: usize,
    },
    /// A newer Usher migrated this database.
    #[error("the database was migrated to {version} by a newer Usher: run that release")]
    Ahead {
        /// The oldest version that this release does not know.
        version: i64,
    },
    /// A migration that was already run differs from the one in this release.
    #[error("migration {version} in the database is not the one of this release")]
    Changed {
        /// The version.
        version: i64,
    },
    /// A migration failed; nothing of it was kept.
    #[error("a migration failed")]
    Migration(#[source] Fault),
}

/// What the database or its driver said.
///
/// Only the message and the code are kept: the details of a Postgres error quote the row.
#[derive(Debug)]
pub struct Fault(String);

impl Fault {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(crate) fn from_sqlx(error: &sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(error) => {
                Self(format!("{} (code {})", error.message(), error.code().unwrap_or_default()))
            }
            error => Self(error.to_string()),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Fault {}

/// What a driver's error calls for.
enum Reaction {
    Later,
    Credentials,
    Repair,
    Fix,
}

impl Reaction {
    fn to(error: &sqlx::Error) -> Self {
        use sqlx::Error as E;
        match error {
            E::Database(error) => Self::to_code(error.as_ref()),
            E::Io(_)
            | E::Tls(_)
            | E::Protocol(_)
            | E::PoolTimedOut
            | E::PoolClosed
            | E::WorkerCrashed
            | E::BeginFailed => Self::Later,
            E::ColumnDecode { .. } | E::Decode(_) | E::RowNotFound => Self::Repair,
            // sqlx's enum is non-exhaustive; what is left are mistakes in a query.
            _ => Self::Fix,
        }
    }

    fn to_code(error: &dyn sqlx::error::DatabaseError) -> Self {
        let code = error.code().unwrap_or_default();
        if error.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some() {
            // Extended result codes carry the primary one in the low byte (https://sqlite.org/rescode.html).
            return match code.parse::<i32>().unwrap_or_default() & 0xff {
                // BUSY, LOCKED, NOMEM, READONLY, INTERRUPT, IOERR, FULL, CANTOPEN, PROTOCOL
                5..=10 | 13..=15 => Self::Later,
                // CORRUPT, NOTADB
                11 | 26 => Self::Repair,
                _ => Self::Fix,
            };
        }
        // https://www.postgresql.org/docs/15/errcodes-appendix.html
        match code.as_ref() {
            // Cancelled (statement_timeout), lock_timeout, idle_in_transaction, serialization, deadlock, a standby
            // that only reads.
            "57014" | "55P03" | "25P03" | "40001" | "40P01" | "25006" => Self::Later,
            // No such database, not allowed to.
            "3D000" | "42501" => Self::Credentials,
            code if code.starts_with("28") => Self::Credentials,
            // Connection, resources, operator intervention (shutdown, starting up), system error.
            code if ["08", "53", "57", "58"].iter().any(|class| code.starts_with(class)) => Self::Later,
            code if code.starts_with("XX") => Self::Repair,
            _ => Self::Fix,
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let fault = Fault::from_sqlx(&error);
        match Reaction::to(&error) {
            // Credentials were good at the start: somebody is changing them.
            Reaction::Later | Reaction::Credentials => Self::Unavailable(fault),
            Reaction::Repair => Self::Corrupt(fault),
            Reaction::Fix => Self::Rejected(fault),
        }
    }
}

/// Whether another connection holds what is needed (`SQLITE_BUSY`, `SQLITE_LOCKED`).
pub(crate) fn is_busy(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code()?.parse::<i32>().ok());
    code.is_some_and(|code| matches!(code & 0xff, 5 | 6))
}

impl StoreError {
    pub(crate) fn timed_out() -> Self {
        Self::Unavailable(Fault::new("no answer in time"))
    }

    /// A column whose value is not what only Usher writes there. The value itself is not told.
    pub(crate) fn corrupt(column: &'static str) -> Self {
        Self::Corrupt(Fault::new(format!("{column} has a value that does not parse")))
    }
}

impl From<sqlx::Error> for OpenError {
    fn from(error: sqlx::Error) -> Self {
        let fault = Fault::from_sqlx(&error);
        match Reaction::to(&error) {
            Reaction::Later => Self::Unavailable(fault),
            Reaction::Credentials | Reaction::Repair | Reaction::Fix => Self::Refused(fault),
        }
    }
}
