//! A provider that stands for many identity providers has its people asked where they are from: the page, what is chosen,
//! what is remembered and forgotten. The provider of this test knows three organisations.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};
use url::Url;
use usher_core::{
    Backend, Callback, Challenge, ConfigError, Ctx, Demand, Descriptor, Evidence, Handle, Identity, Issuer,
    Outcome, Proof, ProviderError, SsoProvider, Subject,
    provider::{self, BrowserStep, Endpoint, Organisation, Organisations, Origin, ProviderState, ReturnTrip},
};

use crate::app::{Answer, TRUSTED, TestApp};

const KNOWN: [(&str, &str, &str); 3] =
    [("harbour", "Harbour College", "Collège du port"), ("hill", "Hill University", ""), ("<b>", "B", "")];

/// Kind `asking`.
#[derive(Debug)]
pub(crate) struct Asking;

#[async_trait]
impl Backend for Asking {
    fn kind(&self) -> &'static str {
        "asking"
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
        Ok(Arc::new(AskingProvider { descriptor, endpoints }))
    }
}

#[derive(Debug)]
struct AskingProvider {
    descriptor: Descriptor,
    endpoints: Url,
}

impl AskingProvider {
    fn link(&self, handle: &Handle, more: &[(&str, &str)]) -> Url {
        let mut url = self.endpoints.join("disco").expect("a URL");
        url.query_pairs_mut().append_pair("attempt", handle.as_str()).extend_pairs(more);
        url
    }

    fn ask(&self, demand: &Demand, searched: &str, is_forgotten: bool) -> Challenge {
        let organisation = |(id, name, french): &(&str, &str, &str)| Organisation {
            url: self.link(&demand.handle, &[("from", id)]),
            names: [("en", *name), ("fr", *french)]
                .into_iter()
                .filter(|(_, name)| !name.is_empty())
                .map(|(tag, name)| (tag.to_owned(), name.to_owned()))
                .collect(),
            detail: format!("{id}.example"),
            logo: (*id == "hill").then(|| Url::parse("https://hill.example/logo.png").expect("a URL")),
        };
        let found: Vec<_> =
            KNOWN.iter().filter(|known| known.1.contains(searched)).map(organisation).collect();
        let origin = demand.hints.origin.as_ref().filter(|_| !is_forgotten);
        let last = KNOWN.iter().find(|known| origin.is_some_and(|origin| origin.as_str() == known.0));
        let page = Organisations {
            search: self.endpoints.join("disco").expect("a URL"),
            fields: vec![("attempt".to_owned(), demand.handle.to_string())],
            searched: searched.to_owned(),
            last: last.map(|known| (organisation(known), self.link(&demand.handle, &[("forget", "1")]))),
            total: found.len() * 2,
            found,
            is_forgotten,
        };
        Challenge {
            step: BrowserStep::Ask(Box::new(page)),
            state: ProviderState::new("asked".to_owned()),
            returns_by: ReturnTrip::Navigation,
        }
    }
}

#[async_trait]
impl SsoProvider for AskingProvider {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn bounds_values_of(&self, attribute: &str) -> bool {
        attribute == "affiliation"
    }

    fn endpoint(&self, method: provider::Method, tail: &str) -> Option<Endpoint> {
        matches!((method, tail), (provider::Method::Get, "disco" | "callback")).then_some(Endpoint::Answer)
    }

    async fn begin(&self, _: &Ctx<'_>, demand: &Demand) -> Result<Challenge, ProviderError> {
        Ok(self.ask(demand, "", false))
    }

    fn handle(&self, callback: &Callback) -> Result<Handle, ProviderError> {
        let handle = callback.query.one("attempt").map_err(ProviderError::malformed)?;
        Handle::parse(handle).map_err(ProviderError::malformed)
    }

