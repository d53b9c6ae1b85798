//! What is asked with a person's own access token.

use ruma_common::device_id;
use secrecy::SecretString;
use serde_json::{Map, Value, json};
use usher_homeserver::{AsPersonError, Asked, CallError, Misbehaviour, Refusal, WhoAmI};
use usher_lab::scripted::homeserver::{Account, Endpoint, Fault};

use crate::lab::{CLIENT, Lab, Operation, alice, keys, object, says, says_json};

fn own_keys(lab: &Lab) -> Map<String, Value> {
    lab.scripted.user(alice().as_str()).expect("alice").cross_signing
}

async fn upload(lab: &Lab, token: &SecretString, body: &Map<String, Value>) -> Asked {
    lab.homeserver.upload_cross_signing_as_person(token, CLIENT, body).await.expect("an answer")
}

#[tokio::test]
async fn a_token_is_its_owners_on_one_device() {
    let lab = Lab::with_alice().await;
    for device in ["PHONE", "LAPTOP"] {
        let token = lab.session_on(device);
        let who = lab.homeserver.whoami(&token, CLIENT).await.expect("alice");
        let expected = WhoAmI { user_id: alice(), device_id: Some(device.into()), is_guest: false };
        assert_eq!(who, expected);
    }
}

#[tokio::test]
async fn who_is_named_is_for_the_caller_to_judge() {
    let lab = Lab::with_alice().await;
    let token = lab.session_on("PHONE");
    for got in ["@alice:law.example", "@usher:eng.example"] {
        lab.scripted.set_fault(Endpoint::WhoAmI, Fault::NamesAnotherUser(got.to_owned()));
        let who = lab.homeserver.whoami(&token, CLIENT).await.expect("an answer");
        assert_eq!(who.user_id, got);
    }
}

