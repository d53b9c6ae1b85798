//! What the ports carry that CAS does not use: a POST binding, a form that takes the browser on, one more step,
//! one-time keys, documents. A provider of this test speaks a protocol of its own.

use std::sync::Arc;

use async_trait::async_trait;
use reqwest::Method;
use serde_json::{Value, json};
use url::Url;
use usher_core::{
    Backend, Callback, Challenge, ConfigError, Ctx, Demand, Descriptor, Evidence, Handle, Identity, Issuer,
    Outcome, Proof, ProviderError, SsoProvider, Subject, Timestamp,
    provider::{
        self, BrowserLogout, BrowserStep, Document, EndedSession, Endpoint, Keepsake, LogoutAnswers,
        LogoutNotice, LogoutProof, OneTime, ProviderState, ReturnTrip, UpstreamSession,
    },
};

use crate::app::{Answer, TRUSTED, TestApp, UNTRUSTED};

/// Kind `posting`: answers come as forms at `acs`, as with SAML's HTTP-POST binding.
#[derive(Debug)]
pub(crate) struct Posting;

#[async_trait]
impl Backend for Posting {
    fn kind(&self) -> &'static str {
        "posting"
    }

    fn config_schema(&self) -> Value {
        json!({ "type": "object" })
    }

    async fn build(
        &self,
        descriptor: Descriptor,
        endpoints: Url,
        _: Value,
    ) -> Result<Arc<dyn SsoProvider>, ConfigError> {
        Ok(Arc::new(PostingProvider { descriptor, endpoints }))
    }
}

#[derive(Debug)]
struct PostingProvider {
    descriptor: Descriptor,
    endpoints: Url,
}

impl PostingProvider {
    fn challenge(&self, demand: &Demand, state: &str) -> Challenge {
        let fields = vec![
            ("relay".to_owned(), demand.handle.to_string()),
            ("acs".to_owned(), format!("{}acs", self.endpoints)),
        ];
        let action = Url::parse("https://idp.example/sso").expect("a URL");
        Challenge {
            step: BrowserStep::PostForm { action, fields },
            state: ProviderState::new(state.to_owned()),
            returns_by: ReturnTrip::CrossSitePost,
        }
    }
}

#[async_trait]
impl SsoProvider for PostingProvider {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn endpoint(&self, method: provider::Method, tail: &str) -> Option<Endpoint> {
        match (method, tail) {
            (provider::Method::Post, "acs") => Some(Endpoint::Answer),
            (provider::Method::Post, "slo") => Some(Endpoint::Logout),
            (_, "browser-slo") => Some(Endpoint::BrowserLogout),
            (provider::Method::Get, "metadata") => Some(Endpoint::Document),
            _ => None,
        }
    }

    async fn begin(&self, _: &Ctx<'_>, demand: &Demand) -> Result<Challenge, ProviderError> {
        Ok(self.challenge(demand, "first"))
    }

    fn handle(&self, callback: &Callback) -> Result<Handle, ProviderError> {
        let relay = callback.form.one("relay").map_err(ProviderError::malformed)?;
        Handle::parse(relay).map_err(ProviderError::malformed)
    }

    async fn complete(
        &self,
        ctx: &Ctx<'_>,
        demand: &Demand,
        state: ProviderState,
        callback: &Callback,
    ) -> Result<Outcome, ProviderError> {
        let form = |name| callback.form.one(name).map_err(ProviderError::malformed);
        if form("subject")? == "ask again" && state.as_str() == "first" {
            return Ok(Outcome::Continue(self.challenge(demand, "second")));
        }
        let identity = Identity {
            provider: self.descriptor.id.clone(),
            issuer: Issuer::parse("https://idp.example").map_err(ProviderError::unverified)?,
            subject: Subject::parse(form("subject")?).map_err(ProviderError::unverified)?,
            evidence: Evidence::AuthenticatedAt(ctx.now),
            attributes: [("department".to_owned(), vec!["engineering".to_owned()])].into(),
            upstream_session: callback.form.one("session").ok().map(session),
        };
        let key = form("assertion")?.to_owned();
        Ok(Outcome::Done(Proof {
            identity,
            spend: vec![OneTime { key, until: Timestamp::from_millis(i64::MAX) }],
            keepsake: None,
        }))
    }

    async fn logout(&self, _: &Ctx<'_>, callback: &Callback) -> Result<LogoutNotice, ProviderError> {
        let at_most = |name| callback.form.at_most_one(name).map_err(ProviderError::malformed);
        if at_most("signature")? != Some("good") {
            return Err(ProviderError::unverified("no signature"));
        }
        let subject = at_most("subject")?.map(Subject::parse).transpose();
        let key = at_most("key")?.unwrap_or_default().to_owned();
        let sessions =
            callback.form.iter().filter(|(name, _)| *name == "session").map(|(_, name)| ended(name));
        Ok(LogoutNotice {
            issuer: Issuer::parse("https://idp.example").map_err(ProviderError::unverified)?,
            subject: subject.map_err(ProviderError::unverified)?,
            sessions: sessions.collect(),
            proof: LogoutProof::Signed,
            spend: vec![OneTime { key, until: Timestamp::from_millis(i64::MAX) }],
        })
    }

