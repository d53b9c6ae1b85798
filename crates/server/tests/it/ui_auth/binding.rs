//! A session is good for the very request it was begun for (MSC2454, "one request only"): each row changes one thing.

use reqwest::Method;
use serde_json::{Value, json};

use super::{ENG, HIST, auth, client, deeds, session_of, start};
use crate::app::{Answer, TestApp};

#[tokio::test]
async fn any_other_request_is_refused_and_the_right_one_is_still_good() {
    let app = start().await;
    let phone = client(&app, "alice", "PHONE").await;
    let laptop = client(&app, "alice", "LAPTOP").await;
    let bob = client(&app, "bob", "BOBS").await;
    let more = phone.with_token(&app.eng.open_session("@alice:eng.ac.cdl", "PHONE", None));
    client(&app, "alice", "TABLET").await;
    let session = session_of(&phone.post("/delete_devices", &json!({ "devices": ["TABLET"] })).await);
    phone.browser(&session).confirmed_by("alice").await;
    let with = |body: Value| {
        let mut body = body;
        body["auth"] = json!({ "session": session });
        body
    };
    let refused = |name: &str, answer: &Answer| {
        assert_eq!(
            (answer.status.as_u16(), answer.errcode().as_str()),
            (403, "M_FORBIDDEN"),
            "{name}: {}",
            answer.body
        );
    };
    let same = || with(json!({ "devices": ["TABLET"] }));
    refused("another body", &phone.post("/delete_devices", &with(json!({ "devices": ["LAPTOP"] }))).await);
    refused(
        "more in the body",
        &phone.post("/delete_devices", &with(json!({ "devices": ["TABLET"], "x": 1 }))).await,
    );
    refused(
        "another order",
        &phone.post("/delete_devices", &with(json!({ "devices": ["TABLET", "LAPTOP"] }))).await,
    );
    refused("another path", &phone.post("/account/deactivate", &auth(&session)).await);
    refused("another method and path", &phone.delete_device("TABLET", &auth(&session)).await);
    refused("another person", &bob.post("/delete_devices", &same()).await);
    refused("another device", &laptop.post("/delete_devices", &same()).await);
    assert_eq!(deeds(&app), 0);
    assert!(phone.has_device("TABLET"));
    let done = more.post("/delete_devices", &same()).await;
    assert_eq!(done.status, 200, "another token of the same device: {}", done.body);
    assert!(!phone.has_device("TABLET") && phone.has_device("LAPTOP"));
}

#[tokio::test]
async fn the_spelling_of_body_and_path_does_not_matter() {
    let app = start().await;
    let phone = client(&app, "alice", "PHONE").await;
    client(&app, "alice", "TABLET").await;
    let session = session_of(
        &phone.post("/delete_devices", &json!({ "devices": ["TABLET"], "x": { "b": 1, "a": 2 } })).await,
    );
    phone.browser(&session).confirmed_by("alice").await;
    let body = format!(
        r#" {{"x": {{"a":2 , "b":1}},"auth":{{"session":"{session}"}}, "devices":["T\u0041BLET"]}} "#
    );
    let request = phone.request(Method::POST, "/_matrix/client/r0/%64elete_devices/").body(body);
    assert_eq!(Answer::read(request).await.status, 200);
    assert!(!phone.has_device("TABLET"));
}

#[tokio::test]
async fn a_session_of_one_homeserver_opens_nothing_at_another() {
    let app = start().await;
    let phone = client(&app, "alice", "PHONE").await;
    let carol = client(&app, "carol", "PHONE").await;
    // A token that the other homeserver has not given to anybody.
    client(&app, "alice", "MORE").await;
    let phone_again = phone.with_token(&app.eng.open_session(&phone.user, "PHONE", None));
    let session = phone.session_to_delete("PHONE").await;
    phone.browser(&session).confirmed_by("alice").await;
    let answer = carol.delete_device("PHONE", &auth(&session)).await;
    assert_eq!((answer.status.as_u16(), answer.errcode().as_str()), (403, "M_FORBIDDEN"));
    let with_their_token = app
        .request(Method::DELETE, "/_matrix/client/v3/devices/PHONE")
        .header("host", HIST)
        .bearer_auth(&phone_again.token);
    let answer = Answer::read(with_their_token.body(auth(&session).to_string())).await;
    assert_eq!((answer.status.as_u16(), answer.errcode().as_str()), (401, "M_UNKNOWN_TOKEN"));
    // Its page is not there either.
    let path = format!("/_matrix/client/v3/auth/m.login.sso/fallback/web?session={session}");
    let page = Answer::read(app.request(Method::GET, &path).header("host", HIST)).await;
    assert_eq!(page.status, 400);
    assert!(phone.has_device("PHONE") && carol.has_device("PHONE"));
}

#[tokio::test]
async fn a_session_that_nobody_has_is_400_and_a_homeservers_own_is_its_matter() {
    let app = start().await;
    let phone = client(&app, "alice", "PHONE").await;
    let known = phone.session_to_delete("PHONE").await;
    for (name, session) in [
        ("made up", "ushu_AAAA".to_owned()),
        ("the prefix alone", "ushu_".to_owned()),
        (
            "one character changed",
            format!("{}{}", &known[..known.len() - 1], if known.ends_with('A') { 'B' } else { 'A' }),
        ),
        ("longer", format!("{known}AAAA")),
    ] {
        let answer = phone.delete_device("PHONE", &auth(&session)).await;
        assert_eq!((answer.status.as_u16(), answer.errcode().as_str()), (400, "M_UNKNOWN"), "{name}");
        let page = phone.browser(&session).fallback().await;
        assert_eq!((page.status.as_u16(), page.title()), (400, "There is nothing to confirm here"), "{name}");
    }
    app.eng.forget_calls();
    let body = json!({ "auth": { "session": "own_session_7", "type": "m.login.password" } });
    session_of(&phone.delete_device("PHONE", &body).await);
    assert_eq!(deeds(&app), 0, "one of the homeserver's own is none, for somebody who is linked");
}

