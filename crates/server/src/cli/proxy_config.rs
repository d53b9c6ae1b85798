//! `usher proxy-config KIND [SERVER_NAME]`: what the reverse proxy at the homeservers' hosts and the portal's needs, whole
//! and commented, so that nobody has to find out alone which paths to hand over in which spelling.
//!
//! The templates lie beside this file, one for each proxy; which paths are Usher's is in `paths`, what is written into them in
//! `site` and `backend`.

mod backend;
mod paths;
mod site;

use std::net::SocketAddr;

use anyhow::{Context as _, bail, ensure};
use clap::{Args, ValueEnum};
use minijinja::{AutoEscape, Environment, UndefinedBehavior, context, syntax::SyntaxConfig, value::Serde};
use ruma_common::OwnedServerName;

use self::{
    backend::Backend,
    site::{Options, Site},
};
use super::{print, start::ConfigFile};
use crate::config::{Config, HomeserverConfig, Problems};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The proxy.
    kind: Kind,
    /// A homeserver's name, as in `homeservers[].server_name`: for a proxy that serves its hosts alone. Without it: the
    /// portal, and every homeserver that has `hosts` or a `listener`.
    server_name: Option<OwnedServerName>,
    /// Where the proxy finds Usher, such as `10.1.2.3:8080`. Without it: a homeserver's own `listener`, or the first
    /// address in `listen`.
    #[arg(long, value_name = "HOST:PORT")]
    usher: Option<Backend>,
    /// Listen at this address and speak plain HTTP, such as `127.0.0.1:8000`: to try it without certificates.
    #[arg(long, value_name = "ADDRESS:PORT")]
    plain: Option<SocketAddr>,
}

/// A reverse proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// nginx, within `http { }`.
    Nginx,
    /// Caddy 2, a Caddyfile.
    Caddy,
    /// HAProxy, after `global` and `defaults`.
    Haproxy,
    /// Traefik 3, a file of its file provider.
    Traefik,
}

impl Kind {
    fn template(self) -> &'static str {
        match self {
            Self::Nginx => include_str!("proxy_config/nginx.conf"),
            Self::Caddy => include_str!("proxy_config/Caddyfile"),
            Self::Haproxy => include_str!("proxy_config/haproxy.cfg"),
            Self::Traefik => include_str!("proxy_config/traefik.yml"),
        }
    }
}

pub(super) async fn run(file: &ConfigFile, arguments: Arguments) -> anyhow::Result<()> {
    let config = file.check().await?.config;
    print(&written(&config, arguments)?)
}

fn written(config: &Config, arguments: Arguments) -> anyhow::Result<String> {
    let Arguments { kind, server_name, usher, plain } = arguments;
    let homeservers = match &server_name {
        Some(server_name) => vec![named(config, server_name)?],
        None => with_gateway(config)?,
    };
    let listen = *config.listen.first().context("listen: names no address")?;
    let options = Options { usher, listen, plain };
    let mut problems = Problems::default();
    let site = Site::new(config, &homeservers, server_name.is_none(), &options, &mut problems);
    ensure!(!problems.has_errors(), "no configuration of a proxy can be made of this:\n{problems}");
    render(kind, &site)
}

fn named<'a>(config: &'a Config, server_name: &OwnedServerName) -> anyhow::Result<&'a HomeserverConfig> {
    let Some(homeserver) = config.homeserver(server_name) else {
        let known: Vec<_> =
            config.homeservers.iter().map(|homeserver| homeserver.server_name.as_str()).collect();
        bail!("{server_name} is not one of `homeservers`; there are: {}", known.join(", "));
    };
    ensure!(
        homeserver.has_gateway(),
        "{}.hosts: {server_name} has none; give the names at which Usher is to answer for it, such as matrix.eng.ac.cdl",
        homeserver.path,
    );
    Ok(homeserver)
}

fn with_gateway(config: &Config) -> anyhow::Result<Vec<&HomeserverConfig>> {
    let homeservers: Vec<_> =
        config.homeservers.iter().filter(|homeserver| homeserver.has_gateway()).collect();
    ensure!(
        !homeservers.is_empty(),
        "homeservers[].hosts: no homeserver has any, so Usher answers at none of their hosts; give the names at which it is \
         to answer, and `upstream_url`"
    );
    Ok(homeservers)
}

fn render(kind: Kind, site: &Site) -> anyhow::Result<String> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    // None of the four is HTML; `site` lets nothing in that would have to be escaped.
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    let syntax =
        SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true).build();
    environment.set_syntax(syntax.context("the templates' syntax")?);
    let rendered = environment.render_str(kind.template(), context! { site => Serde(site) });
    rendered.context("the template of this proxy is broken")
}

#[cfg(test)]
mod tests;
