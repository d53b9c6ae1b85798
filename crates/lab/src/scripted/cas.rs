//! A CAS server in this process (CAS protocol 3.0.3, sections 2.1, 2.5 to 2.8 and appendix A): log in,
//! validation for tickets and proxy tickets, several people, and a fault on request.
//!
//! <https://apereo.github.io/cas/7.2.x/protocol/CAS-Protocol-Specification.html>
//!
//! It keeps what a ticket is good for and spends it at its first validation, right or wrong. It does not keep
//! sessions of its own: who is signed in at `/cas/login` is said by the script or by the cookie [`PERSON_COOKIE`].

use std::{
    collections::HashMap,
    fmt::{self, Write as _},
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hyper::header::COOKIE;
use url::Url;

use super::{Reply, Request, ScriptedServer};

/// The cookie that says who sits at this browser; stronger than [`CasScript::sign_in`].
pub const PERSON_COOKIE: &str = "scripted-cas-person";

/// Validations kept for [`CasScript::take_validations`]: a benchmark never takes them.
const MAX_VALIDATIONS: usize = 1000;

/// A running CAS server; gone when dropped. [`CasServer::script`] says what it does.
#[derive(Debug)]
pub struct CasServer {
    server: ScriptedServer,
    script: CasScript,
}

/// What the server does, and what it has seen. Clones share one script.
#[derive(Clone, Default)]
pub struct CasScript(Arc<Mutex<State>>);

/// Somebody who can sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CasPerson {
    /// The `cas:user`.
    pub user: String,
    /// Names and values of the `cas:attributes`, in order; a name may come several times.
    pub attributes: Vec<(String, String)>,
}

/// How the server misbehaves. The first group holds for every path, the others for validations alone unless
/// they say otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CasFault {
    /// Never answers.
    Hang,
    /// Closes the connection.
    Cut,
    /// Answers 200 with a body that never ends.
    Endless,
    /// Answers 200 with a body of which a byte comes now and then.
    Drip,
    /// Answers 200 and closes the connection in the middle of the body.
    CutShort,
    /// Sends whoever asks to another place.
    Redirect(String),
    /// Answers with this status and a short page.
    Status(u16),
    /// Answers 200 with an HTML page.
    Html,
    /// Answers 200 with bytes that are no text.
    Garbage,
    /// Answers honestly, but with this many bytes of an extra attribute.
    Huge(usize),
    /// Answers with an `authenticationFailure` of this code; its text repeats the ticket, as real servers do.
    Failure(String),
    /// Answers with this body, in which `{ticket}` is replaced.
    Body(String),
    /// Says that it was somebody else.
    OtherUser(String),
    /// Leaves `cas:user` out.
    NoUser,
    /// Puts a comment after the first character of the user.
    CommentInUser,
    /// `/cas/login` overlooks `renew` and answers from an old session; validation knows it.
    StaleSession,
    /// `/cas/login` makes the ticket for another service than the one it sends the browser to.
    OtherService,
}

/// One validation that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CasValidation {
    /// The path, such as `/cas/p3/serviceValidate`.
    pub path: String,
    /// The `service`, decoded.
    pub service: String,
    /// The `ticket`, decoded.
    pub ticket: String,
    /// Whether `renew=true` was there.
    pub renew: bool,
}

/// Why nobody was signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CasLoginError {
    /// The login URL has no `service`, or several.
    NoService,
    /// Nobody of that name, or nobody is signed in.
    NoPerson,
}

#[derive(Default)]
struct State {
    people: HashMap<String, CasPerson>,
    signed_in: Option<String>,
    fault: Option<CasFault>,
    issued: u64,
    grants: HashMap<String, Grant>,
    validations: Vec<CasValidation>,
}

/// What one ticket is good for.
struct Grant {
    service: String,
    user: String,
    is_renewed: bool,
    /// The proxies it passed, nearest first; empty for a service ticket.
    proxies: Vec<String>,
}

impl CasServer {
    /// Starts on a free port with two people, `alice` and `bob`, and nobody signed in.
    pub async fn start() -> io::Result<Self> {
        Self::start_with(CasScript::default_people()).await
    }

    /// Starts with a script that may have a past: a server that comes back.
    pub async fn start_with(script: CasScript) -> io::Result<Self> {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into(), script).await
    }

    /// The same where it was before.
    pub async fn start_at(address: SocketAddr, script: CasScript) -> io::Result<Self> {
        let handler = script.clone();
        let handler = move |request| std::future::ready(handler.answer(&request));
        let server = ScriptedServer::start_at(address, handler).await?;
        Ok(Self { server, script })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// `http://127.0.0.1:PORT/cas`: what goes into a provider's config.
    #[must_use]
    pub fn base_url(&self) -> Url {
        let mut url = self.server.url();
        url.set_path("cas");
        url
    }

    /// The handle that says what the server does.
    #[must_use]
    pub fn script(&self) -> CasScript {
        self.script.clone()
    }
}

