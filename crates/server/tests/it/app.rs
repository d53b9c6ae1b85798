//! `TestApp`: a portal on a port of its own, with its own database, a scripted CAS server, two scripted
//! homeservers, a fixed clock and seeded randomness. It speaks the user's language:
//! `app.sign_in().as_person("alice").await.login_token()`.

mod answer;
mod clocks;
mod sign_in;

use std::{
    net::TcpListener,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use url::Url;
use usher_core::{Timestamp, testing::SeededEntropy};
use usher_http::Outgoing;
use usher_lab::{
    browser::loopback_client,
    scripted::{
        cas::{CasPerson, CasScript, CasServer},
        homeserver::ScriptedHomeserver,
    },
};
use usher_server::{
    app::{App, Homeservers, Providers},
    clock::Clock,
    config::{Config, Draft, Problems},
    registry::Backends,
    serve,
};
use usher_store::{Options, Store};

pub(crate) use self::{
    answer::{Answer, hidden_fields},
    clocks::TestClock,
    sign_in::{AtProvider, SignIn},
};
use clocks::Ahead;

/// A site on the config's list of trusted clients.
pub(crate) const TRUSTED: &str = "https://app.ac.cdl/?x=1#/login";
/// A site that is not.
pub(crate) const UNTRUSTED: &str = "https://elsewhere.example/cb";

pub(crate) struct TestApp {
    pub(crate) app: Arc<App>,
    pub(crate) cas: CasScript,
    cas_url: Url,
    cas_server: Mutex<Option<CasServer>>,
    pub(crate) eng: ScriptedHomeserver,
    pub(crate) hist: ScriptedHomeserver,
    pub(crate) clock: Arc<TestClock>,
    client: Client,
    base: Url,
    server: actix_web::dev::ServerHandle,
    directory: tempfile::TempDir,
    document: Value,
}

/// Another portal on the same database.
pub(crate) struct Replica {
    port: u16,
    server: actix_web::dev::ServerHandle,
}

impl Drop for Replica {
    fn drop(&mut self) {
        drop(self.server.stop(false));
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        // The command is sent at once; the future only waits for it.
        drop(self.server.stop(false));
    }
}

impl TestApp {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// Starts with a config that `change` has changed.
    pub(crate) async fn start_with(change: impl FnOnce(&mut Value)) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let cas_server = CasServer::start_with(people()).await.expect("a CAS server");
        let eng = ScriptedHomeserver::start("eng.ac.cdl").await.expect("a homeserver");
        let hist = ScriptedHomeserver::start("hist.ac.cdl").await.expect("a homeserver");
        let mut document = config(port, &cas_server.base_url(), &eng, &hist);
        change(&mut document);
        let clock = Arc::new(TestClock::at(Timestamp::from_millis(1_800_000_000_000)));
        let app = Arc::new(build(document.clone(), directory.path(), clock.clone()).await);
        let server =
            serve::serve(Arc::clone(&app), vec![(listener, serve::Listener::Shared)], std::future::pending())
                .expect("a server");
        let handle = server.handle();
        tokio::spawn(server);
        Self {
            app,
            cas: cas_server.script(),
            cas_url: cas_server.base_url(),
            cas_server: Mutex::new(Some(cas_server)),
            eng,
            hist,
            clock,
            client: loopback_client(Duration::from_secs(30)).expect("a client"),
            base: Url::parse(&format!("http://portal.localhost:{port}/")).expect("a URL"),
            server: handle,
            directory,
            document,
        }
    }

    /// The portal's public base URL.
    pub(crate) fn base(&self) -> &Url {
        &self.base
    }

    /// The CAS server's base URL.
    pub(crate) fn cas_url(&self) -> &Url {
        &self.cas_url
    }

    /// One more portal on the same database, as a replica behind the same name; for as long as it is kept.
    pub(crate) async fn replica(&self) -> Replica {
        self.replica_by(self.clock.clone()).await
    }

    /// One whose clock is ahead.
    pub(crate) async fn replica_ahead(&self, by: Duration) -> Replica {
        self.replica_by(Arc::new(Ahead::of(&self.clock, by))).await
    }

    /// A listener that belongs to one homeserver.
    pub(crate) async fn listener_of(&self, homeserver: &str) -> Replica {
        let name = ruma_common::OwnedServerName::try_from(homeserver).expect("a server name");
        self.replica_for(self.clock.clone(), serve::Listener::Homeserver(name)).await
    }

    async fn replica_by(&self, clock: Arc<dyn Clock>) -> Replica {
        self.replica_for(clock, serve::Listener::Shared).await
    }

    async fn replica_for(&self, clock: Arc<dyn Clock>, whose: serve::Listener) -> Replica {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let app = build(self.document.clone(), self.directory.path(), clock).await;
        let server =
            serve::serve(Arc::new(app), vec![(listener, whose)], std::future::pending()).expect("a server");
        let handle = server.handle();
        tokio::spawn(server);
        Replica { port, server: handle }
    }

    /// A request that the proxy sends to a replica.
    pub(crate) fn request_at(&self, replica: &Replica, method: Method, path: &str) -> RequestBuilder {
        let host = &self.base[url::Position::BeforeHost..url::Position::AfterPort];
        self.request_at_host(replica, method, path, host)
    }

    /// The same, for another host than the portal's.
    pub(crate) fn request_at_host(
        &self,
        replica: &Replica,
        method: Method,
        path: &str,
        host: &str,
    ) -> RequestBuilder {
        let url = Url::parse(&format!("http://127.0.0.1:{}{path}", replica.port)).expect("a URL");
        self.client.request(method, url).header("host", host)
    }

    /// From now on nobody listens there.
    pub(crate) fn stop_cas(&self) {
        drop(self.cas_server.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// A request to a path, with its query, exactly as spelled.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = Url::parse(&format!("{}{path}", self.base.as_str().trim_end_matches('/'))).expect("a URL");
        self.client.request(method, url)
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        Answer::read(self.request(Method::GET, path)).await
    }

    fn request_from(&self, address: Option<&str>, path: &str, cookies: &[String]) -> RequestBuilder {
        let request = self.request(Method::GET, path).header("cookie", cookies.join("; "));
        match address {
            Some(address) => request.header("x-forwarded-for", address),
            None => request,
        }
    }

    /// What the portal answers to these very bytes.
    pub(crate) async fn raw(&self, request: &str) -> String {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let port = self.base.port().expect("the portal has a port of its own");
        let mut stream =
            tokio::net::TcpStream::connect(("127.0.0.1", port)).await.expect("the portal listens");
        stream.write_all(request.as_bytes()).await.expect("written");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("the portal answers and closes");
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// `POST /login` with a body.
    pub(crate) async fn post_login(&self, body: &Value) -> Answer {
        Answer::read(self.request(Method::POST, "/_matrix/client/v3/login").body(body.to_string())).await
    }

    /// `POST /login` with a login token.
    pub(crate) async fn redeem(&self, token: &str) -> Answer {
        self.post_login(&json!({ "type": "m.login.token", "token": token })).await
    }

    /// Begins a sign-in for the trusted site.
    pub(crate) fn sign_in(&self) -> SignIn<'_> {
        SignIn::new(self)
    }

    /// Runs SQL on the portal's database, to bring about what only an operator could.
    pub(crate) async fn sql(&self, statement: &str) {
        let url = format!("sqlite:{}", self.directory.path().join("usher.db").display());
        let mut connection =
            <sqlx::SqliteConnection as sqlx::Connection>::connect(&url).await.expect("the database opens");
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned()))
            .execute(&mut connection)
            .await
            .expect("it runs");
    }

    /// The first column of every row, in order.
    pub(crate) async fn column(&self, sql: &str) -> Vec<String> {
        let url = format!("sqlite:{}", self.directory.path().join("usher.db").display());
        let mut connection =
            <sqlx::SqliteConnection as sqlx::Connection>::connect(&url).await.expect("the database opens");
        let query = sqlx::query_scalar(sqlx::AssertSqlSafe(sql.to_owned()));
        let mut column: Vec<String> = query.fetch_all(&mut connection).await.expect("texts");
        column.sort();
        column
    }

    /// Looks until it is so: for what happens in the background.
    pub(crate) async fn eventually(&self, what: &str, mut is_so: impl AsyncFnMut() -> bool) {
        let looking = async {
            while !is_so().await {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let outcome = tokio::time::timeout(Duration::from_secs(30), looking).await;
        assert!(outcome.is_ok(), "this did not happen: {what}");
    }

    /// How many rows a table has, so that a test can say that nothing was written.
    pub(crate) async fn rows(&self, table: &str) -> i64 {
        let url = format!("sqlite:{}", self.directory.path().join("usher.db").display());
        let mut connection =
            <sqlx::SqliteConnection as sqlx::Connection>::connect(&url).await.expect("the database opens");
        sqlx::query_scalar(sqlx::AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}")))
            .fetch_one(&mut connection)
            .await
            .expect("the table can be counted")
    }
}

/// alice and bob of engineering, carol of history, erin of physics, and frank, of whom nothing is known.
fn people() -> CasScript {
    let script = CasScript::default();
    for (user, department) in
        [("alice", "engineering"), ("bob", "engineering"), ("carol", "history"), ("erin", "physics")]
    {
        let mail = format!("{user}@ac.cdl");
        script.add_person(CasPerson::new(user).with("department", department).with("mail", mail));
    }
    script.add_person(CasPerson::new("frank"));
    script
}

fn config(port: u16, cas: &Url, eng: &ScriptedHomeserver, hist: &ScriptedHomeserver) -> Value {
    let homeserver = |name: &str, base_url: &str, server: &ScriptedHomeserver| {
        json!({
            "server_name": server.server_name(),
            "name": name,
            "base_url": base_url,
            "upstream_url": server.url(),
            "timeout": "1s",
            "handoff": { "application_service": {
                "as_token": server.as_token(),
                "hs_token": "hs-token-of-a-homeserver-in-a-test-suite",
            } },
        })
    };
    json!({
        "public_base_url": format!("http://portal.localhost:{port}"),
        "database": { "url": "sqlite:usher.db", "max_connections": 4 },
        "keys": [{ "id": "test", "secret": "07".repeat(32) }],
        "providers": [{ "id": "corp", "name": "University", "cas": { "base_url": cas, "timeout": "1s" } }],
        "homeservers": [
            homeserver("Engineering", "https://matrix.eng.ac.cdl", eng),
            homeserver("History", "https://matrix.hist.ac.cdl/", hist),
        ],
        "selection": [
            { "sticky": {} },
            { "attribute": { "name": "department", "rows": [
                { "value": "engineering", "homeserver": "eng.ac.cdl" },
                { "pattern": "hist.*", "homeserver": "hist.ac.cdl" },
            ] } },
        ],
        "login": { "trusted_clients": ["https://app.ac.cdl/", "element://connect"] },
        // The clock stands still, so that no bucket would ever be filled again; limits have tests of their own.
        "limits": { "redirect": "off", "callback": "off", "click": "off", "login": "off", "account": "off" },
    })
}

/// What is told of a config that is changed like this, and wrong.
pub(crate) async fn problems_of(change: impl FnOnce(&mut Value)) -> String {
    checked(change).await.map(drop).expect_err("a mistake").to_string()
}

/// What is warned of where a config that is changed like this is right.
pub(crate) async fn warnings_of(change: impl FnOnce(&mut Value)) -> String {
    let (_, _, _, warnings) = checked(change).await.unwrap_or_else(|problems| panic!("{problems}"));
    warnings.to_string()
}

async fn checked(change: impl FnOnce(&mut Value)) -> Result<Assembled, Problems> {
    let directory = tempfile::tempdir().expect("a directory");
    let eng = ScriptedHomeserver::start("eng.ac.cdl").await.expect("a homeserver");
    let hist = ScriptedHomeserver::start("hist.ac.cdl").await.expect("a homeserver");
    let cas = Url::parse("https://cas.ac.cdl/").expect("a URL");
    let mut document = config(8080, &cas, &eng, &hist);
    change(&mut document);
    assemble(document, directory.path()).await
}

async fn build(document: Value, directory: &Path, clock: Arc<dyn Clock>) -> App {
    let (config, providers, homeservers, _) =
        assemble(document, directory).await.unwrap_or_else(|problems| panic!("{problems}"));
    let store = Store::connect(&Options::new(config.database.url.clone())).await.expect("a database");
    store.migrate().await.expect("migrated");
    App::new(config, providers, homeservers, store, clock, Arc::new(SeededEntropy::new(7)))
}

type Assembled = (Config, Providers, Homeservers, Problems);

async fn assemble(document: Value, directory: &Path) -> Result<Assembled, Problems> {
    let outgoing = Outgoing::new(None, Duration::from_secs(5), 1 << 20).expect("a client");
    let backends = Backends::compiled_in(&outgoing, Path::new(env!("CARGO_BIN_EXE_usher")))
        .with(crate::ports::Posting)
        .with(crate::organisations::Asking);
    let mut problems = Problems::default();
    let draft = Draft::read(document, directory, &backends, &mut problems);
    let now = Timestamp::from_secs(1_800_000_000);
    let providers = Providers::build(&draft.providers, &draft.portal(), &backends, now, &mut problems).await;
    providers.check_issuers(&draft, &mut problems);
    let homeservers = Homeservers::build(&draft.homeservers, &draft.reserved(), &outgoing, &mut problems);
    let (config, warnings) = draft.finish(problems)?;
    Ok((config, providers, homeservers, warnings))
}
