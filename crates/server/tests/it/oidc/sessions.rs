//! Sessions of people who signed in by OpenID Connect: how they confirm what is dangerous, and how they end.

use reqwest::Method;
use serde_json::{Value, json};
use usher_lab::scripted::oidc::{Lies, OidcServer, Signed};

use super::{NOW, provider, section, sign_in, start, told};
use crate::{
    app::{Answer, TestApp},
    ui_auth::{self, Client, auth},
};

const ALICE: &str = "@alice:eng.ac.cdl";

/// Alice's session on a device of that name.
async fn log_in(app: &TestApp, server: &OidcServer, device: &str) -> Value {
    let token = sign_in(app, server, "alice").await.login_token();
    let body = json!({ "type": "m.login.token", "token": token, "device_id": device });
    app.post_login(&body).await.json()
}

#[tokio::test]
async fn what_is_dangerous_waits_for_an_authentication_that_the_provider_dates_after_it() {
    let server = provider().await;
    let own = section(&server, "corp", &json!({}));
    let app = ui_auth::start_with(|config| config["providers"] = json!([own])).await;
    let session = log_in(&app, &server, "PHONE").await;
    let phone = Client::of(&app, &session);
    let stale = (403, "You have to enter your password for this");
    for (name, patch, expected) in [
        ("an hour before", json!({ "auth_time": NOW - 3600 }), stale),
        ("before, beyond the skew", json!({ "auth_time": NOW - 61 }), stale),
        ("in the future", json!({ "auth_time": NOW + 61 }), stale),
        ("not said", json!({ "auth_time": null }), stale),
        ("said by nobody's clock", json!({ "auth_time": "now" }), super::UNVERIFIED),
    ] {
        let session = phone.session_to_delete("PHONE").await;
        let mut asked = phone.browser(&session).asked().await;
        let place = asked.clicked().await;
        server.script().lie(Lies::claims(patch));
        let back = server.script().log_in(&place, "alice").expect("the provider answers").url;
        let answer = asked.browser.open(Method::GET, &back[url::Position::BeforePath..], None).await;
        server.script().be_honest();
        assert_eq!(told(&answer), expected, "{name}");
        assert_eq!(phone.delete_device("PHONE", &auth(&session)).await.status, 401, "{name}");
        assert!(phone.has_device("PHONE"), "{name}");
    }
    let session = phone.session_to_delete("PHONE").await;
    let mut asked = phone.browser(&session).asked().await;
    let place = asked.clicked().await;
    for (name, value) in [("prompt", "login"), ("max_age", "0")] {
        assert!(place.query_pairs().any(|pair| pair == (name.into(), value.into())), "{name}: {place}");
    }
    let back = server.script().log_in(&place, "alice").expect("the provider answers").url;
    let answer = asked.browser.open(Method::GET, &back[url::Position::BeforePath..], None).await;
    assert_eq!(answer.status, 302, "{}", answer.title());
    assert_eq!(phone.delete_device("PHONE", &auth(&session)).await.status, 200);
    assert!(!phone.has_device("PHONE"));
}

async fn notify(app: &TestApp, token: &str) -> Answer {
    let request = app.request(Method::POST, "/_usher/oidc/corp/backchannel-logout");
    Answer::read(request.form(&[("logout_token", token)])).await
}

fn devices(app: &TestApp) -> Vec<String> {
    app.eng.user(ALICE).map(|person| person.devices.into_keys().collect()).unwrap_or_default()
}

#[tokio::test]
async fn a_logout_token_ends_what_it_names_once() {
    let (app, server) = start().await;
    for device in ["A", "B", "C"] {
        let lies = Lies::claims(json!({ "sid": device }));
        server.script().lie(lies);
        log_in(&app, &server, device).await;
    }
    server.script().be_honest();
    let token = server.script().logout_token(&json!({ "sid": "B", "sub": "alice" }));
    let answer = notify(&app, &token).await;
    assert_eq!(
        (answer.status.as_u16(), answer.body.as_str(), answer.header("cache-control")),
        (200, "", "no-store")
    );
    app.eventually("B has ended", async || devices(&app) == ["A", "C"]).await;
    assert_eq!(notify(&app, &token).await.status, 400, "the same token again");
    let other = server.script().logout_token(&json!({ "sub": "bob" }));
    assert_eq!(notify(&app, &other).await.status, 200, "somebody who has no sessions");
    let everywhere = server.script().logout_token(&json!({ "sub": "alice" }));
    assert_eq!(notify(&app, &everywhere).await.status, 200);
    app.eventually("all have ended", async || devices(&app).is_empty()).await;
}

#[tokio::test]
async fn a_logout_token_that_is_not_good_ends_nothing_and_is_told_so() {
    let (app, server) = start().await;
    log_in(&app, &server, "A").await;
    let named = |more: Value| {
        let mut claims = json!({ "sub": "alice" });
        for (name, value) in more.as_object().into_iter().flatten() {
            claims[name] = value.clone();
        }
        claims
    };
    for (name, patch, lies) in [
        ("another audience", named(json!({ "aud": "another" })), Lies::default()),
        ("a nonce", named(json!({ "nonce": "n" })), Lies::default()),
        ("no event", named(json!({ "events": {} })), Lies::default()),
        ("expired", named(json!({ "exp": NOW - 60 })), Lies::default()),
        ("another key", named(json!({})), Lies { signed: Signed::ByAnotherKey, ..Lies::default() }),
        ("not signed", named(json!({})), Lies { signed: Signed::Not, ..Lies::default() }),
    ] {
        server.script().lie(lies);
        let answer = notify(&app, &server.script().logout_token(&patch)).await;
        server.script().be_honest();
        assert_eq!(answer.status, 400, "{name}");
        assert_eq!(answer.json()["error"], "invalid_request", "{name}");
        assert_eq!(answer.header("cache-control"), "no-store", "{name}");
    }
    for (name, answer) in [("nothing", notify(&app, "").await), ("garbage", notify(&app, "a.b.c").await)] {
        assert_eq!(answer.status, 400, "{name}");
    }
    assert_eq!(app.get("/_usher/oidc/corp/backchannel-logout").await.status, 404, "by GET");
    assert_eq!((devices(&app), app.rows("endings").await), (vec!["A".to_owned()], 0));
}

#[tokio::test]
async fn a_logout_kills_a_login_that_is_under_way() {
    let (app, server) = start().await;
    let issued = sign_in(&app, &server, "alice").await.login_token();
    let attempt = app.sign_in().at_provider().await;
    let late = super::trip(&server, &attempt, "alice").url;
    assert_eq!(notify(&app, &server.script().logout_token(&json!({ "sub": "alice" }))).await.status, 200);
    assert_eq!(app.redeem(&issued).await.errcode(), "M_FORBIDDEN", "a token that was not used yet");
    assert_eq!(told(&attempt.open(&late).await).0, 400, "an answer that comes late");
}
