//! Whose address a request is: a trusted proxy's word, and nobody else's.

use reqwest::Method;
use serde_json::json;
use usher_lab::scripted::homeserver::Endpoint;

use crate::app::{Answer, TestApp};

/// What the homeserver is told about where a client is that redeems a token with these headers.
async fn told(app: &TestApp, lines: &[&str]) -> Vec<String> {
    let token = app.sign_in().as_person("alice").await.login_token();
    app.eng.forget_calls();
    let body = json!({ "type": "m.login.token", "token": token }).to_string();
    let request = app.request(Method::POST, "/_matrix/client/v3/login").body(body);
    let request = lines.iter().fold(request, |request, line| request.header("x-forwarded-for", *line));
    assert_eq!(Answer::read(request).await.status, 200);
    let calls = app.eng.calls_to(Endpoint::Login);
    assert_eq!(calls.len(), 1);
    let values = calls[0].headers.get_all("x-forwarded-for").iter();
    values.map(|value| value.to_str().expect("ASCII").to_owned()).collect()
}

#[tokio::test]
async fn the_homeserver_is_told_exactly_the_clients_address() {
    let trusting =
        TestApp::start_with(|config| config["trusted_proxies"] = json!(["127.0.0.1", "10.0.0.0/8"])).await;
    for (name, lines, expected) in [
        ("nothing forwarded", &[][..], "127.0.0.1"),
        ("one", &["192.0.2.1"], "192.0.2.1"),
        ("IPv6", &["2001:db8::1"], "2001:db8::1"),
        ("what the client itself sent stands on the left", &["203.0.113.7, 192.0.2.1"], "192.0.2.1"),
        ("two proxies of ours", &["203.0.113.7, 192.0.2.1, 10.1.2.3"], "192.0.2.1"),
        ("several lines", &["203.0.113.7", "192.0.2.1"], "192.0.2.1"),
        ("garbage", &["192.0.2.1, unknown"], "127.0.0.1"),
    ] {
        assert_eq!(told(&trusting, lines).await, [expected], "{name}");
    }
    let other = TestApp::start().await;
    assert_eq!(told(&other, &["192.0.2.1"]).await, ["127.0.0.1"], "of a peer that is not trusted");
}
