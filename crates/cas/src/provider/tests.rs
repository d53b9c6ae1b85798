//! A provider against a scripted CAS server: what CAS alone has. What all protocols share is in `conformance`.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde_json::{Value, json};
use usher_core::{Ctx, Timestamp, provider::Hints, testing::SeededEntropy};
use usher_http::Outgoing;
use usher_lab::scripted::cas::{CasFault, CasPerson, CasScript, CasServer};

use super::*;

mod conformance;

const ENDPOINTS: &str = "https://matrix.ac.cdl/_usher/cas/corp/";
const NOW: Timestamp = Timestamp::from_secs(1_767_225_600);

/// A provider and the scripted server it is configured for.
struct Corp {
    provider: Arc<CasProvider>,
    base_url: Url,
    /// Taken, and with it gone, when nobody is to listen.
    server: Mutex<Option<CasServer>>,
    script: CasScript,
    entropy: SeededEntropy,
}

/// What became of one answer: the identity, or the kind of the error.
type Answer = Result<Identity, &'static str>;

impl Corp {
    async fn start() -> Self {
        Self::with(json!({})).await
    }

    /// With further keys in the section.
    async fn with(section: Value) -> Self {
        let server = CasServer::start().await.expect("a server");
        let base_url = server.base_url();
        let mut config = json!({ "base_url": base_url, "timeout": "2s" });
        for (key, value) in section.as_object().into_iter().flatten() {
            config[key] = value.clone();
        }
        let settings = Settings::read(config).expect("a valid section");
        let http = Outgoing::new(None, Duration::from_secs(5), 1024).expect("a client");
        let validator = Validator::new(&http, &settings).expect("a client");
        let id = usher_core::ProviderId::parse("corp").expect("an id");
        let descriptor = Descriptor { id, name: "Corp".to_owned(), icon: None, brand: None };
        let endpoints = Url::parse(ENDPOINTS).expect("a URL");
        let provider = Arc::new(CasProvider::new(descriptor, endpoints, settings, validator));
        let script = server.script();
        let server = Mutex::new(Some(server));
        Self { provider, base_url, server, script, entropy: SeededEntropy::new(1) }
    }

