//! Rate limits: who is limited, who is not, and that nothing is lost by waiting.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use usher_lab::scripted::{cas::CasPerson, homeserver::Endpoint};

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
    let app = limited("click").await;
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
    for _ in 0..2 {
        assert!(click().await.location().contains("loginToken="));
    }
    assert_limited_page(&click().await, "10");
    app.clock.advance(Duration::from_secs(10));
    assert!(click().await.location().contains("loginToken="));
}

#[tokio::test]
async fn an_address_redeems_so_many_tokens_and_the_next_is_told_when_and_is_still_good() {
    let app = limited("login").await;
    let token = app.sign_in().as_person("alice").await.login_token();
    let other = app.sign_in().as_person("bob").await.login_token();
    for (name, status) in [("good", 200), ("spent, but one of ours", 403)] {
        assert_eq!(redeem_from(&app, "192.0.2.1", &other).await.status, status, "{name}");
    }
    let answer = redeem_from(&app, "192.0.2.1", &token).await;
    assert_eq!((answer.status.as_u16(), answer.errcode().as_str()), (429, "M_LIMIT_EXCEEDED"));
    assert_eq!((answer.header("retry-after"), &answer.json()["retry_after_ms"]), ("10", &json!(10_000)));
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(redeem_from(&app, "192.0.2.2", &token).await.status, 200, "another address, the same token");
}

#[tokio::test]
async fn what_is_no_token_of_ours_uses_up_nothing_of_a_shared_address() {
    let app = limited("login").await;
    let token = app.sign_in().as_person("alice").await.login_token();
    let other = if &token[9..10] == "A" { "B" } else { "A" };
    let forged = format!("{}{other}{}", &token[..9], &token[10..]);
    for (name, garbage, status) in [
        ("nonsense", "nonsense", 403),
        ("nothing", "", 403),
        ("our prefix", "ushl_x", 403),
        ("a mark that is not ours", &forged, 403),
        ("too long", &"x".repeat(2000), 403),
    ] {
        assert_eq!(redeem_from(&app, "192.0.2.1", garbage).await.status, status, "{name}");
    }
    for body in ["", "{}", r#"{"type":"m.login.password"}"#] {
        let request = app.request(Method::POST, "/_matrix/client/v3/login").body(body);
        assert_eq!(Answer::read(request.header("x-forwarded-for", "192.0.2.1")).await.status, 400, "{body}");
    }
    assert_eq!(redeem_from(&app, "192.0.2.1", &token).await.status, 200);
}

#[tokio::test]
async fn a_callback_that_opens_no_attempt_uses_up_nothing_and_costs_nothing() {
    let app = limited("callback").await;
    let attempt = app.sign_in().from("192.0.2.1").at_provider().await;
    let callback = attempt.callback_for("alice");
    let (name, value) = attempt.cookies[0].split_once('=').expect("a cookie");
    let (own, another) = (attempt.cookies[0].clone(), app.sign_in().at_provider().await.cookies);
    let unknown =
        callback.path().rsplit_once('/').expect("a handle").0.to_owned() + "/AAAAAAAAAAAAAAAAAAAAAA";
    let ours = callback[url::Position::BeforePath..].to_owned();
    for (case, path, cookie) in [
        ("no cookie", ours.as_str(), String::new()),
        ("another attempt's cookie", &ours, another[0].clone()),
        ("garbage in the cookie", &ours, format!("{name}=test.AAAA")),
        ("a cookie with one character changed", &ours, format!("{name}=test.A{}", &value[6..])),
        ("another handle", &format!("{unknown}?ticket=ST-1"), own.clone()),
        ("no handle", "/_usher/cas/corp/callback?ticket=ST-1", own),
    ] {
        let request = app.request(Method::GET, path).header("cookie", cookie);
        let answer = Answer::read(request.header("x-forwarded-for", "192.0.2.1")).await;
        assert!([400, 404].contains(&answer.status.as_u16()), "{case}: {}", answer.status);
    }
    assert!(app.cas.take_validations().is_empty(), "the provider was not asked");
    assert!(attempt.open(&callback).await.location().contains("loginToken="));
}

#[tokio::test]
async fn a_click_that_opens_no_attempt_uses_up_nothing() {
    let app = limited("click").await;
    let page = app.sign_in().to(UNTRUSTED).from("192.0.2.1").as_person("alice").await;
    let own = page.cookies().join("; ");
    let form = page.hidden_fields();
    let post = async |path: &str, cookie: &str, form: &[(String, String)]| {
        let request = app.request(Method::POST, path).header("x-forwarded-for", "192.0.2.1");
        Answer::read(request.header("cookie", cookie).form(form)).await
    };
    for path in ["/_usher/confirm", "/_usher/choose"] {
        let with_choice = [form.clone(), vec![("homeserver".to_owned(), "eng.ac.cdl".to_owned())]].concat();
        let form = if path == "/_usher/choose" { &with_choice } else { &form };
        assert_eq!(post(path, &own, &[]).await.status, 400, "{path}: no form");
        assert_eq!(post(path, "", form).await.status, 400, "{path}: no cookie");
        let another = own.split_once('=').expect("a cookie").0.to_owned() + "=test.AAAA";
        assert_eq!(post(path, &another, form).await.status, 400, "{path}: no cookie of ours");
    }
    assert!(post("/_usher/confirm", &own, &form).await.location().contains("loginToken="));
}

#[tokio::test]
async fn an_address_chooses_so_often_and_nothing_is_lost() {
    let app = TestApp::start_with(|config| {
        config["selection"] = json!([{ "ask": {} }]);
        config["limits"]["click"] = json!({ "burst": 1, "per_minute": 6 });
    })
    .await;
    let choose = async |person: &str| {
        let page = app.sign_in().as_person(person).await;
        let form = [page.hidden_fields(), vec![("homeserver".to_owned(), "eng.ac.cdl".to_owned())]].concat();
        let request = app.request(Method::POST, "/_usher/choose").header("cookie", page.cookies().join("; "));
        Answer::read(request.form(&form)).await
    };
    assert!(choose("alice").await.location().contains("loginToken="));
    assert_limited_page(&choose("erin").await, "10");
    assert_eq!(app.rows("accounts").await, 1);
    app.clock.advance(Duration::from_secs(10));
    assert!(choose("erin").await.location().contains("loginToken="));
}

/// Every page of ours, one after another, with the limits nobody has set.
#[tokio::test]
async fn three_hundred_people_at_one_address_get_all_the_way_at_once() {
    let app = TestApp::start_with(|config| {
        config["limits"] = json!({});
        config["selection"] = json!([{ "ask": {} }]);
    })
    .await;
    let post = async |page: &Answer, path: &str, more: &[(String, String)]| {
        let request = app.request(Method::POST, path).header("cookie", page.cookies().join("; "));
        Answer::read(request.form(&[page.hidden_fields(), more.to_vec()].concat())).await
    };
    let choice = [("homeserver".to_owned(), "eng.ac.cdl".to_owned())];
    for number in 0..300 {
        let name = format!("student{number}");
        app.cas.add_person(CasPerson::new(name.clone()));
        let page = app.sign_in().to(UNTRUSTED).as_person(&name).await;
        let page = post(&page, "/_usher/choose", &choice).await;
        let token = post(&page, "/_usher/confirm", &[]).await.login_token();
        let session = app.redeem(&token).await;
        assert_eq!(session.json()["user_id"], format!("@{name}:eng.ac.cdl"));
    }
    assert_limited_page(&app.sign_in().first_answer().await, "1");
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
