//! `usher health`: asks a running Usher whether it can serve a sign-in, for whoever restarts it if it cannot (a
//! container engine, an init system). The same question as `GET /_usher/health`, asked by the binary itself, so that an
//! image needs no other program for it.
//!
//! Of the config only `listen` is looked at: no secret has to be readable. It is not one of Usher's outgoing calls:
//! those carry a header by which Usher knows its own, and turns them away.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    time::timeout,
};
use url::{Position, Url};

use super::{print, start::ConfigFile};

/// Longer than Usher waits for its database before it says that it does not answer.
const DEADLINE: Duration = Duration::from_secs(8);
const PATH: &str = "/_usher/health";
/// Longer than any status line of ours.
const MAX_STATUS_LINE: u64 = 200;

pub(super) async fn run(file: &ConfigFile, url: Option<Url>) -> anyhow::Result<()> {
    let url = match url {
        Some(url) => at(url)?,
        None => at(Url::parse(&format!("http://{}/", reachable(file.listen()?)))?)?,
    };
    let status = match timeout(DEADLINE, ask(&url)).await {
        Ok(status) => status.with_context(|| format!("{url} does not answer"))?,
        Err(_) => bail!("{url} does not answer within {} s", DEADLINE.as_secs()),
    };
    ensure!(status == 200, "{url} answers {status}: this Usher cannot serve a sign-in; its log says why");
    print(&format!("{url}: ok\n"))
}

/// The question's URL, at the Usher at `base`.
fn at(mut base: Url) -> anyhow::Result<Url> {
    let is_plain = base.scheme() == "http" && base.has_host() && base.username().is_empty();
    ensure!(is_plain, "--url must be where Usher itself listens, such as http://127.0.0.1:8080");
    base.set_path(PATH);
    base.set_query(None);
    base.set_fragment(None);
    Ok(base)
}

/// Who listens everywhere is asked at home.
pub(super) fn reachable(mut listen: SocketAddr) -> SocketAddr {
    if listen.ip().is_unspecified() {
        listen.set_ip(match listen.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    listen
}

/// The status of the answer; its headers and body are not waited for. RFC 9112, section 4.
async fn ask(url: &Url) -> io::Result<u16> {
    let address = url.socket_addrs(|| None)?;
    let mut stream = TcpStream::connect(&*address).await?;
    let host = &url[Position::BeforeHost..Position::AfterPort];
    let question = format!("GET {PATH} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(question.as_bytes()).await?;
    let mut line = String::new();
    BufReader::new(stream.take(MAX_STATUS_LINE)).read_line(&mut line).await?;
    let status =
        line.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).and_then(|code| code.parse().ok());
    status.ok_or_else(|| io::Error::other("what answers does not speak HTTP"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_listens_everywhere_is_asked_at_home() {
        for (listen, expected) in [
            ("0.0.0.0:8080", "127.0.0.1:8080"),
            ("[::]:8080", "[::1]:8080"),
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("192.0.2.7:80", "192.0.2.7:80"),
            ("[2001:db8::7]:80", "[2001:db8::7]:80"),
        ] {
            let listen = listen.parse().expect("an address");
            assert_eq!(reachable(listen).to_string(), expected);
        }
    }

    #[test]
    fn the_question_is_asked_of_an_usher_and_not_of_a_portal() {
        for (url, expected) in [
            ("http://127.0.0.1:8080", Some("http://127.0.0.1:8080/_usher/health")),
            ("http://usher:8080/", Some("http://usher:8080/_usher/health")),
            ("http://[::1]:8080/_usher/health", Some("http://[::1]:8080/_usher/health")),
            ("http://127.0.0.1:8080/?a=b#c", Some("http://127.0.0.1:8080/_usher/health")),
            ("https://matrix.ac.cdl", None),
            ("http://user@127.0.0.1:8080", None),
            ("unix:/run/usher", None),
        ] {
            let asked = at(Url::parse(url).expect(url)).ok();
            assert_eq!(asked.as_ref().map(Url::as_str), expected, "{url}");
        }
    }
}