    async fn complete(
        &self,
        ctx: &Ctx<'_>,
        demand: &Demand,
        state: ProviderState,
        callback: &Callback,
    ) -> Result<Outcome, ProviderError> {
        let one = |name| callback.query.at_most_one(name).map_err(ProviderError::malformed);
        if callback.tail == "disco" {
            if let Some(from) = one("from")? {
                let known = KNOWN.iter().find(|known| known.0 == from);
                let known = known.ok_or_else(|| ProviderError::malformed("an unknown organisation"))?;
                let step = BrowserStep::Redirect(
                    Url::parse(&format!("https://{}.example/sso?attempt={}", known.0, demand.handle))
                        .expect("a URL"),
                );
                let state = ProviderState::new(known.0.to_owned());
                let challenge = Challenge { step, state, returns_by: ReturnTrip::Navigation };
                let origin = Origin::parse(known.0).expect("a word");
                return Ok(Outcome::From(origin, challenge));
            }
            let searched = one("q")?.unwrap_or_default();
            return Ok(Outcome::Continue(self.ask(demand, searched, one("forget")?.is_some())));
        }
        if state.as_str() == "asked" {
            return Err(ProviderError::unverified("nobody was sent anywhere"));
        }
        let identity = Identity {
            provider: self.descriptor.id.clone(),
            issuer: Issuer::parse(format!("https://{}.example", state.as_str())).expect("an issuer"),
            subject: Subject::parse("alice").expect("a subject"),
            evidence: Evidence::AuthenticatedAt(ctx.now),
            attributes: [("department".to_owned(), vec!["engineering".to_owned()])].into(),
            upstream_session: None,
        };
        Ok(Outcome::Done(Proof { identity, spend: Vec::new(), keepsake: None }))
    }

    async fn probe(&self, _: &Ctx<'_>) -> Result<(), ProviderError> {
        Ok(())
    }
}

async fn start() -> TestApp {
    start_with(|_| ()).await
}

async fn start_with(change: impl FnOnce(&mut Value)) -> TestApp {
    TestApp::start_with(|config| {
        config["providers"] = json!([{ "id": "idp", "name": "IdP", "asking": {} }]);
        change(config);
    })
    .await
}

/// A browser with the cookies it was given, in the order it was given them.
struct Browser<'a> {
    app: &'a TestApp,
    cookies: Vec<(String, String)>,
}

