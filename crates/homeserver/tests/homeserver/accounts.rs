//! Probing, registering, and what is done in a user's name.

use serde_json::json;
use usher_homeserver::{CallError, Misbehaviour, Probe, RegisterError, Registered};
use usher_lab::scripted::homeserver::{Account, Endpoint, Fault};

use crate::lab::{Lab, alice, client_with, says_json, user};

fn forbidden(error: &str) -> Fault {
    Fault::error(403, "M_FORBIDDEN", error)
}

#[tokio::test]
async fn a_name_is_free_until_it_is_registered() {
    let lab = Lab::start().await;
    assert_eq!(lab.homeserver.probe(&alice()).await.expect("an answer"), Probe::Free);
    assert_eq!(lab.homeserver.register(&alice()).await.expect("an answer"), Registered::Created);
    assert_eq!(lab.homeserver.probe(&alice()).await.expect("an answer"), Probe::Taken);
    assert_eq!(lab.homeserver.register(&alice()).await.expect("an answer"), Registered::InUse);
}

#[tokio::test]
async fn a_registration_opens_no_session() {
    let lab = Lab::start().await;
    lab.homeserver.register(&alice()).await.expect("an account");
    assert!(lab.scripted.user("@alice:eng.example").expect("alice").devices.is_empty());
}

#[tokio::test]
async fn the_name_of_somebody_who_left_is_taken() {
    for account in [Account::Deactivated, Account::Locked] {
        let lab = Lab::start().await;
        lab.scripted.set_account("@alice:eng.example", account);
        assert_eq!(lab.homeserver.probe(&alice()).await.expect("an answer"), Probe::Taken, "{account:?}");
        assert_eq!(
            lab.homeserver.register(&alice()).await.expect("an answer"),
            Registered::InUse,
            "{account:?}"
        );
    }
}

