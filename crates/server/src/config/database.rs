//! `database`: where links and login tokens are kept.

use std::{path::Path, time::Duration};

use schemars::JsonSchema;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use usher_store::Options;

use super::{Problems, fields::Fields as _};

/// The database.
#[derive(Clone, Debug)]
pub struct DatabaseConfig {
    /// `sqlite:…` with an absolute path, or `postgres://…`.
    pub url: SecretString,
    /// Connections to Postgres, or readers of the SQLite file.
    pub max_connections: u32,
    /// Between two rounds of removing expired rows.
    pub sweep_interval: Duration,
}

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawDatabase {
    /// `sqlite:usher.db` (a file; one Usher) or `postgres://user:password@host/database` (any number of
    /// Ushers). Default: `sqlite:usher.db`, beside the config file.
    url: Option<String>,
    /// A file with the URL, since it may contain a password.
    url_file: Option<String>,
    /// Connections to Postgres, or readers of the SQLite file. Default: 10.
    max_connections: Option<u32>,
    /// How often expired rows are removed, a batch at a time: `1s` to `1h`. Default: `1m`.
    sweep_interval: Option<String>,
}

impl RawDatabase {
    pub(super) fn validate(self, directory: &Path, problems: &mut Problems) -> Option<DatabaseConfig> {
        let max_connections = self.max_connections.unwrap_or(Options::DEFAULT_MAX_CONNECTIONS);
        if !(1..=500).contains(&max_connections) {
            problems.error("database.max_connections", "must be between 1 and 500");
        }
        let minute = Duration::from_mins(1);
        let sweep_interval = problems.duration(
            "database.sweep_interval",
            self.sweep_interval.as_deref(),
            minute,
            (Duration::from_secs(1), 60 * minute),
        );
        let inline = match (self.url, &self.url_file) {
            (None, None) => Some("sqlite:usher.db".to_owned()),
            (url, _) => url,
        };
        let url = problems.secret("database.url", inline, self.url_file.as_deref(), directory)?;
        let url = absolute(&url, directory, problems)?;
        if let Err(error) = Options::new(url.clone()).check() {
            problems.error("database.url", error.to_string());
            return None;
        }
        Some(DatabaseConfig { url, max_connections, sweep_interval })
    }
}

/// A relative SQLite path starts at the config file, not wherever the process was started.
fn absolute(url: &SecretString, directory: &Path, problems: &mut Problems) -> Option<SecretString> {
    let url = url.expose_secret();
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return Some(SecretString::from(url.to_owned()));
    }
    let Some(path) = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:")) else {
        problems.error("database.url", "must start with sqlite: (a file) or postgres:// (a server)");
        return None;
    };
    if path.is_empty() || path.starts_with(':') {
        problems.error(
            "database.url",
            "must name a file, such as sqlite:usher.db; a database in memory loses everybody's account",
        );
        return None;
    }
    Some(SecretString::from(format!("sqlite:{}", directory.join(path).display())))
}
