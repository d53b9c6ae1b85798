//! nginx, from Debian. <https://nginx.org/en/docs/ngx_core_module.html>

use std::net::SocketAddr;

use super::reverse_proxy::{Recipe, ReverseProxy};

/// Paths are relative to the directory it is started in (`-p`). Started by root, it would hand its work to somebody who
/// may not enter that.
const AROUND: &str = "\
daemon off;
user root;
worker_processes 1;
pid nginx.pid;
error_log stderr;
events {}
http {
    client_body_temp_path bodies;
    proxy_temp_path answers;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    include usher.conf;
}
";

/// Starts it with `config` within `http { }`, which has it listen at `address`.
pub async fn start(config: &str, address: SocketAddr) -> anyhow::Result<ReverseProxy> {
    let recipe = Recipe {
        name: "nginx",
        program: "/usr/sbin/nginx",
        file: "usher.conf",
        around: ("nginx.conf", AROUND),
        arguments: &["-p", ".", "-e", "stderr", "-c", "nginx.conf"],
    };
    ReverseProxy::start(recipe, config, address).await
}
