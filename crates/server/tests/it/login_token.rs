//! CASES "Login token".

use std::time::Duration;

use reqwest::{Method, header::RETRY_AFTER};
use serde_json::json;
use usher_lab::scripted::{
    Reply,
    homeserver::{Account, Endpoint, Fault},
};

use crate::app::{Answer, TestApp};

const USER: &str = "@alice:eng.ac.cdl";

async fn token(app: &TestApp) -> String {
    app.sign_in().as_person("alice").await.login_token()
}

/// One that the portal made and never issued.
fn unknown_token(app: &TestApp) -> String {
    let entropy = usher_core::testing::SeededEntropy::new(4711);
    usher_server::login::new_token(&app.app.keyring, &entropy)
}

#[tokio::test]
async fn garbage_costs_the_database_nothing_and_a_real_token_waits_for_it() {
    let app = TestApp::start().await;
    let real = token(&app).await;
    let unknown = unknown_token(&app);
    let mut forged = real.clone();
    let last = forged.pop().expect("a token is not empty");
    forged.push(if last == 'A' { 'Q' } else { 'A' });
    let mut tampered = real.clone();
    tampered.replace_range(5..6, if &real[5..6] == "A" { "B" } else { "A" });
    app.app.store.close().await;
    for (name, token, status, errcode) in [
        ("a real one", &real, 503, "M_UNKNOWN"),
        ("one that was never issued", &unknown, 503, "M_UNKNOWN"),
        ("another mark", &forged, 403, "M_FORBIDDEN"),
        ("other random bits", &tampered, 403, "M_FORBIDDEN"),
        ("no mark", &format!("ushl_{}", "A".repeat(54)), 403, "M_FORBIDDEN"),
    ] {
        let answer = app.redeem(token).await;
        assert_eq!((answer.status.as_u16(), answer.errcode().as_str()), (status, errcode), "{name}");
    }
}

#[tokio::test]
async fn a_token_is_good_once() {
    let app = TestApp::start().await;
    let token = token(&app).await;
    let first = app.redeem(&token).await;
    assert_eq!(first.status, 200);
    let body = first.json();
    assert_eq!((body["user_id"].as_str(), body["home_server"].as_str()), (Some(USER), Some("eng.ac.cdl")));
    let device_id = body["device_id"].as_str().expect("a device");
    assert!(device_id.len() == 10 && device_id.bytes().all(|byte| byte.is_ascii_uppercase()), "{device_id}");
    let devices = app.eng.user(USER).expect("a user").devices;
    assert_eq!(devices[device_id].access_tokens, [body["access_token"].as_str().expect("a token")]);
    let second = app.redeem(&token).await;
    assert_eq!((second.status.as_u16(), second.errcode().as_str()), (403, "M_FORBIDDEN"));
    assert_eq!(app.rows("sessions").await, 1);
}

#[tokio::test]
async fn the_cookie_of_a_redeemed_attempt_opens_nothing() {
    let app = TestApp::start().await;
    let attempt = app.sign_in().at_provider().await;
    let token = attempt.come_back_as("alice").await.login_token();
    assert_eq!(app.redeem(&token).await.status, 200);
    for person in ["alice", "bob"] {
        let answer = attempt.open(&attempt.callback_for(person)).await;
        assert_eq!(
            (answer.status.as_u16(), answer.title()),
            (400, "This sign-in was used already"),
            "{person}"
        );
    }
    assert_eq!(app.rows("login_tokens").await, 1);
}

#[tokio::test]
async fn of_two_at_once_exactly_one_gets_in() {
    let app = TestApp::start().await;
    let token = token(&app).await;
    let answers = futures_util::future::join_all((0..10).map(|_| app.redeem(&token))).await;
    let ok = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(ok, 1);
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        assert!(matches!(answer.errcode().as_str(), "M_LIMIT_EXCEEDED" | "M_FORBIDDEN"), "{}", answer.body);
    }
    assert_eq!(app.eng.calls_to(Endpoint::Login).len(), 1);
}

