//! Nothing secret is ever printed.

use std::error::Error;

use ruma_common::device_id;
use serde_json::json;
use usher_homeserver::LogIn;
use usher_lab::scripted::homeserver::{Endpoint, Fault};

use crate::lab::{Kind, Lab, Operation, alice, says_json};

fn everything(error: &(dyn Error + 'static)) -> String {
    let mut lines = vec![format!("{error:?}")];
    let mut next = Some(error);
    while let Some(error) = next {
        lines.push(error.to_string());
        next = error.source();
    }
    lines.join(" | ")
}

#[tokio::test]
async fn a_homeserver_and_a_session_can_be_printed() {
    let lab = Lab::with_alice().await;
    assert!(!format!("{:?}", lab.homeserver).contains(lab.scripted.as_token()));
    let user = alice();
    let login = LogIn {
        user: &user,
        device_id: device_id!("PHONE"),
        initial_device_display_name: None,
        refresh_token: true,
        client: None,
    };
    let shown = format!("{:?}", lab.homeserver.log_in(&login).await.expect("a session"));
    assert!(shown.contains("PHONE") && !shown.contains("syt_") && !shown.contains("syr_"), "{shown}");
}

/// What was sent, or should not have come. The end of a text that is cut off is no secret.
fn secrets_of(operation: Operation) -> Vec<&'static str> {
    let mut secrets = vec!["as-token-of-eng.example-in-the-laboratory", "syt_secret", "user_id="];
    if operation.is_as_person() {
        secrets.extend(["syt_of_alice", "syt_of"]);
    }
    if operation == Operation::Act(Kind::AddThreepid) {
        secrets.push("her secret");
    }
    secrets
}

#[test]
fn what_is_to_be_done_can_be_printed() {
    for kind in Kind::ALL {
        let shown = format!("{:?}", kind.act());
        assert_eq!(shown, format!("{kind:?}"));
    }
}

#[tokio::test]
async fn no_error_tells_a_token_or_a_query() {
    let token = "as-token-of-eng.example-in-the-laboratory";
    let own = "syt_of_alice";
    let rows = [
        ("hangs", Fault::hang()),
        ("cuts", Fault::cut()),
        ("repeats our token", Fault::error(403, token, &format!("what is {token}?"))),
        ("repeats the person's token", Fault::error(403, own, &format!("what is Bearer {own}, {own}?"))),
        ("repeats it in the end", Fault::error(401, "M_UNKNOWN_TOKEN", &format!("{:250}{own}", ""))),
        ("repeats both", Fault::error(400, "M_UNKNOWN", &format!("{own}{token}{own}"))),
        ("repeats a client's secret", Fault::error(400, "M_UNKNOWN", "is it 'her secret'?")),
        ("a token where none belongs", says_json(200, &json!({ "user_id": "syt_secret" }))),
        ("a token of another type", says_json(200, &json!({ "user_id": ["syt_secret"] }))),
        ("a token as a code", says_json(403, &json!({ "errcode": { "syt_secret": 1 } }))),
        (
            "a token as a lifetime",
            says_json(
                200,
                &json!({
                    "user_id": "@alice:eng.example", "access_token": "syt_secret", "device_id": "D",
                    "expires_in_ms": "syt_secret",
                }),
            ),
        ),
    ];
    for (name, fault) in rows {
        for operation in Operation::ALL {
            let lab = Lab::with_alice().await;
            lab.scripted.set_fault(operation.endpoint(), fault.clone());
            if let Err(error) = operation.run(&lab.homeserver, &alice(), &own.into()).await {
                let shown = everything(&error);
                for secret in secrets_of(operation) {
                    assert!(!shown.contains(secret), "{name} at {operation:?}: {shown}");
                }
            }
        }
    }
}

#[tokio::test]
async fn the_homeservers_own_words_are_in_the_log_on_one_line() {
    let lab = Lab::with_alice().await;
    lab.scripted.set_fault(Endpoint::Login, Fault::error(403, "M_FORBIDDEN", "no\n2026 ERROR fake"));
    let error = lab.log_in(&alice()).await.expect_err("refused");
    let shown = everything(&error);
    assert!(shown.contains("M_FORBIDDEN") && !shown.contains('\n'), "{shown}");
}
