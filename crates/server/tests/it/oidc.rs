//! CASES "OIDC", as far as a browser can tell. What belongs to the protocol alone is in `crates/oidc`.

mod sessions;

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use url::Url;
use usher_lab::scripted::{
    Reply,
    oidc::{CLIENT_ID, CLIENT_SECRET, Lies, OidcServer, Place, Setup, Trip},
};

use crate::app::{Answer, AtProvider, TRUSTED, TestApp};

/// The test clock's time.
const NOW: i64 = 1_800_000_000;
const INCOMPLETE: (u16, &str) = (400, "This sign-in did not begin here, or came back incomplete");
const UNKNOWN: (u16, &str) = (400, "This sign-in cannot be continued");
const UNVERIFIED: (u16, &str) = (403, "The sign-in could not be verified");
const REFUSED: (u16, &str) = (403, "You were not signed in");
const AWAY: (u16, &str) = (503, "The sign-in page cannot be reached");
const STRANGE: (u16, &str) = (502, "The sign-in service does not accept us");

async fn provider() -> OidcServer {
    let setup = Setup { now: Some(NOW), ..Setup::default() };
    let server = OidcServer::start_with(setup).await.expect("a provider");
    for (person, department) in [("alice", "engineering"), ("bob", "engineering"), ("carol", "history")] {
        server
            .script()
            .add_person(person, &json!({ "department": department, "email": format!("{person}@ac.cdl") }));
    }
    server
}

