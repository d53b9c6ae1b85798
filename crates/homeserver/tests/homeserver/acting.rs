//! What is done in a person's name once they have confirmed it, and what helps them to recognise it.

use ruma_common::OwnedDeviceId;
use secrecy::SecretString;
use serde_json::{Map, Value, json};
use usher_homeserver::{Act, ActError, AsPersonError, CallError, Device, HandoffError};
use usher_lab::scripted::homeserver::{Account, Endpoint, Fault, Person};

use crate::lab::{CLIENT, Kind, Lab, alice, keys, log_in, object, says, says_json};

fn person(lab: &Lab) -> Person {
    lab.scripted.user(alice().as_str()).expect("alice")
}

async fn act(lab: &Lab, act: &Act) -> Map<String, Value> {
    lab.homeserver.act(&alice(), CLIENT, act).await.expect("it is done")
}

async fn is_known(lab: &Lab, token: &SecretString) -> bool {
    match lab.homeserver.whoami(token, CLIENT).await {
        Ok(_) => true,
        Err(AsPersonError::Refused(_)) => false,
        Err(error) => panic!("{error:?}"),
    }
}

#[tokio::test]
async fn devices_are_deleted_whatever_they_are_called() {
    for ids in [&["PHONE"][..], &["PHONE", "A/B", "..", ".", "", "%2E", "ä?b#c"], &["MISSING", "PHONE"], &[]]
    {
        let lab = Lab::with_alice().await;
        let kept = lab.session_on("LAPTOP");
        let tokens: Vec<_> = ids.iter().filter(|id| **id != "MISSING").map(|id| lab.session_on(id)).collect();
        let devices = ids.iter().map(|id| OwnedDeviceId::from(*id)).collect();
        assert_eq!(act(&lab, &Act::DeleteDevices(devices)).await, Map::new(), "{ids:?}");
        assert_eq!(person(&lab).devices.into_keys().collect::<Vec<_>>(), ["LAPTOP"], "{ids:?}");
        assert!(is_known(&lab, &kept).await, "{ids:?}");
        for token in tokens {
            assert!(!is_known(&lab, &token).await, "{ids:?}");
        }
        assert_eq!(lab.scripted.calls_to(Endpoint::DeleteDevices).len(), 1, "{ids:?}");
    }
}

#[tokio::test]
async fn keys_are_replaced_and_auth_is_not_sent() {
    let lab = Lab::with_alice().await;
    for key in ["first", "second"] {
        let mut body = keys(key);
        body.insert("auth".to_owned(), json!({ "session": "ushu_x" }));
        act(&lab, &Act::UploadCrossSigning(body)).await;
        assert_eq!(person(&lab).cross_signing, keys(key));
    }
    for call in lab.scripted.calls_to(Endpoint::CrossSigning) {
        assert!(!String::from_utf8_lossy(&call.body).contains("ushu_x"));
    }
}

