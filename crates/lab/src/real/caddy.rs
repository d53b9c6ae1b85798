//! Caddy, from Debian. <https://caddyserver.com/docs/caddyfile/options>

use std::net::SocketAddr;

use super::reverse_proxy::{Recipe, ReverseProxy};

/// Its administration, and the redirect from `http` to `https`, would listen at ports that others have.
const AROUND: &str = "{\n\tadmin off\n\tauto_https disable_redirects\n}\nimport usher.caddyfile\n";

/// Starts it with `config` after a block of global options, which has it listen at `address`.
pub async fn start(config: &str, address: SocketAddr) -> anyhow::Result<ReverseProxy> {
    let recipe = Recipe {
        name: "Caddy",
        program: "/usr/bin/caddy",
        file: "usher.caddyfile",
        around: ("Caddyfile", AROUND),
        arguments: &["run", "--config", "Caddyfile", "--adapter", "caddyfile"],
    };
    ReverseProxy::start(recipe, config, address).await
}
