//! Runs the portal: listeners, actix's workers, what is done in the background, and a graceful end.

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use actix_http::HttpService;
use actix_server::ServerBuilder;
use actix_service::{IntoServiceFactory as _, ServiceFactoryExt as _, fn_service, map_config};
use actix_web::{
    dev::{AppConfig, Server},
    middleware::from_fn,
    rt::net::TcpStream,
    web,
};
use anyhow::Context as _;
use ruma_common::OwnedServerName;

use crate::{
    app::App,
    config::Config,
    errands,
    gateway::gate,
    http::outer,
    logout::Endings,
    paced::{Paced, Patience},
    provision::Provisioning,
    refresh, routes, sweep, threads,
};

/// How long requests under way may take to end after SIGTERM: a handoff's deadline and its transaction.
const SHUTDOWN_SECONDS: u64 = 30;
/// A request's head must come within this.
const HEAD_DEADLINE: Duration = Duration::from_secs(10);
/// Longer than any proxy's pool keeps an idle connection in use by surprise.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long a body that nobody has read is still taken, and thrown away, when its request is answered. A connection that is closed
/// before takes its answer with it (RFC 9112 section 9.6).
const LINGER: Duration = Duration::from_secs(2);
const PATIENCE: Patience = Patience {
    taken: Duration::from_secs(30),
    // Much longer than all deadlines of a first login together.
    answered: Duration::from_mins(5),
    // actix ends what it knows to be idle before.
    idle: Duration::from_secs(90),
};

/// For whom a socket is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listener {
    /// For everybody: the host that a request asks for says whose it is.
    Shared,
    /// For one homeserver, whatever host a request asks for.
    Homeserver(OwnedServerName),
}

/// Binds every address of a config, or says which one is not to be had.
pub fn bind(config: &Config) -> anyhow::Result<Vec<(TcpListener, Listener)>> {
    let bind = |key: String, address: SocketAddr| {
        TcpListener::bind(address).with_context(|| format!("{key}: {address} cannot be bound"))
    };
    let mut bound = Vec::new();
    for address in &config.listen {
        bound.push((bind("listen".to_owned(), *address)?, Listener::Shared));
    }
    for homeserver in &config.homeservers {
        let Some(address) = homeserver.listener else { continue };
        let socket = bind(format!("{}.listener", homeserver.path), address)?;
        bound.push((socket, Listener::Homeserver(homeserver.server_name.clone())));
    }
    Ok(bound)
}

/// The server, not yet polled. `ending` ends it: no new connections, requests under way are finished.
pub fn serve(
    app: Arc<App>,
    listeners: Vec<(TcpListener, Listener)>,
    ending: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<Server> {
    sweep::start(&app);
    refresh::start(&app);
    errands::start::<Provisioning>(&app);
    errands::start::<Endings>(&app);
    let data = web::Data::from(app);
    let mut server = ServerBuilder::default()
        .workers(threads::of_either_half())
        .shutdown_timeout(SHUTDOWN_SECONDS)
        .shutdown_signal(ending);
    for (listener, whose) in listeners {
        let (data, ending) = (data.clone(), server.graceful_shutdown_signal());
        let name = format!("http://{}", listener.local_addr()?);
        // What `actix_web::HttpServer` does, on paced connections.
        let portal = move || {
            let (data, ending, whose) = (data.clone(), ending.clone(), whose.clone());
            let app = move || {
                actix_web::App::new()
                    .app_data(data.clone())
                    .app_data(whose.clone())
                    .wrap(from_fn(gate))
                    .wrap(from_fn(outer))
                    .configure(routes::configure)
            };
            let http = HttpService::build()
                .graceful_shutdown_signal(move || {
                    let ending = ending.clone();
                    async move { ending.notified().await }
                })
                .on_connect_ext(|stream: &Paced<TcpStream>, data| {
                    data.insert(stream.hangup().clone());
                })
                .client_request_timeout(HEAD_DEADLINE)
                .client_disconnect_timeout(LINGER)
                .keep_alive(KEEP_ALIVE)
                .h1(map_config(app().into_factory(), |()| AppConfig::default()));
            let portal = fn_service(|stream: TcpStream| async move {
                let peer = stream.peer_addr().ok();
                Ok((Paced::new(stream, PATIENCE), peer))
            })
            .and_then(http);
            #[cfg(feature = "time-polls")]
            let portal = crate::polls::timed_service(portal);
            portal
        };
        server = server.listen(name, listener, portal).context("a listener cannot be used")?;
    }
    Ok(server.run())
}
