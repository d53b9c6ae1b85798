//! What operators do: start, stop, upgrade, and make mistakes.

use std::{
    path::Path,
    process::Output,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use url::Url;
use usher_lab::{
    real::process::{self, Process},
    scripted::homeserver::Endpoint,
    usher::Usher,
};

use crate::{
    client::Client,
    components::{eventually, run},
    config::{Portal, Tokens, homeserver},
    database::{Database, Kind},
    scripted::{ALICE, Stage},
    world::{BINARY, unique},
};

const TIMEOUT: Duration = Duration::from_secs(30);

#[test]
fn sigterm_lets_requests_under_way_finish_and_takes_no_more() -> anyhow::Result<()> {
    run(async {
        // Connections go to Usher's workers in turn: with one more before it, the request comes to another of them
        // than the one that talked to the homeserver last.
        for connections_before in 0..2 {
            drains(connections_before).await.with_context(|| format!("after {connections_before} others"))?;
        }
        Ok(())
    })
}

async fn drains(connections_before: usize) -> anyhow::Result<()> {
    let mut stage = Stage::set(Kind::Postgres, TIMEOUT).await?;
    let token = stage.sign_in().await?.login_token()?;
    for _ in 0..connections_before {
        Client::at(&stage.config.public_base_url())?.call(Method::GET, "_usher/health", None).await?;
    }
    let hold = stage.homeserver.hold(Endpoint::Login);
    let request = stage.start_redeem(&token);
    hold.arrived().await;
    let address = stage.config.listen.clone();
    let closing = async {
        let refused = eventually("nobody listens any more", async || {
            Ok(TcpStream::connect(&address).await.is_err().then_some(()))
        });
        refused.await?;
        hold.release();
        anyhow::Ok(())
    };
    let (ended, seen) = tokio::join!(stage.usher.stop(), closing);
    seen?;
    ended?;
    let session = request.await??.expect_ok()?;
    assert_eq!(session.field("user_id")?, ALICE);
    assert_eq!(stage.database.login_tokens().await?, ["redeemed"]);
    let log = stage.usher.log()?;
    assert!(log.lines().last().is_some_and(|line| line.contains("stopped")), "{log}");
    Ok(())
}

#[test]
fn a_hangup_is_ignored_and_the_log_says_so() -> anyhow::Result<()> {
    run(async {
        let stage = Stage::set(Kind::Sqlite, TIMEOUT).await?;
        let id = stage.usher.id().context("usher runs")?.to_string();
        let status = std::process::Command::new("sh").args(["-c", &format!("kill -HUP {id}")]).status()?;
        ensure!(status.success(), "no signal was sent");
        eventually("the hangup is in the log", async || {
            Ok(stage.usher.log()?.contains("SIGHUP is ignored").then_some(()))
        })
        .await?;
        stage.sign_in().await?.login_token()?;
        Ok(())
    })
}

#[test]
fn what_an_operator_pipes_away_is_no_failure_and_a_full_disk_is() -> anyhow::Result<()> {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full")?;
    let output = std::process::Command::new(BINARY).args(["config", "schema"]).stdout(full).output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("standard output cannot be written"), "{said}");
    let mut child = std::process::Command::new(BINARY)
        .args(["config", "schema"])
        .stdout(std::process::Stdio::piped())
        .spawn()?;
    drop(child.stdout.take());
    assert_eq!(child.wait()?.code(), Some(0), "a reader that has seen enough");
    Ok(())
}

#[test]
fn a_registration_file_that_was_there_is_made_private() -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    run(async {
        let stage = Stage::set(Kind::Sqlite, TIMEOUT).await?;
        let file = tempfile::NamedTempFile::new()?;
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o644))?;
        let path = file.path().to_str().context("a path of ASCII")?;
        let config = stage.directory.path().join("usher.yaml");
        let config = config.to_str().context("a path of ASCII")?;
        let arguments = ["--config", config, "registration", crate::scripted::SERVER_NAME, "--output", path];
        let output = std::process::Command::new(BINARY).args(arguments).output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(std::fs::metadata(path)?.permissions().mode() & 0o777, 0o600);
        Ok(())
    })
}

