//! A provider against a scripted identity provider: what SAML alone has. What all protocols share is in `conformance`.

use std::sync::{Mutex, PoisonError};

use data_encoding::BASE64;
use url::form_urlencoded;
use usher_core::{
    Evidence, ProviderId,
    provider::{BrowserStep, Hints},
    testing::SeededEntropy,
};
use usher_lab::scripted::saml::{Asked, Attribute, Protection, Response, Signing};

use super::*;
use crate::{
    config::{Place, Source, Whose},
    federation::Reader,
    hardening::harden,
    metadata::Idp,
    testing::{IDP, NOW, SECONDS, SKEW, known, our_keys, settings},
};

mod conformance;
mod federation;

/// A file that does not change.
fn source(idp: Idp) -> Source {
    let entity_id = idp.entity_id.clone();
    let place = Place::File { path: "/nonexistent/idp.xml".into(), first: Some(Box::new(idp)), stamp: None };
    Source { whose: Whose::One(entity_id), place, signers: Vec::new(), cache_dir: None, signs_requests: true }
}

const ENDPOINTS: &str = "https://matrix.ac.cdl/_usher/saml/corp/";

/// A provider and the identity provider it is configured for.
struct Corp {
    provider: Arc<SamlProvider>,
    entropy: SeededEntropy,
    /// What the identity provider does to its answers.
    lie: Mutex<Option<fn(&mut Response)>>,
}

impl Corp {
    fn start() -> std::future::Ready<Self> {
        std::future::ready(Self::of(known(&IDP)))
    }

    fn of(idp: Idp) -> Self {
        Self::with(source(idp), |_| ())
    }

    fn working_on(idp: Idp, processors: Processors, signs_requests: bool) -> Self {
        Self::on(processors, source(idp), |settings| settings.signs_requests = signs_requests)
    }

    fn with(source: Source, change: impl FnOnce(&mut Settings)) -> Self {
        Self::on(Processors::half(), source, change)
    }

    fn on(processors: Processors, source: Source, change: impl FnOnce(&mut Settings)) -> Self {
        harden().expect("xmlsec can be used");
        let mut settings = settings(our_keys());
        change(&mut settings);
        let id = ProviderId::parse("corp").expect("an id");
        let descriptor = Descriptor { id, name: "Corp".to_owned(), icon: None, brand: None };
        let endpoints = Url::parse(ENDPOINTS).expect("a URL");
        let upkeep =
            Upkeep::new(source, &descriptor.id, processors.clone(), Reader::here()).expect("a source");
        let provider = SamlProvider::new(descriptor, &endpoints, settings, upkeep, processors);
        Self { provider: Arc::new(provider), entropy: SeededEntropy::new(1), lie: Mutex::new(None) }
    }

    fn ctx(&self) -> Ctx<'_> {
        Ctx { now: NOW, skew: SKEW, entropy: &self.entropy }
    }

    fn demand(&self, freshness: Freshness) -> Demand {
        Demand { handle: Handle::generate(&self.entropy), freshness, issuer: None, hints: Hints::default() }
    }

    async fn begin(&self, demand: &Demand) -> (Asked, ProviderState) {
        let challenge = self.provider.begin(&self.ctx(), demand).await.expect("a challenge");
        (asked(&challenge.step), challenge.state)
    }

    /// What the identity provider answers for Alice.
    fn answer(&self, asked: &Asked) -> Callback {
        let mut response = IDP.answer(asked, "alice-persistent", &attributes(), SECONDS);
        if let Some(lie) = *self.lie.lock().unwrap_or_else(PoisonError::into_inner) {
            lie(&mut response);
        }
        let signing = Some(Signing::with(&IDP.keys[0]));
        // The response as well: a byte outside the assertion decides something, too.
        let protection =
            Protection { response: signing.clone(), assertion: signing, ..Protection::default() };
        posted(&response.xml(&protection).expect("a response"), &asked.relay_state)
    }

    async fn bring(
        &self,
        demand: &Demand,
        state: ProviderState,
        callback: &Callback,
    ) -> Result<Proof, &'static str> {
        match self.provider.complete(&self.ctx(), demand, state, callback).await {
            Ok(Outcome::Done(proof)) => Ok(proof),
            Ok(Outcome::Continue(_) | Outcome::From(..)) => Err("continue"),
            Err(error) => Err(error.kind()),
        }
    }
}

fn asked(step: &BrowserStep) -> Asked {
    match step {
        BrowserStep::Redirect(url) => Asked::from_redirect(url),
        BrowserStep::PostForm { fields, .. } => Asked::from_form(fields),
        BrowserStep::Ask(_) => panic!("{step:?}"),
    }
    .expect("a request")
}

fn attributes() -> Vec<Attribute> {
    vec![
        Attribute::new("urn:oid:0.9.2342.19200300.100.1.1", &["alice.liddell"]),
        Attribute::new("displayName", &["Alice Liddell <Å & Co>"]),
        Attribute::new("memberOf", &["engineering-staff", "chess-players"]),
    ]
}

fn posted(xml: &str, relay_state: &str) -> Callback {
    let form = form_urlencoded::Serializer::new(String::new())
        .append_pair("SAMLResponse", &BASE64.encode(xml.as_bytes()))
        .append_pair("RelayState", relay_state)
        .finish();
    Callback::new(Method::Post, ACS, "", &form)
}

