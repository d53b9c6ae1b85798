//! What is printed without `--plain`, started with certificates: the ports are the config's, and nothing is changed but
//! where the certificates lie. The client is curl, which speaks HTTP/2 and tidies nothing up if it is told not to.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use serde_json::json;
use usher_lab::real::{
    Progress, free_port,
    install::{self, Component},
    process::{self, Process},
};

use super::{
    HOST, Kind, PORTAL, config,
    echo::{Echo, Heard},
    printed,
    spellings::{OURS, THEIRS, respelled},
};
use crate::wire::Wire;

pub(super) async fn with_certificates_and_over_http_2_it_is_the_same(kind: Kind) -> anyhow::Result<()> {
    install::ensure(&[Component::DocumentTools], &Progress::printing()).await?;
    let (usher, homeserver) = (Echo::start("usher").await?, Echo::start("homeserver").await?);
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
    let mut config = config(usher.address(), homeserver.address())?;
    config.public_base_url = format!("https://{PORTAL}:{}/", address.port());
    config.homeservers[0]["base_url"] = json!(format!("https://{HOST}:{}", address.port()));
    let directory = tempfile::tempdir()?;
    certify(directory.path())?;
    let printed = with_certificates(&printed(kind.name(), &config, &[])?, directory.path());
    let proxy = kind.start_with(&printed, address).await?;

    let odd: Vec<_> = OURS.iter().step_by(5).flat_map(|target| respelled(target)).collect();
    for (host, targets, by) in [
        (HOST, OURS.map(str::to_owned).as_slice(), "usher"),
        (HOST, &odd, "usher"),
        (HOST, &THEIRS.map(str::to_owned), "homeserver"),
        (PORTAL, &THEIRS.map(str::to_owned), "usher"),
    ] {
        let all = ask(host, address, targets).with_context(|| proxy.log_tail())?;
        assert_eq!(all.len(), targets.len());
        for (heard, target) in all.iter().zip(targets) {
            assert_eq!((heard.by.as_str(), heard.target.as_str()), (by, target.as_str()));
            assert_eq!(heard.header("x-forwarded-proto"), ["https"], "{target}");
            let authority = match by {
                "usher" => format!("{host}:{}", address.port()),
                _ => homeserver.address().to_string(),
            };
            assert_eq!(heard.header("host"), [authority], "{target}");
        }
    }
    Ok(())
}

/// A homeserver that answers everything, with a certificate that only `ca_file` vouches for.
pub(super) async fn a_homeserver_that_nobody_vouches_for_is_told_nothing(kind: Kind) -> anyhow::Result<()> {
    let usher = Echo::start("usher").await?;
    let [address, upstream] =
        [free_port()?, free_port()?].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let directory = tempfile::tempdir()?;
    certify(directory.path())?;
    let authority = directory.path().join(format!("{HOST}-ca.pem"));
    fs::copy(directory.path().join("localhost.pem"), &authority)?;
    let mut server = process::command("openssl");
    server.args([
        "s_server",
        "-www",
        "-accept",
        &upstream.to_string(),
        "-cert",
        "localhost.pem",
        "-key",
        "localhost.key",
    ]);
    server.current_dir(directory.path());
    let mut server = Process::spawn("openssl s_server", server, &directory.path().join("log"))?;
    server.listening(upstream, Duration::from_secs(20)).await?;

    for (name, ca_file, expected) in [
        ("localhost", None, [502, 503]),
        ("localhost", Some(&authority), [200, 200]),
        // The certificate is another's.
        ("127.0.0.1", Some(&authority), [502, 503]),
    ] {
        let mut config = config(usher.address(), upstream)?;
        config.homeservers[0]["upstream_url"] = json!(format!("https://{name}:{}", upstream.port()));
        config.homeservers[0]["ca_file"] = json!(ca_file);
        let printed = printed(kind.name(), &config, &["--plain", &address.to_string()])?;
        let own = printed.replace("/etc/ssl/matrix", &format!("{}/matrix", directory.path().display()));
        assert_eq!(own != printed, ca_file.is_some(), "{printed}");
        let proxy = kind.start_with(&own, address).await?;
        let mut wire = Wire::open(&address.to_string()).await?;
        wire.say(format!("GET {} HTTP/1.0\r\nHost: {HOST}\r\n\r\n", THEIRS[4]).as_bytes()).await?;
        let said = wire.answer().await.with_context(|| proxy.log_tail())?;
        assert!(expected.contains(&said.status), "{name}, {ca_file:?}: {said:?}");
    }
    Ok(())
}

/// A certificate for each host and for the homeserver itself, as nginx and Caddy want it (`NAME.pem`, `NAME.key`) and as HAProxy does (`usher/`).
fn certify(directory: &Path) -> anyhow::Result<()> {
    fs::create_dir(directory.join("usher"))?;
    for host in [HOST, PORTAL, "localhost"] {
        let (pem, key) = (directory.join(format!("{host}.pem")), directory.join(format!("{host}.key")));
        let mut openssl = Command::new("openssl");
        openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]);
        openssl.args(["-days", "2", "-subj", "/CN=usher", "-addext", &format!("subjectAltName=DNS:{host}")]);
        openssl.arg("-keyout").arg(&key).arg("-out").arg(&pem);
        let output = openssl.output().context("openssl cannot be run")?;
        ensure!(output.status.success(), "openssl: {}", String::from_utf8_lossy(&output.stderr));
        fs::write(directory.join(format!("usher/{host}.pem")), [fs::read(pem)?, fs::read(key)?].concat())?;
    }
    Ok(())
}

/// As an operator puts them in place; Caddy has to be told that it need not get any.
fn with_certificates(printed: &str, directory: &Path) -> String {
    let place = format!("{}/", directory.display());
    printed.replace("# tls /etc/ssl/", "tls /etc/ssl/").replace("/etc/ssl/", &place)
}

/// Asks for every target over one connection; what was heard, in their order.
fn ask(host: &str, address: SocketAddr, targets: &[String]) -> anyhow::Result<Vec<Heard>> {
    const END: &str = "\n== 2 200 ==\n";
    let base = format!("{host}:{}", address.port());
    let urls = targets.iter().map(|target| format!("url = \"https://{base}{target}\"\n"));
    let directory = tempfile::tempdir()?;
    fs::write(directory.path().join("urls"), urls.collect::<String>())?;
    let mut curl = process::command("curl");
    curl.args(["--silent", "--show-error", "--http2", "--insecure", "--path-as-is", "--globoff"]);
    curl.args(["--resolve", &format!("{base}:{}", address.ip()), "--config", "urls"]);
    curl.args(["--write-out", "\\n== %{http_version} %{http_code} ==\\n"]);
    let output =
        curl.current_dir(directory.path()).stdin(Stdio::null()).output().context("curl cannot be run")?;
    let said = String::from_utf8(output.stdout)?;
    ensure!(output.status.success(), "curl: {}\n{said}", String::from_utf8_lossy(&output.stderr));
    said.split_terminator(END).map(Heard::parse).collect()
}
