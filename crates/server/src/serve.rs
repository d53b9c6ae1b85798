//! Runs the portal: listeners, actix's workers, the sweep of expired rows, and a graceful end.

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use actix_web::{HttpServer, dev::Server, middleware::from_fn, web};
use anyhow::Context as _;

use crate::{app::App, http::outer, routes, sweep};

/// How long requests under way may take to end after SIGTERM: a handoff's deadline and its transaction.
const SHUTDOWN_SECONDS: u64 = 30;
/// A request's head must come within this.
const HEAD_DEADLINE: Duration = Duration::from_secs(10);
/// Longer than any proxy's pool keeps an idle connection in use by surprise.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Binds every address, or says which one is not to be had.
pub fn bind(addresses: &[SocketAddr]) -> anyhow::Result<Vec<TcpListener>> {
    let bind = |address: &SocketAddr| {
        TcpListener::bind(address).with_context(|| format!("listen: {address} cannot be bound"))
    };
    addresses.iter().map(bind).collect()
}

/// The server, not yet polled. SIGTERM and Ctrl-C end it: no new connections, requests under way are finished.
pub fn serve(app: Arc<App>, listeners: Vec<TcpListener>) -> anyhow::Result<Server> {
    sweep::start(&app);
    let data = web::Data::from(app);
    let mut server = HttpServer::new(move || {
        actix_web::App::new().app_data(data.clone()).wrap(from_fn(outer)).configure(routes::configure)
    })
    .client_request_timeout(HEAD_DEADLINE)
    .keep_alive(KEEP_ALIVE)
    .shutdown_timeout(SHUTDOWN_SECONDS);
    for listener in listeners {
        server = server.listen(listener).context("a listener cannot be used")?;
    }
    Ok(server.run())
}