fn section(server: &OidcServer, id: &str, more: &Value) -> Value {
    let mut oidc = json!({
        "issuer": server.issuer(), "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "timeout": "1s",
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        oidc[key] = value.clone();
    }
    json!({ "id": id, "name": "University", "oidc": oidc })
}

async fn start() -> (TestApp, OidcServer) {
    start_with(json!({})).await
}

async fn start_with(more: Value) -> (TestApp, OidcServer) {
    let server = provider().await;
    let own = section(&server, "corp", &more);
    let app = TestApp::start_with(|config| config["providers"] = json!([own])).await;
    (app, server)
}

/// Where the provider sends the browser once `person` has signed in.
fn trip(server: &OidcServer, attempt: &AtProvider<'_>, person: &str) -> Trip {
    server.script().log_in(&attempt.login, person).expect("the provider answers")
}

async fn sign_in(app: &TestApp, server: &OidcServer, person: &str) -> Answer {
    let attempt = app.sign_in().at_provider().await;
    attempt.open(&trip(server, &attempt, person).url).await
}

fn told(answer: &Answer) -> (u16, &str) {
    (answer.status.as_u16(), answer.title())
}

/// `url` with the value of one parameter replaced, or without it.
fn with(url: &Url, name: &str, value: Option<&str>) -> Url {
    let mut pairs: Vec<(String, String)> =
        url.query_pairs().into_owned().filter(|(key, _)| key != name).collect();
    pairs.extend(value.map(|value| (name.to_owned(), value.to_owned())));
    let mut url = url.clone();
    url.query_pairs_mut().clear().extend_pairs(pairs);
    url
}

#[tokio::test]
async fn people_come_back_with_a_login_token_for_their_own_homeserver() {
    let (app, server) = start().await;
    for (person, user) in
        [("alice", "@alice:eng.ac.cdl"), ("carol", "@carol:hist.ac.cdl"), ("alice", "@alice:eng.ac.cdl")]
    {
        let answer = sign_in(&app, &server, person).await;
        assert_eq!(app.redeem(&answer.login_token()).await.json()["user_id"], user);
    }
    assert_eq!((app.rows("links").await, app.rows("spent").await), (2, 0));
}

#[tokio::test]
async fn an_attempt_is_sealed_in_a_cookie_and_leaves_no_row() {
    let (app, server) = start().await;
    let answer = app.sign_in().first_answer().await;
    let place = Url::parse(answer.location()).expect("a URL");
    assert!(place.as_str().starts_with(&format!("{}/authorize?", server.issuer())));
    let redirect_uri = place.query_pairs().find(|(name, _)| name == "redirect_uri").expect("it is there").1;
    assert_eq!(redirect_uri, format!("{}_usher/oidc/corp/callback", app.base()));
    let cookies = answer.set_cookies();
    assert!(cookies.len() == 1 && cookies[0].contains("SameSite=Lax"), "{cookies:?}");
    for table in ["accounts", "links", "choices", "login_tokens", "sessions", "spent"] {
        assert_eq!(app.rows(table).await, 0, "{table}");
    }
}

#[tokio::test]
async fn every_broken_callback_has_its_own_page() {
    type Break = fn(&Url) -> Url;
    let (app, server) = start().await;
    let other = "AAAAAAAAAAAAAAAAAAAAAA";
    let rows: [(&str, Break, (u16, &str)); 9] = [
        ("no state", |url| with(url, "state", None), INCOMPLETE),
        ("a state that is no handle", |url| with(url, "state", Some("x")), INCOMPLETE),
        ("an attempt nobody began", |url| with(url, "state", Some("AAAAAAAAAAAAAAAAAAAAAA")), UNKNOWN),
        ("no code", |url| with(url, "code", None), INCOMPLETE),
        ("an unknown code", |url| with(url, "code", Some("code-0")), UNVERIFIED),
        ("no issuer", |url| with(url, "iss", None), UNVERIFIED),
        ("another issuer", |url| with(url, "iss", Some("https://evil.example")), UNVERIFIED),
        ("cancelled", |url| with(&with(url, "code", None), "error", Some("access_denied")), REFUSED),
        ("out of order", |url| with(&with(url, "code", None), "error", Some("server_error")), AWAY),
    ];
    for (name, broken, expected) in rows {
        let attempt = app.sign_in().at_provider().await;
        let answer = attempt.open(&broken(&trip(&server, &attempt, "alice").url)).await;
        assert_eq!(told(&answer), expected, "{name}");
        assert!(answer.header("content-type").starts_with("text/html"), "{name}");
    }
    let attempt = app.sign_in().at_provider().await;
    let url = trip(&server, &attempt, "alice").url;
    let mut no_cookie = attempt.clone();
    no_cookie.cookies.clear();
    assert_eq!(told(&no_cookie.open(&url).await), UNKNOWN, "another browser");
    let cookie = attempt.cookies[0].clone();
    let last = if cookie.ends_with('A') { 'B' } else { 'A' };
    let tampered = format!("{}{last}", &cookie[..cookie.len() - 1]);
    let mut changed = attempt.clone();
    changed.cookies = vec![tampered];
    assert_eq!(told(&changed.open(&url).await), UNKNOWN, "a tampered cookie");
    let second = app.sign_in().with_cookies(&attempt.cookies).at_provider().await;
    let theirs = trip(&server, &second, "bob").url;
    let code = theirs.query_pairs().find(|(name, _)| name == "code").expect("a code").1.into_owned();
    assert_eq!(
        told(&second.open(&with(&url, "code", Some(&code))).await),
        UNVERIFIED,
        "another attempt's code"
    );
    assert!(attempt.open(&trip(&server, &attempt, "alice").url).await.location().contains("loginToken="));
    for (name, path, status) in [
        ("nothing", "/_usher/oidc/corp/", 404),
        ("a slash more", "/_usher/oidc/corp/callback/", 404),
        ("an unknown provider", &format!("/_usher/oidc/nobody/callback?state={other}&code=x"), 404),
        ("another backend", &format!("/_usher/cas/corp/callback?state={other}&code=x"), 404),
    ] {
        assert_eq!(app.get(path).await.status, status, "{name}");
    }
    let put = Answer::read(app.request(Method::PUT, "/_usher/oidc/corp/callback")).await;
    assert_eq!(put.status, 405);
}

#[tokio::test]
async fn a_person_who_cancels_sees_a_calm_page_and_nothing_of_what_the_provider_wrote() {
    let (app, server) = start().await;
    let attempt = app.sign_in().at_provider().await;
    let url = with(&trip(&server, &attempt, "alice").url, "code", None);
    let url = with(
        &with(&url, "error", Some("access_denied")),
        "error_description",
        Some("<script>alert(1)</script>&\"'"),
    );
    let answer = attempt.open(&url).await;
    assert_eq!(told(&answer), REFUSED);
    assert!(answer.body.contains("redirectUrl="), "a way to start again");
    assert!(!answer.body.contains("alert(1)"), "{}", answer.body);
}

#[tokio::test]
async fn a_callback_works_once_even_if_the_provider_would_say_yes_twice() {
    let (app, server) = start().await;
    let attempt = app.sign_in().at_provider().await;
    let url = trip(&server, &attempt, "alice").url;
    assert_eq!(attempt.open(&url).await.status, 302);
    assert_eq!(told(&attempt.open(&url).await), UNVERIFIED, "the code is spent");
    let again = attempt.open(&trip(&server, &attempt, "alice").url).await;
    assert_eq!(told(&again), (400, "This sign-in was used already"), "another code for the same attempt");
    assert_eq!(app.rows("login_tokens").await, 1);
}

#[tokio::test]
async fn an_attempt_of_one_provider_is_no_attempt_of_another() {
    let server = provider().await;
    let both = json!([section(&server, "corp", &json!({})), section(&server, "second", &json!({}))]);
    let app = TestApp::start_with(|config| config["providers"] = both).await;
    let attempt = app.sign_in().at("corp").at_provider().await;
    let url = trip(&server, &attempt, "alice").url;
    let elsewhere = url.as_str().replace("/_usher/oidc/corp/", "/_usher/oidc/second/");
    assert_eq!(told(&attempt.open(&Url::parse(&elsewhere).expect("a URL")).await), UNKNOWN);
    assert!(attempt.open(&url).await.location().contains("loginToken="), "and at its own it is good");
}

#[tokio::test]
async fn an_answer_may_come_as_a_form() {
    let (app, server) = start_with(json!({ "response_mode": "form_post" })).await;
    let begun = app.sign_in().first_answer().await;
    assert!(
        begun.set_cookies()[0].contains("SameSite=None; ")
            || begun.set_cookies()[0].ends_with("SameSite=None")
    );
    let place = Url::parse(begun.location()).expect("a URL");
    let trip = server.script().log_in(&place, "alice").expect("the provider answers");
    let form = trip.form.expect("a form");
    let path = trip.url.path().to_owned();
    let post = |fields: Vec<(String, String)>| {
        let request = app.request(Method::POST, &path).header("origin", "https://sso.example");
        Answer::read(request.header("cookie", begun.cookies().join("; ")).form(&fields))
    };
    let without: Vec<_> = form.iter().filter(|(name, _)| name != "code").cloned().collect();
    assert_eq!(told(&post(without).await), INCOMPLETE);
    let query = trip.url.join(&format!("?{}", serde_urlencoded(&form))).expect("a URL");
    assert_eq!(app.get(&query[url::Position::BeforePath..]).await.status, 404, "not in the address");
    assert!(post(form).await.location().contains("loginToken="));
}

fn serde_urlencoded(fields: &[(String, String)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

#[tokio::test]
async fn a_provider_in_trouble_is_a_page_that_says_so() {
    let (app, server) = start().await;
    let script = server.script();
    let at = Lies::at;
    let token = |status, code: &str| at(Place::Token, Reply::json(status, &json!({ "error": code })));
    for (name, lies, expected) in [
        ("says no", token(400, "invalid_grant"), UNVERIFIED),
        ("does not know us", token(401, "invalid_client"), STRANGE),
        ("500", at(Place::Token, Reply::new(500, "text/plain", "")), AWAY),
        ("HTML", at(Place::Token, Reply::new(200, "text/html", "<p>Maintenance")), AWAY),
        ("hangs", at(Place::Token, Reply::Hang), AWAY),
        ("endless", at(Place::Token, Reply::Endless), AWAY),
        ("10 MB", at(Place::Token, Reply::new(200, "application/json", vec![b' '; 10 << 20])), AWAY),
        ("another client's token", Lies::claims(json!({ "aud": "another" })), UNVERIFIED),
        ("too many groups", Lies::claims(json!({ "hasgroups": true })), STRANGE),
    ] {
        let attempt = app.sign_in().at_provider().await;
        let url = trip(&server, &attempt, "alice").url;
        script.lie(lies);
        assert_eq!(told(&attempt.open(&url).await), expected, "{name}");
        script.be_honest();
    }
    assert_eq!(app.rows("accounts").await, 0);
    assert!(sign_in(&app, &server, "alice").await.location().contains("loginToken="), "and it recovers");
}

#[tokio::test]
async fn a_provider_that_is_down_stops_nobodys_start_and_is_back_by_itself() {
    let server = provider().await;
    let (address, script, own) = (server.address(), server.script(), section(&server, "corp", &json!({})));
    drop(server);
    let app = TestApp::start_with(|config| config["providers"] = json!([own])).await;
    assert!(app.get("/_matrix/client/v3/login").await.body.contains("\"corp\""), "it is listed all the same");
    let answer = app.sign_in().first_answer().await;
    assert_eq!(told(&answer), AWAY);
    assert!(answer.body.contains("redirectUrl="), "a way to start again");
    let server = OidcServer::start_at(address, script).await.expect("the provider is back");
    app.clock.advance(Duration::from_secs(3));
    server.script().set_up(|setup| setup.now = Some(NOW + 3));
    assert!(sign_in(&app, &server, "alice").await.location().contains("loginToken="));
}

#[tokio::test]
async fn wishes_of_the_client_reach_the_provider() {
    let (app, server) = start().await;
    let path = "/_matrix/client/v3/login/sso/redirect/corp?redirectUrl=https%3A%2F%2Fapp.ac.cdl%2F&action=register\
                &login_hint=alice%40ac.cdl&ui_locales=fr+en&acr_values=urn%3Amfa";
    let place = Url::parse(app.get(path).await.location()).expect("a URL");
    let value = |name: &str| {
        place
            .query_pairs()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
            .unwrap_or_default()
    };
    assert_eq!(
        ["prompt", "login_hint", "ui_locales", "acr_values"].map(value),
        ["create", "alice@ac.cdl", "fr en", ""]
    );
    // They need no room in a cookie that a long address fills.
    let long = format!("{TRUSTED}{}", "x".repeat(2000 - TRUSTED.len()));
    let encoded: String = url::form_urlencoded::byte_serialize(long.as_bytes()).collect();
    let wishes = format!("login_hint={0}&ui_locales={0}&acr_values={0}", "%C3%BC".repeat(127));
    let path = format!("/_matrix/client/v3/login/sso/redirect/corp?redirectUrl={encoded}&{wishes}");
    let begun = app.get(&path).await;
    assert_eq!(begun.status, 302, "{}", begun.title());
    let trip =
        server.script().log_in(&Url::parse(begun.location()).expect("a URL"), "alice").expect("an answer");
    let path = &trip.url[url::Position::BeforePath..];
    let answer =
        Answer::read(app.request(Method::GET, path).header("cookie", begun.cookies().join("; "))).await;
    assert!(answer.location().contains("loginToken="));
}

#[tokio::test]
async fn the_portals_keys_are_published() {
    let (app, _server) = start().await;
    let document = app.get("/_usher/oidc/corp/jwks").await;
    assert_eq!((document.status.as_u16(), document.json()), (200, json!({ "keys": [] })));
    assert_eq!(document.header("content-type"), "application/jwk-set+json");
}

#[tokio::test]
async fn no_login_asks_for_discovery_or_keys() {
    let (app, server) = start().await;
    for _ in 0..3 {
        sign_in(&app, &server, "alice").await.login_token();
    }
    let asked = [Place::Discovery, Place::Jwks, Place::Token].map(|place| server.script().asked(place));
    assert_eq!(asked, [1, 1, 3]);
}
