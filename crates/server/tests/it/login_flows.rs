//! CASES "Login flows".

use reqwest::Method;
use serde_json::json;

use crate::app::{Answer, TestApp};

#[tokio::test]
async fn sso_and_token_are_listed_and_absent_fields_are_omitted() {
    let app = TestApp::start().await;
    let expected = json!({ "flows": [
        { "type": "m.login.sso", "identity_providers": [{ "id": "corp", "name": "University" }] },
        { "type": "m.login.token" },
    ] });
    for version in ["v3", "r0"] {
        let answer = app.get(&format!("/_matrix/client/{version}/login")).await;
        assert_eq!(answer.json(), expected, "{version}");
    }
}

#[tokio::test]
async fn providers_come_in_the_order_of_the_config_with_icon_and_brand() {
    let app = TestApp::start_with(|config| {
        let mut second = config["providers"][0].clone();
        second["id"] = json!("another");
        second["name"] = json!("Another");
        second["icon"] = json!("mxc://ac.cdl/icon");
        second["brand"] = json!("org.example");
        config["providers"] = json!([second, config["providers"][0]]);
    })
    .await;
    let answer = app.get("/_matrix/client/v3/login").await;
    assert_eq!(
        answer.json()["flows"][0]["identity_providers"],
        json!([
            { "id": "another", "name": "Another", "icon": "mxc://ac.cdl/icon", "brand": "org.example" },
            { "id": "corp", "name": "University" },
        ])
    );
}

#[tokio::test]
async fn without_providers_there_is_no_sso_flow() {
    let app = TestApp::start_with(|config| config["providers"] = json!([])).await;
    let answer = app.get("/_matrix/client/v3/login").await;
    assert_eq!(answer.json(), json!({ "flows": [{ "type": "m.login.token" }] }));
    let redirect = app.get("/_matrix/client/v3/login/sso/redirect?redirectUrl=https://app.ac.cdl/").await;
    assert_eq!(redirect.status, 404);
}

#[tokio::test]
async fn a_provider_that_is_down_is_listed_all_the_same() {
    let app = TestApp::start().await;
    app.stop_cas();
    let answer = app.get("/_matrix/client/v3/login").await;
    assert_eq!(answer.json()["flows"][0]["type"], "m.login.sso");
}

#[tokio::test]
async fn a_body_on_the_question_is_fine() {
    let app = TestApp::start().await;
    let request = app.request(Method::GET, "/_matrix/client/v3/login").body("{}");
    assert_eq!(Answer::read(request).await.status, 200);
}