#[tokio::test]
async fn tokens_that_are_none_are_refused_alike() {
    let app = TestApp::start().await;
    let expired = token(&app).await;
    let unknown = unknown_token(&app);
    let forged = format!("ushl_{}", "A".repeat(54));
    let of_an_older_release = format!("ushl_{}", "A".repeat(43));
    app.clock.advance(Duration::from_mins(2));
    for (name, token) in [
        ("expired", expired.as_str()),
        ("unknown", &unknown),
        ("forged", &forged),
        ("without a mark", &of_an_older_release),
        ("the padding of another", &format!("{unknown}==")),
        ("too short", "ushl_AAAA"),
        ("a homeserver's own", "syl_abcdefghijklmnop_123456"),
        ("empty", ""),
        ("long", &"x".repeat(9999)),
    ] {
        let answer = app.redeem(token).await;
        assert_eq!((answer.status.as_u16(), answer.errcode().as_str()), (403, "M_FORBIDDEN"), "{name}");
    }
    assert!(app.eng.calls_to(Endpoint::Login).is_empty());
}

#[tokio::test]
async fn it_lives_to_the_last_millisecond() {
    let app = TestApp::start().await;
    let token = token(&app).await;
    app.clock.advance(Duration::from_millis(119_999));
    assert_eq!(app.redeem(&token).await.status, 200);
}

#[tokio::test]
async fn what_the_client_asks_for_reaches_the_homeserver() {
    let app = TestApp::start().await;
    let body = json!({
        "type": "m.login.token",
        "token": token(&app).await,
        "device_id": "MYDEVICE",
        "initial_device_display_name": "Älice's phone",
        "refresh_token": true,
    });
    let answer = app.post_login(&body).await.json();
    assert_eq!(answer["device_id"], "MYDEVICE");
    assert!(answer["refresh_token"].is_string() && answer["expires_in_ms"].is_u64(), "{answer}");
    let device = app.eng.user(USER).expect("a user").devices["MYDEVICE"].clone();
    assert_eq!(device.display_name.as_deref(), Some("Älice's phone"));
}

#[tokio::test]
async fn a_body_without_a_content_type_is_read_and_a_large_one_is_not() {
    let app = TestApp::start().await;
    let body = json!({ "type": "m.login.token", "token": token(&app).await }).to_string();
    for (name, version, body, status, errcode) in
        [("no type at r0", "r0", body, 200, ""), ("65 KiB", "v3", " ".repeat(65 * 1024), 413, "M_TOO_LARGE")]
    {
        let request = app.request(Method::POST, &format!("/_matrix/client/{version}/login")).body(body);
        let answer = Answer::read(request).await;
        assert_eq!(answer.status, status, "{name}");
        assert!(status == 200 || answer.errcode() == errcode, "{name}");
    }
}

