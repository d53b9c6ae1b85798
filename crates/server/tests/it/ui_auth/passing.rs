//! Who is not linked is the homeserver's, byte for byte; and nobody is taken for that who is not known to be.

use reqwest::Method;
use serde_json::{Value, json};
use usher_lab::scripted::{
    Reply,
    homeserver::{Endpoint, Fault},
};

use super::{ENG, client, start};
use crate::app::Answer;

#[tokio::test]
async fn somebody_with_a_password_deletes_a_device_as_ever() {
    let app = start().await;
    let pat = "@pat:eng.ac.cdl";
    app.eng.set_password(pat, "secret");
    let token = app.eng.open_session(pat, "PATS", None);
    let _ = app.eng.open_session(pat, "OLD", None);
    let path = "/_matrix/client/v3/devices/OLD";
    let send = async |body: &str| {
        let request = app.request(Method::DELETE, path).header("host", ENG).bearer_auth(&token);
        Answer::read(request.body(body.to_owned())).await
    };
    let first = send("{ }").await;
    let asked = first.json();
    assert_eq!((first.status.as_u16(), &asked["flows"]), (401, &json!([{ "stages": ["m.login.password"] }])));
    let session = asked["session"].as_str().expect("a session").to_owned();
    let body = format!(
        r#"{{"auth": {{"type":"m.login.password","session":"{session}","identifier":{{"type":"m.id.user","user":"{pat}"}},"password":"secret"}} , "x":1.5}}"#
    );
    assert_eq!(send(&body).await.status, 200);
    let calls = app.eng.calls_to(Endpoint::DeleteDevice);
    assert_eq!(calls[1].body, body.as_bytes(), "as it was written");
    assert!(!app.eng.user(pat).expect("they are there").devices.contains_key("OLD"));
    assert_eq!(app.rows("ui_auth_sessions").await, 0);
}

#[tokio::test]
async fn a_request_without_a_token_is_the_homeservers() {
    let app = start().await;
    for (method, path) in [
        (Method::POST, "/account/password"),
        (Method::POST, "/account/deactivate"),
        (Method::DELETE, "/devices/X"),
    ] {
        let path = format!("/_matrix/client/v3{path}");
        let body = r#"{"new_password":"x"}"#;
        let answer = Answer::read(app.request(method, &path).header("host", ENG).body(body)).await;
        assert_eq!(answer.status, 401, "{path}: {}", answer.body);
    }
    assert_eq!(app.eng.calls().len(), 3, "each passed through, and nobody was asked who it was");
}

