//! A Matrix client that is a web site: where the browser lands with a login token.

use usher_lab::scripted::{Reply, ScriptedServer};

const PAGE: &str = "<!DOCTYPE html><html lang=\"en\"><link rel=\"icon\" href=\"data:,\">
<title>A Matrix client</title><h1>Welcome to your client</h1></html>";

/// The site, at `http://client.localhost:PORT/`.
#[derive(Debug)]
pub(super) struct ClientSite {
    server: ScriptedServer,
}

impl ClientSite {
    pub(super) async fn start() -> anyhow::Result<Self> {
        let page = |_| std::future::ready(Reply::new(200, "text/html; charset=utf-8", PAGE));
        Ok(Self { server: ScriptedServer::start(page).await? })
    }

    /// For `redirectUrl`, and for `trusted_clients`.
    pub(super) fn url(&self) -> String {
        format!("http://client.localhost:{}/", self.server.address().port())
    }
}
