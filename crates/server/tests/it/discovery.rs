//! CASES "Discovery and generic".

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use usher_lab::scripted::homeserver::{Endpoint, Fault};

use crate::app::{Answer, TestApp};

#[tokio::test]
async fn versions_are_told_without_a_token() {
    let app = TestApp::start().await;
    let answer = app.get("/_matrix/client/versions").await;
    assert_eq!(answer.status, 200);
    let versions = answer.json()["versions"].clone();
    assert!(versions.as_array().is_some_and(|versions| versions.contains(&json!("v1.13"))), "{versions}");
}

#[tokio::test]
async fn well_known_names_the_portal() {
    let app = TestApp::start().await;
    let answer = app.get("/.well-known/matrix/client").await;
    let base_url = app.base().as_str().trim_end_matches('/');
    assert_eq!(answer.json(), json!({ "m.homeserver": { "base_url": base_url } }));
}

#[tokio::test]
async fn well_known_says_more_if_configured_and_nothing_if_switched_off() {
    let app = TestApp::start_with(|config| {
        config["well_known"] =
            json!({ "content": { "m.identity_server": { "base_url": "https://id.ac.cdl" } } });
    })
    .await;
    let content = app.get("/.well-known/matrix/client").await.json();
    assert_eq!(content["m.identity_server"], json!({ "base_url": "https://id.ac.cdl" }));
    assert!(content["m.homeserver"]["base_url"].is_string(), "{content}");

    let app = TestApp::start_with(|config| config["well_known"] = json!({ "serve": false })).await;
    let answer = app.get("/.well-known/matrix/client").await;
    assert_eq!((answer.status.as_u16(), answer.errcode().as_str()), (404, "M_UNRECOGNIZED"));
    assert_eq!(answer.header("access-control-allow-origin"), "*");
}

fn assert_cors(name: &str, answer: &Answer) {
    for (header, expected) in [
        ("access-control-allow-origin", "*"),
        ("access-control-allow-methods", "GET, POST, PUT, DELETE, OPTIONS"),
        ("access-control-allow-headers", "X-Requested-With, Content-Type, Authorization"),
    ] {
        assert_eq!(answer.header(header), expected, "{name}");
    }
}

#[tokio::test]
async fn every_answer_allows_every_origin() {
    let app = TestApp::start().await;
    for (name, method, path, status) in [
        ("200", Method::GET, "/_matrix/client/versions", 200),
        ("400", Method::POST, "/_matrix/client/v3/login", 400),
        ("400 page", Method::GET, "/_matrix/client/v3/login/sso/redirect", 400),
        ("401", Method::GET, "/_matrix/client/v3/sync", 401),
        ("403", Method::POST, "/_matrix/client/v3/register", 403),
        ("404", Method::GET, "/_matrix/client/v3/nonsense", 404),
        ("405", Method::PUT, "/_matrix/client/v3/login", 405),
    ] {
        let answer = Answer::read(app.request(method, path)).await;
        assert_eq!(answer.status, status, "{name}");
        assert_cors(name, &answer);
    }
    // A homeserver that limits, then a database that lost a table.
    let token = app.sign_in().as_person("alice").await.login_token();
    app.eng.set_fault(Endpoint::Login, Fault::rate_limited("7"));
    let limited = app.redeem(&token).await;
    assert_eq!(limited.status, 429);
    assert_cors("429", &limited);
    app.sql("ALTER TABLE login_tokens RENAME TO gone").await;
    let broken = app.redeem(&token).await;
    assert_eq!((broken.status.as_u16(), broken.errcode().as_str()), (500, "M_UNKNOWN"));
    assert_cors("500", &broken);
}

#[tokio::test]
async fn options_answers_as_a_preflight_wants_it() {
    let app = TestApp::start().await;
    let request = app
        .request(Method::OPTIONS, "/_matrix/client/v3/login")
        .header("origin", "https://app.ac.cdl")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type");
    let answer = Answer::read(request).await;
    assert!(answer.status.is_success() && answer.body.is_empty());
    assert_cors("preflight", &answer);
}

#[tokio::test]
async fn options_runs_nothing() {
    let app = TestApp::start().await;
    for path in [
        "/_matrix/client/v3/login",
        "/_matrix/client/v3/login/sso/redirect/corp?redirectUrl=https%3A%2F%2Fapp.ac.cdl%2F",
        "/_usher/cas/corp/callback/AAAAAAAAAAAAAAAAAAAAAA?ticket=ST-1",
        "/anything/else",
    ] {
        let answer = Answer::read(app.request(Method::OPTIONS, path)).await;
        assert!(answer.status.is_success(), "{path}: {}", answer.status);
        assert_eq!(answer.header("access-control-allow-origin"), "*", "{path}");
        assert!(answer.set_cookies().is_empty() && answer.header("location").is_empty(), "{path}");
    }
}

