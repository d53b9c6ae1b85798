//! Logging in.

use ruma_common::{DeviceId, device_id};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use usher_homeserver::{HandoffError, LogIn};
use usher_lab::scripted::homeserver::{Account, Endpoint, Fault};

use crate::lab::{Lab, alice, client_with, log_in, says_json, word};

#[tokio::test]
async fn a_person_gets_a_session_on_the_device_they_asked_for() {
    let lab = Lab::with_alice().await;
    let session = lab.log_in(&alice()).await.expect("a session");
    assert_eq!(session.user_id, "@alice:eng.example");
    assert_eq!(session.device_id, "PHONE");
    assert_eq!(session.home_server.as_deref(), Some("eng.example"));
    assert!(session.refresh_token.is_none() && session.expires_in_ms.is_none());
    let person = lab.scripted.user("@alice:eng.example").expect("alice");
    let device = &person.devices["PHONE"];
    assert_eq!(device.access_tokens, [session.access_token.expose_secret()]);
    assert_eq!(device.display_name.as_deref(), Some("Alice's phone"));
}

#[tokio::test]
async fn a_repeat_lands_on_the_same_device() {
    let lab = Lab::with_alice().await;
    let first = lab.log_in(&alice()).await.expect("a session");
    let second = lab.log_in(&alice()).await.expect("a session");
    assert_ne!(first.access_token.expose_secret(), second.access_token.expose_secret());
    assert_eq!(lab.scripted.user("@alice:eng.example").expect("alice").devices.len(), 1);
}

#[tokio::test]
async fn a_refresh_token_is_asked_for_only_by_clients_that_can_use_it() {
    for refresh_token in [true, false] {
        let lab = Lab::with_alice().await;
        let user = alice();
        let device_id = device_id!("PHONE");
        let login =
            LogIn { user: &user, device_id, initial_device_display_name: None, refresh_token, client: None };
        let session = lab.homeserver.log_in(&login).await.expect("a session");
        assert_eq!(session.refresh_token.is_some(), refresh_token);
        assert_eq!(session.expires_in_ms, refresh_token.then_some(300_000));
    }
}

#[tokio::test]
async fn an_account_that_may_not_log_in_is_told_apart() {
    let rows = [
        ("deactivated", Account::Deactivated, "deactivated"),
        ("locked", Account::Locked, "locked"),
        ("active", Account::Active, "a session"),
    ];
    for (name, account, expected) in rows {
        let lab = Lab::start().await;
        lab.scripted.set_account("@alice:eng.example", account);
        let got = lab.log_in(&alice()).await.as_ref().map_or_else(word, |_| "a session");
        assert_eq!(got, expected, "{name}");
    }
}

#[tokio::test]
async fn soft_logout_is_kept() {
    for (name, soft_logout, expected) in
        [("true", json!(true), true), ("false", json!(false), false), ("absent", Value::Null, false)]
    {
        let lab = Lab::with_alice().await;
        let mut said = json!({ "errcode": "M_USER_LOCKED", "error": "locked", "soft_logout": soft_logout });
        if said["soft_logout"].is_null() {
            said.as_object_mut().expect("an object").remove("soft_logout");
        }
        lab.scripted.set_fault(Endpoint::Login, says_json(401, &said));
        match lab.log_in(&alice()).await {
            Err(HandoffError::Locked { soft_logout }) => assert_eq!(soft_logout, expected, "{name}"),
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn an_account_that_is_not_there_is_not_made() {
    let lab = Lab::start().await;
    let error = lab.log_in(&alice()).await.expect_err("no alice");
    assert_eq!(word(&error), "unknown user");
    assert!(error.is_definite());
    assert!(lab.scripted.users().is_empty());
    lab.scripted.set_fault(Endpoint::Login, Fault::error(404, "M_NOT_FOUND", "no"));
    assert_eq!(word(&lab.log_in(&alice()).await.expect_err("no alice")), "unknown user");
}

#[tokio::test]
async fn a_session_of_somebody_else_is_thrown_away() {
    for got in ["@admin:eng.example", "@ALICE:eng.example", "@alice:law.example"] {
        let lab = Lab::with_alice().await;
        lab.scripted.set_fault(Endpoint::Login, Fault::NamesAnotherUser(got.to_owned()));
        match lab.log_in(&alice()).await {
            Err(HandoffError::AnotherUser { got: named }) => assert_eq!(named, got),
            other => panic!("{got}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn an_unknown_token_or_a_small_namespace_is_for_the_operator() {
    let lab = Lab::with_alice().await;
    let stranger = client_with("not-the-token", lab.scripted.url());
    assert_eq!(word(&log_in(&stranger, &alice()).await.expect_err("a stranger")), "not allowed");
    lab.scripted.exclude("@alice:eng.example");
    assert_eq!(word(&lab.log_in(&alice()).await.expect_err("outside")), "not allowed");
}

#[tokio::test]
async fn an_answer_is_read_strictly_where_it_is_used_and_leniently_elsewhere() {
    let change = |key: &str, value: Value| {
        let mut answer = json!({
            "user_id": "@alice:eng.example", "access_token": "syt_x", "device_id": "PHONE",
            "refresh_token": "syr_x", "expires_in_ms": 5, "home_server": "eng.example",
        });
        answer[key] = value;
        answer
    };
    let without = |key: &str| {
        let mut answer = change(key, Value::Null);
        answer.as_object_mut().expect("an object").remove(key);
        answer
    };
    let rows = [
        ("as it should be", change("home_server", json!("eng.example")), true),
        ("unknown fields", change("org.example", json!({ "a": [1] })), true),
        ("a well_known of its own", change("well_known", json!(3)), true),
        ("no home_server", without("home_server"), true),
        ("null refresh_token", change("refresh_token", Value::Null), true),
        ("null lifetime", change("expires_in_ms", Value::Null), true),
        ("another device", change("device_id", json!("OTHER")), false),
        ("no user", without("user_id"), false),
        ("no user id", change("user_id", json!("alice")), false),
        ("no access token", without("access_token"), false),
        ("null access token", change("access_token", Value::Null), false),
        ("empty access token", change("access_token", json!("")), false),
        ("no device", without("device_id"), false),
        ("device of another type", change("device_id", json!(3)), false),
        ("lifetime as text", change("expires_in_ms", json!("5")), false),
        ("negative lifetime", change("expires_in_ms", json!(-5)), false),
        ("refresh token of another type", change("refresh_token", json!(true)), false),
    ];
    for (name, answer, is_ok) in rows {
        let lab = Lab::with_alice().await;
        lab.scripted.set_fault(Endpoint::Login, says_json(200, &answer));
        match lab.log_in(&alice()).await {
            Ok(session) => {
                assert!(is_ok, "{name}");
                assert_eq!(
                    session.device_id,
                    <&DeviceId>::from(answer["device_id"].as_str().expect("a device"))
                );
            }
            Err(error) => assert!(!is_ok && word(&error) == "misbehaved", "{name}: {error:?}"),
        }
    }
}