    async fn browser_logout(
        &self,
        ctx: &Ctx<'_>,
        callback: &Callback,
        _: Option<&Keepsake>,
    ) -> Result<BrowserLogout, ProviderError> {
        let answer = |path: &str| Url::parse(&format!("https://idp.example/{path}")).expect("a URL");
        match callback.method {
            provider::Method::Get => {
                let step = BrowserStep::Redirect(answer("unheeded"));
                Ok(BrowserLogout::Unheeded { reason: "it comes by GET", step })
            }
            provider::Method::Post => {
                let ended = BrowserStep::PostForm {
                    action: answer("ended"),
                    fields: vec![("answer".to_owned(), "ended".to_owned())],
                };
                let answers =
                    Box::new(LogoutAnswers { ended, not_ended: BrowserStep::Redirect(answer("kept")) });
                Ok(BrowserLogout::Notice { notice: self.logout(ctx, callback).await?, answers })
            }
        }
    }

    async fn document(&self, _: &Ctx<'_>, _: &str) -> Result<Document, ProviderError> {
        Ok(Document {
            content_type: "application/samlmetadata+xml".to_owned(),
            body: b"<metadata/>".to_vec(),
        })
    }

    async fn probe(&self, _: &Ctx<'_>) -> Result<(), ProviderError> {
        Ok(())
    }
}

/// `alice/1` is a session of a group, `alice/` the whole of it.
fn session(name: &str) -> UpstreamSession {
    match name.split_once('/') {
        None => UpstreamSession::Unique(name.to_owned()),
        Some((group, session)) => {
            UpstreamSession::OfGroup { group: group.to_owned(), session: session.to_owned() }
        }
    }
}

fn ended(name: &str) -> EndedSession {
    match name.strip_suffix('/') {
        Some(group) => EndedSession::Group(group.to_owned()),
        None => EndedSession::One(session(name)),
    }
}

pub(crate) async fn start() -> TestApp {
    TestApp::start_with(|config| {
        config["providers"] = json!([{ "id": "idp", "name": "IdP", "posting": {} }]);
    })
    .await
}

/// An attempt whose browser stands before the form that takes it on.
pub(crate) struct Attempt {
    page: Answer,
    cookies: Vec<String>,
    relay: String,
}

pub(crate) async fn begin(app: &TestApp, redirect_url: &str) -> Attempt {
    let page = app.sign_in().to(redirect_url).first_answer().await;
    let after = page.body.split_once("name=\"relay\" value=\"").expect("the form has the handle").1;
    let relay = after.split_once('"').expect("its end").0.to_owned();
    let cookies = page.cookies();
    Attempt { page, cookies, relay }
}

pub(crate) async fn post(app: &TestApp, attempt: &Attempt, subject: &str, assertion: &str) -> Answer {
    post_in(app, attempt, subject, assertion, &format!("session of {assertion}")).await
}

/// In a session of the provider's of that name.
pub(crate) async fn post_in(
    app: &TestApp,
    attempt: &Attempt,
    subject: &str,
    assertion: &str,
    session: &str,
) -> Answer {
    let form = [
        ("relay", attempt.relay.as_str()),
        ("subject", subject),
        ("assertion", assertion),
        ("session", session),
    ];
    let request =
        app.request(Method::POST, "/_usher/posting/idp/acs").header("origin", "https://idp.example");
    Answer::read(request.header("cookie", attempt.cookies.join("; ")).form(&form)).await
}

#[tokio::test]
async fn a_form_takes_the_browser_on_and_its_cookie_survives_a_cross_site_post() {
    let app = start().await;
    let attempt = begin(&app, TRUSTED).await;
    assert_eq!(attempt.page.status, 200);
    let cookie = &attempt.page.set_cookies()[0];
    assert!(cookie.contains("SameSite=None") && cookie.contains("Secure"), "{cookie}");
    let policy = attempt.page.header("content-security-policy");
    assert!(policy.contains("form-action https://idp.example;"), "{policy}");
    let nonce =
        policy.split_once("script-src 'nonce-").expect("a nonce").1.split_once('\'').expect("its end").0;
    assert!(attempt.page.body.contains(&format!("<script nonce=\"{nonce}\">")), "{}", attempt.page.body);
    assert!(attempt.page.body.contains("<button"), "without JavaScript too");
    let answer = post(&app, &attempt, "alice", "one").await;
    assert_eq!(app.redeem(&answer.login_token()).await.json()["user_id"], "@alice:eng.ac.cdl");
}

#[tokio::test]
async fn one_more_step_goes_on_with_the_same_attempt_and_another_state() {
    let app = start().await;
    let mut attempt = begin(&app, TRUSTED).await;
    let page = post(&app, &attempt, "ask again", "one").await;
    assert_eq!((page.status.as_u16(), page.title()), (200, "On to your sign-in page"));
    attempt.cookies = page.cookies();
    assert!(page.body.contains(&attempt.relay), "the same attempt");
    assert!(post(&app, &attempt, "alice", "one").await.location().contains("loginToken="));
}