impl Browser<'_> {
    async fn get(&mut self, path: &str, language: &str) -> Answer {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = self
            .app
            .request(reqwest::Method::GET, path)
            .header("cookie", cookies.join("; "))
            .header("accept-language", language);
        let answer = Answer::read(request).await;
        for header in answer.set_cookies() {
            let (name, rest) = header.split_once('=').expect("a name");
            let value = rest.split(';').next().unwrap_or_default();
            self.cookies.retain(|(known, _)| known != name);
            if !header.contains("Max-Age=0") {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        answer
    }

    async fn begin(&mut self, language: &str) -> Answer {
        let redirect: String = url::form_urlencoded::byte_serialize(TRUSTED.as_bytes()).collect();
        self.get(&format!("/_matrix/client/v3/login/sso/redirect/idp?redirectUrl={redirect}"), language).await
    }

    fn remembers(&self) -> Option<&str> {
        let mut cookies = self.cookies.iter();
        cookies.find(|(name, _)| name == "__Host-usherfrom-idp").map(|(_, value)| value.as_str())
    }
}

/// Path and query of the link that stands before `text`.
fn link(page: &Answer, text: &str) -> String {
    let before = page.body.split_once(text).unwrap_or_else(|| panic!("no {text}: {}", page.body)).0;
    let href = before.rsplit_once("href=\"").expect("a link").1.split_once('"').expect("its end").0;
    let href = href.replace("&#x2f;", "/").replace("&amp;", "&");
    let url = Url::parse(&href).expect("a URL");
    format!("{}?{}", url.path(), url.query().unwrap_or_default())
}

#[tokio::test]
async fn somebody_says_where_they_are_from_and_is_remembered_until_they_say_otherwise() {
    let app = start().await;
    let mut alice = Browser { app: &app, cookies: Vec::new() };
    let page = alice.begin("en").await;
    assert_eq!((page.status.as_u16(), page.title()), (200, "Where are you from?"));
    assert_eq!((alice.remembers(), page.body.contains("Last time")), (None, false));
    assert!(page.body.contains("3 of 6 are shown"), "{}", page.body);

    let path = link(&page, "Harbour College");
    let sent = alice.get(&path, "en").await;
    assert!(sent.location().starts_with("https://harbour.example/sso?"), "{}", sent.location());
    assert_eq!(alice.remembers(), Some("harbour"));
    let handle = path.split_once("attempt=").expect("the handle").1.split('&').next().unwrap_or_default();
    let done = alice.get(&format!("/_usher/asking/idp/callback?attempt={handle}"), "en").await;
    assert_eq!(app.redeem(&done.login_token()).await.json()["user_id"], "@alice:eng.ac.cdl");

    let page = alice.begin("en").await;
    let last = page.body.split_once("Last time").expect("what was chosen last").1;
    assert!(last.split_once("<form").expect("the search").0.contains("Harbour College"), "{last}");
    let forgotten = alice.get(&link(&page, "Forget this"), "en").await;
    assert_eq!((forgotten.title(), alice.remembers()), ("Where are you from?", None));
    assert!(!forgotten.body.contains("Last time"), "{}", forgotten.body);
    assert!(!alice.begin("en").await.body.contains("Last time"));
}

#[tokio::test]
async fn a_search_is_a_page_of_the_same_attempt_in_the_persons_language() {
    let app = start().await;
    let mut alice = Browser { app: &app, cookies: Vec::new() };
    let page = alice.begin("fr").await;
    assert!(page.body.contains("Collège du port"), "{}", page.body);
    let path = link(&page, "Collège du port");
    let (before, _) = path.split_once("&from=").expect("the choice");
    let found = alice.get(&format!("{before}&q=Hill"), "fr").await;
    assert!(found.body.contains("Hill University") && !found.body.contains("Collège"), "{}", found.body);
    let none = alice.get(&format!("{before}&q=%3Cscript%3E"), "fr").await;
    assert!(none.body.contains("Aucune organisation") && !none.body.contains("<script>"), "{}", none.body);
    assert_eq!(alice.cookies.len(), 1, "one attempt, and nothing remembered");
    let sent = alice.get(&path, "fr").await;
    assert!(sent.location().starts_with("https://harbour.example/"), "after searching still");
    assert_eq!((app.rows("pending").await, app.rows("login_tokens").await), (0, 0), "nothing is written");
}

#[tokio::test]
async fn the_page_has_images_of_others_only_if_there_are_any() {
    let app = start().await;
    let mut alice = Browser { app: &app, cookies: Vec::new() };
    let page = alice.begin("en").await;
    let policy = page.header("content-security-policy").to_owned();
    assert!(policy.contains("img-src https: data:;") && policy.contains("form-action 'self';"), "{policy}");
    assert!(page.body.contains("referrerpolicy=\"no-referrer\""), "{}", page.body);
    let path = link(&page, "Harbour College");
    let (before, _) = path.split_once("&from=").expect("the choice");
    let page = alice.get(&format!("{before}&q=Harbour"), "en").await;
    let policy = page.header("content-security-policy");
    assert!(!policy.contains("img-src"), "{policy}");
}

#[tokio::test]
async fn a_choice_is_good_for_the_attempt_of_this_browser_alone() {
    let app = start().await;
    let mut alice = Browser { app: &app, cookies: Vec::new() };
    let path = link(&alice.begin("en").await, "Harbour College");
    let mut mallory = Browser { app: &app, cookies: Vec::new() };
    let refused = mallory.get(&path, "en").await;
    assert_eq!((refused.status.as_u16(), mallory.remembers()), (400, None));
    let unknown = alice.get(&path.replace("harbour", "harbor"), "en").await;
    assert_eq!((unknown.status.as_u16(), alice.remembers()), (400, None));
    // What a browser says it remembers is not believed where it is none of the provider's words.
    alice.cookies.push(("__Host-usherfrom-idp".to_owned(), "nowhere".to_owned()));
    assert!(!alice.begin("en").await.body.contains("Last time"));
}

#[tokio::test]
async fn an_account_is_adopted_on_the_word_of_the_issuer_that_the_operator_names() {
    let adopt = |issuer: Value| json!([{ "provider": "idp", "issuer": issuer, "attribute": "department", "immutable": true }]);
    for (from, expected) in
        [("Harbour College", "@engineering:eng.ac.cdl"), ("Hill University", "@alice:eng.ac.cdl")]
    {
        let app = start_with(|config| {
            config["homeservers"][0]["adopt"] = adopt(json!("https://harbour.example"));
        })
        .await;
        app.eng.add_user("@engineering:eng.ac.cdl");
        let mut alice = Browser { app: &app, cookies: Vec::new() };
        let path = link(&alice.begin("en").await, from);
        alice.get(&path, "en").await;
        let handle = path.split_once("attempt=").expect("the handle").1.split('&').next().unwrap_or_default();
        let done = alice.get(&format!("/_usher/asking/idp/callback?attempt={handle}"), "en").await;
        assert_eq!(app.redeem(&done.login_token()).await.json()["user_id"], expected, "{from}");
    }
    let told = crate::app::problems_of(|config| {
        config["providers"] = json!([{ "id": "idp", "name": "IdP", "asking": {} }]);
        config["homeservers"][0]["adopt"] = adopt(Value::Null);
    })
    .await;
    assert!(told.contains("homeservers[0].adopt[0].issuer: is missing"), "{told}");
    let users = |issuer: Value| {
        let table = json!({ "provider": "idp", "issuer": issuer, "homeservers": { "alice": "eng.ac.cdl" } });
        move |config: &mut Value| {
            config["providers"] = json!([{ "id": "idp", "name": "IdP", "asking": {} }]);
            config["selection"] = json!([{ "sticky": {} }, { "users": table }]);
        }
    };
    let told = crate::app::problems_of(users(Value::Null)).await;
    assert!(told.contains("selection[1].users.issuer: is missing"), "{told}");
    TestApp::start_with(users(json!("https://harbour.example"))).await;
}

#[tokio::test]
async fn whoever_may_say_anything_is_named_where_their_word_decides() {
    let rows = json!([{ "value": "engineering", "homeserver": "eng.ac.cdl" }]);
    let table = |name: &str, more: Value| {
        let mut table = json!({ "name": name, "rows": rows });
        for (key, value) in more.as_object().into_iter().flatten() {
            table[key] = value.clone();
        }
        json!({ "selection": [{ "sticky": {} }, { "attribute": table }] })
    };
    let domains = |more: &str| {
        let rows = json!([{ "domain": "eng.ac.cdl", "homeserver": "eng.ac.cdl" }]);
        json!({ "selection": [{ "sticky": {} }, { "email_domain": { "attribute": more, "rows": rows } }] })
    };
    let (require, bounded) = (
        json!([{ "attribute": "affiliation", "exists": true }, { "attribute": "entitlement", "exists": true }]),
        json!([{ "attribute": "affiliation", "exists": true }]),
    );
    let harbour = json!({ "issuer": "https://harbour.example" });
    let none: [&str; 0] = [];
    for (name, change, expected) in [
        ("an attribute", table("department", json!({})), &["selection[1].attribute.name"][..]),
        (
            "of these people",
            table("department", json!({ "provider": "idp" })),
            &["selection[1].attribute.name"],
        ),
        ("of other people", table("department", json!({ "provider": "cas" })), &none),
        ("by an issuer's word", table("department", harbour), &none),
        ("one that is bounded", table("affiliation", json!({})), &none),
        ("addresses", domains("mail"), &["selection[1].email_domain.attribute"]),
        ("bounded addresses", domains("affiliation"), &none),
        ("required of its people", json!({ "idp": require }), &["providers[0].require[1].attribute"]),
        ("bounded, and required", json!({ "idp": bounded }), &none),
        ("required of others", json!({ "cas": require }), &none),
        ("required at a homeserver", json!({ "eng": require }), &["homeservers[0].require[1].attribute"]),
    ] {
        let warned = crate::app::warnings_of(|config| {
            let cas = config["providers"][0]["cas"].clone();
            config["providers"] = json!([
                { "id": "idp", "name": "IdP", "asking": {}, "require": change["idp"].as_array().unwrap_or(&vec![]) },
                { "id": "cas", "name": "CAS", "cas": cas, "require": change["cas"].as_array().unwrap_or(&vec![]) },
            ]);
            config["homeservers"][0]["require"] = json!(change["eng"].as_array().unwrap_or(&vec![]));
            let elsewhere = json!([{ "fixed": { "homeserver": "eng.ac.cdl" } }]);
            config["selection"] = change.get("selection").unwrap_or(&elsewhere).clone();
        })
        .await;
        let about = warned.lines().filter(|line| line.contains("many issuers of `idp`"));
        let paths: Vec<_> =
            about.filter_map(|line| line.split(": ").find(|part| part.contains('['))).collect();
        assert_eq!(paths, expected, "{name}: {warned}");
    }
    let plain = crate::app::warnings_of(|_| ()).await;
    assert!(!plain.contains("many issuers"), "without such a provider nothing is said: {plain}");
}
