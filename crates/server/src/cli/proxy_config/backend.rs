//! Names and addresses that can be written into any proxy's configuration.
//!
//! The config has validated every value, but for its own ends: a host name may contain `{` or `;` by the URL standard. Here
//! nothing gets in but letters that mean nothing to any proxy, so nothing can end a string or begin a directive.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use serde::{Serialize, Serializer};
use url::{Host, Url};

use crate::cli::health::reachable;

/// Where a proxy sends requests.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Backend {
    scheme: &'static str,
    /// Without the brackets of an IPv6 address.
    name: String,
    /// `host:port`
    pub(super) address: String,
    /// What is said in `Host`: the port only if it is not the scheme's own.
    authority: String,
    pub(super) is_tls: bool,
    /// Whether it can be named in a TLS handshake (RFC 6066 section 3).
    is_named: bool,
}

/// A host name or an IPv4 address of letters, digits, `.`, `-` and `_`, that begins with none of the last three.
#[derive(Clone, Debug)]
pub(super) struct Name(String);

/// Why a host cannot be written into a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadHost {
    /// It has other letters than names in the DNS have.
    #[error("is not a name that a proxy's configuration can hold: use letters, digits, `.`, `-` and `_`")]
    Letters,
    /// There is none, or it has no port.
    #[error("is not a host and a port, such as 127.0.0.1:8080")]
    NoPort,
}

impl Name {
    /// Whatever else a host may be called is none.
    pub(super) fn parse(text: &str) -> Result<Self, BadHost> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        let is_good =
            text.bytes().all(is_plain) && text.starts_with(|first: char| first.is_ascii_alphanumeric());
        is_good.then(|| Self(text.to_owned())).ok_or(BadHost::Letters)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl Backend {
    fn new(scheme: &'static str, host: &Host<&str>, port: u16) -> Result<Self, BadHost> {
        let (name, written) = match host {
            Host::Domain(name) => (Name::parse(name)?.to_string(), (*name).to_owned()),
            Host::Ipv4(address) => (address.to_string(), address.to_string()),
            Host::Ipv6(address) => (address.to_string(), format!("[{address}]")),
        };
        let is_tls = scheme == "https";
        let address = format!("{written}:{port}");
        let authority = if port == if is_tls { 443 } else { 80 } { written } else { address.clone() };
        Ok(Self { scheme, name, address, authority, is_tls, is_named: matches!(host, Host::Domain(_)) })
    }

    /// The homeserver itself.
    pub(super) fn of(url: &Url) -> Result<Self, BadHost> {
        let scheme = if url.scheme() == "https" { "https" } else { "http" };
        let host = url.host().ok_or(BadHost::NoPort)?;
        Self::new(scheme, &host, url.port_or_known_default().ok_or(BadHost::NoPort)?)
    }
}

/// Who listens everywhere is found at home.
impl From<SocketAddr> for Backend {
    fn from(listen: SocketAddr) -> Self {
        let listen = reachable(listen);
        let host = match listen.ip() {
            IpAddr::V4(address) => Host::Ipv4(address),
            IpAddr::V6(address) => Host::Ipv6(address),
        };
        Self::new("http", &host, listen.port()).expect("an address has no letters")
    }
}

/// `usher:8080`, `[::1]:8080`: always with a port, since Usher is seldom at 80.
impl FromStr for Backend {
    type Err = BadHost;

    fn from_str(text: &str) -> Result<Self, BadHost> {
        let (host, port) = text.rsplit_once(':').ok_or(BadHost::NoPort)?;
        let is_port = port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port.parse().ok().filter(|port| is_port && *port > 0).ok_or(BadHost::NoPort)?;
        let host = Host::parse(host).map_err(|_| BadHost::NoPort)?;
        let host = match &host {
            Host::Domain(name) => Host::Domain(name.as_str()),
            Host::Ipv4(address) => Host::Ipv4(*address),
            Host::Ipv6(address) => Host::Ipv6(*address),
        };
        Self::new("http", &host, port)
    }
}
