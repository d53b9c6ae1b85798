//! `usher health`, as a container engine runs it: an exit code, one line, and an end whatever the other side does.

use std::{
    future::Future,
    io::Write as _,
    net::TcpListener,
    path::Path,
    process::Output,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use usher_lab::{
    scripted::{Reply, ScriptedServer},
    usher::Usher,
};

use crate::{components::run, database::Kind, scripted::Stage, world::BINARY};

const TIMEOUT: Duration = Duration::from_secs(30);
/// The command's own deadline and what a busy machine adds.
const BOUND: Duration = Duration::from_secs(20);

/// Exit code, standard output, standard error.
type Said = (Option<i32>, String, String);

async fn health(config: Value, arguments: &'static [&'static str]) -> anyhow::Result<Said> {
    let directory = tempfile::tempdir()?;
    std::fs::write(directory.path().join("usher.yaml"), config.to_string())?;
    // The servers it asks are run by this thread.
    let run = move || Usher::run(Path::new(BINARY), directory.path(), arguments);
    let Output { status, stdout, stderr } = tokio::task::spawn_blocking(run).await??;
    Ok((status.code(), String::from_utf8(stdout)?, String::from_utf8(stderr)?))
}

fn assert_calm(name: &str, (code, out, said): &Said, expected: &str) {
    assert_eq!((*code, out.as_str()), (Some(1), ""), "{name}: {said}");
    assert!(said.starts_with("usher: ") && said.contains(expected), "{name}: {said}");
    assert_eq!(said.lines().count(), 1, "{name}: {said}");
}

#[test]
fn a_portal_that_serves_is_healthy_though_the_one_who_asks_can_read_no_secret() -> anyhow::Result<()> {
    run(async {
        let mut stage = Stage::set(Kind::Sqlite, TIMEOUT).await?;
        let port = stage.config.listen.rsplit_once(':').context("an address has a port")?.1.to_owned();
        let config = json!({
            "listen": [format!("0.0.0.0:{port}")],
            "database": { "url_file": "/nowhere/database-url" },
            "keys": [{ "id": "first", "secret_file": "/nowhere/key" }],
            "unknown": true,
        });
        let (code, out, said) = health(config.clone(), &["health"]).await?;
        assert_eq!((code, said.as_str()), (Some(0), ""));
        assert_eq!(out, format!("http://127.0.0.1:{port}/_usher/health: ok\n"));
        stage.usher.stop().await?;
        assert_calm("stopped", &health(config, &["health"]).await?, "does not answer");
        Ok(())
    })
}

#[test]
fn whatever_is_wrong_is_one_line_and_exit_code_1() -> anyhow::Result<()> {
    run(async {
        for (name, reply, expected) in [
            ("its database is away", Reply::json(503, &json!({})), "answers 503"),
            ("something else is there", Reply::new(404, "text/plain", "?"), "answers 404"),
            ("a redirect is not followed", Reply::redirect("/_usher/health"), "answers 302"),
            ("it hangs", Reply::Hang, "does not answer within 8 s"),
            ("it cuts the connection", Reply::Cut, "does not answer"),
        ] {
            let server = ScriptedServer::start(move |_| std::future::ready(reply.clone())).await?;
            let config = json!({ "listen": [server.address().to_string()] });
            let said = bounded(name, health(config, &["health"])).await?;
            assert_calm(name, &said, expected);
        }
        for (name, config, expected) in [
            ("no address", json!({ "listen": ["localhost"] }), "listen[0] is no address"),
            ("an empty list", json!({ "listen": [] }), "listen[0] is no address"),
        ] {
            assert_calm(name, &health(config, &["health"]).await?, expected);
        }
        let elsewhere = health(json!({}), &["--config", "/nowhere/usher.yaml", "health"]).await?;
        assert_calm("no config", &elsewhere, "cannot be read");
        let portal = health(json!({}), &["health", "--url", "https://matrix.ac.cdl"]).await?;
        assert_calm("the portal's URL", &portal, "where Usher itself listens");
        Ok(())
    })
}

#[test]
fn an_answer_that_is_no_http_is_not_waited_for() -> anyhow::Result<()> {
    run(async {
        for (name, line) in [("another protocol", "SSH-2.0-OpenSSH\r\n"), ("no end", &*"x".repeat(5000))] {
            let listener = TcpListener::bind("127.0.0.1:0")?;
            let config = json!({ "listen": [listener.local_addr()?.to_string()] });
            let line = line.to_owned();
            let answering = std::thread::spawn(move || {
                let (mut connection, _) = listener.accept()?;
                connection.write_all(line.as_bytes())?;
                // Kept open: whoever waits for more, waits.
                anyhow::Ok(connection)
            });
            let said = bounded(name, health(config, &["health"])).await?;
            assert_calm(name, &said, "does not speak HTTP");
            drop(answering.join().map_err(|_| anyhow::anyhow!("the server failed"))??);
        }
        Ok(())
    })
}

async fn bounded<T>(name: &str, work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let began = Instant::now();
    let done = work.await?;
    ensure!(began.elapsed() < BOUND, "{name}: it took {:?}", began.elapsed());
    Ok(done)
}