#[tokio::test]
async fn a_body_that_is_no_login_is_refused_before_anything_is_done() {
    let app = TestApp::start().await;
    let token = token(&app).await;
    let with = |field: &str, value: serde_json::Value| {
        let mut body = json!({ "type": "m.login.token", "token": token });
        body[field] = value;
        body.to_string().into_bytes()
    };
    for (name, body, status, errcode) in [
        ("not UTF-8", b"{\"type\":\"m.login.token\xff\"}".to_vec(), 400, "M_NOT_JSON"),
        ("not JSON", b"token".to_vec(), 400, "M_NOT_JSON"),
        ("empty", Vec::new(), 400, "M_NOT_JSON"),
        ("a list", b"[]".to_vec(), 400, "M_BAD_JSON"),
        ("an unknown type", with("type", json!("m.login.password")), 400, "M_UNKNOWN"),
        ("no token", b"{\"type\":\"m.login.token\"}".to_vec(), 400, "M_MISSING_PARAM"),
        ("a token that is no string", with("token", json!(7)), 400, "M_BAD_JSON"),
        ("refresh_token is no bool", with("refresh_token", json!("true")), 400, "M_BAD_JSON"),
        ("a device id of 513 characters", with("device_id", json!("x".repeat(513))), 400, "M_INVALID_PARAM"),
        ("a device id that is no string", with("device_id", json!(1)), 400, "M_BAD_JSON"),
    ] {
        for version in ["v3", "r0"] {
            let path = format!("/_matrix/client/{version}/login");
            let answer = Answer::read(app.request(Method::POST, &path).body(body.clone())).await;
            assert_eq!((answer.status.as_u16(), answer.errcode().as_str()), (status, errcode), "{name}");
            assert_eq!(answer.header("cache-control"), "no-store", "{name}");
        }
    }
    assert!(app.eng.calls_to(Endpoint::Login).is_empty());
    let longest = with("device_id", json!("x".repeat(512)));
    let answer = Answer::read(app.request(Method::POST, "/_matrix/client/v3/login").body(longest)).await;
    assert_eq!(answer.status, 200, "and the token is still good");
}

#[tokio::test]
async fn well_known_is_that_of_the_selected_homeserver() {
    let app = TestApp::start_with(|config| {
        config["homeservers"][1]["well_known"] = json!({ "m.identity_server": { "base_url": "https://id" } });
        config["well_known"] =
            json!({ "content": { "m.tile_server": { "map_style_url": "https://tiles" } } });
    })
    .await;
    for (person, expected) in [
        ("alice", json!({ "m.homeserver": { "base_url": "https://matrix.eng.ac.cdl" } })),
        (
            "carol",
            json!({
                "m.homeserver": { "base_url": "https://matrix.hist.ac.cdl" },
                "m.identity_server": { "base_url": "https://id" },
            }),
        ),
    ] {
        let token = app.sign_in().as_person(person).await.login_token();
        assert_eq!(app.redeem(&token).await.json()["well_known"], expected, "{person}");
    }
}

#[tokio::test]
async fn a_definite_failure_gives_the_token_back_at_once() {
    let app = TestApp::start().await;
    let token = token(&app).await;
    for (name, fault, status, errcode) in [
        ("500", Fault::server_error(), 502, "M_UNKNOWN"),
        ("HTML", Fault::html(), 502, "M_UNKNOWN"),
        ("10 MB", Fault::huge(), 502, "M_UNKNOWN"),
        ("another user", Fault::NamesAnotherUser("@mallory:eng.ac.cdl".to_owned()), 502, "M_UNKNOWN"),
        ("not allowed", Fault::error(401, "M_UNKNOWN_TOKEN", "who are you"), 502, "M_UNKNOWN"),
        ("429", Fault::rate_limited("7"), 429, "M_LIMIT_EXCEEDED"),
    ] {
        app.eng.set_fault(Endpoint::Login, fault);
        let answer = app.redeem(&token).await;
        assert_eq!((answer.status.as_u16(), answer.errcode().as_str()), (status, errcode), "{name}");
        assert!(answer.json().get("access_token").is_none(), "{name}");
        assert_eq!(answer.header("access-control-allow-origin"), "*", "{name}");
        if status == 429 {
            assert_eq!(answer.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()), Some("7"));
            assert_eq!(answer.json()["retry_after_ms"], 7000);
        }
        app.eng.clear_fault(Endpoint::Login);
    }
    app.eng.stop().await.expect("stopped");
    assert_eq!(app.redeem(&token).await.status, 502, "down");
    app.eng.restart().await.expect("restarted");
    assert_eq!(app.redeem(&token).await.status, 200);
}

