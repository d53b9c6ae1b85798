//! Ways past the page, for whoever has an access token of a linked person and nothing else.

use reqwest::Method;
use serde_json::json;
use usher_lab::scripted::homeserver::Endpoint;

use super::{client, session_of, start};
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
    assert!(app.eng.calls_to(Endpoint::Threepids).is_empty());
    assert!(app.eng.user(&phone.user).expect("she is there").emails.is_empty());
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
