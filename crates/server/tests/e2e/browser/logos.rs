//! Logos of a federation's signed metadata, as a browser shows them: those that are written out in it, and those that lie on another
//! host, which learns nothing of who looks at them.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, ensure};
use data_encoding::BASE64;
use serde_json::{Value, json};
use tempfile::TempDir;
use usher_lab::real::{
    Progress, free_port,
    install::{self, Component},
    nginx,
    reverse_proxy::ReverseProxy,
};

use super::visitor::Visitor;
use crate::{
    components::{eventually, run},
    federation::{HARBOUR, HILL, Scene},
};

/// 64 pixels wide, 40 high.
const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAEAAAAAoAQAAAABmtcFEAAAADUlEQVR42mNgGAX0AAABaAABSuz1ewAAAABJRU5ErkJggg==";
/// Whose logos the page has, their addresses, and how wide they turned out to be; null until all have come.
const LOGOS: &str = "
const images = [...document.querySelectorAll('.choices img')];
if (!images.every((image) => image.complete)) return null;
return images.map((image) => [image.closest('a').querySelector('bdi').textContent, image.src, image.naturalWidth]);";

/// A host of somebody's with one logo, by https, and what it has been asked.
struct LogoHost {
    address: SocketAddr,
    seen: PathBuf,
    _server: ReverseProxy,
    // After the server: it must be gone before its files are.
    _directory: TempDir,
}

impl LogoHost {
    async fn start() -> anyhow::Result<Self> {
        install::ensure(&[Component::ReverseProxies], &Progress::printing()).await?;
        let directory = tempfile::tempdir()?;
        let path = directory.path();
        certify(path)?;
        fs::write(path.join("logo.png"), BASE64.decode(PNG.as_bytes())?)?;
        let (address, seen) = (SocketAddr::from(([127, 0, 0, 1], free_port()?)), path.join("seen"));
        let config = format!(
            "log_format seen '$request referer=[$http_referer] cookie=[$http_cookie]';
            server {{
                listen {address} ssl;
                ssl_certificate {path}/certificate;
                ssl_certificate_key {path}/key;
                access_log {seen} seen;
                types {{ image/png png; }}
                root {path};
            }}",
            path = path.display(),
            seen = seen.display(),
        );
        let server = nginx::start(&config, address).await?;
        Ok(Self { address, seen, _server: server, _directory: directory })
    }

    fn logo(&self) -> String {
        format!("https://logos.localhost:{}/logo.png", self.address.port())
    }

    /// What it has been asked. It writes that down when it has answered.
    async fn asked(&self) -> anyhow::Result<Vec<String>> {
        eventually("the logo's host was asked", async || {
            let seen = fs::read_to_string(&self.seen)?;
            Ok(seen.ends_with('\n').then(|| seen.lines().map(str::to_owned).collect()))
        })
        .await
    }
}

fn certify(directory: &Path) -> anyhow::Result<()> {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=logos.localhost"])
        .args(["-addext", "subjectAltName=DNS:logos.localhost", "-keyout", "key", "-out", "certificate"])
        .current_dir(directory)
        .output()
        .context("openssl cannot be run")?;
    ensure!(made.status.success(), "openssl: {}", String::from_utf8_lossy(&made.stderr));
    Ok(())
}

fn logo(height: u32, url: &str) -> String {
    format!("<mdui:Logo width=\"64\" height=\"{height}\">{url}</mdui:Logo>")
}

/// Searches, and looks at the logos of what is found.
async fn logos_of(visitor: &Visitor, words: &str) -> anyhow::Result<Value> {
    visitor.window.run("document.querySelector('input[name=q]').value = ''").await?;
    visitor.window.fill("input[name=q]", words).await?;
    visitor.window.press_enter().await?;
    visitor.comes_to(&format!("input[name=q][value={words}]")).await?;
    eventually("the logos have come", async || {
        Ok(Some(visitor.window.run(LOGOS).await?).filter(|logos| !logos.is_null()))
    })
    .await
}

#[test]
fn logos_are_shown_and_whoever_has_them_learns_nothing() -> anyhow::Result<()> {
    run(async {
        let host = LogoHost::start().await?;
        let inline = format!("data:image/png;base64,{PNG}");
        // One that is not encrypted does not count, however well it would fit.
        let other = logo(40, "http://plain.localhost/logo.png") + &logo(60, &host.logo());
        let Scene { world, .. } = Scene::start_shown([&logo(40, &inline), &other], |_| ()).await?;
        let portal = world.config.public_base_url();
        let visitor = Visitor::at(&portal).await?;
        // Nobody vouches for the certificate of a test.
        visitor.window.devtools("Security.setIgnoreCertificateErrors", json!({ "ignore": true })).await?;
        visitor.begin("https://elsewhere.example/").await?;
        visitor.sees("Where are you from?").await?;
        visitor.window.requests().await?;

        for (words, expected, elsewhere) in [
            ("academy", json!([]), vec![]),
            ("harbour", json!([[HARBOUR, inline, 64]]), vec![inline.clone()]),
            ("hill", json!([[HILL, host.logo(), 64]]), vec![host.logo()]),
        ] {
            assert_eq!(logos_of(&visitor, words).await?, expected, "{words}");
            let requests = visitor.window.requests().await?.into_iter().map(|request| request.url);
            let others: Vec<_> = requests.filter(|url| !url.starts_with(portal.as_str())).collect();
            assert_eq!(others, elsewhere, "{words}: nothing else is asked of anybody else");
            visitor.nothing_is_wrong().await?;
        }
        assert_eq!(host.asked().await?, ["GET /logo.png HTTP/1.1 referer=[-] cookie=[-]"]);
        Ok(())
    })
}
