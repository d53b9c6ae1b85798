//! Real reverse proxies with exactly what `usher proxy-config` prints, at a homeserver's host and the portal's: which
//! requests get to Usher and which to the homeserver, and how much of them is as the client wrote it.
//!
//! Usher and the homeserver are servers that say what they heard (`echo`), the client is a bare connection (`wire`): no
//! library on the way tidies anything up. `traefik` is not in Debian: what is printed for it is read, not run. At the end,
//! people sign in at a real Synapse's host through each of the three.

mod echo;
mod encrypted;
mod signing_in;
mod spellings;
mod traefik;

use std::{net::SocketAddr, path::Path};

use anyhow::{Context as _, ensure};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use usher_lab::{
    real::{
        Progress, caddy, free_port, haproxy,
        install::{self, Component},
        nginx,
        reverse_proxy::ReverseProxy,
    },
    usher::Usher,
};

pub(crate) use self::signing_in::world_behind;
use self::{
    echo::{Echo, Heard},
    spellings::{ODD, OURS, THEIRS, respelled},
};
use crate::{
    components::run,
    config::{self, Portal},
    wire::Wire,
    world::BINARY,
};

const HOST: &str = "matrix.eng.localhost";
const PORTAL: &str = "portal.localhost";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Nginx,
    Caddy,
    Haproxy,
}

/// A proxy in front of two servers that say what they heard.
struct Front {
    proxy: ReverseProxy,
    address: SocketAddr,
    usher: Echo,
    homeserver: Echo,
}

impl Kind {
    /// What `usher proxy-config` calls it.
    fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Caddy => "caddy",
            Self::Haproxy => "haproxy",
        }
    }

    /// With what is printed of `config` for a trial without certificates, at `address`.
    async fn start(self, config: &Portal, address: SocketAddr) -> anyhow::Result<ReverseProxy> {
        self.start_with(&printed(self.name(), config, &["--plain", &address.to_string()])?, address).await
    }

    async fn start_with(self, printed: &str, address: SocketAddr) -> anyhow::Result<ReverseProxy> {
        install::ensure(&[Component::ReverseProxies], &Progress::printing()).await?;
        match self {
            Self::Nginx => nginx::start(printed, address).await,
            Self::Caddy => caddy::start(printed, address).await,
            Self::Haproxy => haproxy::start(printed, address).await,
        }
    }
}