impl CasPerson {
    /// Somebody without attributes.
    pub fn new(user: impl Into<String>) -> Self {
        Self { user: user.into(), attributes: Vec::new() }
    }

    /// The same person with one more value of an attribute.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.push((name.into(), value.into()));
        self
    }
}

impl CasScript {
    /// A script with `alice` (several values, and characters that need escapes) and `bob`.
    #[must_use]
    pub fn default_people() -> Self {
        let script = Self::default();
        script.add_person(
            CasPerson::new("alice")
                .with("mail", "alice.liddell@ac.cdl")
                .with("displayName", "Alice Liddell <Å & Co>")
                .with("memberOf", "engineering-staff")
                .with("memberOf", "chess-players"),
        );
        script.add_person(CasPerson::new("bob").with("mail", "bob@ac.cdl").with("memberOf", "history-staff"));
        script
    }

    /// Adds somebody, or replaces whoever has the same user name.
    pub fn add_person(&self, person: CasPerson) {
        self.state().people.insert(person.user.clone(), person);
    }

    /// From now on `user` sits at every browser that has no [`PERSON_COOKIE`].
    pub fn sign_in(&self, user: &str) {
        self.state().signed_in = Some(user.to_owned());
    }

    /// From now on nobody does.
    pub fn sign_out(&self) {
        self.state().signed_in = None;
    }

    /// From now on the server misbehaves like this; `None` makes it honest.
    pub fn set_fault(&self, fault: Option<CasFault>) {
        self.state().fault = fault;
    }

    /// Takes the validations asked for since the last call, the first 1,000 of them.
    #[must_use]
    pub fn take_validations(&self) -> Vec<CasValidation> {
        std::mem::take(&mut self.state().validations)
    }

    /// What a browser at which `user` sits gets for a login URL: the service with a fresh ticket. The same as
    /// `GET /cas/login`, without the network.
    pub fn log_in(&self, login: &Url, user: &str) -> Result<Url, CasLoginError> {
        self.state().log_in(login.query().unwrap_or_default(), Some(user.to_owned()))
    }

    /// A proxy ticket for `service` that passed `proxies`, nearest first.
    #[must_use]
    pub fn issue_proxy_ticket(&self, service: &str, user: &str, proxies: &[&str]) -> String {
        let proxies = proxies.iter().map(|&proxy| proxy.to_owned()).collect();
        let grant = Grant { service: service.to_owned(), user: user.to_owned(), is_renewed: false, proxies };
        self.state().issue("PT", grant)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, request: &Request) -> Reply {
        let mut state = self.state();
        match &state.fault {
            Some(CasFault::Hang) => return Reply::Hang,
            Some(CasFault::Cut) => return Reply::Cut,
            Some(CasFault::Endless) => return Reply::Endless,
            Some(CasFault::Drip) => return Reply::Drip,
            Some(CasFault::CutShort) => {
                return Reply::CutShort { body: "<cas:serviceResponse/>".into() };
            }
            Some(CasFault::Redirect(location)) => return Reply::redirect(location),
            Some(CasFault::Status(status)) => return Reply::new(*status, "text/html", "<h1>Sorry</h1>"),
            _ => {}
        }
        let (is_p3, is_proxy) = match request.path.as_str() {
            "/cas/login" => return state.login_page(request),
            "/cas/serviceValidate" => (false, false),
            "/cas/proxyValidate" => (false, true),
            "/cas/p3/serviceValidate" => (true, false),
            "/cas/p3/proxyValidate" => (true, true),
            _ => return Reply::new(404, "text/html", "<h1>Not here</h1>"),
        };
        state.validate(request, is_p3, is_proxy)
    }
}

/// Says how much there is, not what: tickets are bearer values even here.
impl fmt::Debug for CasScript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("CasScript")
            .field("people", &state.people.len())
            .field("fault", &state.fault)
            .field("open_tickets", &state.grants.len())
            .finish_non_exhaustive()
    }
}

impl State {
    fn login_page(&mut self, request: &Request) -> Reply {
        let user = cookie(request, PERSON_COOKIE).or_else(|| self.signed_in.clone());
        match self.log_in(&request.query, user) {
            Ok(service) => Reply::redirect(service.as_str()),
            Err(_) => Reply::new(200, "text/html; charset=utf-8", "<h1>Sign in</h1>"),
        }
    }

    fn log_in(&mut self, query: &str, user: Option<String>) -> Result<Url, CasLoginError> {
        let service = one(query, "service").ok_or(CasLoginError::NoService)?;
        let mut url = Url::parse(&service).map_err(|_| CasLoginError::NoService)?;
        let user = user.filter(|user| self.people.contains_key(user)).ok_or(CasLoginError::NoPerson)?;
        let is_stale = self.fault == Some(CasFault::StaleSession);
        let is_renewed = one(query, "renew").is_some() && !is_stale;
        let service = if self.fault == Some(CasFault::OtherService) {
            "https://other.example/".to_owned()
        } else {
            service
        };
        let ticket = self.issue("ST", Grant { service, user, is_renewed, proxies: Vec::new() });
        url.query_pairs_mut().append_pair("ticket", &ticket);
        Ok(url)
    }

