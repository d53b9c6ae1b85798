//! A session from its challenge to its end.

use reqwest::Method;
use serde_json::json;
use std::time::Duration;

use super::{auth, client, deeds, session_of, start, start_with};
use crate::app::Answer;

#[tokio::test]
async fn a_device_is_deleted_once_its_person_has_signed_in_again() {
    let app = start().await;
    let phone = client(&app, "alice", "PHONE").await;
    client(&app, "alice", "LAPTOP").await;
    let first = phone.delete_device("LAPTOP", &json!({})).await;
    let session = session_of(&first);
    assert_eq!(first.header("access-control-allow-origin"), "*");
    assert_eq!(first.header("cache-control"), "no-store");
    let waiting = phone.delete_device("LAPTOP", &auth(&session)).await;
    assert_eq!(session_of(&waiting), session, "nobody has signed in yet");
    assert!(phone.has_device("LAPTOP"));

    let back = phone.browser(&session).confirmed_by("alice").await;
    assert_eq!(back.status, 302, "{}", back.body);
    let completion = back.location().to_owned();
    assert!(
        completion.starts_with(
            "https://matrix.eng.ac.cdl/_matrix/client/v3/auth/m.login.sso/fallback/web?usher_handle="
        ),
        "{completion}"
    );
    assert!(!completion.contains(&session), "the portal never has the session");
    assert!(phone.has_device("LAPTOP"), "the client has not come back yet");

    let done = phone.delete_device("LAPTOP", &auth(&session)).await;
    assert_eq!((done.status.as_u16(), done.json()), (200, json!({})));
    assert!(!phone.has_device("LAPTOP") && phone.has_device("PHONE"));
    for (name, body) in [
        ("repeated", auth(&session)),
        ("with a type", json!({ "auth": { "session": session, "type": "m.login.sso" } })),
    ] {
        let answer = phone.delete_device("LAPTOP", &body).await;
        assert_eq!((answer.status.as_u16(), answer.errcode().as_str()), (403, "M_FORBIDDEN"), "{name}");
    }
    assert_eq!(deeds(&app), 1);
}

#[tokio::test]
async fn what_is_sent_to_the_homeserver_is_the_stored_request_and_nothing_of_the_clients() {
    let app = start().await;
    let phone = client(&app, "alice", "PHONE").await;
    client(&app, "alice", "A/B").await;
    let session = session_of(&phone.delete_device("A%2FB", &json!({})).await);
    phone.browser(&session).confirmed_by("alice").await;
    app.eng.forget_calls();
    let path =
        "/_matrix/client/r0/devices/A%2FB?user_id=@admin:eng.ac.cdl&user_id=x&device_id=OTHER&%75ser_id=y";
    let request = phone
        .request(Method::DELETE, path)
        .header("x-http-method-override", "PUT")
        .header("user-agent", "evil")
        .body(auth(&session).to_string());
    let done = Answer::read(request).await;
    assert_eq!(done.status, 200, "{}", done.body);
    let calls = app.eng.calls();
    let deed = calls.last().expect("it was done");
    assert_eq!((deed.method.as_str(), deed.path.as_str()), ("POST", "/_matrix/client/v3/delete_devices"));
    assert_eq!(deed.query_values("user_id"), ["@alice:eng.ac.cdl"]);
    assert!(!deed.query.contains("device_id"), "{}", deed.query);
    assert_eq!(
        serde_json::from_slice::<serde_json::Value>(&deed.body).expect("JSON"),
        json!({ "devices": ["A/B"] })
    );
    assert!(!deed.headers.contains_key("x-http-method-override"));
    assert_eq!(deed.headers["x-forwarded-for"], "127.0.0.1");
    assert!(!phone.has_device("A/B"));
}