#[tokio::test]
async fn an_address_is_added_once_it_is_validated() {
    let lab = Lab::with_alice().await;
    assert_eq!(act(&lab, &Kind::AddThreepid.act()).await, Map::new());
    assert_eq!(person(&lab).emails, ["alice@elsewhere.example"]);
    let unknown = Act::AddThreepid { client_secret: "her secret".to_owned(), sid: "8".to_owned() };
    match lab.homeserver.act(&alice(), CLIENT, &unknown).await {
        Err(ActError::Refused(refusal)) => assert_eq!(refusal.errcode, "M_THREEPID_AUTH_FAILED"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_account_ends_with_its_sessions() {
    let lab = Lab::with_alice().await;
    let token = lab.session_on("PHONE");
    let done = act(&lab, &Act::Deactivate(object(json!({ "erase": true, "auth": {} })))).await;
    assert_eq!(done["id_server_unbind_result"], "success");
    assert!(!is_known(&lab, &token).await);
    assert_eq!(person(&lab).account, Account::Deactivated);
    let login = log_in(&lab.homeserver, &alice()).await;
    assert!(matches!(login, Err(HandoffError::Deactivated)), "{login:?}");
}

#[tokio::test]
async fn the_homeservers_answer_is_handed_on() {
    const SAID: &str =
        r#"{"large": 18446744073709551615, "part": 0.1, "access_token": null, "more": {"a": [1, "\u00fe"]}}"#;
    for kind in Kind::ALL {
        let lab = Lab::with_alice().await;
        lab.scripted.set_fault(kind.endpoint(), says(200, "text/plain", SAID));
        let said = Value::Object(act(&lab, &kind.act()).await);
        assert_eq!(
            said.to_string(),
            r#"{"access_token":null,"large":18446744073709551615,"more":{"a":[1,"þ"]},"part":0.1}"#,
            "{kind:?}"
        );
    }
}

#[tokio::test]
async fn what_concerns_the_service_is_no_answer_to_a_person() {
    let rows = [
        ("the token", Fault::error(401, "M_UNKNOWN_TOKEN", "who?"), "M_UNKNOWN_TOKEN"),
        ("no token", Fault::error(401, "M_MISSING_TOKEN", "who?"), "M_MISSING_TOKEN"),
        ("UI auth", says_json(401, &json!({ "flows": [], "session": "x" })), "M_UNAUTHORIZED"),
        (
            "UI auth, failed",
            says_json(401, &json!({ "flows": [], "session": "x", "errcode": "M_FORBIDDEN" })),
            "M_UNAUTHORIZED",
        ),
    ];
    for (name, fault, errcode) in rows {
        for kind in Kind::ALL {
            let lab = Lab::with_alice().await;
            lab.scripted.set_fault(kind.endpoint(), fault.clone());
            match lab.homeserver.act(&alice(), CLIENT, &kind.act()).await {
                Err(ActError::Call(CallError::NotAllowed(refusal))) => {
                    assert_eq!((refusal.status, refusal.errcode.as_str()), (401, errcode), "{name}");
                }
                other => panic!("{name} at {kind:?}: {other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn an_act_is_always_somebodys() {
    let lab = Lab::start().await;
    lab.scripted.add_user("@usher:eng.example");
    for kind in Kind::ALL {
        let result = lab.homeserver.act(&alice(), CLIENT, &kind.act()).await;
        assert!(matches!(result, Err(ActError::Refused(_))), "nobody of that name: {result:?}");
        for call in lab.scripted.calls() {
            assert_eq!(call.query, "user_id=%40alice%3Aeng.example");
        }
    }
    assert_eq!(lab.scripted.user("@usher:eng.example").expect("it").account, Account::Active);
}

#[tokio::test]
async fn devices_are_known_by_what_the_homeserver_says_of_them() {
    let lab = Lab::with_alice().await;
    assert_eq!(lab.homeserver.devices_of(&alice()).await.expect("a list"), []);
    lab.log_in(&alice()).await.expect("a session on her phone");
    let _token = lab.session_on("LAPTOP");
    lab.scripted.set_last_seen(alice().as_str(), "LAPTOP", 1_700_000_000_123, "2001:db8::1");
    let expected = [
        Device {
            device_id: "LAPTOP".into(),
            display_name: None,
            last_seen_ts: Some(1_700_000_000_123),
            last_seen_ip: Some("2001:db8::1".to_owned()),
        },
        Device {
            device_id: "PHONE".into(),
            display_name: Some("Alice's phone".to_owned()),
            last_seen_ts: None,
            last_seen_ip: None,
        },
    ];
    assert_eq!(lab.homeserver.devices_of(&alice()).await.expect("a list"), expected);
}

#[tokio::test]
async fn of_a_device_only_its_id_must_be_right() {
    let long = "ä".repeat(300);
    let nothing = || (None, None, None);
    let rows = [
        ("only an id", json!({ "device_id": "D" }), Some(nothing())),
        (
            "nulls",
            json!({ "device_id": "D", "display_name": null, "last_seen_ts": null, "last_seen_ip": null }),
            Some(nothing()),
        ),
        (
            "other types",
            json!({ "device_id": "D", "display_name": 3, "last_seen_ts": "soon", "last_seen_ip": {} }),
            Some(nothing()),
        ),
        ("a negative time", json!({ "device_id": "D", "last_seen_ts": -1 }), Some(nothing())),
        ("a time with a part", json!({ "device_id": "D", "last_seen_ts": 1.5 }), Some(nothing())),
        (
            "unknown fields",
            json!({ "device_id": "D", "user_id": 3, "display_name": "P", "x": [] }),
            Some((Some("P".to_owned()), None, None)),
        ),
        (
            "long texts",
            json!({ "device_id": "D", "display_name": long, "last_seen_ip": long }),
            Some((Some("ä".repeat(256)), None, Some("ä".repeat(256)))),
        ),
        ("no id", json!({ "display_name": "P" }), None),
        ("null id", json!({ "device_id": null }), None),
        ("a number", json!({ "device_id": 3 }), None),
        ("no object", json!("D"), None),
    ];
    for (name, said, expected) in rows {
        let lab = Lab::with_alice().await;
        lab.scripted.set_fault(Endpoint::Devices, says_json(200, &json!({ "devices": [said] })));
        match (lab.homeserver.devices_of(&alice()).await, expected) {
            (Ok(devices), Some((display_name, last_seen_ts, last_seen_ip))) => {
                let device_id = "D".into();
                assert_eq!(
                    devices,
                    [Device { device_id, display_name, last_seen_ts, last_seen_ip }],
                    "{name}"
                );
            }
            (Err(CallError::Misbehaved(_)), None) => {}
            (other, _) => panic!("{name}: {other:?}"),
        }
    }
}
