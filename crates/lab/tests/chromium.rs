//! A real browser shows pages, tells what happened, and leaves nothing behind.

use std::time::Duration;

use anyhow::ensure;
use usher_lab::{
    real::{
        Progress,
        chromium::{Chromium, Look},
        install::{self, Component},
    },
    scripted::{Reply, ScriptedServer},
};

const PAGE: &str =
    "<!DOCTYPE html><html lang=en><meta name=viewport content='width=device-width'><title>A page</title>
<form action=/next><label>Name <input name=who></label><button>Go</button></form>
<script>document.title += ' that ran'; console.error('a complaint')</script>";

/// Processes whose command line holds `word`.
fn processes(word: &str) -> usize {
    let directories = std::fs::read_dir("/proc").expect("/proc").flatten();
    let lines = directories.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines.filter(|line| String::from_utf8_lossy(line).contains(word)).count()
}

#[tokio::test]
async fn a_browser_does_as_it_is_told_and_ends_with_its_driver() -> anyhow::Result<()> {
    install::ensure(&[Component::Chromium], &Progress::printing()).await?;
    let server =
        ScriptedServer::start(|_| std::future::ready(Reply::new(200, "text/html", PAGE.as_bytes()))).await?;
    let url = format!("http://site.localhost:{}/", server.address().port());
    let chromium = Chromium::start(&Progress::silent()).await?;
    let window = chromium.open().await?;

    window.look(Look { is_dark: true, language: "fr", ..Look::PHONE }).await?;
    window.open(&url).await?;
    assert_eq!(window.title().await?, "A page that ran");
    let seen = window.run("return [innerWidth, matchMedia('(prefers-color-scheme: dark)').matches]").await?;
    assert_eq!(seen, serde_json::json!([320, true]));
    let complaints = window.complaints().await?;
    assert!(complaints.iter().any(|complaint| complaint.contains("a complaint")), "{complaints:?}");

    window.fill("input", "Alice").await?;
    window.click("button").await?;
    // A form leaves the page a moment after the click.
    let is_there = async || anyhow::Ok(window.url().await?.query() == Some("who=Alice"));
    for _ in 0..1000 {
        if is_there().await? {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(is_there().await?, "the form was not sent");
    let requests = window.requests().await?;
    assert!(requests.iter().any(|request| request.is_navigation && request.url.ends_with("?who=Alice")));

    window.look(Look { runs_scripts: false, ..Look::DESKTOP }).await?;
    window.open(&url).await?;
    assert_eq!(window.title().await?, "A page");

    let profile = window.run("return 1").await.map(|_| chromium.profile_directory())?;
    assert!(processes(&profile) > 0);
    chromium.kill_driver()?;
    for _ in 0..1000 {
        if processes(&profile) == 0 {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    ensure!(processes(&profile) == 0, "a browser outlived its driver");
    Ok(())
}
