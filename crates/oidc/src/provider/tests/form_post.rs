//! Answers that come as forms (OAuth 2.0 Form Post Response Mode).

use super::*;

#[tokio::test]
async fn an_answer_may_come_as_a_form_and_then_comes_as_nothing_else() {
    let corp = Corp::with(json!({ "response_mode": "form_post" })).await;
    let demand = corp.demand(Freshness::AnySession);
    let challenge = corp.provider.begin(&corp.ctx(), &demand).await.expect("a challenge");
    assert_eq!(challenge.returns_by, ReturnTrip::CrossSitePost);
    let BrowserStep::Redirect(place) = challenge.step else { panic!("a redirect") };
    assert_eq!(parameter(&place, "response_mode").as_deref(), Some("form_post"));
    for (method, expected) in [(Method::Post, Some(Endpoint::Answer)), (Method::Get, None)] {
        assert_eq!(corp.provider.endpoint(method, "callback"), expected, "{method:?}");
    }
    let callback = callback_of(&corp.script.log_in(&place, "alice").expect("the provider answers"));
    assert_eq!(callback.method, Method::Post);
    let encoded =
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(callback.form.iter()).finish();
    let in_query = Callback::new(Method::Get, "callback", &encoded, "");
    let elsewhere = corp.complete(&demand, challenge.state.clone(), &in_query).await;
    assert_eq!(elsewhere.map_err(|error| error.kind()).err(), Some("malformed"), "in the query");
    let in_both = Callback::new(Method::Post, "callback", &encoded, "");
    let elsewhere = corp.complete(&demand, challenge.state.clone(), &in_both).await;
    assert_eq!(elsewhere.map_err(|error| error.kind()).err(), Some("malformed"), "in the query of a form");
    let identity = corp.complete(&demand, challenge.state, &callback).await.expect("a proof");
    assert_eq!(identity.subject.as_str(), "alice");
}

#[tokio::test]
async fn an_answer_in_the_address_comes_back_by_navigation() {
    let corp = Corp::start().await;
    let challenge =
        corp.provider.begin(&corp.ctx(), &corp.demand(Freshness::AnySession)).await.expect("a challenge");
    assert_eq!(challenge.returns_by, ReturnTrip::Navigation);
}
