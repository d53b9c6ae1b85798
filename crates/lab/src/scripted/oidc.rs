//! An OpenID Provider in this process (OpenID Connect Core 1.0, Discovery 1.0, RFC 7636, RFC 9126, RFC 9207, Back-Channel
//! Logout 1.0): it signs with real keys, remembers what it was asked, spends codes, checks proof keys and the client's
//! secret, and lies in any field on request.
//!
//! It does not keep sessions of its own: who is signed in is said by the script or by the cookie [`PERSON_COOKIE`]. Signed
//! proofs of clients are recorded and not checked: the test does that.

mod endpoints;
mod lies;
mod signer;
mod trip;

use std::{
    collections::{BTreeMap, HashMap},
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::{Map, Value, json};

pub use lies::{Lies, Place};
pub use signer::{Alg, Signed};
pub use trip::{NoTrip, Trip};

use self::{lies::patched, signer::Keys};
use super::{Request, ScriptedServer};

/// The cookie that says who sits at this browser; stronger than [`OidcScript::sign_in`].
pub const PERSON_COOKIE: &str = "scripted-oidc-person";
/// The client that is registered.
pub const CLIENT_ID: &str = "usher";
/// Its secret: a `+`, a `%` and a `:` show whether it is encoded where it must be.
pub const CLIENT_SECRET: &str = "a+client secret%of:thirty-two-bytes-or-more";

/// Requests kept for [`OidcScript::take_requests`]: a benchmark never takes them.
const MAX_REQUESTS: usize = 1000;

/// A running provider; gone when dropped. [`OidcServer::script`] says what it does.
#[derive(Debug)]
pub struct OidcServer {
    server: ScriptedServer,
    script: OidcScript,
}

/// What the provider does, and what it has seen. Clones share one script.
#[derive(Clone)]
pub struct OidcScript(Arc<Mutex<State>>);

/// A request that an endpoint was asked, with its parameters decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Which endpoint.
    pub place: Place,
    /// `Authorization`, if it was there.
    pub authorization: Option<String>,
    /// Parameters of query and form, in order.
    pub parameters: Vec<(String, String)>,
}

impl Seen {
    /// The value of a parameter that is there exactly once.
    #[must_use]
    pub fn one(&self, name: &str) -> Option<&str> {
        one(&self.parameters, name)
    }
}

/// How the provider is set up, where tests differ.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "switches that have nothing to do with each other")]
pub struct Setup {
    /// What id_tokens are signed with.
    pub alg: Alg,
    /// Whether an id_token has the person's claims, or userinfo alone has.
    pub claims_in_id_token: bool,
    /// Whether userinfo is a signed token.
    pub signs_userinfo: bool,
    /// Seconds since 1970; `None`: the machine's clock.
    pub now: Option<i64>,
    /// Whether an answer names its issuer (RFC 9207).
    pub names_issuer: bool,
    /// Whether it offers pushed authorization requests.
    pub offers_par: bool,
    /// Whether it issues id_tokens at all.
    pub is_openid: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            alg: Alg::Es256,
            claims_in_id_token: true,
            signs_userinfo: false,
            now: None,
            names_issuer: true,
            offers_par: false,
            is_openid: true,
        }
    }
}

struct State {
    issuer: String,
    setup: Setup,
    people: HashMap<String, Map<String, Value>>,
    signed_in: Option<String>,
    lies: Lies,
    keys: Keys,
    generation: u32,
    issued: u64,
    grants: HashMap<String, Grant>,
    /// Access tokens, and whom they are for.
    access: HashMap<String, String>,
    pushed: HashMap<String, Vec<(String, String)>>,
    requests: Vec<Seen>,
    counts: BTreeMap<&'static str, u64>,
}

/// What one code is good for.
struct Grant {
    subject: String,
    redirect_uri: String,
    nonce: Option<String>,
    challenge: Option<String>,
    session: String,
    /// When the person authenticated, if the request asked to be told.
    auth_time: Option<i64>,
}

impl OidcServer {
    /// Starts on a free port with two people, `alice` and `bob`, and nobody signed in.
    pub async fn start() -> io::Result<Self> {
        Self::start_with(Setup::default()).await
    }

    /// Starts set up like that.
    pub async fn start_with(setup: Setup) -> io::Result<Self> {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into(), OidcScript::new(setup)).await
    }

    /// The same where it was before, with its past.
    pub async fn start_at(address: SocketAddr, script: OidcScript) -> io::Result<Self> {
        let handler = script.clone();
        let handler = move |request: Request| std::future::ready(handler.answer(&request));
        let server = ScriptedServer::start_at(address, handler).await?;
        script.state().issuer = format!("http://{}/op", server.address());
        Ok(Self { server, script })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// `http://127.0.0.1:PORT/op`: what goes into a provider's config.
    #[must_use]
    pub fn issuer(&self) -> String {
        self.script.state().issuer.clone()
    }

    /// The handle that says what the provider does.
    #[must_use]
    pub fn script(&self) -> OidcScript {
        self.script.clone()
    }
}

