//! Ways past the page, for whoever has an access token of a linked person and nothing else.

use reqwest::Method;
use serde_json::json;
use usher_lab::scripted::homeserver::Endpoint;

use super::{ENG, client, session_of, start};
use crate::app::Answer;

#[tokio::test]
async fn a_made_up_session_adds_no_address_where_the_homeserver_does_not_ask() {
    let app = start().await;
    let phone = client(&app, "alice", "PHONE").await;
    app.eng.validate_email("c1", "1", "thief@evil.example");
    for session in ["x", "own_session_0", ""] {
        let body = json!({
            "three_pid_creds": { "client_secret": "c1", "sid": "1" },
            "auth": { "session": session },
        });
        session_of(&phone.post("/account/3pid", &body).await);
    }
    assert!(app.eng.calls_to(Endpoint::Threepid).is_empty());
    assert!(app.eng.user(&phone.user).expect("she is there").emails.is_empty());
}

#[tokio::test]
async fn a_made_up_session_is_none_whatever_the_homeserver_asks() {
    let app = start().await;
    let phone = client(&app, "alice", "PHONE").await;
    client(&app, "alice", "LAPTOP").await;
    // As Synapse with a `ui_auth.session_timeout`, which asks nothing for a while and looks at no `auth` meanwhile.
    let said = usher_lab::scripted::Reply::json(200, &json!({}));
    app.eng.set_fault(Endpoint::DeleteDevice, usher_lab::scripted::homeserver::Fault::Says(said.clone()));
    app.eng.set_fault(Endpoint::DeleteDevices, usher_lab::scripted::homeserver::Fault::Says(said));
    for session in ["x", "own_session_0", "xushu_"] {
        let auth = json!({ "session": session, "type": "m.login.password" });
        session_of(&phone.delete_device("LAPTOP", &json!({ "auth": auth })).await);
        session_of(&phone.post("/delete_devices", &json!({ "devices": ["LAPTOP"], "auth": auth })).await);
    }
    assert_eq!(super::deeds(&app), 0, "the homeserver is not asked");
}

#[tokio::test]
async fn a_made_up_session_gets_no_login_token_of_the_homeservers() {
    let app = start().await;
    let phone = client(&app, "alice", "PHONE").await;
    for path in ["/_matrix/client/v1/login/get_token", "/_matrix/client/v3/login/get_token"] {
        let request =
            phone.request(Method::POST, path).body(json!({ "auth": { "session": "x" } }).to_string());
        session_of(&Answer::read(request).await);
    }
    assert!(app.eng.calls_to(Endpoint::LoginToken).is_empty());
}

#[tokio::test]
async fn a_token_that_only_the_homeserver_would_find_takes_nothing_past_us() {
    let app = start().await;
    let phone = client(&app, "alice", "PHONE").await;
    app.eng.set_password("@pat:eng.ac.cdl", "secret");
    let pats = app.eng.open_session("@pat:eng.ac.cdl", "PATS", None);
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    // JSON to one reader, a form to another.
    let both = format!(r#"{{"three_pid_creds":{{}},"x":"&access_token={}&"}}"#, phone.token);
    for (name, query, headers, body) in [
        ("after a semicolon", format!("?x;access_token={}", phone.token), String::new(), "{}"),
        (
            "before somebody else's",
            format!("?x;access_token={}&access_token={pats}", phone.token),
            String::new(),
            "{}",
        ),
        ("in a form", String::new(), form.to_owned(), &both),
        (
            "in a form, beside somebody else's in the query",
            format!("?access_token={pats}"),
            form.to_owned(),
            &both,
        ),
        (
            "in a form, with JSON before it",
            String::new(),
            format!("Content-Type: application/json\r\n{form}"),
            &both,
        ),
    ] {
        app.eng.forget_calls();
        let raw = format!(
            "POST /_matrix/client/v3/account/3pid{query} HTTP/1.1\r\nHost: {ENG}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        let answer = app.raw(&raw).await;
        assert!(answer.starts_with("HTTP/1.1 401"), "{name}: {answer}");
        assert!(app.eng.calls().is_empty(), "{name}: the homeserver is asked nothing");
    }
    app.eng.forget_calls();
    let raw = format!(
        "POST /_matrix/client/v3/account/3pid HTTP/1.1\r\nHost: {ENG}\r\nAuthorization: Bearer {pats}\r\n{form}Content-Length: {}\r\nConnection: close, Authorization\r\n\r\n{both}",
        both.len()
    );
    app.raw(&raw).await;
    let calls = app.eng.calls_to(Endpoint::Threepid);
    assert_eq!(calls.len(), 1, "pat is not linked");
    assert_eq!(calls[0].headers["authorization"], format!("Bearer {pats}"), "and the request is still pat's");
}

#[tokio::test]
async fn nobody_gets_a_tunnel_to_the_homeserver() {
    let app = start().await;
    let raw = format!("CONNECT {ENG}:443 HTTP/1.1\r\nHost: {ENG}\r\nConnection: close\r\n\r\n");
    let answer = app.raw(&raw).await;
    assert!(answer.starts_with("HTTP/1.1 405"), "{answer}");
    assert!(app.eng.calls().is_empty());
}