#[tokio::test]
async fn what_is_not_ours_is_refused_as_msc1730_says() {
    let app = TestApp::start().await;
    let with_token = |path: &str| app.request(Method::GET, path).bearer_auth("syt_somebody");
    let sync = Answer::read(with_token("/_matrix/client/v3/sync")).await;
    assert_eq!((sync.status.as_u16(), sync.errcode().as_str()), (401, "M_UNKNOWN_TOKEN"));
    assert_eq!(sync.json().get("soft_logout"), None, "clients would loop");
    for (name, method, path, status, errcode) in [
        ("no token", Method::GET, "/_matrix/client/v3/sync", 401, "M_MISSING_TOKEN"),
        (
            "a token in the query",
            Method::GET,
            "/_matrix/client/r0/sync?access_token=x",
            401,
            "M_UNKNOWN_TOKEN",
        ),
        ("sync at r0", Method::GET, "/_matrix/client/r0/sync", 401, "M_MISSING_TOKEN"),
        ("an empty token", Method::GET, "/_matrix/client/r0/sync?access_token=", 401, "M_MISSING_TOKEN"),
        ("register", Method::POST, "/_matrix/client/v3/register", 403, "M_FORBIDDEN"),
        ("register at r0", Method::POST, "/_matrix/client/r0/register?kind=guest", 403, "M_FORBIDDEN"),
        ("auth_metadata", Method::GET, "/_matrix/client/v1/auth_metadata", 404, "M_UNRECOGNIZED"),
        (
            "the same as it was proposed",
            Method::GET,
            "/_matrix/client/unstable/org.matrix.msc2965/auth_metadata",
            404,
            "M_UNRECOGNIZED",
        ),
        ("unknown", Method::GET, "/_matrix/client/v3/nonsense", 404, "M_UNRECOGNIZED"),
        ("wrong method", Method::PUT, "/_matrix/client/v3/login", 405, "M_UNRECOGNIZED"),
        ("wrong method at r0", Method::DELETE, "/_matrix/client/r0/login", 405, "M_UNRECOGNIZED"),
        ("POST on versions", Method::POST, "/_matrix/client/versions", 405, "M_UNRECOGNIZED"),
    ] {
        let answer = Answer::read(app.request(method, path)).await;
        assert_eq!((answer.status.as_u16(), answer.errcode().as_str()), (status, errcode), "{name}");
    }
}

#[tokio::test]
async fn json_is_never_cached_and_every_answer_has_a_request_id() {
    let app = TestApp::start().await;
    for path in ["/_matrix/client/versions", "/_matrix/client/v3/login", "/_matrix/client/v3/sync"] {
        let answer = app.get(path).await;
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        assert!(!answer.header("x-request-id").is_empty(), "{path}");
    }
}

#[tokio::test]
async fn a_request_of_ushers_own_is_sent_back_as_a_loop() {
    let app = TestApp::start().await;
    let answer =
        Answer::read(app.request(Method::GET, "/_matrix/client/v3/login").header("usher-hop", "1")).await;
    assert_eq!(answer.status, 508);
    assert!(answer.json()["error"].as_str().is_some_and(|error| error.contains("upstream_url")));
}

#[tokio::test]
async fn health_says_whether_the_database_answers() {
    let app = TestApp::start().await;
    assert_eq!(app.get("/_usher/health").await.status, 200);
    let head = app.request(Method::HEAD, "/_usher/health");
    assert_eq!(Answer::read(head).await.status, 200);
    app.app.store.close().await;
    assert_eq!(app.get("/_usher/health").await.status, 200, "the answer of a moment ago");
    app.clock.advance(Duration::from_secs(1));
    assert_eq!(app.get("/_usher/health").await.status, 503);
}

#[tokio::test]
async fn an_endpoint_without_a_method_says_which_it_has() {
    let app = TestApp::start().await;
    for (method, path, allow) in [
        (Method::PUT, "/_matrix/client/v3/login", "GET, HEAD, POST, OPTIONS"),
        (Method::HEAD, "/_matrix/client/v3/login/sso/redirect/corp", "GET, OPTIONS"),
        (Method::POST, "/_matrix/client/versions", "GET, HEAD, OPTIONS"),
        (Method::DELETE, "/.well-known/matrix/client", "GET, HEAD, OPTIONS"),
        (Method::GET, "/_matrix/client/v3/register", "POST, OPTIONS"),
    ] {
        let answer = Answer::read(app.request(method.clone(), path)).await;
        assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, allow), "{method} {path}");
    }
}

#[tokio::test]
async fn whoever_only_looks_whether_the_portal_is_there_is_told_so() {
    let app = TestApp::start().await;
    for path in ["/_matrix/client/v3/login", "/_matrix/client/versions", "/.well-known/matrix/client"] {
        let answer = Answer::read(app.request(Method::HEAD, path)).await;
        assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, ""), "{path}");
    }
}