#[tokio::test]
async fn bodies_that_can_be_read_in_two_ways_are_refused() {
    let app = start().await;
    let phone = client(&app, "alice", "PHONE").await;
    for (name, body, errcode) in [
        ("no JSON", "devices", "M_NOT_JSON"),
        ("a key twice", r#"{"devices":["A"],"devices":["B"]}"#, "M_BAD_JSON"),
        ("a float", r#"{"devices":["A"],"x":1.5}"#, "M_BAD_JSON"),
        ("another case", r#"{"devices":["A"],"Devices":["B"]}"#, "M_BAD_JSON"),
        ("no object", "[]", "M_BAD_JSON"),
        ("a session that is none", r#"{"devices":["A"],"auth":{"session":7}}"#, "M_BAD_JSON"),
        ("no devices", "{}", "M_MISSING_PARAM"),
        ("devices of another type", r#"{"devices":"A"}"#, "M_BAD_JSON"),
    ] {
        let request = phone.request(Method::POST, "/_matrix/client/v3/delete_devices").body(body);
        let answer = Answer::read(request).await;
        assert_eq!((answer.status.as_u16(), answer.errcode().as_str()), (400, errcode), "{name}");
    }
    let long = format!(r#"{{"devices":["{}"]}}"#, "A".repeat(300 * 1024));
    let answer =
        Answer::read(phone.request(Method::POST, "/_matrix/client/v3/delete_devices").body(long)).await;
    assert_eq!((answer.status.as_u16(), answer.errcode().as_str()), (413, "M_TOO_LARGE"));
    assert_eq!(app.rows("ui_auth_sessions").await, 0);
}

#[tokio::test]
async fn addresses_that_can_be_read_in_two_ways_reach_no_homeserver() {
    let app = start().await;
    let phone = client(&app, "alice", "PHONE").await;
    client(&app, "alice", "LAPTOP").await;
    app.eng.forget_calls();
    for (method, path) in [
        ("DELETE", "/_matrix/client/v3/devices%2FLAPTOP"),
        ("DELETE", "/_matrix/client/v3/x/../devices/LAPTOP"),
        ("DELETE", "/_matrix/client/v3/x/%2e%2e/devices/LAPTOP"),
        ("DELETE", "/_matrix/client/v3/devices/.."),
        ("DELETE", "/_matrix/client/v3/devices;x=y/LAPTOP"),
        ("POST", "/_matrix/client/v3/account%2Fdeactivate"),
    ] {
        let raw = format!(
            "{method} {path} HTTP/1.1\r\nHost: {ENG}\r\nAuthorization: Bearer {}\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}",
            phone.token
        );
        let answer = app.raw(&raw).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{method} {path}: {answer}");
        assert!(answer.contains("M_UNRECOGNIZED"), "{method} {path}: {answer}");
    }
    for path in [
        "/_matrix/client/v3/%64evices/LAPTOP",
        "/_matrix/client//v3//devices/LAPTOP/",
        "/_matrix/client/r0/devices/L%41PTOP",
    ] {
        let raw = format!(
            "DELETE {path} HTTP/1.1\r\nHost: {ENG}\r\nAuthorization: Bearer {}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            phone.token
        );
        let answer = app.raw(&raw).await;
        assert!(answer.starts_with("HTTP/1.1 401") && answer.contains("m.login.sso"), "{path}: {answer}");
    }
    assert_eq!(deeds(&app), 0);
    assert!(phone.has_device("LAPTOP"));
}

#[tokio::test]
async fn a_token_that_cannot_be_read_in_one_way_is_refused() {
    let app = start().await;
    let phone = client(&app, "alice", "PHONE").await;
    let devices = "/_matrix/client/v3/devices/PHONE";
    let send = async |app: &TestApp, path: &str, headers: &[String]| {
        let mut request = app.request(Method::DELETE, path).header("host", ENG);
        for header in headers {
            request = request.header("authorization", header);
        }
        Answer::read(request.body("{}")).await
    };
    app.eng.forget_calls();
    let own = format!("Bearer {}", phone.token);
    for (name, path, headers) in [
        ("two headers", devices.to_owned(), vec![own.clone(), "Bearer x".to_owned()]),
        ("a header and a query", format!("{devices}?access_token=x"), vec![own.clone()]),
        ("two in the query", format!("{devices}?access_token=x&access_token=y"), vec![]),
        ("another scheme", devices.to_owned(), vec!["Basic eA==".to_owned()]),
        ("an empty one", devices.to_owned(), vec!["Bearer ".to_owned()]),
    ] {
        let answer = send(&app, &path, &headers).await;
        assert_eq!((answer.status.as_u16(), answer.errcode().as_str()), (401, "M_UNKNOWN_TOKEN"), "{name}");
    }
    assert!(app.eng.calls().is_empty());
    let in_query = send(&app, &format!("{devices}?access_token={}", phone.token), &[]).await;
    session_of(&in_query);
    let unknown = send(&app, devices, &["Bearer syt_nobody".to_owned()]).await;
    assert_eq!((unknown.status.as_u16(), unknown.errcode().as_str()), (401, "M_UNKNOWN_TOKEN"));
    assert_eq!(unknown.json().get("flows"), None, "no flows for a bad token");
}