/// What the command prints.
fn printed(kind: &str, config: &Portal, options: &[&str]) -> anyhow::Result<String> {
    let directory = tempfile::tempdir()?;
    std::fs::write(directory.path().join("usher.yaml"), config.to_yaml().to_string())?;
    let arguments = [&["proxy-config", kind], options].concat();
    let output = Usher::run(Path::new(BINARY), directory.path(), &arguments)?;
    ensure!(output.status.success(), "usher proxy-config: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

/// An Usher at `usher`, with the portal and one homeserver at `homeserver`, both with https to the world.
fn config(usher: SocketAddr, homeserver: SocketAddr) -> anyhow::Result<Portal> {
    let upstream = format!("http://{homeserver}");
    let mut served = config::homeserver(
        "eng.localhost",
        &format!("https://{HOST}"),
        &upstream,
        &config::Tokens::generate()?,
    );
    served["hosts"] = json!([HOST]);
    Ok(Portal {
        public_base_url: format!("https://{PORTAL}"),
        listen: usher.to_string(),
        homeservers: vec![served],
        selection: Some(
            json!([{ "users": { "provider": "corp", "homeservers": { "alice": "eng.localhost" } } }]),
        ),
        ..Portal::default()
    })
}

impl Front {
    async fn start(kind: Kind) -> anyhow::Result<Self> {
        Self::start_with(kind, str::to_owned).await
    }

    /// With what is printed after `edit` has changed it.
    async fn start_with(kind: Kind, edit: impl FnOnce(&str) -> String) -> anyhow::Result<Self> {
        let (usher, homeserver) = (Echo::start("usher").await?, Echo::start("homeserver").await?);
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
        let config = config(usher.address(), homeserver.address())?;
        let printed = printed(kind.name(), &config, &["--plain", &address.to_string()])?;
        let proxy = kind.start_with(&edit(&printed), address).await?;
        Ok(Self { proxy, address, usher, homeserver })
    }

    /// Sends a request line, `Host` and more header lines; `None` if it was the proxy itself that answered.
    async fn ask(
        &self,
        host: &str,
        method: &str,
        target: &str,
        lines: &str,
    ) -> anyhow::Result<Option<Heard>> {
        let mut wire = Wire::open(&self.address.to_string()).await?;
        let head = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n");
        wire.say(head.as_bytes()).await?;
        let said = wire.hear().await.with_context(|| self.proxy.log_tail())?;
        match said {
            Some(said) if said.status == 200 && !said.body().is_empty() => {
                Heard::parse(&said.body()).map(Some)
            }
            // Caddy says nothing, and says it with 200, at a host that it does not know; HAProxy says 503.
            Some(said) => {
                let is_its_own = [200, 400, 404, 414, 421, 431, 503].contains(&said.status);
                ensure!(is_its_own, "{target}: {}: {}", said.status, self.proxy.log_tail());
                Ok(None)
            }
            None => Ok(None),
        }
    }

    /// The same of a request that has to arrive.
    async fn arrives(&self, host: &str, method: &str, target: &str, lines: &str) -> anyhow::Result<Heard> {
        let heard = self.ask(host, method, target, lines).await?;
        heard.with_context(|| format!("{method} {target} was refused: {}", self.proxy.log_tail()))
    }
}

async fn every_target_gets_to_its_server_as_it_was_spelled(kind: Kind) -> anyhow::Result<()> {
    let front = Front::start(kind).await?;
    for (targets, expected) in [(OURS.as_slice(), "usher"), (&THEIRS, "homeserver")] {
        for target in targets {
            let heard = front.arrives(HOST, "GET", target, "").await?;
            assert_eq!((heard.by.as_str(), heard.target.as_str()), (expected, *target));
        }
    }
    Ok(())
}

async fn no_spelling_of_ours_gets_past_usher(kind: Kind) -> anyhow::Result<()> {
    let front = Front::start(kind).await?;
    for target in OURS.iter().flat_map(|target| respelled(target)) {
        let heard = front.arrives(HOST, "POST", &target, "Content-Length: 0\r\n").await?;
        assert_eq!((heard.by.as_str(), heard.target.as_str()), ("usher", target.as_str()));
    }
    for target in ODD {
        let heard = front.ask(HOST, "POST", target, "Content-Length: 0\r\n").await?;
        assert!(heard.is_none_or(|heard| heard.by == "usher"), "{target}");
    }
    // As long as a request line may be.
    for unit in ["a", "/a", "%2e", "%41", ".", "a.", "//", ";"] {
        for head in
            ["/_matrix/client/v3/devices/", "/_matrix/client/v3/x/../devices/", "/_matrix/client/", "/"]
        {
            let target = format!("{head}{}%2F", unit.repeat(6000 / unit.len()));
            let heard = front.ask(HOST, "POST", &target, "Content-Length: 0\r\n").await?;
            assert!(heard.is_none_or(|heard| heard.by == "usher" && heard.target == target), "{head}{unit}");
        }
    }
    assert_eq!(front.homeserver.heard(), 0);
    assert!(front.usher.heard() > 1000);
    Ok(())
}

async fn methods_and_preflights_go_where_the_path_says(kind: Kind) -> anyhow::Result<()> {
    let front = Front::start(kind).await?;
    let preflight = "Origin: https://app.ac.cdl\r\nAccess-Control-Request-Method: DELETE\r\n";
    for (target, expected) in [(OURS[5], "usher"), (THEIRS[5], "homeserver")] {
        for (method, lines) in [
            ("GET", ""),
            ("POST", "Content-Length: 0\r\n"),
            ("PUT", "Content-Length: 0\r\n"),
            ("PATCH", "Content-Length: 0\r\n"),
            ("DELETE", ""),
            ("DELETE", "X-HTTP-Method-Override: GET\r\n"),
            ("OPTIONS", preflight),
            ("BREW", ""),
        ] {
            let heard = front.arrives(HOST, method, target, lines).await?;
            assert_eq!((heard.by.as_str(), heard.method.as_str()), (expected, method), "{method} {target}");
        }
    }
    Ok(())
}

async fn both_servers_are_told_the_truth_about_the_client(kind: Kind) -> anyhow::Result<()> {
    let front = Front::start(kind).await?;
    let lies = "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: 192.0.2.2\r\nX-Forwarded-Host: evil.example\r\n\
                X-Forwarded-Proto: http\r\nX-Real-IP: 192.0.2.3\r\nForwarded: for=192.0.2.4\r\n\
                Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAA\r\n\
                Accept-Encoding: x-ours\r\nAuthorization: Bearer a\r\nOrigin: https://app.ac.cdl\r\n";
    for (host, target, by, told) in [
        (HOST, OURS[0], "usher", HOST.to_owned()),
        (HOST, THEIRS[4], "homeserver", front.homeserver.address().to_string()),
        (PORTAL, OURS[0], "usher", PORTAL.to_owned()),
        (PORTAL, THEIRS[4], "usher", PORTAL.to_owned()),
        (PORTAL, "/_usher/cas/corp/callback/x?ticket=ST-1", "usher", PORTAL.to_owned()),
    ] {
        let heard = front.arrives(host, "GET", target, lies).await?;
        assert_eq!((heard.by.as_str(), heard.target.as_str()), (by, target));
        assert_eq!(heard.header("host"), [told], "{target}");
        assert_eq!(heard.header("x-forwarded-for"), ["127.0.0.1"], "{target}");
        assert_eq!(heard.header("x-forwarded-proto"), ["https"], "{target}");
        let named = heard.header("x-forwarded-host");
        assert!(named == [host] || (by == "usher" && named.is_empty()), "{target}: {named:?}");
        for gone in ["x-real-ip", "forwarded", "upgrade"] {
            assert_eq!(heard.header(gone), [""; 0], "{target}: {gone}");
        }
        assert_eq!(heard.header("accept-encoding"), ["x-ours"], "{target}");
        assert_eq!(heard.header("authorization"), ["Bearer a"], "{target}");
        assert_eq!(heard.header("origin"), ["https://app.ac.cdl"], "{target}");
    }
    for host in ["MATRIX.ENG.LOCALHOST", "matrix.eng.localhost:443", "other.localhost"] {
        let heard = front.ask(host, "GET", OURS[5], "").await?;
        assert!(heard.is_none_or(|heard| heard.by == "usher"), "{host}");
    }
    Ok(())
}

async fn bodies_and_answers_go_on_a_part_at_a_time(kind: Kind) -> anyhow::Result<()> {
    const LINES: &str = "Content-Length: 20\r\nContent-Type: application/json\r\n\r\n";
    let listen = || TcpListener::bind("127.0.0.1:0");
    let (usher, homeserver) = (listen().await?, listen().await?);
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
    let config = config(usher.local_addr()?, homeserver.local_addr()?)?;
    let proxy = kind.start(&config, address).await?;
    for (server, target) in [(&usher, OURS[0]), (&homeserver, THEIRS[6])] {
        let going_on = async {
            let mut client = TcpStream::connect(address).await?;
            client
                .write_all(format!("POST {target} HTTP/1.1\r\nHost: {HOST}\r\n{LINES}0123456789").as_bytes())
                .await?;
            let (mut server, _) = server.accept().await?;
            read_until(&mut server, "\r\n\r\n0123456789").await?;
            client.write_all(b"abcdefghij").await?;
            read_until(&mut server, "abcdefghij").await?;
            server.write_all(format!("HTTP/1.1 200 OK\r\n{LINES}0123456789").as_bytes()).await?;
            read_until(&mut client, "\r\n\r\n0123456789").await?;
            server.write_all(b"abcdefghij").await?;
            read_until(&mut client, "abcdefghij").await
        };
        let in_time = tokio::time::timeout(std::time::Duration::from_secs(20), going_on).await;
        in_time.with_context(|| format!("{target} got stuck: {}", proxy.log_tail()))??;
    }
    Ok(())
}

/// Where `docs/gateway.md` tells operators to put rules of their own: here they take everything below `/_matrix`, and
/// answer it with 404.
fn with_rules_of_an_operators_own(kind: Kind, printed: &str) -> String {
    match kind {
        Kind::Nginx => {
            let own = "location ^~ /_matrix {\n        return 404;\n    }\n    ";
            printed.replacen("location @usher {", &format!("{own}location @usher {{"), 1)
        }
        Kind::Caddy => {
            let own = "\n\t\thandle /_matrix/* {\n\t\t\trespond 404\n\t\t}";
            printed.replacen("handle @homeserver {", &format!("handle @homeserver {{{own}"), 1)
        }
        Kind::Haproxy => {
            let own = "use_backend workers if { path_beg /_matrix }\n    ";
            let with_own =
                printed.replacen("use_backend homeserver-", &format!("{own}use_backend homeserver-"), 1);
            with_own + "backend workers\n    mode http\n    http-request deny deny_status 404\n"
        }
    }
}

async fn rules_of_an_operators_own_take_nothing_from_usher(kind: Kind) -> anyhow::Result<()> {
    let front = Front::start_with(kind, |printed| with_rules_of_an_operators_own(kind, printed)).await?;
    for target in OURS.iter().flat_map(|target| respelled(target)).step_by(7).chain(OURS.map(str::to_owned)) {
        let heard = front.arrives(HOST, "POST", &target, "Content-Length: 0\r\n").await?;
        assert_eq!((heard.by.as_str(), heard.target.as_str()), ("usher", target.as_str()));
    }
    for target in THEIRS {
        let heard = front.ask(HOST, "POST", target, "Content-Length: 0\r\n").await?;
        assert_eq!(heard.is_none(), target.starts_with("/_matrix"), "{target}");
    }
    Ok(())
}

/// Reads until what came ends with `end`.
async fn read_until(stream: &mut TcpStream, end: &str) -> anyhow::Result<()> {
    let mut read = Vec::new();
    while !read.ends_with(end.as_bytes()) {
        ensure!(stream.read_buf(&mut read).await? > 0, "closed after {:?}", String::from_utf8_lossy(&read));
    }
    Ok(())
}

macro_rules! conformance {
    ($($name:ident: $kind:expr;)*) => {$(
        mod $name {
            use super::*;

            #[test]
            fn every_target_gets_to_its_server_as_it_was_spelled() -> anyhow::Result<()> {
                run(super::every_target_gets_to_its_server_as_it_was_spelled($kind))
            }

            #[test]
            fn no_spelling_of_ours_gets_past_usher() -> anyhow::Result<()> {
                run(super::no_spelling_of_ours_gets_past_usher($kind))
            }

            #[test]
            fn methods_and_preflights_go_where_the_path_says() -> anyhow::Result<()> {
                run(super::methods_and_preflights_go_where_the_path_says($kind))
            }

            #[test]
            fn both_servers_are_told_the_truth_about_the_client() -> anyhow::Result<()> {
                run(super::both_servers_are_told_the_truth_about_the_client($kind))
            }

            #[test]
            fn bodies_and_answers_go_on_a_part_at_a_time() -> anyhow::Result<()> {
                run(super::bodies_and_answers_go_on_a_part_at_a_time($kind))
            }

            #[test]
            fn rules_of_an_operators_own_take_nothing_from_usher() -> anyhow::Result<()> {
                run(super::rules_of_an_operators_own_take_nothing_from_usher($kind))
            }

            #[test]
            fn with_certificates_and_over_http_2_it_is_the_same() -> anyhow::Result<()> {
                run(super::encrypted::with_certificates_and_over_http_2_it_is_the_same($kind))
            }

            #[test]
            fn a_homeserver_that_nobody_vouches_for_is_told_nothing() -> anyhow::Result<()> {
                run(super::encrypted::a_homeserver_that_nobody_vouches_for_is_told_nothing($kind))
            }

            #[test]
            fn people_sign_in_at_their_homeservers_host() -> anyhow::Result<()> {
                run(super::signing_in::people_sign_in_at_their_homeservers_host($kind))
            }
        }
    )*};
}

conformance! {
    behind_nginx: Kind::Nginx;
    behind_caddy: Kind::Caddy;
    behind_haproxy: Kind::Haproxy;
}
