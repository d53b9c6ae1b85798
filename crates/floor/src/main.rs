//! The least that a login can cost: seals a cookie, makes the two outgoing calls, runs the statements. With the same
//! HTTP server, client, cipher, drivers, pools and statements as Usher's, each set up the same way, and with nothing
//! else of it: no routes, templates, log or request ids, and above all no checks. **It lets anybody in as anybody.**
//!
//! `cargo xtask bench floor` runs it where it runs Usher: in a directory with a `usher.yaml`, of which it reads the
//! addresses.

mod answers;
mod calls;
mod seal;
mod site;
mod statements;

use std::time::Duration;

use actix_web::{App, HttpServer, web};
use anyhow::Context as _;

use self::site::Site;

const CONFIG: &str = "usher.yaml";
/// As Usher's.
const HEAD_DEADLINE: Duration = Duration::from_secs(10);
/// As Usher's.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config = std::fs::read(CONFIG).with_context(|| format!("{CONFIG} cannot be read"))?;
    // `cargo xtask bench` writes JSON, which is YAML.
    let config = serde_json::from_slice(&config).with_context(|| format!("{CONFIG} is not JSON"))?;
    let site = web::Data::new(Site::new(&config).await?);
    let listen = site.listen.clone();
    let server =
        HttpServer::new(move || App::new().app_data(site.clone()).default_service(web::to(answers::any)))
            .client_request_timeout(HEAD_DEADLINE)
            .keep_alive(KEEP_ALIVE)
            .bind(&listen)
            .with_context(|| format!("{listen} cannot be bound"))?;
    server.run().await.context("the server stopped")
}
