//! What a proxy's configuration is made of, taken from the config: hosts, and where what arrives there goes.

use std::net::{IpAddr, SocketAddr};

use serde::Serialize;
use url::Url;

use super::{
    backend::{Backend, Name},
    paths::{OURS, PLAIN},
};
use crate::config::{Config, HomeserverConfig, Problems};

/// What the command was told, and what counts where it was not.
#[derive(Debug)]
pub(super) struct Options {
    /// Where the proxy finds Usher, whatever the config says.
    pub(super) usher: Option<Backend>,
    /// The first address that Usher listens at.
    pub(super) listen: SocketAddr,
    /// Where to listen without certificates.
    pub(super) plain: Option<SocketAddr>,
}

/// Everything a template is given.
#[derive(Debug, Serialize)]
pub(super) struct Site {
    places: Vec<Place>,
    /// Where Usher is found, each address once.
    ushers: Vec<Usher>,
    listeners: Vec<Listener>,
    /// Where to listen without certificates, if that is wanted.
    plain: Option<Plain>,
    ours: &'static str,
    plainly_spelled: &'static str,
}

/// An address without certificates, in three pieces as the four need them.
#[derive(Debug, Serialize)]
struct Plain {
    address: SocketAddr,
    ip: IpAddr,
    port: u16,
}

/// Some hosts at one port that are treated alike: the portal's, or those of one homeserver.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Place {
    /// What it is called among the proxy's sections.
    id: String,
    /// For people to read.
    title: String,
    hosts: Vec<Name>,
    /// What clients speak.
    scheme: &'static str,
    /// Where clients find it.
    port: u16,
    /// Whether that is the scheme's own.
    is_usual_port: bool,
    /// Whether the proxy needs a certificate for it.
    is_tls: bool,
    /// What its port is called.
    listener: String,
    /// Where Usher is found.
    usher: Usher,
    /// The homeserver's own address; the portal is Usher's alone.
    homeserver: Option<Backend>,
    /// Whether the homeserver has certificate authorities of its own (`ca_file`).
    has_ca_file: bool,
}

/// One of Usher's own addresses.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Usher {
    /// What it is called among the proxy's sections.
    id: String,
    address: String,
}

/// A port, and who is there.
#[derive(Debug, Serialize)]
struct Listener {
    id: String,
    port: u16,
    is_tls: bool,
    places: Vec<Place>,
}

impl Site {
    /// The portal and `homeservers`, or these alone; all that cannot be written is noted in `problems`.
    pub(super) fn new(
        config: &Config,
        homeservers: &[&HomeserverConfig],
        has_portal: bool,
        options: &Options,
        problems: &mut Problems,
    ) -> Self {
        let portal = has_portal.then(|| portal(&config.public_base_url, options, problems));
        let others = homeservers.iter().map(|homeserver| place(homeserver, options, problems));
        let places: Vec<_> = portal.into_iter().chain(others).flatten().collect();
        let plain = options.plain.map(|address| Plain { address, ip: address.ip(), port: address.port() });
        let (ushers, listeners) = (ushers(&places), listeners(&places));
        Self { places, ushers, listeners, plain, ours: OURS, plainly_spelled: &PLAIN }
    }
}

fn portal(base: &Url, options: &Options, problems: &mut Problems) -> Option<Place> {
    let host = base.host_str().unwrap_or_default().to_owned();
    let host = name(&host, "public_base_url", problems)?;
    Some(Place::new("portal".to_owned(), "The portal".to_owned(), vec![host], base, options))
}

fn place(homeserver: &HomeserverConfig, options: &Options, problems: &mut Problems) -> Option<Place> {
    let HomeserverConfig { path, server_name, upstream_url, .. } = homeserver;
    let base = Url::parse(&homeserver.base_url);
    let base = base.map_err(|why| problems.error(format!("{path}.base_url"), why.to_string())).ok()?;
    let mut hosts: Vec<_> = (homeserver.hosts.iter().enumerate())
        .filter_map(|(index, host)| name(host, &format!("{path}.hosts[{index}]"), problems))
        .collect();
    // Who has a listener of its own need not say again where clients come.
    if homeserver.hosts.is_empty() {
        hosts.push(name(base.host_str().unwrap_or_default(), &format!("{path}.base_url"), problems)?);
    }
    if upstream_url.path() != "/" {
        let message =
            "has a path, for which a proxy would have to change every request; give the homeserver's root";
        problems.error(format!("{path}.upstream_url"), message);
    }
    let backend = Backend::of(upstream_url);
    let backend =
        backend.map_err(|why| problems.error(format!("{path}.upstream_url"), why.to_string())).ok()?;
    // A server name has nothing in it but letters, digits, `.` and `-`, and what tells ports and IPv6 addresses apart.
    let id = format!("homeserver-{}", server_name.as_str().replace(['[', ']', ':'], "_"));
    let mut place = Place::new(id, format!("The homeserver {server_name}"), hosts, &base, options);
    if let (Some(listener), None) = (homeserver.listener, &options.usher) {
        place.usher = Usher { id: format!("usher-{}", place.id), address: Backend::from(listener).address };
    }
    place.has_ca_file = backend.is_tls && homeserver.ca_pem.is_some();
    place.homeserver = Some(backend);
    Some(place)
}

fn name(host: &str, path: &str, problems: &mut Problems) -> Option<Name> {
    Name::parse(host).map_err(|why| problems.error(path, why.to_string())).ok()
}

impl Place {
    fn new(id: String, title: String, hosts: Vec<Name>, base: &Url, options: &Options) -> Self {
        let scheme = if base.scheme() == "https" { "https" } else { "http" };
        let usual = if scheme == "https" { 443 } else { 80 };
        let port = base.port().unwrap_or(usual);
        let listener = match (options.plain, port == usual) {
            (Some(_), _) => "plain".to_owned(),
            (None, true) => scheme.to_owned(),
            (None, false) => format!("{scheme}-{port}"),
        };
        let usher = options.usher.clone().unwrap_or_else(|| options.listen.into());
        Self {
            id,
            title,
            hosts,
            scheme,
            port,
            is_usual_port: port == usual,
            is_tls: scheme == "https" && options.plain.is_none(),
            listener,
            usher: Usher { id: "usher".to_owned(), address: usher.address },
            homeserver: None,
            has_ca_file: false,
        }
    }
}

fn ushers(places: &[Place]) -> Vec<Usher> {
    let mut ushers: Vec<Usher> = Vec::new();
    for Place { usher, .. } in places {
        if !ushers.iter().any(|other| other.id == usher.id) {
            ushers.push(usher.clone());
        }
    }
    ushers
}

/// Everybody at one port has to be in one section, for proxies that listen once.
fn listeners(places: &[Place]) -> Vec<Listener> {
    let mut listeners: Vec<Listener> = Vec::new();
    for place in places {
        match listeners.iter_mut().find(|listener| listener.id == place.listener) {
            Some(listener) => listener.places.push(place.clone()),
            None => listeners.push(Listener {
                id: place.listener.clone(),
                port: place.port,
                is_tls: place.is_tls,
                places: vec![place.clone()],
            }),
        }
    }
    listeners
}