#[tokio::test]
async fn only_words_that_prove_it_make_a_name_free() {
    let unregistered = "Application service has not registered this user";
    let rows = [
        ("Synapse", forbidden(&format!("{unregistered} (@alice:eng.example)")), true),
        ("Conduit", forbidden("User does not exist."), true),
        ("another user", forbidden(&format!("{unregistered} (@admin:eng.example)")), false),
        ("no user", forbidden(unregistered), false),
        (
            "namespace",
            forbidden("Application service cannot masquerade as this user (@alice:eng.example)."),
            false,
        ),
        ("Dendrite", forbidden("appservice has not registered this user"), false),
        ("no words", forbidden(""), false),
        ("another status", Fault::error(401, "M_FORBIDDEN", "User does not exist."), false),
        ("another code", Fault::error(403, "M_EXCLUSIVE", "User does not exist."), false),
        ("not found", Fault::not_found(), false),
        ("in the middle", forbidden("Who knows. User does not exist."), false),
    ];
    for (name, fault, is_free) in rows {
        let lab = Lab::start().await;
        lab.scripted.set_fault(Endpoint::WhoAmI, fault);
        match lab.homeserver.probe(&alice()).await {
            Ok(probe) => assert!(is_free && probe == Probe::Free, "{name}: {probe:?}"),
            Err(CallError::NotAllowed(_)) => assert!(!is_free, "{name}"),
            Err(other) => panic!("{name}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_user_whose_name_is_an_error_message_is_not_free() {
    let lab = Lab::start().await;
    let trick = user("@user does not exist.:eng.example");
    lab.scripted.exclude(trick.as_str());
    let result = lab.homeserver.probe(&trick).await;
    assert!(matches!(result, Err(CallError::NotAllowed(_))), "{result:?}");
}

#[tokio::test]
async fn the_longest_name_is_free_too() {
    let lab = Lab::start().await;
    let longest = user(&format!("@{}:eng.example", "a".repeat(255 - "@:eng.example".len())));
    assert_eq!(lab.homeserver.probe(&longest).await.expect("an answer"), Probe::Free);
}

#[tokio::test]
async fn an_answer_about_somebody_else_is_no_answer() {
    for got in ["@usher:eng.example", "@Alice:eng.example", "@alice:law.example"] {
        let lab = Lab::with_alice().await;
        lab.scripted.set_fault(Endpoint::WhoAmI, Fault::NamesAnotherUser(got.to_owned()));
        match lab.homeserver.probe(&alice()).await {
            Err(CallError::Misbehaved(Misbehaviour::AnotherUser { got: named })) => assert_eq!(named, got),
            other => panic!("{got}: {other:?}"),
        }
        let lab = Lab::start().await;
        lab.scripted.set_fault(Endpoint::Register, Fault::NamesAnotherUser(got.to_owned()));
        match lab.homeserver.register(&alice()).await {
            Err(RegisterError::Call(CallError::Misbehaved(Misbehaviour::AnotherUser { got: named }))) => {
                assert_eq!(named, got);
            }
            other => panic!("{got}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn an_answer_that_names_nobody_is_no_answer() {
    for (name, body) in [
        ("no user", json!({})),
        ("null", json!({ "user_id": null })),
        ("no user id", json!({ "user_id": "alice" })),
        ("a number", json!({ "user_id": 3 })),
    ] {
        let lab = Lab::with_alice().await;
        lab.scripted.set_fault(Endpoint::WhoAmI, says_json(200, &body));
        lab.scripted.set_fault(Endpoint::Register, says_json(200, &body));
        let probed = lab.homeserver.probe(&alice()).await;
        assert!(
            matches!(probed, Err(CallError::Misbehaved(Misbehaviour::WrongShape { status: 200 }))),
            "{name}: {probed:?}"
        );
        let registered = lab.homeserver.register(&alice()).await;
        assert!(
            matches!(registered, Err(RegisterError::Call(CallError::Misbehaved(_)))),
            "{name}: {registered:?}"
        );
    }
}

#[tokio::test]
async fn a_refused_registration_says_what_the_operator_must_mend() {
    let rows = [
        ("Synapse's namespace", Fault::error(400, "M_EXCLUSIVE", "no"), "exclusive"),
        ("Dendrite's namespace", Fault::error(401, "M_EXCLUSIVE", "no"), "exclusive"),
        ("invalid", Fault::error(400, "M_INVALID_USERNAME", "no"), "invalid username"),
        ("in use", Fault::error(400, "M_USER_IN_USE", "no"), "in use"),
        ("in use, oddly", Fault::error(403, "M_USER_IN_USE", "no"), "not allowed"),
    ];
    for (name, fault, expected) in rows {
        let lab = Lab::start().await;
        lab.scripted.set_fault(Endpoint::Register, fault);
        let result = lab.homeserver.register(&alice()).await;
        assert!(result.as_ref().err().is_none_or(RegisterError::is_definite), "{name}");
        let word = match result {
            Ok(Registered::InUse) => "in use",
            Err(RegisterError::Exclusive(_)) => "exclusive",
            Err(RegisterError::InvalidUsername(_)) => "invalid username",
            Err(RegisterError::Call(CallError::NotAllowed(_))) => "not allowed",
            other => panic!("{name}: {other:?}"),
        };
        assert_eq!(word, expected, "{name}");
    }
}

#[tokio::test]
async fn a_name_outside_the_namespace_is_a_mistake_of_the_registration_file() {
    let lab = Lab::start().await;
    lab.scripted.exclude("@alice:eng.example");
    let probed = lab.homeserver.probe(&alice()).await;
    assert!(matches!(probed, Err(CallError::NotAllowed(_))), "{probed:?}");
    let registered = lab.homeserver.register(&alice()).await;
    assert!(matches!(registered, Err(RegisterError::Exclusive(_))), "{registered:?}");
}

#[tokio::test]
async fn a_token_the_homeserver_does_not_know_is_told_as_such() {
    let lab = Lab::start().await;
    let stranger = client_with("not-the-token", lab.scripted.url());
    match stranger.probe(&alice()).await {
        Err(CallError::NotAllowed(refusal)) => {
            assert_eq!((refusal.status, refusal.errcode.as_str()), (401, "M_UNKNOWN_TOKEN"));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn devices_are_counted() {
    let lab = Lab::with_alice().await;
    assert_eq!(lab.homeserver.list_devices_of(&alice()).await.expect("a count"), 0);
    lab.log_in(&alice()).await.expect("a session");
    lab.log_in(&alice()).await.expect("a session on the same device");
    assert_eq!(lab.homeserver.list_devices_of(&alice()).await.expect("a count"), 1);
}

#[tokio::test]
async fn devices_that_cannot_be_counted_are_not_none() {
    for (name, body) in [
        ("absent", json!({})),
        ("null", json!({ "devices": null })),
        ("an object", json!({ "devices": {} })),
        ("a number", json!({ "devices": 0 })),
    ] {
        let lab = Lab::with_alice().await;
        lab.scripted.set_fault(Endpoint::Devices, says_json(200, &body));
        let counted = lab.homeserver.list_devices_of(&alice()).await;
        assert!(matches!(counted, Err(CallError::Misbehaved(_))), "{name}: {counted:?}");
    }
}

#[tokio::test]
async fn a_display_name_is_the_users_own_and_kept_as_it_is() {
    let lab = Lab::with_alice().await;
    let name = "Älice <b>\"&\" \u{1f3a9}";
    lab.homeserver.set_display_name(&alice(), name).await.expect("set");
    assert_eq!(lab.scripted.user("@alice:eng.example").expect("alice").display_name.as_deref(), Some(name));
    assert_eq!(lab.scripted.users(), ["@alice:eng.example", "@usher:eng.example"]);
}
