//! Which database, and how it is spoken to. The URL is read here and nowhere else; it may contain a password,
//! so no error repeats any of it.

use std::{path::PathBuf, str::FromStr as _, time::Duration};

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::{postgres::PgConnectOptions, sqlite::SqliteConnectOptions};
use url::Url;

use crate::OpenError;

/// Which database, and how much may be asked of it.
#[derive(Clone, Debug)]
pub struct Options {
    /// `sqlite:usher.db`, `sqlite:///var/lib/usher/usher.db` or `postgres://user:password@host/database`.
    pub url: SecretString,
    /// Postgres: connections of this replica. SQLite: connections that read; exactly one writes.
    pub max_connections: u32,
    /// How long to wait for a free connection; on SQLite also how long to wait for another process's lock.
    pub acquire_timeout: Duration,
    /// How long one statement may take.
    pub statement_timeout: Duration,
}

impl Options {
    /// Of [`Options::new`].
    pub const DEFAULT_MAX_CONNECTIONS: u32 = 10;

    /// 10 connections, 5 s to get one, 10 s a statement.
    #[must_use]
    pub fn new(url: SecretString) -> Self {
        Self {
            url,
            max_connections: Self::DEFAULT_MAX_CONNECTIONS,
            acquire_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(10),
        }
    }

    /// Whether the URL is one of a database that Usher can use: [`OpenError::Url`] if not, which says what would be
    /// right and repeats none of it. Touches neither file nor network.
    pub fn check(&self) -> Result<(), OpenError> {
        Target::parse(&self.url).map(drop)
    }
}

/// What a URL names.
pub(crate) enum Target {
    Sqlite(PathBuf),
    Postgres(Box<PgConnectOptions>),
}

const ACCEPTED: &str = "use sqlite:FILE, sqlite:///PATH or postgres://USER:PASSWORD@HOST/DATABASE";

/// What sqlx understands in the query of a Postgres URL. It logs the value of a parameter it does not know, which
/// might be a mistyped `password`; so an unknown one is refused before sqlx sees it.
const POSTGRES_PARAMETERS: [&str; 15] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "application_name",
];

impl Target {
    pub(crate) fn parse(url: &SecretString) -> Result<Self, OpenError> {
        let url = url.expose_secret();
        match url.split_once(':').map(|(scheme, rest)| (scheme.to_ascii_lowercase(), rest)) {
            Some((scheme, rest)) if scheme == "sqlite" => sqlite(rest),
            Some((scheme, _)) if scheme == "postgres" || scheme == "postgresql" => postgres(url),
            _ => Err(refused(format!("neither SQLite nor Postgres; {ACCEPTED}"))),
        }
    }
}

/// The path is taken as it stands: no percent-decoding, no parameters.
fn sqlite(rest: &str) -> Result<Target, OpenError> {
    let path = rest.strip_prefix("//").unwrap_or(rest);
    if path.is_empty() {
        return Err(refused(format!("no file is named; {ACCEPTED}")));
    }
    if path.contains(":memory:") || path.contains("mode=memory") {
        return Err(refused("a database in memory loses every link when Usher stops; name a file"));
    }
    // SQLite would read these itself, and could turn off what Usher relies on.
    if path.contains('?') || path.starts_with("file:") {
        return Err(refused("SQLite parameters are not accepted; name a file only"));
    }
    Ok(Target::Sqlite(PathBuf::from(path)))
}

fn postgres(url: &str) -> Result<Target, OpenError> {
    let parsed = Url::parse(url).map_err(|error| refused(format!("{error}; {ACCEPTED}")))?;
    for (key, _) in parsed.query_pairs() {
        if key == "password" {
            return Err(refused(
                "the password belongs before the host: postgres://USER:PASSWORD@HOST/DATABASE",
            ));
        }
        if !POSTGRES_PARAMETERS.contains(&&*key) {
            return Err(refused(format!(
                "a parameter is not known; known are {}",
                POSTGRES_PARAMETERS.join(", ")
            )));
        }
    }
    PgConnectOptions::from_str(url)
        .map(|options| Target::Postgres(Box::new(options)))
        .map_err(|_| refused("the value of a parameter is not valid"))
}

fn refused(text: impl Into<String>) -> OpenError {
    OpenError::Url(text.into())
}

/// The settings of every SQLite connection, without the journal mode, which the file remembers.
pub(crate) fn sqlite_options(path: &std::path::Path, lock_wait: Duration) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .foreign_keys(true)
        .synchronous(sqlx::sqlite::SqliteSynchronous::Normal)
        .busy_timeout(lock_wait)
        // The write-ahead log is cut back to this after a checkpoint that followed a burst.
        .pragma("journal_size_limit", "67108864")
}

/// The server ends statements that take too long, and transactions whose Usher no longer answers: one is never
/// idle for long otherwise, and whoever waits for its locks gives up well before.
pub(crate) fn postgres_options(options: &PgConnectOptions, statement_timeout: Duration) -> PgConnectOptions {
    options.clone().options([
        ("statement_timeout", statement_timeout.as_millis()),
        ("idle_in_transaction_session_timeout", statement_timeout.saturating_mul(3).as_millis()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Target, OpenError> {
        Target::parse(&SecretString::from(url))
    }

    #[test]
    fn a_sqlite_url_names_a_file() {
        for (url, expected) in [
            ("sqlite:usher.db", "usher.db"),
            ("sqlite://usher.db", "usher.db"),
            ("sqlite:///var/lib/usher.db", "/var/lib/usher.db"),
            ("sqlite:/var/lib/usher.db", "/var/lib/usher.db"),
            ("SQLite:100%25.db", "100%25.db"),
        ] {
            assert!(matches!(parse(url), Ok(Target::Sqlite(path)) if path.as_os_str() == expected), "{url}");
        }
    }

    #[test]
    fn both_names_of_postgres_are_accepted() {
        for url in [
            "postgres://u:p@h/d",
            "postgresql://u:p@h:5433/d?sslmode=verify-full&sslrootcert=/ca.pem",
            "postgres:///d?host=/run/postgresql",
        ] {
            assert!(matches!(parse(url), Ok(Target::Postgres(_))), "{url}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_what_is_right_and_without_the_password() {
        for (url, expected) in [
            ("usher.db", "neither SQLite nor Postgres"),
            ("mysql://u:hunter2@h/d", "neither SQLite nor Postgres"),
            ("sqlite:", "no file is named"),
            ("sqlite://", "no file is named"),
            ("sqlite::memory:", "in memory"),
            ("sqlite://:memory:", "in memory"),
            ("sqlite:x?mode=memory", "in memory"),
            ("sqlite:x?cache=shared", "parameters are not accepted"),
            ("sqlite:file:x", "parameters are not accepted"),
            ("postgres://u:hunter2@h:port/d", "invalid port number"),
            ("postgres://u:hunter2@h/d?pasword=hunter2", "a parameter is not known"),
            ("postgres://u@h/d?password=hunter2", "before the host"),
            ("postgres://u:hunter2@h/d?sslmode=hunter2", "value of a parameter"),
        ] {
            let error = parse(url).err().map(|error| format!("{error} {error:?}")).unwrap_or_default();
            assert!(error.contains(expected), "{url}: {error}");
            assert!(!error.contains("hunter2"), "{url}: {error}");
        }
    }
}
