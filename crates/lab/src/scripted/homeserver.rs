//! A scripted homeserver: as much of the client-server API (<https://spec.matrix.org/v1.19/client-server-api/>) as
//! Usher calls, behaving as Synapse was seen to, with faults on demand.
//!
//! It has people with devices and access tokens, some of whom have a password, UI auth of its own, one application
//! service (whose own user is `@usher`), a record of every call, a [`Fault`] and a [`Hold`] for each endpoint, and it
//! can go away and come back on the same port. It does not limit rates, and its rooms can be joined and nothing else.

mod admin;
mod capabilities;
mod cross_signing;
mod deactivate;
mod devices;
mod display_name;
mod endpoint;
mod fault;
mod hold;
mod join;
mod login;
mod login_token;
mod password;
mod people;
mod register;
mod requester;
mod set_up;
mod threepids;
mod ui_auth;
mod whoami;

use std::{
    collections::HashMap,
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use url::Url;

pub use endpoint::Endpoint;
pub use fault::Fault;
pub use hold::Hold;
pub use people::{Account, Device, Person};

use self::{
    endpoint::Route,
    hold::{Gate, Moment},
    people::People,
};
use super::{Reply, Request, ScriptedServer};

/// Calls that are remembered; later ones are answered and forgotten.
const MAX_CALLS: usize = 10_000;
/// How long a port may take to become free again.
const PORT_TIMEOUT: Duration = Duration::from_secs(10);

/// A running homeserver. Clones are handles to the same one, which ends when the last of them is dropped.
#[derive(Clone, Debug)]
pub struct ScriptedHomeserver {
    site: Arc<Site>,
    address: SocketAddr,
    url: Url,
    server: Arc<Mutex<Option<ScriptedServer>>>,
}

/// What the homeserver is, apart from its port.
#[derive(Debug)]
struct Site {
    server_name: String,
    as_token: String,
    /// The path before `/_matrix`; empty or `/like/this`.
    prefix: String,
    people: Mutex<People>,
    ui_auth: Mutex<ui_auth::Sessions>,
    script: Mutex<Script>,
}

#[derive(Debug)]
struct Script {
    faults: HashMap<Endpoint, Fault>,
    gates: HashMap<(Endpoint, Moment), Arc<Gate>>,
    calls: Vec<Request>,
    is_recording: bool,
}

impl ScriptedHomeserver {
    /// A homeserver named `server_name` with nobody on it, on a free port of 127.0.0.1.
    pub async fn start(server_name: &str) -> io::Result<Self> {
        Self::start_under(server_name, "").await
    }

    /// The same with its API under a path: `prefix` is empty or `/like/this`.
    pub async fn start_under(server_name: &str, prefix: &str) -> io::Result<Self> {
        let site = Arc::new(Site {
            server_name: server_name.to_owned(),
            as_token: format!("as-token-of-{server_name}-in-the-laboratory"),
            prefix: prefix.to_owned(),
            people: Mutex::default(),
            ui_auth: Mutex::default(),
            script: Mutex::new(Script {
                faults: HashMap::new(),
                gates: HashMap::new(),
                calls: Vec::new(),
                is_recording: true,
            }),
        });
        let server = serve(&site, (Ipv4Addr::LOCALHOST, 0).into()).await?;
        let mut url = server.url();
        url.set_path(prefix);
        Ok(Self { site, address: server.address(), url, server: Arc::new(Mutex::new(Some(server))) })
    }

    /// Where its API is: what an operator would write as `upstream_url`, without a slash at the end of a prefix.
    #[must_use]
    pub fn url(&self) -> Url {
        self.url.clone()
    }

    /// Its server name.
    #[must_use]
    pub fn server_name(&self) -> &str {
        &self.site.server_name
    }

    /// The only application service token it knows.
    #[must_use]
    pub fn as_token(&self) -> &str {
        &self.site.as_token
    }

    /// Goes away: connections are cut, and refused from when this returns. What it knows is kept.
    pub async fn stop(&self) -> io::Result<()> {
        drop(lock(&self.server).take());
        let is_free = async {
            loop {
                match TcpListener::bind(self.address) {
                    Err(error) if error.kind() == io::ErrorKind::AddrInUse => tokio::task::yield_now().await,
                    result => return result.map(drop),
                }
            }
        };
        tokio::time::timeout(PORT_TIMEOUT, is_free).await?
    }

    /// Comes back on the same port, with everything it knew.
    pub async fn restart(&self) -> io::Result<()> {
        self.stop().await?;
        let server = serve(&self.site, self.address).await?;
        *lock(&self.server) = Some(server);
        Ok(())
    }

    /// Everything it knows about a user.
    #[must_use]
    pub fn user(&self, user: &str) -> Option<Person> {
        lock(&self.site.people).find(user).cloned()
    }

    /// Every user, in order.
    #[must_use]
    pub fn users(&self) -> Vec<String> {
        lock(&self.site.people).names()
    }

    /// Has every call to `endpoint` go wrong until further notice.
    pub fn set_fault(&self, endpoint: Endpoint, fault: Fault) {
        lock(&self.site.script).faults.insert(endpoint, fault);
    }

    /// Mends `endpoint`.
    pub fn clear_fault(&self, endpoint: Endpoint) {
        lock(&self.site.script).faults.remove(&endpoint);
    }

    /// Holds the calls to `endpoint` that arrive from now on *before* anything is done.
    #[must_use]
    pub fn hold(&self, endpoint: Endpoint) -> Hold {
        self.hold_at(endpoint, Moment::BeforeActing)
    }

    /// Holds the calls to `endpoint` when everything is done and nothing is answered.
    #[must_use]
    pub fn hold_answer(&self, endpoint: Endpoint) -> Hold {
        self.hold_at(endpoint, Moment::BeforeAnswering)
    }

    /// The calls so far, in order of arrival; at most the first 10,000.
    #[must_use]
    pub fn calls(&self) -> Vec<Request> {
        lock(&self.site.script).calls.clone()
    }

    /// The calls to one endpoint.
    #[must_use]
    pub fn calls_to(&self, endpoint: Endpoint) -> Vec<Request> {
        let is_it =
            |call: &Request| Route::of(&self.site.prefix, call).is_some_and(|r| r.endpoint() == endpoint);
        self.calls().into_iter().filter(is_it).collect()
    }

    /// Forgets the calls so far.
    pub fn forget_calls(&self) {
        lock(&self.site.script).calls.clear();
    }

    /// Whether calls are remembered: a benchmark does without.
    pub fn set_recording(&self, is_recording: bool) {
        lock(&self.site.script).is_recording = is_recording;
    }

    fn hold_at(&self, endpoint: Endpoint, moment: Moment) -> Hold {
        let gate = Arc::new(Gate::closed());
        lock(&self.site.script).gates.insert((endpoint, moment), Arc::clone(&gate));
        Hold::new(gate)
    }
}

impl Site {
    fn people(&self) -> MutexGuard<'_, People> {
        lock(&self.people)
    }

    fn ui_auth(&self) -> MutexGuard<'_, ui_auth::Sessions> {
        lock(&self.ui_auth)
    }

    /// A user id of which a client may have given the localpart alone.
    fn full_id(&self, user: &str) -> String {
        if user.starts_with('@') { user.to_owned() } else { format!("@{user}:{}", self.server_name) }
    }

    async fn answer(self: Arc<Self>, request: Request) -> Reply {
        self.record(&request);
        let Some(route) = Route::of(&self.prefix, &request) else {
            return endpoint::unrecognized();
        };
        if !self.is_held(route.endpoint()) {
            return self.act(route, &request).await;
        }
        // A held call goes on when its caller is killed meanwhile, as in a homeserver that does not look back.
        tokio::spawn(async move { self.act(route, &request).await }).await.unwrap_or(Reply::Cut)
    }

    async fn act(&self, route: Route, request: &Request) -> Reply {
        let endpoint = route.endpoint();
        self.pass(endpoint, Moment::BeforeActing).await;
        let fault = lock(&self.script).faults.get(&endpoint).cloned();
        let reply = match fault {
            None => route.act(self, request),
            Some(Fault::Says(reply)) => reply,
            Some(Fault::ActsAndSays(reply)) => {
                route.act(self, request);
                reply
            }
            Some(Fault::NamesAnotherUser(user)) => fault::naming(&user, route.act(self, request)),
        };
        self.pass(endpoint, Moment::BeforeAnswering).await;
        reply
    }

    fn record(&self, request: &Request) {
        let mut script = lock(&self.script);
        if script.is_recording && script.calls.len() < MAX_CALLS {
            script.calls.push(request.clone());
        }
    }

    fn is_held(&self, endpoint: Endpoint) -> bool {
        lock(&self.script).gates.keys().any(|(held, _)| *held == endpoint)
    }

    async fn pass(&self, endpoint: Endpoint, moment: Moment) {
        let gate = lock(&self.script).gates.get(&(endpoint, moment)).cloned();
        if let Some(gate) = gate {
            gate.pass().await;
        }
    }
}

async fn serve(site: &Arc<Site>, address: SocketAddr) -> io::Result<ScriptedServer> {
    let site = Arc::clone(site);
    ScriptedServer::start_at(address, move |request| Arc::clone(&site).answer(request)).await
}

/// A test that failed while it held the lock has failed already.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
