//! A provider against a scripted OpenID Provider. What all protocols share is in `conformance`; the rest is a table for each
//! thing, every row of it with one thing wrong.

use std::{
    fmt::Write as _,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde_json::{Value, json};
use usher_core::{Freshness, ProviderId, provider::Hints, testing::SeededEntropy};
use usher_http::Outgoing;
use usher_lab::scripted::oidc::{CLIENT_ID, CLIENT_SECRET, Lies, OidcScript, OidcServer, Setup, Trip};

use super::*;

mod answers;
mod clients;
mod conformance;
mod faults;
mod form_post;
mod id_tokens;
mod keys;
mod logouts;
mod oauth2;
mod overage;
mod people;
mod reach;
mod requests;
mod sign_outs;

const ENDPOINTS: &str = "https://matrix.ac.cdl/_usher/oidc/corp/";
const NOW: Timestamp = Timestamp::from_secs(1_767_225_600);

/// A provider and the scripted server it is configured for.
struct Corp {
    provider: Arc<OidcProvider>,
    issuer: String,
    /// Taken, and with it gone, when nobody is to listen.
    server: Mutex<Option<OidcServer>>,
    script: OidcScript,
    entropy: SeededEntropy,
    /// How far clocks may differ.
    skew: Duration,
}

/// What became of one answer: the identity, or the kind of the error.
type Answered = Result<Identity, &'static str>;

fn setup() -> Setup {
    Setup { now: Some(NOW.as_millis() / 1000), ..Setup::default() }
}

impl Corp {
    async fn start() -> Self {
        Self::with(json!({})).await
    }

    /// With further keys in the section; null removes one.
    async fn with(section: Value) -> Self {
        Self::with_setup(setup(), section).await
    }

    async fn with_setup(setup: Setup, section: Value) -> Self {
        let server = OidcServer::start_with(setup).await.expect("a server");
        let settings = Settings::read(section_for(&server, &section)).expect("a valid section");
        Self::built(server, settings)
    }

    fn built(server: OidcServer, settings: Settings) -> Self {
        let http = Outgoing::new(None, Duration::from_secs(5), 1024).expect("a client");
        let calls = Calls::new(&http, &settings).expect("clients");
        let id = ProviderId::parse("corp").expect("an id");
        let descriptor = Descriptor { id, name: "Corp".to_owned(), icon: None, brand: None };
        let endpoints = Url::parse(ENDPOINTS).expect("a URL");
        let provider = Arc::new(OidcProvider::new(descriptor, &endpoints, settings, calls));
        let (issuer, script) = (server.issuer(), server.script());
        let (server, entropy) = (Mutex::new(Some(server)), SeededEntropy::new(1));
        Self { provider, issuer, server, script, entropy, skew: Duration::from_mins(1) }
    }

    /// From now on nobody listens.
    fn stop(&self) {
        drop(self.server.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    fn ctx(&self) -> Ctx<'_> {
        Ctx { now: NOW, skew: self.skew, entropy: &self.entropy }
    }

    fn demand(&self, freshness: Freshness) -> Demand {
        Demand { handle: Handle::generate(&self.entropy), freshness, issuer: None, hints: Hints::default() }
    }

    /// The authorization URL and the state for `demand`.
    async fn begin(&self, demand: &Demand) -> (Url, ProviderState) {
        let challenge = self.provider.begin(&self.ctx(), demand).await.expect("a challenge");
        match challenge.step {
            BrowserStep::Redirect(place) => (place, challenge.state),
            step @ (BrowserStep::PostForm { .. } | BrowserStep::Ask(_)) => panic!("not a redirect: {step:?}"),
        }
    }

    /// The kind of the error with which an attempt does not begin.
    async fn refuses_to_begin(&self) -> Option<&'static str> {
        let demand = self.demand(Freshness::AnySession);
        self.provider.begin(&self.ctx(), &demand).await.err().map(|error| error.kind())
    }

    async fn complete(
        &self,
        demand: &Demand,
        state: ProviderState,
        callback: &Callback,
    ) -> Result<Identity, ProviderError> {
        match self.provider.complete(&self.ctx(), demand, state, callback).await? {
            Outcome::Done(proof) => Ok(proof.identity),
            Outcome::Continue(_) | Outcome::From(..) => panic!("one trip settles an attempt"),
        }
    }

    /// `subject` signs in, and the answer is brought back.
    async fn try_sign_in(&self, subject: &str, freshness: Freshness) -> Result<Identity, ProviderError> {
        let demand = self.demand(freshness);
        let (place, state) = self.begin(&demand).await;
        let trip = self.script.log_in(&place, subject).expect("the provider answers");
        self.complete(&demand, state, &callback_of(&trip)).await
    }

    async fn sign_in(&self, subject: &str) -> Answered {
        self.try_sign_in(subject, Freshness::AnySession).await.map_err(|error| error.kind())
    }

    /// The same while the provider lies; afterwards it is honest.
    async fn sign_in_while(&self, lies: Lies) -> Answered {
        self.script.lie(lies);
        let answered = self.sign_in("alice").await;
        self.script.be_honest();
        answered
    }
}

/// The three keys and a timeout, and what `more` says.
fn section_for(server: &OidcServer, more: &Value) -> Value {
    let mut section = json!({
        "issuer": server.issuer(),
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "timeout": "1s",
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        if value.is_null() {
            section.as_object_mut().expect("a section").remove(key);
        } else {
            section[key] = value.clone();
        }
    }
    section
}

/// What the browser brings after `trip`.
fn callback_of(trip: &Trip) -> Callback {
    let tail = trip.url.as_str().strip_prefix(ENDPOINTS).and_then(|rest| rest.split('?').next());
    let tail = tail.expect("the browser comes back to the endpoints");
    match &trip.form {
        None => Callback::new(Method::Get, tail, trip.url.query().unwrap_or_default(), ""),
        Some(fields) => {
            let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
            Callback::new(Method::Post, tail, "", &form)
        }
    }
}

fn parameter(url: &Url, name: &str) -> Option<String> {
    let mut values = url.query_pairs().filter(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    let first = values.next();
    assert!(values.next().is_none(), "`{name}` stands twice in {url}");
    first
}

/// An error with all that a log would show of it.
fn shown(error: &ProviderError) -> String {
    let mut text = String::new();
    let mut next: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = next {
        write!(text, "{error}: ").expect("writing to a String cannot fail");
        next = error.source();
    }
    text
}
