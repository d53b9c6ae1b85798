//! How a request came: from which address, and for which host. The only module that reads forwarding headers.
//!
//! `X-Forwarded-For`, `X-Forwarded-Host` and `X-Forwarded-Proto` are believed from peers in `trusted_proxies` alone;
//! from anybody else they are a stranger's claims and are not looked at. `Forwarded` (RFC 7239) is not read: few
//! proxies write it, and one that does not would pass a stranger's on.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::atomic::{AtomicBool, Ordering},
};

use actix_web::{
    HttpMessage as _, HttpRequest,
    http::{
        header,
        header::{HOST, HeaderMap, HeaderName},
    },
};
use ipnet::IpNet;
use url::{Host, Url};

/// Who may say where a request came from.
#[derive(Debug, Default)]
pub(crate) struct Forwarding {
    trusted: Vec<IpNet>,
    is_warned: AtomicBool,
}

/// How a request came, as far as it can be believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// The client's address, in its canonical form: an IPv4 address is never written as IPv6.
    pub client: IpAddr,
    /// The host it asked for; `None` if there is none, several, or one that cannot be a host.
    pub host: Option<Place>,
    /// `https` or `http`, if a trusted proxy said so.
    pub scheme: Option<&'static str>,
}

/// What a `Host` header names (RFC 9110 section 7.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    host: Host,
    /// Absent: the scheme's own.
    port: Option<u16>,
}

impl Forwarding {
    /// Believes these.
    #[must_use]
    pub(crate) fn new(trusted: Vec<IpNet>) -> Self {
        Self { trusted, is_warned: AtomicBool::new(false) }
    }

    /// Looks at one request.
    pub(super) fn arrival(&self, peer: Option<SocketAddr>, headers: &HeaderMap) -> Arrival {
        // A listener is always TCP; were there no address, everybody without one would be the same client.
        let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip().to_canonical());
        if !self.trusts(peer) {
            self.warn_once(peer, headers);
            return Arrival { client: peer, host: only_host(headers), scheme: None };
        }
        let host = match last(headers, &header::X_FORWARDED_HOST) {
            Some(host) => Place::parse(host),
            None => only_host(headers),
        };
        let scheme = last(headers, &header::X_FORWARDED_PROTO).and_then(|scheme| {
            ["https", "http"].into_iter().find(|known| scheme.eq_ignore_ascii_case(known))
        });
        Arrival { client: self.client(peer, headers), host, scheme }
    }

    /// Every proxy appends the address it was called from, so the list is read from its end: whatever stands left of
    /// the first address that is no proxy of ours was written by a stranger.
    fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer;
        for entry in entries_from_the_end(headers, &header::X_FORWARDED_FOR) {
            if !self.trusts(client) {
                break;
            }
            match entry.and_then(address) {
                Some(address) => client = address,
                // Whoever wrote this knows no better than the one after it.
                None => break,
            }
        }
        client
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|net| net.contains(&address))
    }

    /// A proxy beside Usher that is not trusted is a setting somebody forgot. Strangers come from elsewhere, so they
    /// cannot use up the one warning.
    fn warn_once(&self, peer: IpAddr, headers: &HeaderMap) {
        let is_near = match peer {
            IpAddr::V4(peer) => peer.is_loopback() || peer.is_private(),
            IpAddr::V6(peer) => peer.is_loopback() || peer.is_unique_local() || peer.is_unicast_link_local(),
        };
        if is_near
            && headers.contains_key(header::X_FORWARDED_FOR)
            && !self.is_warned.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(
                peer = %peer,
                "X-Forwarded-For of a peer that is not in trusted_proxies is ignored; if that is your reverse proxy, \
                 everybody behind it counts as one address until it is listed there"
            );
        }
    }
}

impl Arrival {
    /// Whether the request came to the scheme, host and port of `base`.
    pub(crate) fn is_at(&self, base: &Url) -> bool {
        let scheme = self.scheme.unwrap_or(base.scheme());
        let default_port = if scheme == "https" { 443 } else { 80 };
        let Some(place) = &self.host else { return false };
        scheme == base.scheme()
            && base.host().is_some_and(|host| host == place.host)
            && Some(place.port.unwrap_or(default_port)) == base.port_or_known_default()
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.host),
            None => write!(f, "{}", self.host),
        }
    }
}

impl Place {
    /// `host` or `host:port`.
    fn parse(text: &str) -> Option<Self> {
        let (host, port) = match text.rsplit_once(':') {
            // Not the colons within `[::1]`.
            Some((host, port)) if !port.ends_with(']') => (host, Some(port).filter(|port| !port.is_empty())),
            _ => (text, None),
        };
        let port = match port {
            Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => Some(port.parse().ok()?),
            Some(_) => return None,
            None => None,
        };
        Some(Self { host: Host::parse(host).ok()?, port })
    }

    /// The host in its canonical spelling; without the dot that DNS allows at the end of a name.
    pub(crate) fn name(&self) -> String {
        self.host.to_string().trim_end_matches('.').to_owned()
    }
}

/// How this request came; the outer layer has looked.
pub(crate) fn arrival(request: &HttpRequest) -> Arrival {
    request.extensions().get::<Arrival>().cloned().expect("the outer layer wraps every route")
}

fn only_host(headers: &HeaderMap) -> Option<Place> {
    let mut hosts = headers.get_all(HOST);
    let host = hosts.next()?.to_str().ok()?;
    if hosts.next().is_some() { None } else { Place::parse(host) }
}

/// The entries of a list header, last one first; several lines are one list (RFC 9110 section 5.3). `None` is an
/// entry that is no text.
fn entries_from_the_end<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = Option<&'a str>> {
    let mut lines: Vec<_> = headers.get_all(name).collect();
    lines.reverse();
    lines.into_iter().flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b',').map(text))
}

/// Entry by entry: a proxy appends to whatever a stranger wrote in the same line.
fn text(entry: &[u8]) -> Option<&str> {
    let text = str::from_utf8(entry).ok().filter(|text| text.is_ascii())?;
    Some(text.trim())
}

/// What the proxy we talk to has said: with several values, the last.
fn last<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    // One that is no text is there all the same, and is nothing that can be understood.
    entries_from_the_end(headers, name).next().map(Option::unwrap_or_default)
}

/// `192.0.2.1`, `2001:db8::1`, and with a port, as some proxies write it: `192.0.2.1:4711`, `[2001:db8::1]:4711`.
fn address(entry: &str) -> Option<IpAddr> {
    let bracketed = || entry.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V6);
    let with_port = || entry.parse::<SocketAddr>().ok().map(|address| address.ip());
    let address: Option<IpAddr> = entry.parse().ok().or_else(bracketed).or_else(with_port);
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests;