#[tokio::test]
async fn a_one_time_key_is_spent_with_the_attempt_or_when_the_person_is_asked() {
    for redirect_url in [TRUSTED, UNTRUSTED] {
        let app = start().await;
        let first = post(&app, &begin(&app, redirect_url).await, "alice", "one").await;
        assert!(first.status.is_redirection() || first.title() == "Continue to this site?", "{redirect_url}");
        assert_eq!(app.rows("spent").await, 1, "{redirect_url}");
        let replayed = post(&app, &begin(&app, redirect_url).await, "alice", "one").await;
        assert_eq!(replayed.title(), "This sign-in was used already", "{redirect_url}");
        let other = post(&app, &begin(&app, redirect_url).await, "alice", "two").await;
        assert_eq!(other.status, first.status, "{redirect_url}");
    }
}

#[tokio::test]
async fn an_attempt_spent_twice_leaves_nothing_behind() {
    let app = start().await;
    let attempt = begin(&app, TRUSTED).await;
    assert!(post(&app, &attempt, "alice", "one").await.location().contains("loginToken="));
    assert_eq!(post(&app, &attempt, "alice", "two").await.title(), "This sign-in was used already");
    assert_eq!(
        (app.rows("spent").await, app.rows("login_tokens").await),
        (1, 1),
        "the second key is not spent"
    );
}

#[tokio::test]
async fn a_document_is_published_and_a_path_nobody_has_is_not() {
    let app = start().await;
    let document = app.get("/_usher/posting/idp/metadata").await;
    assert_eq!((document.status.as_u16(), document.body.as_str()), (200, "<metadata/>"));
    assert_eq!(document.header("content-type"), "application/samlmetadata+xml");
    for path in ["/_usher/posting/idp/acs", "/_usher/posting/idp/sloe", "/_usher/cas/idp/metadata"] {
        assert_eq!(app.get(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn a_form_over_its_bound_is_refused_before_it_is_read() {
    let app = start().await;
    let attempt = begin(&app, TRUSTED).await;
    let answer = post(&app, &attempt, "alice", &"x".repeat(300 * 1024)).await;
    assert_eq!(answer.status, 400);
}

#[tokio::test]
async fn an_answer_is_used_up_when_the_person_is_asked_for_their_homeserver() {
    let app = TestApp::start_with(|config| {
        config["providers"] = json!([{ "id": "idp", "name": "IdP", "posting": {} }]);
        config["selection"] = json!([{ "ask": {} }]);
    })
    .await;
    let attempt = begin(&app, TRUSTED).await;
    let page = post(&app, &attempt, "alice", "one").await;
    assert_eq!(page.title(), "Choose your homeserver");
    assert_eq!((app.rows("spent").await, app.rows("pending").await), (1, 1));
    let replayed = post(&app, &begin(&app, TRUSTED).await, "alice", "one").await;
    assert_eq!(replayed.title(), "This sign-in was used already");
    let other = post(&app, &attempt, "bob", "two").await;
    assert_eq!(other.title(), "This sign-in was used already", "an attempt keeps its first person");
    assert_eq!((app.rows("spent").await, app.rows("pending").await), (1, 1));
}

#[tokio::test]
async fn what_a_cross_site_post_led_to_can_be_loaded_again_by_the_same_post() {
    let asking = json!([{ "ask": {} }]);
    for (name, selection, redirect_url, titles) in [
        ("the chooser", Some(asking.clone()), TRUSTED, &["Choose your homeserver"][..]),
        ("the confirmation", None, UNTRUSTED, &["Continue to this site?"]),
        (
            "one after the other",
            Some(asking),
            UNTRUSTED,
            &["Choose your homeserver", "Continue to this site?"],
        ),
    ] {
        let app = TestApp::start_with(|config| {
            config["providers"] = json!([{ "id": "idp", "name": "IdP", "posting": {} }]);
            if let Some(selection) = selection {
                config["selection"] = selection;
            }
        })
        .await;
        let mut attempt = begin(&app, redirect_url).await;
        let mut page = post(&app, &attempt, "alice", "one").await;
        for (number, title) in titles.iter().enumerate() {
            if number > 0 {
                let mut fields = page.hidden_fields();
                fields.push(("homeserver".to_owned(), "eng.ac.cdl".to_owned()));
                let request = app.request(Method::POST, "/_usher/choose");
                page = Answer::read(request.header("cookie", attempt.cookies.join("; ")).form(&fields)).await;
            }
            assert_eq!(page.title(), *title, "{name}");
            let cookie = page.set_cookies()[0].clone();
            assert!(cookie.contains("SameSite=None") && cookie.contains("Secure"), "{name}: {cookie}");
            attempt.cookies = page.cookies();
            let again = post(&app, &attempt, "alice", "one").await;
            assert_eq!(again.title(), titles[number], "{name}");
            assert!(again.set_cookies().iter().all(|cookie| cookie.contains("SameSite=None")), "{name}");
        }
    }
}
