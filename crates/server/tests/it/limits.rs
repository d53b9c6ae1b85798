//! Rate limits: who is limited, who is not, and that nothing is lost by waiting.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use usher_lab::scripted::homeserver::Endpoint;

use crate::app::{Answer, TestApp, UNTRUSTED};

/// With one limit of two, and one more every ten seconds; the others are off. The peer is a trusted proxy.
async fn limited(name: &str) -> TestApp {
    let name = name.to_owned();
    TestApp::start_with(move |config| {
        config["trusted_proxies"] = json!(["127.0.0.1"]);
        config["limits"][name] = json!({ "burst": 2, "per_minute": 6 });
    })
    .await
}

async fn redeem_from(app: &TestApp, address: &str, token: &str) -> Answer {
    let body = json!({ "type": "m.login.token", "token": token }).to_string();
    let request = app.request(Method::POST, "/_matrix/client/v3/login").body(body);
    Answer::read(request.header("x-forwarded-for", address)).await
}

fn assert_limited_page(answer: &Answer, seconds: &str) {
    assert_eq!((answer.status.as_u16(), answer.title()), (429, "One moment, please"));
    assert_eq!(answer.header("retry-after"), seconds);
    assert!(answer.set_cookies().is_empty() && answer.header("location").is_empty());
    assert_eq!(answer.header("access-control-allow-origin"), "*");
}

#[tokio::test]
async fn an_address_begins_so_many_logins_and_the_next_a_moment_later() {
    let app = limited("redirect").await;
    let begin = async |address| app.sign_in().from(address).first_answer().await;
    for _ in 0..2 {
        assert_eq!(begin("192.0.2.1").await.status, 302);
    }
    assert_limited_page(&begin("192.0.2.1").await, "10");
    assert_eq!(begin("192.0.2.2").await.status, 302, "another address");
    app.clock.advance(Duration::from_millis(9_999));
    assert_limited_page(&begin("192.0.2.1").await, "1");
    app.clock.advance(Duration::from_millis(1));
    assert_eq!(begin("192.0.2.1").await.status, 302);
    assert_limited_page(&begin("192.0.2.1").await, "10");
}

#[tokio::test]
async fn an_address_of_ipv6_is_its_64_and_one_that_is_claimed_counts_for_nothing() {
    let app = limited("redirect").await;
    for (name, first, second, same) in [
        ("the same /64", "2001:db8:1:1::1", "2001:db8:1:1:ffff::2", true),
        ("another /64", "2001:db8:2:1::1", "2001:db8:2:2::1", false),
        ("IPv4 within IPv6", "192.0.2.7", "::ffff:192.0.2.7", true),
        ("what the client claims", "203.0.113.1, 192.0.2.8", "203.0.113.2, 192.0.2.8", true),
    ] {
        for _ in 0..2 {
            assert_eq!(app.sign_in().from(first).first_answer().await.status, 302, "{name}");
        }
        let status = app.sign_in().from(second).first_answer().await.status;
        assert_eq!(status, if same { 429 } else { 302 }, "{name}");
    }
}

#[tokio::test]
async fn a_callback_that_is_refused_has_not_spent_its_ticket() {
    let app = limited("callback").await;
    let attempt = app.sign_in().from("192.0.2.1").at_provider().await;
    let callback = attempt.callback_for("alice");
    for _ in 0..2 {
        app.sign_in().from("192.0.2.1").as_person("bob").await.login_token();
    }
    drop(app.cas.take_validations());
    assert_limited_page(&attempt.open(&callback).await, "10");
    assert!(app.cas.take_validations().is_empty(), "the provider was not asked");
    app.clock.advance(Duration::from_secs(10));
    assert!(attempt.open(&callback).await.location().contains("loginToken="), "the person loaded it again");
}

#[tokio::test]
async fn a_click_on_the_confirmation_page_can_be_repeated() {
    let app = limited("callback").await;
    let page = app.sign_in().to(UNTRUSTED).from("192.0.2.1").as_person("alice").await;
    let value = |name: &str| {
        let after = page.body.split_once(&format!("name=\"{name}\" value=\"")).expect(name).1;
        after.split_once('"').expect("its end").0.to_owned()
    };
    let form = [("provider", value("provider")), ("attempt", value("attempt")), ("csrf", value("csrf"))];
    let click = async || {
        let request = app.request(Method::POST, "/_usher/confirm").header("x-forwarded-for", "192.0.2.1");
        Answer::read(request.header("cookie", page.cookies().join("; ")).form(&form)).await
    };
    app.sign_in().from("192.0.2.1").as_person("bob").await.login_token();
    assert_limited_page(&click().await, "10");
    app.clock.advance(Duration::from_secs(10));
    assert!(click().await.location().contains("loginToken="));
}

