//! Two replicas whose clocks are a minute apart, with the shortest lifetimes that a config may have.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::app::{Answer, Replica, TestApp};

/// A request at one of the two.
async fn at(
    app: &TestApp,
    replica: Option<&Replica>,
    method: Method,
    path: &str,
    cookies: &[String],
    body: String,
) -> Answer {
    let request = match replica {
        Some(replica) => app.request_at(replica, method, path),
        None => app.request(method, path),
    };
    Answer::read(request.header("cookie", cookies.join("; ")).body(body)).await
}

#[tokio::test]
async fn a_sign_in_over_replicas_a_minute_apart_succeeds() {
    let app = TestApp::start_with(|config| {
        config["login"]["token_lifetime"] = json!("90s");
        config["login"]["attempt_lifetime"] = json!("2m");
    })
    .await;
    let ahead = app.replica_ahead(Duration::from_mins(1)).await;
    for (name, begun, answered, redeemed) in [
        ("answered and redeemed ahead", None, Some(&ahead), Some(&ahead)),
        ("redeemed ahead", None, None, Some(&ahead)),
        ("answered ahead", None, Some(&ahead), None),
        ("begun ahead", Some(&ahead), None, None),
        ("begun and redeemed ahead", Some(&ahead), None, Some(&ahead)),
    ] {
        let start = "/_matrix/client/v3/login/sso/redirect/corp?redirectUrl=https%3A%2F%2Fapp.ac.cdl%2F";
        let first = at(&app, begun, Method::GET, start, &[], String::new()).await;
        let login = url::Url::parse(first.location()).expect("the provider's login");
        let callback = app.cas.log_in(&login, "alice").expect("the provider knows her");
        // All the time that is left of the attempt and of the token, to a second.
        app.clock.advance(Duration::from_secs(59));
        let way_back = &callback[url::Position::BeforePath..];
        let landed = at(&app, answered, Method::GET, way_back, &first.cookies(), String::new()).await;
        app.clock.advance(Duration::from_secs(29));
        let body = json!({ "type": "m.login.token", "token": landed.login_token() }).to_string();
        let session = at(&app, redeemed, Method::POST, "/_matrix/client/v3/login", &[], body).await;
        assert_eq!(session.status, 200, "{name}: {}", session.body);
        assert_eq!(session.json()["user_id"], "@alice:eng.ac.cdl", "{name}");
    }
}