#[tokio::test]
async fn a_body_of_auth_alone_stands_for_the_stored_one() {
    let app = start().await;
    let phone = client(&app, "alice", "PHONE").await;
    for device in ["A", "B", "C"] {
        client(&app, "alice", device).await;
    }
    let session = session_of(&phone.post("/delete_devices", &json!({ "devices": ["A", "B"] })).await);
    phone.browser(&session).confirmed_by("alice").await;
    assert_eq!(phone.post("/delete_devices", &auth(&session)).await.status, 200);
    let left = ["A", "B", "C"].map(|device| phone.has_device(device));
    assert_eq!(left, [false, false, true]);
}

#[tokio::test]
async fn an_empty_body_is_an_empty_object() {
    let app = start().await;
    let phone = client(&app, "alice", "PHONE").await;
    let path = "/_matrix/client/v3/devices/PHONE";
    let session = session_of(&Answer::read(phone.request(Method::DELETE, path)).await);
    phone.browser(&session).confirmed_by("alice").await;
    assert_eq!(phone.delete_device("PHONE", &auth(&session)).await.status, 200, "its own device, too");
    assert!(!phone.has_device("PHONE"));
    assert_eq!(phone.delete_device("PHONE", &json!({})).await.status, 401, "and its token with it");
}

#[tokio::test]
async fn sessions_are_unique_and_asking_often_locks_nobody_out() {
    let app = start().await;
    let phone = client(&app, "alice", "PHONE").await;
    client(&app, "alice", "LAPTOP").await;
    let session = phone.session_to_delete("LAPTOP").await;
    for _ in 0..20 {
        assert_eq!(session_of(&phone.delete_device("LAPTOP", &auth(&session)).await), session);
    }
    let another = phone.session_to_delete("LAPTOP").await;
    assert_ne!(session, another);
    for answer in
        [json!({ "auth": {} }), json!({ "auth": null }), json!({ "auth": { "type": "m.login.sso" } })]
    {
        let fresh = session_of(&phone.delete_device("LAPTOP", &answer).await);
        assert!(![&session, &another].contains(&&fresh), "a new one");
    }
    phone.browser(&session).confirmed_by("alice").await;
    assert_eq!(
        session_of(&phone.delete_device("LAPTOP", &auth(&another)).await),
        another,
        "the other one waits"
    );
    assert_eq!(phone.delete_device("LAPTOP", &auth(&session)).await.status, 200);
}

#[tokio::test]
async fn submitting_the_stage_completes_nothing() {
    let app = start().await;
    let phone = client(&app, "alice", "PHONE").await;
    client(&app, "alice", "LAPTOP").await;
    let session = phone.session_to_delete("LAPTOP").await;
    for kind in ["m.login.sso", "org.matrix.login.sso", "m.login.dummy", "m.login.password", "m.login.token"]
    {
        let body = json!({ "auth": { "type": kind, "session": session, "password": "x", "token": "x" } });
        assert_eq!(session_of(&phone.delete_device("LAPTOP", &body).await), session, "{kind}");
    }
    assert!(phone.has_device("LAPTOP"));
}

#[tokio::test]
async fn a_session_expires_to_the_millisecond() {
    let app = start_with(|config| config["ui_auth"] = json!({ "session_lifetime": "1m" })).await;
    let phone = client(&app, "alice", "PHONE").await;
    client(&app, "alice", "LAPTOP").await;
    for (name, after, status) in [
        ("in its last second", 59_000, 200),
        ("in its last millisecond", 59_999, 200),
        ("then", 60_000, 400),
        ("a second later", 61_000, 400),
    ] {
        client(&app, "alice", "LAPTOP").await;
        let session = phone.session_to_delete("LAPTOP").await;
        phone.browser(&session).confirmed_by("alice").await;
        app.clock.advance(Duration::from_millis(after));
        let answer = phone.delete_device("LAPTOP", &auth(&session)).await;
        assert_eq!(answer.status.as_u16(), status, "{name}: {}", answer.body);
        assert_eq!(phone.has_device("LAPTOP"), status != 200, "{name}");
        if status == 400 {
            assert_eq!(answer.errcode(), "M_UNKNOWN", "{name}");
            assert_eq!(phone.browser(&session).fallback().await.title(), "This took too long", "{name}");
        }
    }
}

