//! What goes wrong between a confirmation and the deed: nothing is lost, and nothing is done twice.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use usher_lab::scripted::homeserver::{Endpoint, Fault};

use super::{ENG, auth, client, session_of, start, start_with};
use crate::app::{Answer, TestApp};

/// A session of alice's that is confirmed.
async fn confirmed(app: &TestApp) -> (super::Client<'_>, String) {
    let phone = client(app, "alice", "PHONE").await;
    client(app, "alice", "LAPTOP").await;
    let session = phone.session_to_delete("LAPTOP").await;
    phone.browser(&session).confirmed_by("alice").await;
    (phone, session)
}

#[tokio::test]
async fn a_homeserver_that_fails_gives_the_session_back() {
    let app = start().await;
    let (phone, session) = confirmed(&app).await;
    for (name, fault, status) in [
        ("a fault of its own", Fault::server_error(), 503),
        ("a proxy's page", Fault::html(), 502),
        ("busy", Fault::rate_limited("7"), 429),
        (
            "does not let us",
            Fault::error(403, "M_FORBIDDEN", "Application service has not registered this user"),
            502,
        ),
        ("does not know us", Fault::error(401, "M_UNKNOWN_TOKEN", "Invalid access token"), 502),
        ("does not want to", Fault::error(400, "M_INVALID_PARAM", "no"), 400),
    ] {
        app.eng.set_fault(Endpoint::DeleteDevices, fault);
        let answer = phone.delete_device("LAPTOP", &auth(&session)).await;
        assert_eq!(answer.status.as_u16(), status, "{name}: {}", answer.body);
        assert!(!answer.errcode().is_empty(), "{name}");
        assert!(phone.has_device("LAPTOP"), "{name}");
    }
    app.eng.clear_fault(Endpoint::DeleteDevices);
    assert_eq!(phone.delete_device("LAPTOP", &auth(&session)).await.status, 200);
    assert!(!phone.has_device("LAPTOP"));
}

#[tokio::test]
async fn a_homeserver_that_stays_silent_keeps_the_session_until_its_lease_ends() {
    let app = start().await;
    let (phone, session) = confirmed(&app).await;
    app.eng.set_fault(Endpoint::DeleteDevices, Fault::hang());
    assert_eq!(phone.delete_device("LAPTOP", &auth(&session)).await.status, 503);
    app.eng.clear_fault(Endpoint::DeleteDevices);
    let early = phone.delete_device("LAPTOP", &auth(&session)).await;
    assert_eq!((early.status.as_u16(), early.errcode().as_str()), (429, "M_LIMIT_EXCEEDED"));
    assert_eq!(early.header("retry-after"), "66", "its deadline, what clocks may differ by, and a margin");
    app.clock.advance(Duration::from_secs(66));
    assert_eq!(phone.delete_device("LAPTOP", &auth(&session)).await.status, 200);
}

#[tokio::test]
async fn two_repetitions_at_once_make_one_call() {
    let app = start().await;
    let (phone, session) = confirmed(&app).await;
    let hold = app.eng.hold(Endpoint::DeleteDevices);
    let body = auth(&session);
    let first = async {
        let answer = phone.delete_device("LAPTOP", &body).await;
        answer.status.as_u16()
    };
    let others = async {
        hold.arrived().await;
        let mut statuses = Vec::new();
        for _ in 0..3 {
            statuses.push(phone.delete_device("LAPTOP", &body).await.status.as_u16());
        }
        hold.release();
        statuses
    };
    let (first, others) = tokio::join!(first, others);
    assert_eq!((first, others), (200, vec![429, 429, 429]));
    assert_eq!(app.eng.calls_to(Endpoint::DeleteDevices).len(), 1);
    assert_eq!(phone.delete_device("LAPTOP", &body).await.status, 403);
    assert_eq!(app.eng.calls_to(Endpoint::DeleteDevices).len(), 1);
}

