//! The database under Usher, and how many statements it was asked to run. The database itself is asked, so that
//! BEGIN, COMMIT and whatever the driver sends by itself are counted as well.

use std::path::Path;

use anyhow::{Context as _, ensure};
use usher_lab::{
    real::postgres::{Postgres, Settings},
    usher::Usher,
};

/// The name of Usher's database on Postgres.
const NAME: &str = "bench";
/// What Usher says at its end, if it was built with `count-statements`.
const COUNTED: &str = "SQLite statements run";

/// Which database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Sqlite,
    Postgres,
}

/// An empty database, gone when dropped.
#[derive(Debug)]
pub(super) enum Database {
    /// A file.
    Sqlite { url: String },
    /// A cluster of its own.
    Postgres { url: String, cluster: Box<Postgres> },
}

impl Kind {
    /// The key of its figures.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}

impl Database {
    /// In `directory`, or wherever Postgres keeps its own.
    pub(super) async fn start(kind: Kind, directory: &Path) -> anyhow::Result<Self> {
        match kind {
            Kind::Sqlite => {
                Ok(Self::Sqlite { url: format!("sqlite:{}", directory.join("usher.db").display()) })
            }
            Kind::Postgres => {
                let settings = Settings { has_statement_statistics: true, is_durable: true, password: None };
                let cluster = Box::new(Postgres::start_with(settings).await?);
                let url = cluster.create_database(NAME).await?.to_string();
                ask(&cluster, "CREATE EXTENSION pg_stat_statements").await?;
                Ok(Self::Postgres { url, cluster })
            }
        }
    }

    /// What goes into Usher's config.
    pub(super) fn url(&self) -> &str {
        match self {
            Self::Sqlite { url } | Self::Postgres { url, .. } => url,
        }
    }

    /// The statements of all Ushers that have ended on this database. Their start is part of it, so a difference of two
    /// counts is what says something.
    pub(super) async fn statements(&self, ended: &Usher) -> anyhow::Result<u64> {
        match self {
            Self::Sqlite { .. } => {
                let log = ended.log()?;
                ensure!(log.contains(COUNTED), "usher did not say how many statements it ran");
                Ok(log.lines().filter_map(counted).sum())
            }
            Self::Postgres { cluster, .. } => {
                // In another database than Usher's: the question itself is not counted.
                let question = format!(
                    "SELECT coalesce(sum(calls), 0) FROM pg_stat_statements \
                     JOIN pg_database ON pg_database.oid = dbid WHERE datname = '{NAME}'"
                );
                ask(cluster, &question).await?.parse().context("pg_stat_statements gave no number")
            }
        }
    }
}

/// The number in a line of Usher's log.
fn counted(line: &str) -> Option<u64> {
    let (_, fields) = line.split_once(COUNTED)?;
    fields.split_whitespace().find_map(|field| field.strip_prefix("statements=")?.parse().ok())
}

/// By `psql`, which comes with the server.
async fn ask(cluster: &Postgres, sql: &str) -> anyhow::Result<String> {
    let mut psql = tokio::process::Command::new("psql");
    psql.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--command", sql]);
    let output =
        psql.arg("--dbname").arg(cluster.url().as_str()).output().await.context("psql cannot be run")?;
    ensure!(output.status.success(), "psql failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::counted;

    #[test]
    fn the_count_is_found_in_a_line_of_the_log() {
        for (name, line, expected) in [
            ("plain", "INFO usher: SQLite statements run statements=14039", Some(14039)),
            ("with more behind it", "INFO SQLite statements run statements=7 x=1", Some(7)),
            ("another line", "INFO usher: listening address=127.0.0.1:1", None),
        ] {
            assert_eq!(counted(line), expected, "{name}");
        }
    }
}