#[tokio::test]
async fn an_application_service_acts_for_itself_and_for_others_as_ever() {
    let app = start().await;
    client(&app, "alice", "PHONE").await;
    // Double puppeting: a bridge that deletes a device of somebody who is linked has the homeserver's word for it.
    let path = "/_matrix/client/v3/devices/PHONE?user_id=@alice:eng.ac.cdl";
    let request = app.request(Method::DELETE, path).header("host", ENG).bearer_auth(app.eng.as_token());
    let answer = Answer::read(request.body("{}")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(app.rows("ui_auth_sessions").await, 0);
}

#[tokio::test]
async fn whoever_cannot_be_known_is_not_taken_for_a_stranger() {
    let app = start().await;
    let phone = client(&app, "alice", "PHONE").await;
    let whoami = |said: Value| Fault::Says(Reply::json(200, &said));
    for (name, fault, status) in [
        ("silent", Fault::hang(), 503),
        ("cut", Fault::cut(), 503),
        ("a fault of its own", Fault::server_error(), 503),
        ("a proxy's page", Fault::html(), 502),
        ("endless", Fault::endless(), 502),
        ("nobody", whoami(json!({})), 502),
        ("no user id", whoami(json!({ "user_id": "alice" })), 502),
        ("somebody of another homeserver", whoami(json!({ "user_id": "@alice:evil.example" })), 502),
        ("of another port", whoami(json!({ "user_id": "@alice:eng.ac.cdl:8448" })), 502),
        ("busy", Fault::rate_limited("7"), 429),
        ("Usher itself", Fault::error(508, "M_UNKNOWN", "upstream_url"), 508),
        ("locked", Fault::error(401, "M_USER_LOCKED", "locked"), 401),
    ] {
        app.eng.set_fault(Endpoint::WhoAmI, fault);
        let answer = phone.delete_device("PHONE", &json!({})).await;
        assert_eq!(answer.status.as_u16(), status, "{name}: {}", answer.body);
        assert!(!answer.errcode().is_empty(), "{name}");
        assert!(app.eng.calls_to(Endpoint::DeleteDevice).is_empty(), "{name}: it did not pass through");
    }
    app.eng.clear_fault(Endpoint::WhoAmI);
    app.eng.stop().await.expect("stopped");
    assert_eq!(phone.delete_device("PHONE", &json!({})).await.status, 503, "gone");
    app.eng.restart().await.expect("it comes back");
    assert_eq!(phone.delete_device("PHONE", &json!({})).await.status, 401);
    assert!(phone.has_device("PHONE"));
}

#[tokio::test]
async fn a_database_that_is_away_lets_nothing_pass() {
    let app = start().await;
    let phone = client(&app, "alice", "PHONE").await;
    app.eng.set_password("@pat:eng.ac.cdl", "secret");
    let pat = phone.with_token(&app.eng.open_session("@pat:eng.ac.cdl", "PATS", None));
    app.sql("ALTER TABLE links RENAME TO gone").await;
    for (name, who) in [("linked", &phone), ("with a password", &pat)] {
        let answer = who.delete_device("PHONE", &json!({})).await;
        assert!([500, 503].contains(&answer.status.as_u16()), "{name}: {}", answer.body);
    }
    assert!(app.eng.calls_to(Endpoint::DeleteDevice).is_empty());
    app.sql("ALTER TABLE gone RENAME TO links").await;
    assert_eq!(phone.delete_device("PHONE", &json!({})).await.status, 401);
}

#[tokio::test]
async fn a_large_body_of_somebody_who_is_not_linked_streams_through() {
    let app = start().await;
    app.eng.set_password("@pat:eng.ac.cdl", "secret");
    let token = app.eng.open_session("@pat:eng.ac.cdl", "PATS", None);
    let body = format!(r#"{{"devices":["{}"]}}"#, "x".repeat(2_000_000));
    let request = app
        .request(Method::POST, "/_matrix/client/v3/delete_devices")
        .header("host", ENG)
        .bearer_auth(&token);
    let answer = Answer::read(request.body(body.clone())).await;
    assert_eq!(answer.status, 401, "the homeserver asks for a password: {}", answer.body);
    let calls = app.eng.calls_to(Endpoint::DeleteDevices);
    assert_eq!(calls[0].body.len(), body.len());
}

#[tokio::test]
async fn a_listener_of_its_own_is_the_homeservers_whatever_host_is_asked_for() {
    let app = start().await;
    let phone = client(&app, "alice", "PHONE").await;
    let own = app.listener_of("eng.ac.cdl").await;
    for host in ["anything.example", "matrix.hist.ac.cdl", "portal.localhost"] {
        let request = app.request_at_host(&own, Method::DELETE, "/_matrix/client/v3/devices/PHONE", host);
        let answer = Answer::read(request.bearer_auth(&phone.token).body("{}")).await;
        assert_eq!(answer.status, 401, "{host}");
        assert!(
            answer.json()["session"].as_str().is_some_and(|session| session.starts_with("ushu_")),
            "{host}"
        );
        let preflight = app.request_at_host(&own, Method::OPTIONS, "/_matrix/client/v3/devices/PHONE", host);
        assert_eq!(Answer::read(preflight).await.status, 204, "{host}");
        let other = app.request_at_host(&own, Method::GET, "/_usher/health", host);
        assert_eq!(Answer::read(other).await.status, 404, "{host}: the homeserver's own answer");
    }
}