#[tokio::test]
async fn a_token_that_was_revoked_meanwhile_does_nothing() {
    let app = start().await;
    let (phone, session) = confirmed(&app).await;
    let laptop = phone
        .with_token(&app.eng.user(&phone.user).expect("she is there").devices["LAPTOP"].access_tokens[0]);
    let own = laptop.session_to_delete("PHONE").await;
    laptop.browser(&own).confirmed_by("alice").await;
    assert_eq!(laptop.delete_device("PHONE", &auth(&own)).await.status, 200, "the phone is signed out");
    let answer = phone.delete_device("LAPTOP", &auth(&session)).await;
    assert_eq!((answer.status.as_u16(), answer.errcode().as_str()), (401, "M_UNKNOWN_TOKEN"));
    assert!(phone.has_device("LAPTOP"));
}

#[tokio::test]
async fn a_link_that_was_removed_meanwhile_confirms_nothing() {
    let app = start().await;
    let (phone, session) = confirmed(&app).await;
    app.sql("INSERT INTO links SELECT provider, issuer, 'another', server_name, mxid, created_at FROM links WHERE subject = 'alice'").await;
    app.sql("DELETE FROM links WHERE subject = 'alice'").await;
    let answer = phone.delete_device("LAPTOP", &auth(&session)).await;
    assert_eq!((answer.status.as_u16(), answer.errcode().as_str()), (403, "M_FORBIDDEN"));
    assert!(phone.has_device("LAPTOP"));
}

#[tokio::test]
async fn every_step_may_be_at_another_replica() {
    let app = start().await;
    let replica = app.replica().await;
    let phone = client(&app, "alice", "PHONE").await;
    client(&app, "alice", "LAPTOP").await;
    let session = phone.session_to_delete("LAPTOP").await;
    let there = phone.at(&replica);
    assert_eq!(session_of(&there.delete_device("LAPTOP", &auth(&session)).await), session);
    let mut asked = there.browser(&session).asked().await;
    let login = asked.clicked().await;
    let callback = app.cas.log_in(&login, "alice").expect("a ticket");
    let request = app.request(Method::GET, &callback[url::Position::BeforePath..]);
    let back = Answer::read(request.header("cookie", asked.browser.cookies.join("; "))).await;
    assert_eq!(back.status, 302, "begun there, finished here: {}", back.body);
    assert_eq!(there.delete_device("LAPTOP", &auth(&session)).await.status, 200);
    assert_eq!(phone.delete_device("LAPTOP", &auth(&session)).await.status, 403, "and spent here too");
}

#[tokio::test]
async fn an_upstream_url_that_leads_back_says_so() {
    let app = TestApp::start_with(|config| {
        config["homeservers"][0]["hosts"] = json!([ENG]);
        let portal =
            config["public_base_url"].as_str().expect("a URL").replace("portal.localhost", "127.0.0.1");
        config["homeservers"][0]["upstream_url"] = json!(portal);
    })
    .await;
    let request =
        app.request(Method::DELETE, "/_matrix/client/v3/devices/X").header("host", ENG).bearer_auth("syt_x");
    let answer = Answer::read(request.body("{}")).await;
    assert_eq!(answer.status, 508);
    assert!(
        answer.json()["error"].as_str().is_some_and(|said| said.contains("upstream_url")),
        "{}",
        answer.body
    );
}

#[tokio::test]
async fn a_ticket_confirms_one_session_once() {
    let app = start_with(|_| {}).await;
    let phone = client(&app, "alice", "PHONE").await;
    let session = phone.session_to_delete("PHONE").await;
    let mut asked = phone.browser(&session).asked().await;
    let login = asked.clicked().await;
    let callback = app.cas.log_in(&login, "alice").expect("a ticket");
    let path = callback[url::Position::BeforePath..].to_owned();
    let before = asked.browser.cookies.clone();
    assert_eq!(asked.browser.open(Method::GET, &path, None).await.status, 302);
    asked.browser.cookies = before;
    let again = asked.browser.open(Method::GET, &path, None).await;
    assert_eq!(again.status, 302, "reloaded: it is confirmed, and nothing happens");
    assert_eq!(app.column("SELECT state FROM ui_auth_sessions").await, ["confirmed"]);
    let mut nobody = asked.browser.clone();
    nobody.cookies.clear();
    assert_eq!(nobody.open(Method::GET, &path, None).await.status, 400, "another browser");
}
