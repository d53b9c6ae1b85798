//! The database under Usher, how it is filled, and how many statements it was asked to run. The database itself is
//! asked, so that BEGIN, COMMIT and whatever the driver sends by itself are counted as well.

use std::{collections::BTreeSet, path::Path, process::Stdio, sync::Arc};

use anyhow::{Context as _, ensure};
use tokio::io::AsyncWriteExt as _;
use usher_lab::{
    real::postgres::{Postgres, Settings},
    usher::Usher,
};

/// The name of the first database on Postgres.
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
pub(super) struct Database {
    name: String,
    url: String,
    place: Place,
}

#[derive(Clone, Debug)]
enum Place {
    /// A file.
    Sqlite,
    /// A cluster of its own.
    Postgres(Arc<Postgres>),
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
        let place = match kind {
            Kind::Sqlite => Place::Sqlite,
            Kind::Postgres => {
                let settings = Settings { has_statement_statistics: true, is_durable: true, password: None };
                let cluster = Postgres::start_with(settings).await?;
                psql(cluster.url().as_str(), "CREATE EXTENSION pg_stat_statements").await?;
                Place::Postgres(Arc::new(cluster))
            }
        };
        Self::create(NAME, place, directory).await
    }

    /// Another one on the same server.
    pub(super) async fn beside(&self, name: &str, directory: &Path) -> anyhow::Result<Self> {
        Self::create(name, self.place.clone(), directory).await
    }

    async fn create(name: &str, place: Place, directory: &Path) -> anyhow::Result<Self> {
        let url = match &place {
            Place::Sqlite => format!("sqlite:{}", directory.join(format!("{name}.db")).display()),
            Place::Postgres(cluster) => cluster.create_database(name).await?.to_string(),
        };
        Ok(Self { name: name.to_owned(), url, place })
    }

    /// What goes into Usher's config.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// What the database's own shell prints when it runs `script`, statement by statement.
    pub(super) async fn run(&self, script: &str) -> anyhow::Result<String> {
        match &self.place {
            Place::Sqlite => {
                let file = self.url.trim_start_matches("sqlite:");
                shell("sqlite3", &["-batch", "-bail", "-cmd", ".timeout 10000", file], script).await
            }
            Place::Postgres(_) => psql(&self.url, script).await,
        }
    }

    /// The statements of all Ushers that have ended on this database. Their start is part of it, so a difference of two
    /// counts is what says something.
    pub(super) async fn statements(&self, ended: &Usher) -> anyhow::Result<u64> {
        match &self.place {
            Place::Sqlite => {
                let log = ended.log()?;
                ensure!(log.contains(COUNTED), "usher did not say how many statements it ran");
                Ok(log.lines().filter_map(counted).sum())
            }
            Place::Postgres(cluster) => {
                // In another database than Usher's: the question itself is not counted.
                let question = format!(
                    "SELECT coalesce(sum(calls), 0) FROM pg_stat_statements \
                     JOIN pg_database ON pg_database.oid = dbid WHERE datname = '{}'",
                    self.name
                );
                psql(cluster.url().as_str(), &question)
                    .await?
                    .parse()
                    .context("pg_stat_statements gave no number")
            }
        }
    }

    /// The statements that were run at least `calls` times here, as Postgres tells them apart: what is written
    /// differently and means the same is one. SQLite does not tell.
    pub(super) async fn usual_statements(&self, calls: usize) -> anyhow::Result<BTreeSet<String>> {
        let Place::Postgres(cluster) = &self.place else { return Ok(BTreeSet::new()) };
        let question = format!(
            "SELECT DISTINCT queryid || ' ' || regexp_replace(query, '[[:space:]]+', ' ', 'g') FROM pg_stat_statements \
             JOIN pg_database ON pg_database.oid = dbid WHERE datname = '{}' AND calls >= {calls}",
            self.name
        );
        Ok(psql(cluster.url().as_str(), &question).await?.lines().map(str::to_owned).collect())
    }
}

/// The number in a line of Usher's log.
fn counted(line: &str) -> Option<u64> {
    let (_, fields) = line.split_once(COUNTED)?;
    fields.split_whitespace().find_map(|field| field.strip_prefix("statements=")?.parse().ok())
}

/// It comes with the server.
async fn psql(url: &str, script: &str) -> anyhow::Result<String> {
    let arguments = ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"];
    shell("psql", &[&arguments[..], &["--dbname", url]].concat(), script).await
}

async fn shell(program: &str, arguments: &[&str], script: &str) -> anyhow::Result<String> {
    let mut shell = tokio::process::Command::new(program);
    shell.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut shell = shell.kill_on_drop(true).spawn().with_context(|| format!("{program} cannot be run"))?;
    let mut input = shell.stdin.take().context("its input was piped")?;
    // One that ends early says why itself.
    let _ = input.write_all(script.as_bytes()).await;
    drop(input);
    let output = shell.wait_with_output().await?;
    ensure!(output.status.success(), "{program} failed: {}", String::from_utf8_lossy(&output.stderr));
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
