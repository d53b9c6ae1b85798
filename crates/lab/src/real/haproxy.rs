//! HAProxy, from Debian. <https://docs.haproxy.org/2.6/management.html#3>

use std::net::SocketAddr;

use super::reverse_proxy::{Recipe, ReverseProxy};

const AROUND: &str = "global\n    maxconn 200\n";

/// Starts it with `config` after a section `global`, which has it listen at `address`.
pub async fn start(config: &str, address: SocketAddr) -> anyhow::Result<ReverseProxy> {
    let recipe = Recipe {
        name: "HAProxy",
        program: "/usr/sbin/haproxy",
        file: "usher.cfg",
        around: ("global.cfg", AROUND),
        // Not in the background.
        arguments: &["-db", "-f", "global.cfg", "-f", "usher.cfg"],
    };
    ReverseProxy::start(recipe, config, address).await
}