#[tokio::test]
async fn a_session_that_may_have_been_opened_is_not_opened_again_elsewhere() {
    let app = TestApp::start().await;
    let token = token(&app).await;
    for _ in 0..3 {
        app.eng.set_fault(Endpoint::Login, Fault::ActsAndSays(Reply::new(502, "text/html", "Bad Gateway")));
        assert_eq!(app.redeem(&token).await.status, 502);
        app.eng.clear_fault(Endpoint::Login);
    }
    assert_eq!(app.redeem(&token).await.status, 200);
    assert_eq!(app.eng.user(USER).expect("a user").devices.len(), 1);
}

#[tokio::test]
async fn an_ambiguous_failure_holds_the_token_until_the_lease_ends_and_keeps_the_device() {
    let app = TestApp::start().await;
    let token = token(&app).await;
    app.eng.set_fault(Endpoint::Login, Fault::act_but_never_answer());
    let answer = app.redeem(&token).await;
    assert_eq!((answer.status.as_u16(), answer.errcode().as_str()), (504, "M_UNKNOWN"));
    app.eng.clear_fault(Endpoint::Login);
    let device: Vec<_> = app.eng.user(USER).expect("a user").devices.into_keys().collect();
    let leased = app.redeem(&token).await;
    assert_eq!((leased.status.as_u16(), leased.errcode().as_str()), (429, "M_LIMIT_EXCEEDED"));
    assert_eq!(leased.json()["retry_after_ms"], 6000, "the homeserver's deadline and five seconds");
    app.clock.advance(Duration::from_millis(5999));
    assert_eq!(app.redeem(&token).await.status, 429);
    app.clock.advance(Duration::from_millis(1));
    let answer = app.redeem(&token).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["device_id"], device[0].as_str());
    assert_eq!(app.eng.user(USER).expect("a user").devices.len(), 1);
}

#[tokio::test]
async fn a_token_claimed_at_the_last_moment_outlives_its_lease() {
    let app = TestApp::start().await;
    let token = token(&app).await;
    app.clock.advance(Duration::from_millis(119_999));
    app.eng.set_fault(Endpoint::Login, Fault::hang());
    assert_eq!(app.redeem(&token).await.status, 504);
    app.eng.clear_fault(Endpoint::Login);
    app.clock.advance(Duration::from_secs(7));
    assert_eq!(app.redeem(&token).await.status, 200);
}

#[tokio::test]
async fn accounts_in_trouble_are_told_so() {
    let app = TestApp::start().await;
    for (name, account, status, errcode) in [
        ("deactivated", Account::Deactivated, 403, "M_USER_DEACTIVATED"),
        ("locked", Account::Locked, 401, "M_USER_LOCKED"),
    ] {
        let token = token(&app).await;
        app.eng.set_account(USER, account);
        let answer = app.redeem(&token).await;
        assert_eq!((answer.status.as_u16(), answer.errcode().as_str()), (status, errcode), "{name}");
        app.eng.set_account(USER, Account::Active);
    }
}

#[tokio::test]
async fn an_account_that_vanished_is_refused_and_never_registered_again() {
    let app = TestApp::start().await;
    let token = token(&app).await;
    app.eng.remove_user(USER);
    app.eng.forget_calls();
    let answer = app.redeem(&token).await;
    assert_eq!((answer.status.as_u16(), answer.errcode().as_str()), (403, "M_FORBIDDEN"));
    assert!(app.eng.calls_to(Endpoint::Register).is_empty());
    let again = app.sign_in().as_person("alice").await.login_token();
    assert_eq!(app.redeem(&again).await.status, 403);
    assert!(app.eng.users().is_empty());
}

#[tokio::test]
async fn the_token_is_in_the_database_as_a_hash_only() {
    let app = TestApp::start().await;
    let token = token(&app).await;
    assert_eq!(app.rows(&format!("login_tokens WHERE token_hash LIKE '%{token}%'")).await, 0);
    assert_eq!(app.rows("login_tokens WHERE length(token_hash) = 64 AND state = 'issued'").await, 1);
}
