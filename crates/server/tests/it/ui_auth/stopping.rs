//! "This was not me": of a request that is confirmed and not done yet, and while the homeserver is away.

use reqwest::Method;
use serde_json::json;
use std::time::Duration;
use usher_lab::scripted::homeserver::{Endpoint, Fault};

use super::{Client, auth, client, start};
use crate::app::{Answer, TestApp};

/// Where the completion page leads whoever did not want it: a path at the portal.
async fn way_to_stop(app: &TestApp, phone: &Client<'_>, session: &str) -> Option<String> {
    let page = phone.browser(session).fallback().await;
    assert_eq!((page.status.as_u16(), page.title()), (200, "Thank you"), "{}", page.body);
    let body = page.body.replace("&#x2f;", "/");
    let base = app.base().as_str().trim_end_matches('/').to_owned();
    let (_, rest) = body.split_once(&format!("<a class=\"aside\" href=\"{base}/_usher/ui-auth/"))?;
    let (path, text) = rest.split_once("\">")?;
    assert!(text.starts_with("Was this not you? Stop it</a>"), "{text}");
    Some(format!("/_usher/ui-auth/{path}"))
}

#[tokio::test]
async fn what_was_confirmed_can_be_stopped_until_it_is_done() {
    let app = start().await;
    let stolen = client(&app, "alice", "STOLEN").await;
    client(&app, "alice", "LAPTOP").await;
    let session = stolen.session_to_delete("LAPTOP").await;
    let mut browser = stolen.browser(&session);
    assert_eq!(stolen.browser(&session).confirmed_by("alice").await.status, 302);
    let stop = way_to_stop(&app, &stolen, &session).await.expect("a way to stop it");
    assert!(stop.ends_with("?stop"), "{stop}");
    let page = browser.open(Method::GET, &stop, None).await;
    assert_eq!((page.status.as_u16(), page.title()), (200, "Stop what you have confirmed?"));
    for text in ["@alice:eng.ac.cdl", "alice&#x27;s LAPTOP", "alice&#x27;s STOLEN", "127.0.0.1"] {
        assert!(page.body.contains(text), "{text}: {}", page.body);
    }
    assert!(!page.body.contains("name=\"provider\"") && !page.body.contains("<script"), "{}", page.body);
    let policy = page.header("content-security-policy");
    assert!(policy.contains("form-action 'self'") && !policy.contains("script-src"), "{policy}");
    let onward = page.body.replace("&#x2f;", "/").replace("&#x3d;", "=");
    assert!(onward.contains("fallback/web?usher_handle="), "the way on: {}", page.body);

    let csrf = page.body.split_once("name=\"csrf\" value=\"").expect("a form").1;
    let csrf = csrf.split_once('"').expect("its token").0.to_owned();
    let path = stop.trim_end_matches("?stop");
    let forged = browser.open(Method::POST, path, Some("csrf=x&deny=yes".to_owned())).await;
    assert_eq!(forged.status, 403);
    assert!(stolen.has_device("STOLEN"));
    let stopped = browser.open(Method::POST, path, Some(format!("csrf={csrf}&deny=yes"))).await;
    assert_eq!((stopped.status.as_u16(), stopped.title()), (200, "The request was stopped"));
    assert!(stopped.body.contains("delete the device &quot;LAPTOP&quot;"), "{}", stopped.body);
    assert!(!stolen.has_device("STOLEN") && stolen.has_device("LAPTOP"));
    let back = stolen.with_token(&app.eng.open_session("@alice:eng.ac.cdl", "STOLEN", None));
    let answer = back.delete_device("LAPTOP", &auth(&session)).await;
    assert_eq!((answer.status.as_u16(), answer.errcode().as_str()), (403, "M_FORBIDDEN"), "never");
    assert!(stolen.has_device("LAPTOP"));
    for path in [stop.as_str(), path] {
        assert_eq!(browser.open(Method::GET, path, None).await.title(), "This request was stopped", "{path}");
    }
}

#[tokio::test]
async fn before_and_after_there_is_nothing_to_stop() {
    let app = start().await;
    let phone = client(&app, "alice", "PHONE").await;
    client(&app, "alice", "LAPTOP").await;
    let session = phone.session_to_delete("LAPTOP").await;
    let asked = phone.browser(&session).asked().await;
    let stop = format!("{}?stop", asked.path);
    assert_eq!(app.get(&stop).await.title(), "Sign a device out?", "nobody has confirmed: the question");
    assert_eq!(phone.browser(&session).confirmed_by("alice").await.status, 302);
    let hold = app.eng.hold(Endpoint::DeleteDevices);
    let body = auth(&session);
    let meanwhile = async {
        hold.arrived().await;
        assert_eq!(app.get(&stop).await.title(), "It is too late to stop this", "it is being done");
        assert_eq!(way_to_stop(&app, &phone, &session).await, None);
        hold.release();
    };
    let (done, ()) = tokio::join!(phone.delete_device("LAPTOP", &body), meanwhile);
    assert_eq!(done.status, 200);
    assert_eq!(app.get(&stop).await.title(), "It is too late to stop this", "it was done");
    assert_eq!(way_to_stop(&app, &phone, &session).await, None);
    let unknown = app.get("/_usher/ui-auth/AAAAAAAAAAAAAAAAAAAAAA?stop").await;
    assert_eq!(unknown.title(), "There is nothing to confirm here");
}