#[tokio::test]
async fn nobody_can_confirm_after_the_session_has_expired() {
    let app = start_with(|config| config["ui_auth"] = json!({ "session_lifetime": "1m" })).await;
    let phone = client(&app, "alice", "PHONE").await;
    let session = phone.session_to_delete("PHONE").await;
    let mut asked = phone.browser(&session).asked().await;
    let login = asked.clicked().await;
    app.clock.advance(Duration::from_mins(1));
    drop(app.cas.take_validations());
    let callback = app.cas.log_in(&login, "alice").expect("a ticket");
    let back = asked.browser.open(Method::GET, &callback[url::Position::BeforePath..], None).await;
    assert_eq!((back.status.as_u16(), back.title()), (400, "This took too long"));
    assert!(app.cas.take_validations().is_empty(), "the provider is not asked for nothing");
}

#[tokio::test]
async fn a_device_has_at_most_so_many_requests_open() {
    let app = start_with(|config| config["ui_auth"] = json!({ "max_open": 2 })).await;
    let phone = client(&app, "alice", "PHONE").await;
    let laptop = client(&app, "alice", "LAPTOP").await;
    let on_laptop = laptop.session_to_delete("PHONE").await;
    let mut sessions = Vec::new();
    for _ in 0..3 {
        sessions.push(phone.session_to_delete("LAPTOP").await);
        app.clock.advance(Duration::from_millis(1));
    }
    let oldest = phone.delete_device("LAPTOP", &auth(&sessions[0])).await;
    assert_eq!((oldest.status.as_u16(), oldest.errcode().as_str()), (400, "M_UNKNOWN"), "it made room");
    for session in &sessions[1..] {
        assert_eq!(session_of(&phone.delete_device("LAPTOP", &auth(session)).await), *session);
    }
    assert_eq!(
        session_of(&laptop.delete_device("PHONE", &auth(&on_laptop)).await),
        on_laptop,
        "another device's"
    );
    for session in &sessions[1..] {
        phone.browser(session).confirmed_by("alice").await;
    }
    let more = phone.delete_device("LAPTOP", &json!({})).await;
    assert_eq!(
        (more.status.as_u16(), more.errcode().as_str()),
        (429, "M_LIMIT_EXCEEDED"),
        "two are confirmed"
    );
    assert_eq!(more.header("retry-after"), "600");
    assert_eq!(phone.delete_device("LAPTOP", &auth(&sessions[1])).await.status, 200);
    phone.session_to_delete("LAPTOP").await;
}

#[tokio::test]
async fn a_replica_whose_clock_is_behind_does_not_drop_the_request_it_has_just_stored() {
    let app = start_with(|config| config["ui_auth"] = json!({ "max_open": 2 })).await;
    let ahead = app.replica_ahead(Duration::from_mins(1)).await;
    let phone = client(&app, "alice", "PHONE").await;
    for _ in 0..2 {
        phone.at(&ahead).session_to_delete("PHONE").await;
    }
    let session = phone.session_to_delete("PHONE").await;
    assert_eq!(session_of(&phone.delete_device("PHONE", &auth(&session)).await), session);
}

#[tokio::test]
async fn no_session_is_in_the_database_as_the_client_has_it() {
    let app = start().await;
    let phone = client(&app, "alice", "PHONE").await;
    let session = phone.session_to_delete("PHONE").await;
    let asked = phone.browser(&session).asked().await;
    let handle = asked.path.rsplit('/').next().expect("a handle").to_owned();
    let rows = app
        .column("SELECT session_hash || handle_hash || path || body || client FROM ui_auth_sessions")
        .await;
    assert_eq!(rows.len(), 1);
    assert!(
        !rows[0].contains(&session) && !rows[0].contains(&handle) && !rows[0].contains(&session[5..]),
        "{rows:?}"
    );
    assert!(!session.contains(&handle));
}