    /// A ticket that no change of one character turns into another ticket.
    fn issue(&mut self, kind: &str, grant: Grant) -> String {
        self.issued += 1;
        let mixed = self.issued.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let ticket = format!("{kind}-{}-{mixed:016x}-cas", self.issued);
        self.grants.insert(ticket.clone(), grant);
        ticket
    }

    fn validate(&mut self, request: &Request, is_p3: bool, is_proxy: bool) -> Reply {
        let (Some(service), Some(ticket)) = (one(&request.query, "service"), one(&request.query, "ticket"))
        else {
            return failure("INVALID_REQUEST", "service and ticket are required, once each");
        };
        let renew = one(&request.query, "renew").is_some_and(|value| value == "true");
        let grant = self.grants.remove(&ticket);
        if self.validations.len() < MAX_VALIDATIONS {
            let (service, ticket) = (service.clone(), ticket.clone());
            self.validations.push(CasValidation { path: request.path.clone(), service, ticket, renew });
        }
        match &self.fault {
            Some(CasFault::Html) => return Reply::new(200, "text/html", "<!DOCTYPE html><p>Maintenance"),
            Some(CasFault::Garbage) => return Reply::new(200, "application/xml", vec![0xFF, 0x00, 0xFE]),
            Some(CasFault::Failure(code)) => return failure(code, &format!("Ticket {ticket} is not good")),
            Some(CasFault::Body(body)) => {
                return Reply::new(200, "application/xml", body.replace("{ticket}", &ticket));
            }
            _ => {}
        }
        match grant {
            None => failure("INVALID_TICKET", &format!("Ticket {ticket} not recognized")),
            Some(grant) if !grant.proxies.is_empty() && !is_proxy => {
                failure("INVALID_TICKET_SPEC", &format!("{ticket} is a proxy ticket"))
            }
            Some(grant) if grant.service != service => {
                failure("INVALID_SERVICE", &format!("{ticket} is for another service"))
            }
            Some(grant) if renew && !grant.is_renewed => {
                failure("INVALID_TICKET", &format!("{ticket} was not issued from new credentials"))
            }
            Some(grant) => self.success(&grant, is_p3),
        }
    }

    fn success(&self, grant: &Grant, is_p3: bool) -> Reply {
        let user = escape(&grant.user);
        let mut inner = match &self.fault {
            Some(CasFault::OtherUser(other)) => format!("<cas:user>{}</cas:user>", escape(other)),
            Some(CasFault::NoUser) => String::new(),
            Some(CasFault::CommentInUser) => {
                let (head, tail) = user.split_at(user.chars().next().map_or(0, char::len_utf8));
                format!("<cas:user>{head}<!-- -->{tail}</cas:user>")
            }
            _ => format!("<cas:user>{user}</cas:user>"),
        };
        if is_p3 {
            inner.push_str(&self.attributes(grant));
        }
        if !grant.proxies.is_empty() {
            let proxies = grant.proxies.iter().fold(String::new(), |mut list, proxy| {
                let _ = write!(list, "<cas:proxy>{}</cas:proxy>", escape(proxy));
                list
            });
            let _ = write!(inner, "<cas:proxies>{proxies}</cas:proxies>");
        }
        response(&format!("<cas:authenticationSuccess>{inner}</cas:authenticationSuccess>"))
    }

    fn attributes(&self, grant: &Grant) -> String {
        let mut list = String::from("<cas:attributes>");
        for (name, value) in self.people.get(&grant.user).into_iter().flat_map(|person| &person.attributes) {
            let _ = write!(list, "<cas:{name}>{}</cas:{name}>", escape(value));
        }
        if let Some(CasFault::Huge(bytes)) = self.fault {
            let _ = write!(list, "<cas:note>{}</cas:note>", "x".repeat(bytes));
        }
        list.push_str("</cas:attributes>");
        list
    }
}

fn failure(code: &str, text: &str) -> Reply {
    let (code, text) = (escape(code), escape(text));
    response(&format!("<cas:authenticationFailure code=\"{code}\">{text}</cas:authenticationFailure>"))
}

fn response(inner: &str) -> Reply {
    let body = format!(
        "<cas:serviceResponse xmlns:cas=\"http://www.yale.edu/tp/cas\">\n  {inner}\n</cas:serviceResponse>\n"
    );
    Reply::new(200, "application/xml; charset=utf-8", body)
}

/// The value of a parameter that is there exactly once.
fn one(query: &str, name: &str) -> Option<String> {
    let mut values = url::form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == name);
    let value = values.next()?.1.into_owned();
    values.next().is_none().then_some(value)
}

fn cookie(request: &Request, name: &str) -> Option<String> {
    let headers = request.headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = headers.flat_map(|header| header.split("; ")).filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