/// Asks from the device STOLEN, and presses "this was not me".
async fn denied(app: &TestApp, stolen: &Client<'_>) -> Answer {
    let session = stolen.session_to_delete("STOLEN").await;
    let mut asked = stolen.browser(&session).asked().await;
    let (path, form) = (asked.path.clone(), format!("csrf={}&deny=yes", asked.csrf()));
    let page = asked.browser.open(Method::POST, &path, Some(form)).await;
    assert_eq!((page.status.as_u16(), page.title()), (200, "The request was stopped"));
    assert_eq!(app.column("SELECT state FROM ui_auth_sessions").await, ["denied"]);
    page
}

fn wake(app: &TestApp) {
    app.app.homeservers.iter().for_each(|homeserver| homeserver.endings.notify_one());
}

#[tokio::test]
async fn a_device_is_signed_out_when_its_homeserver_is_back() {
    let app = start().await;
    let stolen = client(&app, "alice", "STOLEN").await;
    client(&app, "alice", "LAPTOP").await;
    app.eng.set_fault(Endpoint::DeleteDevices, Fault::server_error());
    let page = denied(&app, &stolen).await;
    assert!(page.body.contains("will be signed out of your account as soon as"), "{}", page.body);
    assert!(stolen.has_device("STOLEN"));
    assert_eq!(app.column("SELECT device_id FROM endings WHERE is_denial = 1").await, ["STOLEN"]);
    app.eng.clear_fault(Endpoint::DeleteDevices);
    app.clock.advance(Duration::from_secs(6));
    wake(&app);
    app.eventually("it is signed out", async || {
        !stolen.has_device("STOLEN") && app.rows("endings").await == 0
    })
    .await;
    assert!(stolen.has_device("LAPTOP"));
    let ended = "SELECT device_id FROM sessions WHERE ended_at IS NOT NULL";
    assert_eq!(app.column(ended).await, ["STOLEN"]);
}

#[tokio::test]
async fn whoever_has_signed_in_on_the_device_since_stays_signed_in() {
    let app = start().await;
    let stolen = client(&app, "alice", "STOLEN").await;
    app.eng.set_fault(Endpoint::DeleteDevices, Fault::server_error());
    denied(&app, &stolen).await;
    app.eng.clear_fault(Endpoint::DeleteDevices);
    app.clock.advance(Duration::from_secs(6));
    client(&app, "alice", "STOLEN").await;
    wake(&app);
    app.eventually("it is looked at", async || app.rows("endings").await == 0).await;
    assert!(stolen.has_device("STOLEN"));
}

#[tokio::test]
async fn a_device_that_did_not_sign_in_by_way_of_usher_is_signed_out_too() {
    let app = start().await;
    let phone = client(&app, "alice", "PHONE").await;
    let stolen = phone.with_token(&app.eng.open_session("@alice:eng.ac.cdl", "STOLEN", None));
    app.eng.set_fault(Endpoint::DeleteDevices, Fault::hang());
    let page = denied(&app, &stolen).await;
    assert!(page.body.contains("will be signed out of your account as soon as"), "{}", page.body);
    app.eng.clear_fault(Endpoint::DeleteDevices);
    app.clock.advance(Duration::from_secs(6));
    wake(&app);
    app.eventually("it is signed out", async || {
        !phone.has_device("STOLEN") && app.rows("endings").await == 0
    })
    .await;
    assert!(phone.has_device("PHONE"));
}

#[tokio::test]
async fn a_token_without_a_device_cannot_be_signed_out_and_the_page_says_so() {
    let app = start().await;
    let phone = client(&app, "alice", "PHONE").await;
    let said = usher_lab::scripted::Reply::json(200, &json!({ "user_id": phone.user }));
    app.eng.set_fault(Endpoint::WhoAmI, Fault::Says(said));
    let page = denied(&app, &phone).await;
    assert!(page.body.contains("could not be signed out: do so yourself"), "{}", page.body);
    assert_eq!(app.rows("endings").await, 0);
}