#[tokio::test]
async fn an_address_redeems_so_many_tokens_and_the_next_is_told_when_and_is_still_good() {
    let app = limited("login").await;
    let token = app.sign_in().as_person("alice").await.login_token();
    for _ in 0..2 {
        assert_eq!(redeem_from(&app, "192.0.2.1", "nonsense").await.status, 403);
    }
    let answer = redeem_from(&app, "192.0.2.1", &token).await;
    assert_eq!((answer.status.as_u16(), answer.errcode().as_str()), (429, "M_LIMIT_EXCEEDED"));
    assert_eq!((answer.header("retry-after"), &answer.json()["retry_after_ms"]), ("10", &json!(10_000)));
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(redeem_from(&app, "192.0.2.2", &token).await.status, 200, "another address, the same token");
}

#[tokio::test]
async fn an_account_signs_in_so_often_wherever_its_owner_is() {
    let app = limited("account").await;
    for address in ["192.0.2.1", "192.0.2.2"] {
        let token = app.sign_in().from(address).as_person("alice").await.login_token();
        assert_eq!(app.redeem(&token).await.status, 200);
    }
    let answer = app.sign_in().from("192.0.2.3").as_person("alice").await;
    assert_eq!((answer.status.as_u16(), answer.title()), (429, "You have signed in very often"));
    assert_eq!(answer.header("retry-after"), "10");
    assert!(answer.body.contains("redirectUrl="), "a way to start again");
    assert_eq!(app.rows("login_tokens").await, 2);
    let asked = app.sign_in().to(UNTRUSTED).as_person("alice").await;
    assert_eq!(asked.status, 429, "a site that is not trusted makes no difference");
    assert!(app.sign_in().as_person("bob").await.location().contains("loginToken="), "somebody else");
    app.clock.advance(Duration::from_secs(10));
    assert!(app.sign_in().as_person("alice").await.location().contains("loginToken="));
}

#[tokio::test]
async fn a_token_of_a_limited_account_is_given_back() {
    let app = limited("account").await;
    let redeem = async |token: &str, fields: Value| {
        let mut body = json!({ "type": "m.login.token", "token": token });
        body.as_object_mut().expect("an object").extend(fields.as_object().cloned().unwrap_or_default());
        app.post_login(&body).await
    };
    // Three tokens, issued as the bucket is filled again; then all are redeemed at once.
    let mut tokens = Vec::new();
    for _ in 0..3 {
        tokens.push(app.sign_in().as_person("alice").await.login_token());
        app.clock.advance(Duration::from_secs(10));
    }
    for token in &tokens[..2] {
        assert_eq!(redeem(token, json!({})).await.status, 200);
    }
    app.eng.forget_calls();
    for _ in 0..3 {
        let answer = redeem(&tokens[2], json!({ "device_id": "FIRST" })).await;
        assert_eq!((answer.status.as_u16(), answer.errcode().as_str()), (429, "M_LIMIT_EXCEEDED"));
        assert_eq!((answer.header("retry-after"), &answer.json()["retry_after_ms"]), ("10", &json!(10_000)));
    }
    assert!(app.eng.calls_to(Endpoint::Login).is_empty());
    app.clock.advance(Duration::from_secs(10));
    let answer = redeem(&tokens[2], json!({ "device_id": "SECOND" })).await;
    assert_eq!(answer.json()["device_id"], "SECOND", "nothing was chosen on the refused tries");
}

#[tokio::test]
async fn what_is_off_limits_nobody_and_the_defaults_let_a_lecture_in() {
    for (name, limits) in [("off", None), ("default", Some(json!({})))] {
        let app = TestApp::start_with(|config| {
            if let Some(limits) = limits {
                config["limits"] = limits;
            }
        })
        .await;
        for _ in 0..300 {
            assert_eq!(app.sign_in().first_answer().await.status, 302, "{name}");
        }
        assert_eq!(
            app.sign_in().first_answer().await.status,
            if name == "off" { 302 } else { 429 },
            "{name}"
        );
        assert_eq!(app.get("/_matrix/client/v3/login").await.status, 200, "{name}: what costs nothing");
    }
}