#[test]
fn who_is_told_to_end_as_soon_as_it_is_there_ends_well() -> anyhow::Result<()> {
    run(async {
        let bench = Bench::with(Kind::Sqlite, |_| {}).await?;
        for _ in 0..10 {
            bench.ends_as_soon_as_it_is_there().await?;
        }
        Ok(())
    })
}

/// A config that would serve, but for what `edit` does to it.
struct Bench {
    directory: tempfile::TempDir,
    database: Database,
    address: Url,
}

impl Bench {
    async fn with(kind: Kind, edit: impl FnOnce(&mut Value)) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let database = Database::create(kind, &unique("o"), directory.path()).await?;
        let (eng, hist) = ("http://127.0.0.1:9/eng/", "http://127.0.0.1:9/hist/");
        let config = Portal {
            database_url: database.url().to_owned(),
            homeservers: vec![
                homeserver("eng.localhost", eng, eng, &Tokens::generate()?),
                homeserver("hist.localhost", hist, hist, &Tokens::generate()?),
            ],
            ..Portal::at_a_free_port()?
        };
        let address = Url::parse(&format!("http://{}/", config.listen))?;
        let mut config = config.to_yaml();
        edit(&mut config);
        std::fs::write(directory.path().join("usher.yaml"), config.to_string())?;
        Ok(Self { directory, database, address })
    }

    /// `usher serve --no-migrate` comes up, and ends well.
    async fn serves_without_migrating(&self) -> anyhow::Result<()> {
        let mut command = process::command(BINARY);
        command.current_dir(self.directory.path()).args(["serve", "--no-migrate"]);
        let mut usher = Process::spawn("usher", command, &self.directory.path().join("usher.log"))?;
        usher.ready(&self.address.join("_usher/health")?, TIMEOUT).await?;
        assert!(usher.stop(TIMEOUT).await?.success(), "{}", usher.log_tail());
        Ok(())
    }

    /// `usher serve` is told to end as soon as its port is open, and ends well.
    async fn ends_as_soon_as_it_is_there(&self) -> anyhow::Result<()> {
        let mut command = process::command(BINARY);
        command.current_dir(self.directory.path()).arg("serve");
        let mut usher = Process::spawn("usher", command, &self.directory.path().join("usher.log"))?;
        let address = self.address.socket_addrs(|| None)?;
        let began = Instant::now();
        while std::net::TcpStream::connect(&address[..]).is_err() {
            ensure!(began.elapsed() < TIMEOUT, "it does not come up: {}", usher.log_tail());
        }
        let status = usher.stop(TIMEOUT).await?;
        ensure!(status.success(), "{status}: {}", usher.log_tail());
        Ok(())
    }

    /// Exit code, standard output, standard error.
    fn run(&self, arguments: &[&str]) -> anyhow::Result<(Option<i32>, String, String)> {
        let Output { status, stdout, stderr } =
            Usher::run(Path::new(BINARY), self.directory.path(), arguments)?;
        Ok((status.code(), String::from_utf8(stdout)?, String::from_utf8(stderr)?))
    }
}

#[test]
fn a_database_that_nobody_migrated_is_refused_if_usher_may_not_do_it() -> anyhow::Result<()> {
    run(async {
        for kind in Kind::BOTH {
            let bench = Bench::with(kind, |_| {}).await?;
            let (code, _, said) = bench.run(&["serve", "--no-migrate"])?;
            assert_eq!(code, Some(1), "{kind:?}: {said}");
            for part in ["--no-migrate", "usher migrate"] {
                assert!(said.contains(part), "{kind:?}: {said}");
            }
            for time in ["the first time", "again"] {
                let (code, _, said) = bench.run(&["migrate"])?;
                assert_eq!(code, Some(0), "{kind:?}, {time}: {said}");
            }
            assert_eq!(
                bench.database.accounts().await?,
                Vec::<String>::new(),
                "{kind:?}: there are tables now"
            );
            bench.serves_without_migrating().await?;
        }
        Ok(())
    })
}