    /// From now on nobody listens.
    fn stop(&self) {
        drop(self.server.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    fn ctx(&self) -> Ctx<'_> {
        Ctx { now: NOW, skew: Duration::from_mins(1), entropy: &self.entropy }
    }

    fn demand(&self, freshness: Freshness) -> Demand {
        Demand { handle: Handle::generate(&self.entropy), freshness, issuer: None, hints: Hints::default() }
    }

    /// The login URL and the state for `demand`.
    async fn begin(&self, demand: &Demand) -> (Url, ProviderState) {
        let challenge = self.provider.begin(&self.ctx(), demand).await.expect("a challenge");
        match challenge.step {
            BrowserStep::Redirect(login) => (login, challenge.state),
            step @ (BrowserStep::PostForm { .. } | BrowserStep::Ask(_)) => panic!("not a redirect: {step:?}"),
        }
    }

    /// Brings `ticket` back for `demand`.
    async fn bring(&self, demand: &Demand, state: ProviderState, ticket: &str) -> Answer {
        let query =
            url::form_urlencoded::Serializer::new(String::new()).append_pair("ticket", ticket).finish();
        let callback = Callback::new(Method::Get, format!("callback/{}", demand.handle), &query, "");
        match self.provider.complete(&self.ctx(), demand, state, &callback).await {
            Ok(Outcome::Done(proof)) => Ok(proof.identity),
            Ok(Outcome::Continue(_) | Outcome::From(..)) => Err("continue"),
            Err(error) => Err(error.kind()),
        }
    }

    /// `user` signs in, and the ticket is brought back.
    async fn sign_in(&self, user: &str, freshness: Freshness) -> Answer {
        let demand = self.demand(freshness);
        let (login, state) = self.begin(&demand).await;
        let back = self.script.log_in(&login, user).expect("a ticket");
        self.bring(&demand, state, &ticket_in(&back)).await
    }

    /// `alice` comes with a proxy ticket that passed `proxies`.
    async fn come_through(&self, proxies: &[&str], freshness: Freshness) -> Answer {
        let demand = self.demand(freshness);
        let (_, state) = self.begin(&demand).await;
        let service = service_url(&self.provider.endpoints, &demand.handle);
        let ticket = self.script.issue_proxy_ticket(&service, "alice", proxies);
        self.bring(&demand, state, &ticket).await
    }
}

fn ticket_in(url: &Url) -> String {
    url.query_pairs()
        .find(|(name, _)| name == "ticket")
        .map(|(_, value)| value.into_owned())
        .expect("a ticket")
}

fn query_of(url: &Url) -> Vec<(String, String)> {
    url.query_pairs().into_owned().collect()
}

#[tokio::test]
async fn the_browser_goes_to_login_with_an_escaped_service_and_renew_only_when_demanded() {
    let corp = Corp::start().await;
    for (freshness, renew) in [(Freshness::AnySession, None), (Freshness::Since(NOW), Some("true"))] {
        let demand = corp.demand(freshness);
        let (login, _) = corp.begin(&demand).await;
        assert_eq!(login.path(), "/cas/login");
        let raw = login.query().expect("a query");
        assert!(
            raw.starts_with("service=https%3A%2F%2Fmatrix.ac.cdl%2F_usher%2Fcas%2Fcorp%2Fcallback%2F"),
            "{raw}"
        );
        let mut expected = vec![("service".to_owned(), format!("{ENDPOINTS}callback/{}", demand.handle))];
        expected.extend(renew.map(|value| ("renew".to_owned(), value.to_owned())));
        assert_eq!(query_of(&login), expected);
    }
}

#[tokio::test]
async fn the_service_at_validation_is_the_one_at_login_and_so_is_renew() {
    let corp = Corp::start().await;
    for freshness in [Freshness::AnySession, Freshness::Since(NOW)] {
        let demand = corp.demand(freshness);
        let (login, state) = corp.begin(&demand).await;
        let ticket = ticket_in(&corp.script.log_in(&login, "alice").expect("a ticket"));
        corp.bring(&demand, state, &ticket).await.expect("a proof");
        let seen = corp.script.take_validations();
        assert_eq!(seen.len(), 1);
        let query = query_of(&login);
        assert_eq!(seen[0].service, query[0].1);
        assert_eq!(seen[0].ticket, ticket);
        assert_eq!(seen[0].renew, query.len() == 2);
    }
}

#[tokio::test]
async fn a_proof_names_person_attributes_and_session() {
    let corp = Corp::start().await;
    let demand = corp.demand(Freshness::AnySession);
    let (login, state) = corp.begin(&demand).await;
    let ticket = ticket_in(&corp.script.log_in(&login, "alice").expect("a ticket"));
    let identity = corp.bring(&demand, state, &ticket).await.expect("a proof");
    assert_eq!(identity.issuer.as_str(), corp.base_url.as_str());
    assert_eq!(identity.subject.as_str(), "alice");
    assert_eq!(identity.values("memberOf"), ["engineering-staff", "chess-players"]);
    assert_eq!(identity.values("displayName"), ["Alice Liddell <Å & Co>"]);
    assert_eq!(identity.upstream_session, Some(UpstreamSession::Unique(ticket)));
}

#[tokio::test]
async fn each_version_asks_at_its_own_endpoint() {
    for (version, path, has_attributes) in
        [(2, "/cas/serviceValidate", false), (3, "/cas/p3/serviceValidate", true)]
    {
        let corp = Corp::with(json!({ "version": version })).await;
        let identity = corp.sign_in("alice", Freshness::AnySession).await.expect("a proof");
        assert_eq!(identity.attributes.is_empty(), !has_attributes, "{version}");
        assert_eq!(corp.script.take_validations()[0].path, path);
    }
}

#[tokio::test]
async fn only_renew_at_both_ends_is_evidence() {
    let corp = Corp::start().await;
    let evidence = async |at_login: Freshness, at_validation: Freshness| {
        let begun = corp.demand(at_login);
        let (mut login, state) = corp.begin(&begun).await;
        // The person presents credentials, asked to or not.
        if at_login == Freshness::AnySession {
            login.query_pairs_mut().append_pair("renew", "true");
        }
        let ticket = ticket_in(&corp.script.log_in(&login, "alice").expect("a ticket"));
        let demand = Demand { freshness: at_validation, ..begun };
        corp.bring(&demand, state, &ticket).await.map(|identity| identity.evidence)
    };
    let (any, since) = (Freshness::AnySession, Freshness::Since(NOW));
    for (name, at_login, at_validation, expected) in [
        ("both", since, since, Evidence::CredentialsPresented),
        ("login alone", since, any, Evidence::Unstated),
        ("validation alone", any, since, Evidence::Unstated),
        ("neither", any, any, Evidence::Unstated),
    ] {
        assert_eq!(evidence(at_login, at_validation).await, Ok(expected), "{name}");
    }
}

#[tokio::test]
async fn a_ticket_cannot_bring_parameters_of_its_own() {
    let corp = Corp::start().await;
    for ticket in
        ["ST-1&service=https://evil.example/", "ST-1#&renew=false", "ST-1%26ticket%3DST-2", "ST-1+2"]
    {
        let demand = corp.demand(Freshness::Since(NOW));
        let (_, state) = corp.begin(&demand).await;
        assert_eq!(corp.bring(&demand, state, ticket).await.err(), Some("unverified"), "{ticket}");
        let seen = corp.script.take_validations();
        assert_eq!(seen.len(), 1, "{ticket}");
        assert_eq!(seen[0].ticket, ticket);
        assert_eq!(seen[0].service, format!("{ENDPOINTS}callback/{}", demand.handle));
        assert!(seen[0].renew);
    }
}

#[tokio::test]
async fn what_is_no_ticket_never_reaches_the_server() {
    let corp = Corp::start().await;
    let long = format!("ST-{}", "x".repeat(254));
    for (name, ticket, expected) in [
        ("empty", "", "malformed"),
        ("another kind", "TGT-1-abc", "malformed"),
        ("too long", long.as_str(), "malformed"),
        ("a line break", "ST-1\r\nX: y", "malformed"),
        ("a proxy ticket", "PT-1-abc", "unverified"),
    ] {
        let demand = corp.demand(Freshness::AnySession);
        let (_, state) = corp.begin(&demand).await;
        assert_eq!(corp.bring(&demand, state, ticket).await.err(), Some(expected), "{name}");
    }
    assert_eq!(corp.script.take_validations(), []);
}

#[tokio::test]
async fn a_callback_is_a_get_to_the_attempts_own_path_with_a_state_of_ours() {
    let corp = Corp::start().await;
    let ours = |handle: &Handle| format!("callback/{handle}");
    let state = |text: String| ProviderState::new(text);
    let demand = corp.demand(Freshness::AnySession);
    let (_, good) = corp.begin(&demand).await;
    let other = Handle::generate(&corp.entropy);
    for (name, method, tail, state, expected) in [
        ("POST", Method::Post, ours(&demand.handle), good.clone(), "malformed"),
        ("no handle", Method::Get, "callback".to_owned(), good.clone(), "malformed"),
        ("another handle", Method::Get, ours(&other), good.clone(), "unverified"),
        ("no state", Method::Get, ours(&demand.handle), state(String::new()), "unverified"),
        (
            "another's state",
            Method::Get,
            ours(&demand.handle),
            state("{\"nonce\":\"x\"}".to_owned()),
            "unverified",
        ),
    ] {
        let callback = Callback::new(method, tail, "ticket=ST-1", "ticket=ST-1");
        let answer = corp.provider.complete(&corp.ctx(), &demand, state, &callback).await;
        assert_eq!(answer.err().map(|error| error.kind()), Some(expected), "{name}");
    }
    // The CAS server would refuse this too, because its ticket names another service; here it is not even asked.
    let theirs = corp.demand(Freshness::AnySession);
    let callback = Callback::new(Method::Get, ours(&demand.handle), "ticket=ST-1", "");
    let answer = corp.provider.complete(&corp.ctx(), &theirs, good, &callback).await;
    assert_eq!(answer.err().map(|error| error.kind()), Some("unverified"), "another demand");
    assert_eq!(corp.script.take_validations(), []);
}

#[tokio::test]
async fn a_proxy_ticket_counts_only_through_an_allowed_chain_in_order() {
    let (a, b) = ("https://a.example/proxy", "https://b.example/proxy");
    let corp = Corp::with(json!({ "proxies": [[a, b], [b]] })).await;
    for (name, chain, is_accepted) in [
        ("an allowed chain", vec![a, b], true),
        ("the other", vec![b], true),
        ("the reverse", vec![b, a], false),
        ("the beginning of one", vec![a], false),
        ("one more", vec![a, b, b], false),
        ("a slash more", vec!["https://b.example/proxy/"], false),
    ] {
        let answer = corp.come_through(&chain, Freshness::AnySession).await;
        assert_eq!(answer.is_ok(), is_accepted, "{name}");
    }
    assert!(corp.script.take_validations().iter().all(|seen| seen.path == "/cas/p3/proxyValidate"));
    corp.sign_in("alice", Freshness::AnySession).await.expect("service tickets count as before");
    assert_eq!(corp.script.take_validations()[0].path, "/cas/p3/serviceValidate");
}

#[tokio::test]
async fn what_came_through_a_proxy_is_never_fresh() {
    let chain = "https://a.example/proxy";
    let corp = Corp::with(json!({ "proxies": [[chain]] })).await;
    let since = Freshness::Since(NOW);
    assert_eq!(corp.come_through(&[chain], since).await.err(), Some("unverified"), "the server knows");
    corp.script.set_fault(Some(CasFault::Body(answer(&format!(
        "<cas:user>alice</cas:user><cas:proxies><cas:proxy>{chain}</cas:proxy></cas:proxies>"
    )))));
    let identity = corp.come_through(&[chain], since).await.expect("a careless server");
    assert_eq!(identity.evidence, Evidence::Unstated);
}

#[tokio::test]
async fn a_service_ticket_that_passed_a_proxy_is_refused() {
    for section in [json!({}), json!({ "proxies": [["https://a.example/"]] })] {
        let corp = Corp::with(section).await;
        corp.script.set_fault(Some(CasFault::Body(answer(
            "<cas:user>alice</cas:user><cas:proxies><cas:proxy>https://a.example/</cas:proxy></cas:proxies>",
        ))));
        assert_eq!(corp.sign_in("alice", Freshness::AnySession).await.err(), Some("unverified"));
    }
}

#[tokio::test]
async fn a_subject_attribute_must_have_exactly_one_good_value() {
    let corp = Corp::with(json!({ "subject": "number" })).await;
    let person = |user: &str| CasPerson::new(user);
    for (name, person, expected) in [
        ("one", person("p1").with("number", "0042"), Ok("0042".to_owned())),
        ("none", person("p2"), Err("unverified")),
        ("empty", person("p3").with("number", ""), Err("unverified")),
        ("two", person("p4").with("number", "1").with("number", "2"), Err("unverified")),
        ("the same twice", person("p5").with("number", "1").with("number", "1"), Err("unverified")),
        ("another case", person("p6").with("Number", "1"), Err("unverified")),
        ("a blank at the end", person("p7").with("number", "1 "), Err("unverified")),
        ("too long", person("p8").with("number", "1".repeat(1025)), Err("unverified")),
        ("a tab", person("p9").with("number", "1\t2"), Err("unverified")),
    ] {
        let user = person.user.clone();
        corp.script.add_person(person);
        let answer = corp.sign_in(&user, Freshness::AnySession).await;
        assert_eq!(answer.map(|identity| identity.subject.to_string()), expected, "{name}");
    }
}

#[tokio::test]
async fn every_answer_has_its_reaction() {
    let corp = Corp::start().await;
    for (fault, expected) in [
        (CasFault::Status(500), "unavailable"),
        (CasFault::Status(503), "unavailable"),
        (CasFault::Status(429), "unavailable"),
        (CasFault::Status(403), "unavailable"),
        (CasFault::Status(400), "unavailable"),
        (CasFault::Status(302), "internal"),
        (CasFault::Status(401), "internal"),
        (CasFault::Status(404), "internal"),
        (CasFault::Status(405), "internal"),
        (CasFault::Status(410), "internal"),
        (CasFault::Cut, "unavailable"),
        (CasFault::Endless, "unavailable"),
        (CasFault::Html, "unavailable"),
        (CasFault::Garbage, "unavailable"),
        (CasFault::Huge(256 * 1024), "unavailable"),
        (CasFault::Body("<other/>".to_owned()), "unavailable"),
        (CasFault::Body(String::new()), "unavailable"),
        (CasFault::NoUser, "unverified"),
        (CasFault::CommentInUser, "unverified"),
        (CasFault::OtherService, "unverified"),
    ] {
        corp.script.set_fault(Some(fault.clone()));
        assert_eq!(corp.sign_in("alice", Freshness::AnySession).await.err(), Some(expected), "{fault:?}");
    }
    corp.script.set_fault(Some(CasFault::Huge(200 * 1024)));
    corp.sign_in("alice", Freshness::AnySession).await.expect("within the bound");
    corp.script.set_fault(None);
    corp.sign_in("alice", Freshness::AnySession).await.expect("it recovers by itself");
}

#[tokio::test]
async fn a_probe_wants_a_login_page() {
    let corp = Corp::start().await;
    for (fault, expected) in [
        (None, None),
        (Some(CasFault::Status(302)), None),
        (Some(CasFault::Status(404)), Some("internal")),
        (Some(CasFault::Status(500)), Some("unavailable")),
    ] {
        corp.script.set_fault(fault.clone());
        let probed = corp.provider.probe(&corp.ctx()).await.err().map(|error| error.kind());
        assert_eq!(probed, expected, "{fault:?}");
    }
}

#[tokio::test]
async fn answers_and_logout_notices_come_to_an_attempts_path_alone() {
    let corp = Corp::start().await;
    let good = "callback/AAAAAAAAAAAAAAAAAAAAAA";
    for (method, tail, expected) in [
        (Method::Get, good, Some(Endpoint::Answer)),
        (Method::Post, good, Some(Endpoint::Logout)),
        (Method::Post, "callback/", None),
        (Method::Get, "callback/AAAAAAAAAAAAAAAAAAAAAB", None),
        (Method::Get, "callback/", None),
        (Method::Get, "", None),
    ] {
        assert_eq!(corp.provider.endpoint(method, tail), expected, "{method:?} {tail}");
    }
}

#[tokio::test]
async fn a_logout_notice_names_the_ticket_and_the_attempt() {
    let corp = Corp::start().await;
    let tail = "callback/AAAAAAAAAAAAAAAAAAAAAA";
    let request = r#"<samlp:LogoutRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol"><samlp:SessionIndex>ST-1-abc</samlp:SessionIndex></samlp:LogoutRequest>"#;
    let form = |pairs: &[(&str, &str)]| {
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
    };
    let good = form(&[("logoutRequest", request)]);
    let notice = corp.provider.logout(&corp.ctx(), &Callback::new(Method::Post, tail, "", &good)).await;
    let notice = notice.expect("it is one");
    assert_eq!(notice.sessions, [EndedSession::One(UpstreamSession::Unique("ST-1-abc".to_owned()))]);
    assert_eq!((notice.subject, notice.spend.len()), (None, 0));
    assert_eq!(Some(&notice.issuer), corp.provider.issuer());
    let attempt = Handle::parse("AAAAAAAAAAAAAAAAAAAAAA").expect("a handle");
    assert_eq!(notice.proof, LogoutProof::Knowledge { attempt });
    for (name, tail, form) in [
        ("another path", "callback/x", good.clone()),
        ("no request", tail, form(&[("x", "y")])),
        ("two", tail, form(&[("logoutRequest", request), ("logoutRequest", request)])),
        ("no ticket", tail, form(&[("logoutRequest", &request.replace("ST-1-abc", ""))])),
    ] {
        let outcome = corp.provider.logout(&corp.ctx(), &Callback::new(Method::Post, tail, "", &form)).await;
        assert_eq!(outcome.err().map(|error| error.kind()), Some("malformed"), "{name}");
    }
}

#[tokio::test]
async fn a_browser_at_the_scripted_server_gets_what_its_script_says() {
    let corp = Corp::start().await;
    let http = Outgoing::new(None, Duration::from_secs(5), 1024).expect("a client");
    let visit = async |login: &Url, cookie: &str| {
        let request = http.request(usher_http::Method::GET, login.clone()).header("cookie", cookie);
        let answer = http.send(request).await.expect("an answer");
        let location = answer.headers.get("location").map(|value| value.to_str().expect("a URL").to_owned());
        location.map(|location| Url::parse(&location).expect("a URL"))
    };
    let demand = corp.demand(Freshness::AnySession);
    let (login, state) = corp.begin(&demand).await;
    assert_eq!(visit(&login, "").await, None, "nobody is signed in");
    let back = visit(&login, "theme=dark; scripted-cas-person=bob").await.expect("a way back");
    let identity = corp.bring(&demand, state.clone(), &ticket_in(&back)).await.expect("a proof");
    assert_eq!(identity.subject.as_str(), "bob");
    corp.script.sign_in("alice");
    let back = visit(&login, "").await.expect("a way back");
    let identity = corp.bring(&demand, state, &ticket_in(&back)).await.expect("a proof");
    assert_eq!(identity.subject.as_str(), "alice");
}

fn answer(inner: &str) -> String {
    format!(
        "<cas:serviceResponse xmlns:cas='http://www.yale.edu/tp/cas'><cas:authenticationSuccess>{inner}\
         </cas:authenticationSuccess></cas:serviceResponse>"
    )
}

#[tokio::test]
async fn the_browser_is_sent_to_the_logout_page_and_back_only_if_that_is_wanted() {
    let back = Url::parse("https://matrix.ac.cdl/_usher/signed-out").expect("a URL");
    for (version, return_to, expected) in [
        (3, None, None),
        (3, Some(&back), Some(("service", back.as_str()))),
        (2, None, None),
        (2, Some(&back), Some(("url", back.as_str()))),
    ] {
        let corp = Corp::with(json!({ "version": version })).await;
        let wish = SignOut { return_to, locale: "en", keepsake: None };
        let ctx = Ctx { now: NOW, skew: Duration::ZERO, entropy: &corp.entropy };
        let step = corp.provider.sign_out(&ctx, &wish).await.expect("an answer").map(|way| way.step);
        let Some(BrowserStep::Redirect(place)) = step else { panic!("not a redirect: {step:?}") };
        assert_eq!(place.path(), format!("{}/logout", corp.base_url.path().trim_end_matches('/')));
        let told: Vec<_> = place.query_pairs().into_owned().collect();
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(told, expected.into_iter().collect::<Vec<_>>(), "{version}");
    }
}
