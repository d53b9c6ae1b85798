//! Providers that issue no id_token, such as GitHub: userinfo alone says who somebody is.

use super::*;

fn github() -> Setup {
    Setup { is_openid: false, names_issuer: false, ..setup() }
}

fn section(more: &Value) -> Value {
    let mut section = json!({ "protocol": "oauth2", "subject": "id", "scopes": ["read:user", "user:email"] });
    for (key, value) in more.as_object().into_iter().flatten() {
        section[key] = value.clone();
    }
    section
}

#[tokio::test]
async fn a_number_names_somebody_and_nothing_is_fresh() {
    let corp = Corp::with_setup(github(), section(&json!({}))).await;
    corp.script.add_person("octocat", &json!({ "id": 583_231, "login": "octocat", "site_admin": false }));
    let demand = corp.demand(Freshness::AnySession);
    let (place, state) = corp.begin(&demand).await;
    assert_eq!(parameter(&place, "scope").as_deref(), Some("read:user user:email"), "no openid");
    let trip = corp.script.log_in(&place, "octocat").expect("the provider answers");
    let identity = corp.complete(&demand, state, &callback_of(&trip)).await.expect("a proof");
    assert_eq!(identity.subject.as_str(), "583231");
    assert_eq!(identity.values("login"), ["octocat"]);
    assert_eq!(identity.evidence, Evidence::Unstated);
    assert_eq!(identity.upstream_session, None);
    let fresh = corp.try_sign_in("octocat", Freshness::Since(NOW)).await.expect("a proof");
    assert_eq!(fresh.evidence, Evidence::Unstated, "which satisfies nobody who wants more");
}

#[tokio::test]
async fn an_id_token_from_such_a_provider_is_not_looked_at() {
    let corp = Corp::with_setup(github(), section(&json!({}))).await;
    corp.script.add_person("octocat", &json!({ "id": 1 }));
    corp.script.lie(Lies { tokens: Some(json!({ "id_token": "e30.e30." })), ..Lies::default() });
    assert_eq!(corp.sign_in("octocat").await.expect("a proof").subject.as_str(), "1");
}

#[tokio::test]
async fn userinfo_that_names_nobody_proves_nobody() {
    let corp = Corp::with_setup(github(), section(&json!({}))).await;
    for (name, claims) in [
        ("no id", json!({ "login": "x" })),
        ("null", json!({ "id": null })),
        ("two", json!({ "id": [1, 2] })),
    ] {
        corp.script.add_person("p", &claims);
        assert_eq!(corp.sign_in("p").await.err(), Some("unverified"), "{name}");
    }
    let no_endpoint = Corp::with_setup(github(), section(&json!({}))).await;
    no_endpoint.script.lie(Lies { discovery: Some(json!({ "userinfo_endpoint": null })), ..Lies::default() });
    assert_eq!(no_endpoint.refuses_to_begin().await, Some("internal"));
}

#[tokio::test]
async fn such_a_provider_sends_no_logout_tokens() {
    let corp = Corp::with_setup(github(), section(&json!({}))).await;
    assert_eq!(corp.provider.endpoint(Method::Post, "backchannel-logout"), None);
}