#[tokio::test]
async fn whoami_is_read_strictly_where_it_is_used_and_leniently_elsewhere() {
    let person = |more: Value| {
        let mut said = json!({ "user_id": "@alice:eng.example", "device_id": "PHONE", "is_guest": false });
        said.as_object_mut().expect("an object").extend(object(more));
        said
    };
    let phone = Some(device_id!("PHONE"));
    let rows = [
        ("as it should be", person(json!({})), Some((phone, false))),
        ("unknown fields", person(json!({ "org.example": [1] })), Some((phone, false))),
        ("a guest", person(json!({ "is_guest": true })), Some((phone, true))),
        ("no device", person(json!({ "device_id": null })), Some((None, false))),
        ("neither", json!({ "user_id": "@alice:eng.example" }), Some((None, false))),
        ("no user", json!({ "device_id": "PHONE" }), None),
        ("null user", person(json!({ "user_id": null })), None),
        ("no user id", person(json!({ "user_id": "alice" })), None),
        ("a device of another type", person(json!({ "device_id": 3 })), None),
        ("a guest of another type", person(json!({ "is_guest": "no" })), None),
    ];
    for (name, said, expected) in rows {
        let lab = Lab::with_alice().await;
        let token = lab.session_on("PHONE");
        lab.scripted.set_fault(Endpoint::WhoAmI, says_json(200, &said));
        match (lab.homeserver.whoami(&token, CLIENT).await, expected) {
            (Ok(who), Some(expected)) => {
                assert_eq!((who.device_id.as_deref(), who.is_guest), expected, "{name}");
            }
            (
                Err(AsPersonError::Call(CallError::Misbehaved(Misbehaviour::WrongShape { status: 200 }))),
                None,
            ) => {}
            (other, _) => panic!("{name}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_homeservers_no_to_a_token_is_kept_as_it_is() {
    let said = |status, errcode: &str, error: &str, soft_logout| Refusal {
        status,
        errcode: errcode.to_owned(),
        error: error.to_owned(),
        soft_logout,
    };
    let soft = json!({ "errcode": "M_UNKNOWN_TOKEN", "error": "expired", "soft_logout": true });
    let rows = [
        ("unknown", Fault::error(401, "M_UNKNOWN_TOKEN", "no"), said(401, "M_UNKNOWN_TOKEN", "no", false)),
        ("expired", says_json(401, &soft), said(401, "M_UNKNOWN_TOKEN", "expired", true)),
        ("locked", Fault::error(401, "M_USER_LOCKED", "no"), said(401, "M_USER_LOCKED", "no", false)),
        (
            "expired account",
            Fault::error(403, "ORG_MATRIX_EXPIRED_ACCOUNT", "no"),
            said(403, "ORG_MATRIX_EXPIRED_ACCOUNT", "no", false),
        ),
        (
            "repeats the token",
            Fault::error(401, "M_UNKNOWN_TOKEN", "Unknown token syt_x"),
            said(401, "M_UNKNOWN_TOKEN", "Unknown token [access_token]", false),
        ),
    ];
    let token = "syt_x".into();
    for (name, fault, expected) in rows {
        let lab = Lab::with_alice().await;
        for operation in Operation::AS_PERSON {
            lab.scripted.set_fault(operation.endpoint(), fault.clone());
        }
        let refused = |error| match error {
            AsPersonError::Refused(refusal) => refusal,
            AsPersonError::Call(error) => panic!("{name}: {error:?}"),
        };
        let whoami = lab.homeserver.whoami(&token, CLIENT).await.expect_err(name);
        assert_eq!(refused(whoami), expected, "{name}");
        let capabilities = lab.homeserver.capabilities(&token, CLIENT).await.expect_err(name);
        assert_eq!(refused(capabilities), expected, "{name}");
        assert_eq!(upload(&lab, &token, &keys("first")).await, Asked::Refused(expected), "{name}");
    }
}

#[tokio::test]
async fn whoever_is_gone_or_locked_is_refused() {
    for (account, errcode, soft_logout) in
        [(Account::Deactivated, "M_UNKNOWN_TOKEN", false), (Account::Locked, "M_USER_LOCKED", true)]
    {
        let lab = Lab::with_alice().await;
        let token = lab.session_on("PHONE");
        lab.scripted.set_account(alice().as_str(), account);
        match lab.homeserver.whoami(&token, CLIENT).await {
            Err(AsPersonError::Refused(refusal)) => {
                assert_eq!((refusal.errcode.as_str(), refusal.soft_logout), (errcode, soft_logout));
            }
            other => panic!("{account:?}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_token_that_cannot_be_one_is_refused_and_not_sent() {
    let rows = [
        ("empty", ""),
        ("a space", "syt_a b"),
        ("a space at its end", "syt_a "),
        ("another header", "syt_a\r\nX-Forwarded-For: 10.0.0.1"),
        ("a line break", "syt_a\n"),
        ("a zero", "syt_\0"),
        ("a control character", "syt_\u{7f}"),
        ("not ASCII", "tökén"),
    ];
    let lab = Lab::with_alice().await;
    for (name, token) in rows {
        for operation in Operation::AS_PERSON {
            let error =
                operation.run(&lab.homeserver, &alice(), &token.into()).await.expect_err("no such token");
            assert_eq!(error.word(), "refused", "{name} at {operation:?}");
            assert!(token.is_empty() || !format!("{error:?}").contains(token), "{name} at {operation:?}");
        }
        match lab.homeserver.whoami(&token.into(), CLIENT).await {
            Err(AsPersonError::Refused(refusal)) => {
                assert_eq!((refusal.status, refusal.errcode.as_str()), (401, "M_UNKNOWN_TOKEN"), "{name}");
                assert!(!refusal.soft_logout, "{name}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
    assert!(lab.scripted.calls().is_empty());
}

#[tokio::test]
async fn capabilities_come_as_they_are() {
    const SAID: &str = r#"{"capabilities": {"m.change_password": {"enabled": true}, "a.b": {"u64": 18446744073709551615,
        "i64": -9223372036854775808, "large": 9007199254740993, "float": 0.1, "one": 1.0, "exponent": 1e300,
        "null": null, "text": "\u0000\ud83c\udfa9"}}, "org.example": [[], {}]}"#;
    let lab = Lab::with_alice().await;
    let token = lab.session_on("PHONE");
    let own = lab.homeserver.capabilities(&token, CLIENT).await.expect("an answer");
    assert_eq!(own["capabilities"]["org.example.numbers"]["large"], 9_007_199_254_740_993_u64);
    lab.scripted.set_fault(Endpoint::Capabilities, says(200, "application/json", SAID));
    let got = lab.homeserver.capabilities(&token, CLIENT).await.expect("an answer");
    assert_eq!(
        Value::Object(got).to_string(),
        concat!(
            r#"{"capabilities":{"a.b":{"exponent":1e+300,"float":0.1,"i64":-9223372036854775808,"#,
            r#""large":9007199254740993,"null":null,"one":1.0,"text":"\u0000🎩","u64":18446744073709551615},"#,
            r#""m.change_password":{"enabled":true}},"org.example":[[],{}]}"#
        )
    );
}

#[tokio::test]
async fn only_keys_that_change_need_ui_auth() {
    let lab = Lab::with_alice().await;
    let token = lab.session_on("PHONE");
    for time in ["first", "again"] {
        assert_eq!(upload(&lab, &token, &keys("first")).await, Asked::Done(Map::new()), "{time}");
    }
    assert_eq!(upload(&lab, &token, &keys("second")).await, Asked::NeedsUiAuth);
    assert_eq!(own_keys(&lab), keys("first"));
}

#[tokio::test]
async fn what_a_client_says_in_auth_is_not_passed_on() {
    let lab = Lab::with_alice().await;
    lab.scripted.set_password(alice().as_str(), "a password");
    let token = lab.session_on("PHONE");
    upload(&lab, &token, &keys("first")).await;
    let mut body = keys("second");
    body.insert("auth".to_owned(), json!({ "type": "m.login.password", "password": "a password" }));
    assert_eq!(upload(&lab, &token, &body).await, Asked::NeedsUiAuth);
    assert_eq!(own_keys(&lab), keys("first"));
    let calls = lab.scripted.calls_to(Endpoint::CrossSigning);
    assert!(calls.iter().all(|call| !String::from_utf8_lossy(&call.body).contains("auth")));
}

#[tokio::test]
async fn ui_auth_is_told_from_a_refusal_by_its_flows() {
    let rows = [
        ("no flow", 401, json!({ "flows": [], "params": {}, "session": "x" }), "ui auth"),
        ("a flow", 401, json!({ "flows": [{ "stages": ["m.login.password"] }], "session": "x" }), "ui auth"),
        ("odd flows", 401, json!({ "flows": null }), "ui auth"),
        ("a failed stage", 401, json!({ "flows": [], "errcode": "M_FORBIDDEN", "error": "no" }), "ui auth"),
        ("no flows", 401, json!({ "errcode": "M_UNKNOWN_TOKEN", "error": "no" }), "M_UNKNOWN_TOKEN"),
        ("bad keys", 400, json!({ "errcode": "M_INVALID_SIGNATURE", "error": "no" }), "M_INVALID_SIGNATURE"),
        ("flows with another status", 403, json!({ "flows": [], "errcode": "M_FORBIDDEN" }), "M_FORBIDDEN"),
    ];
    for (name, status, said, expected) in rows {
        let lab = Lab::with_alice().await;
        let token = lab.session_on("PHONE");
        lab.scripted.set_fault(Endpoint::CrossSigning, says_json(status, &said));
        match upload(&lab, &token, &keys("first")).await {
            Asked::NeedsUiAuth => assert_eq!("ui auth", expected, "{name}"),
            Asked::Refused(refusal) => assert_eq!(refusal.errcode, expected, "{name}"),
            done @ Asked::Done(_) => panic!("{name}: {done:?}"),
        }
    }
}