/// A secret that stands where it does not belong.
const SECRET: &str = "hunter2hunter2hunter2hunter2hunter2";

fn assert_all_said(command: &[&str], bench: &Bench, paths: &[&str]) -> anyhow::Result<()> {
    let (code, out, said) = bench.run(command)?;
    assert_eq!((code, out.as_str()), (Some(1), ""), "{command:?}: {said}");
    for path in paths {
        assert!(said.contains(&format!("error: {path}: ")), "{command:?} does not name {path}\n{said}");
    }
    assert!(!said.contains("hunter2"), "{command:?}: {said}");
    Ok(())
}

#[test]
fn every_mistake_in_the_config_is_said_at_once_and_no_secret_with_it() -> anyhow::Result<()> {
    run(async {
        let bench = Bench::with(Kind::Sqlite, |config| {
            config["public_base_url"] = json!("https://portal.localhost/matrix");
            config["listen"] = json!(["localhost"]);
            config["databsae"] = json!({});
            config["database"]["url"] = json!(format!("mysql://usher:{SECRET}@db/usher"));
            config["keys"][0]["secret"] = json!(SECRET);
            config["providers"][0]["icon"] = json!("https://portal.localhost/icon.png");
            config["homeservers"][0]["handoff"]["application_service"]["as_token"] = json!("short-hunter2");
            config["homeservers"][0]["handoff"]["application_service"]["hs_token"] = json!(7);
            config["homeservers"][1]["timeout"] = json!("soon");
            config["mapping"]["localpart"] = json!("{{ subject");
            config["login"]["token_lifetime"] = json!("1d");
        })
        .await?;
        for command in
            [&["config", "check"][..], &["serve"], &["migrate"], &["registration", "eng.localhost"]]
        {
            assert_all_said(
                command,
                &bench,
                &[
                    "public_base_url",
                    "listen[0]",
                    "databsae",
                    "database.url",
                    "keys[0].secret",
                    "providers[0].icon",
                    "homeservers[0].handoff.application_service.as_token",
                    "homeservers[0].handoff.application_service.hs_token",
                    "homeservers[1].timeout",
                    "mapping.localpart",
                    "login.token_lifetime",
                ],
            )?;
        }
        let bench = Bench::with(Kind::Sqlite, |config| {
            config["homeservers"][1]["server_name"] = json!("eng.localhost");
            config["login"]["attempt_lifetime"] = json!("1s");
        })
        .await?;
        assert_all_said(&["serve"], &bench, &["homeservers[1].server_name", "login.attempt_lifetime"])
    })
}

#[test]
fn a_backends_mistakes_are_said_with_everybody_elses() -> anyhow::Result<()> {
    run(async {
        let bench = Bench::with(Kind::Sqlite, |config| {
            config["keys"][0]["secret"] = json!(SECRET);
            config["providers"][0]["cas"]["base_url"] = json!("sso.localhost");
            config["providers"][0]["cas"]["renew"] = json!(true);
        })
        .await?;
        let paths = ["keys[0].secret", "providers[0].cas.base_url", "providers[0].cas.renew"];
        assert_all_said(&["config", "check"], &bench, &paths)
    })
}

#[test]
fn a_config_that_is_good_is_called_so() -> anyhow::Result<()> {
    run(async {
        let bench = Bench::with(Kind::Sqlite, |_| {}).await?;
        let (code, out, said) = bench.run(&["config", "check"])?;
        assert_eq!(code, Some(0), "{said}");
        assert!(out.contains("ok (1 provider(s), 2 homeserver(s))"), "{out}");
        let (code, _, said) = bench.run(&["registration", "art.localhost"])?;
        assert_eq!(code, Some(1));
        assert!(said.contains("eng.localhost, hist.localhost"), "{said}");
        Ok(())
    })
}
