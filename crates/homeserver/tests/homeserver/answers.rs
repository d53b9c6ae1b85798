//! What every endpoint makes of an answer that is none of its own.

use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;
use usher_homeserver::{CallError, HandoffError};
use usher_lab::scripted::{
    Reply,
    homeserver::{Endpoint, Fault},
};

use crate::lab::{Lab, Operation, alice, says, says_json, user};

#[tokio::test]
async fn an_answer_that_is_no_success_has_one_meaning_at_every_endpoint() {
    const JSON: &str = "application/json";
    let rows = [
        ("hangs", Fault::hang(), "ambiguous"),
        ("cuts", Fault::cut(), "ambiguous"),
        ("acts and hangs", Fault::act_but_never_answer(), "ambiguous"),
        ("acts and cuts", Fault::act_but_cut(), "ambiguous"),
        ("500", Fault::server_error(), "server error"),
        ("a proxy's 502", says(502, "text/html", "<h1>Bad Gateway</h1>"), "server error"),
        ("508", Fault::error(508, "M_UNKNOWN", "loop"), "looped"),
        ("429", Fault::rate_limited("5"), "rate limited"),
        ("a proxy's 429", says(429, "text/html", "<h1>Slow down</h1>"), "rate limited"),
        ("200 HTML", Fault::html(), "misbehaved"),
        ("200 empty", says(200, JSON, ""), "misbehaved"),
        ("200 half a JSON", says(200, JSON, r#"{"user_id": "@al"#), "misbehaved"),
        ("200 JSON but no object", says(200, JSON, "3"), "misbehaved"),
        ("10 MB", Fault::huge(), "misbehaved"),
        ("endless", Fault::endless(), "misbehaved"),
        ("a redirect", Fault::Says(Reply::redirect("/elsewhere")), "misbehaved"),
        ("201", says_json(201, &json!({})), "misbehaved"),
        ("404 HTML", says(404, "text/html", "<h1>Not Found</h1>"), "misbehaved"),
        ("an endpoint nobody knows", Fault::error(404, "M_UNRECOGNIZED", "no"), "misbehaved"),
        ("405", Fault::error(405, "M_UNRECOGNIZED", "no"), "misbehaved"),
        ("403 without errcode", says_json(403, &json!({ "error": "no" })), "misbehaved"),
        ("errcode of another type", says_json(403, &json!({ "errcode": 3 })), "misbehaved"),
    ];
    for (name, fault, expected) in rows {
        let mut runs = JoinSet::new();
        for operation in Operation::ALL {
            let fault = fault.clone();
            runs.spawn(async move {
                let lab = Lab::with_alice().await;
                let token = lab.session_on("LAPTOP");
                lab.scripted.set_fault(operation.endpoint(), fault);
                (operation, operation.run(&lab.homeserver, &alice(), &token).await)
            });
        }
        for (operation, result) in runs.join_all().await {
            let error = result.expect_err(name);
            assert_eq!(error.word(), expected, "{name} at {operation:?}: {error:?}");
            assert_eq!(error.is_definite(), expected != "ambiguous", "{name} at {operation:?}");
        }
    }
}

#[tokio::test]
async fn a_refusal_is_for_the_operator_unless_a_person_asks() {
    use Operation::{Act, Capabilities, IsAdministrator, UploadCrossSigning, WhoAmI};

    let rows = [
        ("token unknown", Fault::error(401, "M_UNKNOWN_TOKEN", "who?")),
        ("forbidden", Fault::error(403, "M_FORBIDDEN", "no")),
        ("no words", says_json(403, &json!({ "errcode": "M_FORBIDDEN" }))),
        ("a code of their own", Fault::error(400, "ORG.EXAMPLE", "no")),
        ("MSC4190", Fault::error(400, "M_APPSERVICE_LOGIN_UNSUPPORTED", "no")),
    ];
    for (name, fault) in rows {
        for operation in Operation::ALL {
            let expected = match (operation, name) {
                // To this question, 403 is the answer.
                (IsAdministrator, "forbidden" | "no words") => continue,
                // A question without parameters is not wrong.
                (WhoAmI | Capabilities, "a code of their own" | "MSC4190") => "misbehaved",
                // It is the service's token.
                (Act(_), "token unknown") => "not allowed",
                (WhoAmI | Capabilities | UploadCrossSigning | Act(_), _) => "refused",
                _ => "not allowed",
            };
            let lab = Lab::with_alice().await;
            let token = lab.session_on("LAPTOP");
            lab.scripted.set_fault(operation.endpoint(), fault.clone());
            let error = operation.run(&lab.homeserver, &alice(), &token).await.expect_err(name);
            assert_eq!(error.word(), expected, "{name} at {operation:?}: {error:?}");
            assert!(error.is_definite(), "{name} at {operation:?}");
        }
    }
}

#[tokio::test]
async fn a_homeserver_that_is_not_there_has_done_nothing() {
    let lab = Lab::with_alice().await;
    let token = lab.session_on("LAPTOP");
    lab.scripted.stop().await.expect("it stops");
    for operation in Operation::ALL {
        let error = operation.run(&lab.homeserver, &alice(), &token).await.expect_err("nobody listens");
        assert_eq!(error.word(), "not connected", "{operation:?}");
        assert!(error.is_definite(), "{operation:?}");
    }
}

#[tokio::test]
async fn nothing_is_asked_about_a_user_of_another_homeserver() {
    let lab = Lab::start().await;
    for id in ["@alice:law.example", "@alice:eng.example:8448", "@alice:eng.example.org"] {
        // Whose a person's own token is, the homeserver says.
        for operation in Operation::ALL.into_iter().filter(|operation| !operation.is_as_person()) {
            let nobody = "syt_of_nobody".into();
            let error = operation.run(&lab.homeserver, &user(id), &nobody).await.expect_err("a foreign user");
            assert_eq!(error.word(), "foreign user", "{id} at {operation:?}");
        }
    }
    assert!(lab.scripted.calls().is_empty());
}

#[tokio::test]
async fn what_a_homeserver_says_is_kept_within_bounds() {
    let lab = Lab::with_alice().await;
    lab.scripted.set_fault(Endpoint::Devices, Fault::error(403, &"E".repeat(9000), &"ä".repeat(9000)));
    match lab.homeserver.list_devices_of(&alice()).await {
        Err(CallError::NotAllowed(refusal)) => {
            assert_eq!(refusal.errcode.chars().count(), 256);
            assert_eq!(refusal.error.chars().count(), 256);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_time_to_wait_is_read_in_every_form() {
    const DATE: &str = "Wed, 21 Oct 2026 07:28:00 GMT";
    let nothing = json!({ "errcode": "M_LIMIT_EXCEEDED" });
    let ms = json!({ "errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 1500 });
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    let rows = [
        ("seconds", Some("7"), &nothing, seconds(7)),
        ("zero", Some("0"), &nothing, seconds(0)),
        ("spaces", Some(" 7 "), &nothing, seconds(7)),
        ("a date", Some("Wed, 21 Oct 2026 07:30:00 GMT"), &nothing, seconds(120)),
        ("a date gone by", Some("Wed, 21 Oct 2026 07:20:00 GMT"), &nothing, seconds(0)),
        ("milliseconds", None, &ms, Some(Duration::from_millis(1500))),
        ("both: the header", Some("7"), &ms, seconds(7)),
        ("an unreadable header: the body", Some("soon"), &ms, Some(Duration::from_millis(1500))),
        ("neither", None, &nothing, None),
        ("negative", Some("-7"), &nothing, None),
        ("a fraction", Some("0.5"), &nothing, None),
        ("more than there is", Some("99999999999999999999"), &nothing, None),
        ("milliseconds as text", None, &json!({ "retry_after_ms": "1500" }), None),
    ];
    for (name, header, body, expected) in rows {
        let lab = Lab::with_alice().await;
        let mut reply = Reply::json(429, body);
        let Reply::Answer { headers, .. } = &mut reply else { unreachable!("JSON is an answer") };
        headers.push(("date".to_owned(), DATE.to_owned()));
        headers.extend(header.map(|value| ("retry-after".to_owned(), value.to_owned())));
        lab.scripted.set_fault(Endpoint::Login, Fault::Says(reply));
        match lab.log_in(&alice()).await {
            Err(HandoffError::RateLimited { retry_after }) => assert_eq!(retry_after, expected, "{name}"),
            other => panic!("{name}: {other:?}"),
        }
    }
}