impl OidcScript {
    fn new(setup: Setup) -> Self {
        let state = State {
            issuer: String::new(),
            setup,
            people: HashMap::new(),
            signed_in: None,
            lies: Lies::default(),
            keys: Keys::generate(1),
            generation: 1,
            issued: 0,
            grants: HashMap::new(),
            access: HashMap::new(),
            pushed: HashMap::new(),
            requests: Vec::new(),
            counts: BTreeMap::new(),
        };
        let script = Self(Arc::new(Mutex::new(state)));
        script.add_person(
            "alice",
            &json!({
                "mail": "alice.liddell@ac.cdl",
                "displayName": "Alice Liddell <Å & Co>",
                "memberOf": ["engineering-staff", "chess-players"],
            }),
        );
        script.add_person("bob", &json!({ "mail": "bob@ac.cdl", "memberOf": ["history-staff"] }));
        script
    }

    /// Adds somebody, or replaces whoever has the same `sub`.
    ///
    /// # Panics
    /// If the claims are no object: a mistake in the test.
    pub fn add_person(&self, subject: &str, claims: &Value) {
        let claims = claims.as_object().expect("claims are an object").clone();
        self.state().people.insert(subject.to_owned(), claims);
    }

    /// From now on `subject` sits at every browser that has no [`PERSON_COOKIE`].
    pub fn sign_in(&self, subject: &str) {
        self.state().signed_in = Some(subject.to_owned());
    }

    /// From now on the provider lies like this.
    pub fn lie(&self, lies: Lies) {
        self.state().lies = lies;
    }

    /// From now on it does not.
    pub fn be_honest(&self) {
        self.lie(Lies::default());
    }

    /// Changes how it is set up.
    pub fn set_up(&self, change: impl FnOnce(&mut Setup)) {
        change(&mut self.state().setup);
    }

    /// From now on other keys sign, and the old ones are gone.
    pub fn rotate_keys(&self) {
        let mut state = self.state();
        state.generation += 1;
        state.keys = Keys::generate(state.generation);
    }

    /// The key set as it is published.
    #[must_use]
    pub fn key_set(&self) -> Value {
        self.state().keys.jwks()
    }

    /// The public half of the RSA key, in the spelling in which it could be taken for a secret: the modulus.
    #[must_use]
    pub fn rsa_modulus(&self) -> String {
        self.state().keys.jwks()["keys"][0]["n"].as_str().unwrap_or_default().to_owned()
    }

    /// Takes the requests since the last call, the first 1,000 of them.
    #[must_use]
    pub fn take_requests(&self) -> Vec<Seen> {
        std::mem::take(&mut self.state().requests)
    }

    /// How often an endpoint was asked since the start.
    #[must_use]
    pub fn asked(&self, place: Place) -> u64 {
        self.state().counts.get(endpoints::path(place)).copied().unwrap_or_default()
    }

    /// A logout token (Back-Channel Logout 1.0, section 2.4) with `patch` laid over its claims, and the header's over that.
    #[must_use]
    pub fn logout_token(&self, patch: &Value) -> String {
        let mut state = self.state();
        state.issued += 1;
        let now = state.now();
        let claims = json!({
            "iss": state.issuer,
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + 120,
            "jti": format!("logout-{}", state.issued),
            "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
        });
        let claims = patched(claims, Some(patch));
        state.signed("logout+jwt", &claims, &state.lies.signed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    #[expect(clippy::disallowed_methods, reason = "a provider of the lab has the machine's clock")]
    fn now(&self) -> i64 {
        let machine = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        self.setup.now.unwrap_or_else(|| i64::try_from(machine()).unwrap_or(i64::MAX))
    }

    /// A value that no change of one character turns into another of its kind.
    fn unique(&mut self, kind: &str) -> String {
        self.issued += 1;
        let mixed = self.issued.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        format!("{kind}-{}-{mixed:016x}-{:016x}-op", self.issued, mixed.rotate_left(17))
    }

    /// A token of the type `typ`, `signed` like that.
    fn signed(&self, typ: &str, claims: &Value, signed: &Signed) -> String {
        let alg = self.setup.alg;
        let header = json!({ "alg": alg.as_str(), "kid": self.keys.id(alg), "typ": typ });
        let header = patched(header, self.lies.header.as_ref());
        signer::token(&self.keys, alg, signed, header, claims)
    }
}

fn one<'a>(parameters: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let mut values = parameters.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let first = values.next()?;
    values.next().is_none().then_some(first)
}

impl fmt::Debug for OidcScript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OidcScript").field("issuer", &self.state().issuer).finish_non_exhaustive()
    }
}