#[tokio::test]
async fn credentials_are_asked_for_anew_only_when_demanded() {
    let corp = Corp::start().await;
    for (freshness, is_forced) in [(Freshness::AnySession, false), (Freshness::Since(NOW), true)] {
        let demand = corp.demand(freshness);
        let (asked, _) = corp.begin(&demand).await;
        assert_eq!(asked.is_forced, is_forced);
        assert_eq!(asked.relay_state, demand.handle.as_str(), "the handle and nothing else");
        assert_eq!(asked.acs, format!("{ENDPOINTS}acs"));
        assert_eq!(asked.sp, format!("{ENDPOINTS}metadata"));
    }
}

#[tokio::test]
async fn a_request_that_nothing_signs_waits_for_no_processor() {
    for (signs_requests, expected) in [(false, Ok(())), (true, Err("unavailable"))] {
        let taken = Processors::some(0, Duration::from_millis(20));
        let corp = Corp::working_on(known(&IDP), taken, signs_requests);
        let begun = corp.provider.begin(&corp.ctx(), &corp.demand(Freshness::AnySession)).await;
        assert_eq!(begun.map(drop).map_err(|error| error.kind()), expected, "signed: {signs_requests}");
    }
}

#[tokio::test]
async fn a_proof_names_person_instant_session_and_what_is_spent() {
    let corp = Corp::start().await;
    let demand = corp.demand(Freshness::AnySession);
    let (asked, state) = corp.begin(&demand).await;
    let proof = corp.bring(&demand, state, &corp.answer(&asked)).await.expect("a proof");
    assert_eq!(proof.identity.issuer.as_str(), IDP.entity_id);
    assert_eq!(proof.identity.subject.as_str(), "alice-persistent");
    assert_eq!(proof.identity.evidence, Evidence::AuthenticatedAt(NOW));
    assert_eq!(proof.identity.values("uid"), ["alice.liddell"]);
    assert!(proof.identity.upstream_session.is_some());
    let [spent] = &proof.spend[..] else { panic!("one key: {:?}", proof.spend) };
    assert!(spent.key.starts_with(&IDP.entity_id) && spent.key.contains("_assertion-"));
    assert_eq!(spent.until, NOW.plus(Duration::from_mins(7)), "five of age, two of skew");
}

#[tokio::test]
async fn requests_have_ids_of_their_own_and_answers_name_them() {
    let corp = Corp::start().await;
    let demand = corp.demand(Freshness::AnySession);
    let (first, old) = corp.begin(&demand).await;
    let (second, new) = corp.begin(&demand).await;
    assert_ne!(first.id, second.id);
    let late = corp.bring(&demand, new, &corp.answer(&first)).await;
    assert_eq!(late.err(), Some("unverified"), "the same attempt, begun again");
    assert!(corp.bring(&demand, old, &corp.answer(&first)).await.is_ok());
}

#[tokio::test]
async fn a_callback_is_a_post_with_a_state_of_ours() {
    let corp = Corp::start().await;
    let demand = corp.demand(Freshness::AnySession);
    let (asked, state) = corp.begin(&demand).await;
    let good = corp.answer(&asked);
    let by_get = Callback { method: Method::Get, ..good.clone() };
    let other = posted("<a/>", "no handle");
    for (name, callback, state, expected) in [
        ("GET", by_get, state.clone(), "malformed"),
        ("no handle", other, state.clone(), "malformed"),
        ("no XML", posted("alice", &asked.relay_state), state, "malformed"),
        ("no state", good.clone(), ProviderState::new(String::new()), "unverified"),
        ("another's state", good, ProviderState::new("{\"nonce\":\"x\"}".to_owned()), "unverified"),
    ] {
        assert_eq!(corp.bring(&demand, state, &callback).await.err(), Some(expected), "{name}");
    }
}

#[tokio::test]
async fn expired_metadata_begins_and_completes_nothing() {
    let idp = Idp { valid_until: Some(NOW.plus(Duration::from_secs(1))), ..known(&IDP) };
    let corp = Corp::of(idp);
    let demand = corp.demand(Freshness::AnySession);
    let (asked, state) = corp.begin(&demand).await;
    let answer = corp.answer(&asked);
    let later = Ctx { now: NOW.plus(Duration::from_secs(1)), ..corp.ctx() };
    let begun = corp.provider.begin(&later, &demand).await.err().map(|error| error.kind());
    assert_eq!(begun, Some("unavailable"));
    let completed = corp.provider.complete(&later, &demand, state.clone(), &answer).await;
    assert_eq!(completed.err().map(|error| error.kind()), Some("unavailable"));
    assert_eq!(corp.provider.probe(&later).await.err().map(|error| error.kind()), Some("unavailable"));
    assert!(corp.bring(&demand, state, &answer).await.is_ok(), "a second earlier");
}

#[tokio::test]
async fn only_the_registered_addresses_are_endpoints() {
    let corp = Corp::start().await;
    for (method, tail, expected) in [
        (Method::Post, "acs", Some(Endpoint::Answer)),
        (Method::Get, "acs", None),
        (Method::Get, "metadata", Some(Endpoint::Document)),
        (Method::Post, "metadata", None),
        (Method::Post, "acs/", None),
        (Method::Get, "", None),
    ] {
        assert_eq!(corp.provider.endpoint(method, tail), expected, "{method:?} {tail}");
    }
    let document = corp.provider.document(&corp.ctx(), "metadata").await.expect("a document");
    let text = String::from_utf8(document.body).expect("UTF-8");
    assert!(text.contains(&format!("entityID=\"{ENDPOINTS}metadata\"")), "{text}");
    assert!(corp.provider.document(&corp.ctx(), "acs").await.is_err());
}
