//! Ending the browser's session at the provider (OpenID Connect RP-Initiated Logout 1.0).

use super::*;
use usher_lab::scripted::oidc::Place;

const BACK: &str = "https://matrix.ac.cdl/_usher/signed-out";

/// Where somebody is sent who wants to sign out.
async fn place(corp: &Corp, return_to: Option<&str>) -> Option<Url> {
    let return_to = return_to.map(|url| Url::parse(url).expect("a URL"));
    let wish = SignOut { return_to: return_to.as_ref(), locale: "fr", keepsake: None };
    match corp.provider.sign_out(&corp.ctx(), &wish).await.expect("an answer").map(|way| way.step) {
        Some(BrowserStep::Redirect(place)) => Some(place),
        Some(step @ (BrowserStep::PostForm { .. } | BrowserStep::Ask(_))) => {
            panic!("not a redirect: {step:?}")
        }
        None => None,
    }
}

fn told(place: &Url) -> Vec<(String, String)> {
    place.query_pairs().into_owned().collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[tokio::test]
async fn the_browser_says_which_client_it_comes_from_and_no_more() {
    let corp = Corp::start().await;
    let plain = place(&corp, None).await.expect("a place");
    assert!(plain.as_str().starts_with(&format!("{}/end-session?", corp.issuer)), "{plain}");
    let client = ("client_id", corp.provider.settings.client_id.as_str());
    assert_eq!(told(&plain), pairs(&[client, ("ui_locales", "fr")]));
    let back = place(&corp, Some(BACK)).await.expect("a place");
    assert_eq!(told(&back), pairs(&[client, ("post_logout_redirect_uri", BACK), ("ui_locales", "fr")]));
}

#[tokio::test]
async fn a_place_of_the_config_goes_before_the_documents_and_keeps_its_own_query() {
    let corp = Corp::with(json!({ "endpoints": { "end_session": "https://out.ac.cdl/bye?realm=ac" } })).await;
    assert!(corp.provider.offers_sign_out());
    let place = place(&corp, None).await.expect("a place");
    assert!(place.as_str().starts_with("https://out.ac.cdl/bye?realm=ac&client_id="), "{place}");
    assert_eq!(corp.script.asked(Place::Discovery), 0);
}

#[tokio::test]
async fn a_place_that_no_browser_is_sent_to_is_none_and_keeps_nobody_from_signing_in() {
    for (name, named) in [
        ("none", json!(null)),
        ("another host in the clear", json!("http://out.ac.cdl/")),
        ("no web page", json!("javascript:alert(1)")),
        ("a user", json!("https://me@out.ac.cdl/")),
        ("a fragment", json!("https://out.ac.cdl/#x")),
        ("no address", json!("/end-session")),
        ("no text", json!(1)),
    ] {
        let corp = Corp::start().await;
        corp.script
            .lie(Lies { discovery: Some(json!({ "end_session_endpoint": named })), ..Lies::default() });
        assert!(corp.provider.offers_sign_out(), "{name}: not known yet");
        assert_eq!(place(&corp, None).await, None, "{name}");
        assert!(!corp.provider.offers_sign_out(), "{name}: known by now");
        corp.sign_in("alice").await.expect(name);
    }
    let corp = Corp::start().await;
    let named = json!({ "end_session_endpoint": "https://out.ac.cdl/" });
    corp.script.lie(Lies { discovery: Some(named), ..Lies::default() });
    assert!(place(&corp, None).await.is_some(), "another host, encrypted");
}

#[tokio::test]
async fn a_provider_that_is_away_is_not_waited_for_to_offer_it() {
    let corp = Corp::start().await;
    corp.stop();
    assert!(corp.provider.offers_sign_out());
    let wish = SignOut { return_to: None, locale: "en", keepsake: None };
    let error = corp.provider.sign_out(&corp.ctx(), &wish).await.expect_err("it does not say where");
    assert_eq!(error.kind(), "unavailable");
}
