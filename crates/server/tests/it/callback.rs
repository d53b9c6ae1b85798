//! CASES "CAS", as far as a browser can tell, and what an attempt is bound to.

use reqwest::Method;
use serde_json::json;
use url::Url;
use usher_lab::scripted::cas::CasFault;

use crate::app::{Answer, TRUSTED, TestApp, UNTRUSTED};

#[tokio::test]
async fn a_person_comes_back_to_their_client_with_a_login_token() {
    let app = TestApp::start().await;
    let answer = app.sign_in().as_person("alice").await;
    assert_eq!(answer.status, 302);
    let token = answer.login_token();
    assert_eq!(answer.location(), format!("https://app.ac.cdl/?x=1&loginToken={token}#/login"));
    assert_eq!(answer.header("referrer-policy"), "no-referrer");
    assert!(answer.set_cookies()[0].contains("Max-Age=0"), "the attempt's cookie goes");
}

#[tokio::test]
async fn an_answer_is_good_in_the_browser_that_asked_and_for_its_own_attempt() {
    let app = TestApp::start().await;
    let mine = app.sign_in().at_provider().await;
    let others = app.sign_in().at_provider().await;
    let callback = mine.callback_for("alice");
    assert_eq!(others.open(&callback).await.title(), "This sign-in cannot be continued", "another browser");

    let mut swapped = others.callback_for("alice");
    swapped.set_query(mine.callback_for("alice").query());
    let answer = others.open(&swapped).await;
    assert_eq!(
        (answer.status.as_u16(), answer.title()),
        (403, "The sign-in could not be verified"),
        "another's ticket"
    );

    let both = [mine.cookies.clone(), others.cookies.clone()].concat();
    let tabs = app.sign_in().with_cookies(&both).at_provider().await;
    for attempt in [&mine, &others, &tabs] {
        let answer = tabs.open(&attempt.callback_for("alice")).await;
        assert!(answer.location().contains("loginToken="), "several tabs at once");
    }
}

#[tokio::test]
async fn a_cookie_that_was_tampered_with_is_no_cookie() {
    let app = TestApp::start().await;
    let mut attempt = app.sign_in().at_provider().await;
    let callback = attempt.callback_for("alice");
    let cookie = attempt.cookies[0].clone();
    let changed = if cookie.ends_with('A') { 'B' } else { 'A' };
    attempt.cookies[0] = format!("{}{changed}", &cookie[..cookie.len() - 1]);
    assert_eq!(attempt.open(&callback).await.title(), "This sign-in cannot be continued");
    attempt.cookies[0] = cookie;
    assert!(
        attempt.open(&callback).await.location().contains("loginToken="),
        "the ticket was not spent on it"
    );
}

#[tokio::test]
async fn an_attempt_of_one_provider_is_no_attempt_of_another() {
    let app = TestApp::start_with(|config| {
        let mut second = config["providers"][0].clone();
        second["id"] = json!("second");
        config["providers"] = json!([config["providers"][0], second]);
    })
    .await;
    let attempt = app.sign_in().at("corp").at_provider().await;
    let callback = attempt.callback_for("alice");
    let elsewhere = callback.as_str().replace("/_usher/cas/corp/", "/_usher/cas/second/");
    let answer = attempt.open(&Url::parse(&elsewhere).expect("a URL")).await;
    assert_eq!((answer.status.as_u16(), answer.title()), (400, "This sign-in cannot be continued"));
}

#[tokio::test]
async fn a_callback_works_once_even_if_the_provider_would_say_yes_twice() {
    let app = TestApp::start().await;
    let attempt = app.sign_in().at_provider().await;
    let callback = attempt.callback_for("alice");
    assert_eq!(attempt.open(&callback).await.status, 302);
    assert_eq!(
        attempt.open(&callback).await.title(),
        "The sign-in could not be verified",
        "the ticket is spent"
    );
    // A second ticket for the same attempt, with the cookie that a thief kept.
    let again = attempt.open(&attempt.callback_for("alice")).await;
    assert_eq!((again.status.as_u16(), again.title()), (400, "This sign-in was used already"));
    assert_eq!(app.rows("login_tokens").await, 1);
}

#[tokio::test]
async fn an_attempt_expires_to_the_millisecond() {
    let app = TestApp::start().await;
    for (name, millis, title) in
        [("in time", 15 * 60_000 - 1, ""), ("too late", 15 * 60_000, "This took too long")]
    {
        let attempt = app.sign_in().at_provider().await;
        app.clock.advance(std::time::Duration::from_millis(millis));
        let answer = attempt.come_back_as("alice").await;
        assert_eq!(answer.title(), title, "{name}");
        assert!(title.is_empty() || answer.body.contains("redirectUrl="), "{name}: a way to start again");
    }
}

#[tokio::test]
async fn a_broken_callback_is_a_page_and_never_a_500() {
    let app = TestApp::start().await;
    let attempt = app.sign_in().at_provider().await;
    let path = attempt.callback_for("alice").path().to_owned();
    for (name, query, status) in [
        ("no ticket", "", 400),
        ("an empty ticket", "?ticket=", 400),
        ("two tickets", "?ticket=ST-1&ticket=ST-2", 400),
        ("no service ticket", "?ticket=PT-1", 403),
        ("an unknown ticket", "?ticket=ST-unknown", 403),
        ("a ticket with a parameter in it", "?ticket=ST-1%26service%3Dhttps%3A%2F%2Fevil.example", 403),
    ] {
        let url = app.base().join(&format!("{path}{query}")).expect("a URL");
        let answer = attempt.open(&url).await;
        assert_eq!(answer.status, status, "{name}: {}", answer.title());
        assert!(answer.header("content-type").starts_with("text/html"), "{name}");
    }
    for (name, path, status) in [
        ("an unknown handle", "/_usher/cas/corp/callback/AAAAAAAAAAAAAAAAAAAAAA?ticket=ST-1", 400),
        ("no handle", "/_usher/cas/corp/callback/short?ticket=ST-1", 404),
        ("an unknown provider", "/_usher/cas/nobody/callback/AAAAAAAAAAAAAAAAAAAAAA?ticket=ST-1", 404),
        ("another backend's path", "/_usher/saml/corp/acs", 404),
        ("nothing", "/_usher/cas/corp/", 404),
    ] {
        assert_eq!(app.get(path).await.status, status, "{name}");
    }
    let put = Answer::read(app.request(Method::PUT, &path)).await;
    assert_eq!(put.status, 405);
}

#[tokio::test]
async fn a_provider_in_trouble_is_a_page_that_says_so() {
    let app = TestApp::start().await;
    let unavailable = "The sign-in page cannot be reached";
    for (name, fault, status, title) in [
        ("hangs", CasFault::Hang, 503, unavailable),
        ("cuts", CasFault::Cut, 503, unavailable),
        ("endless", CasFault::Endless, 503, unavailable),
        ("500", CasFault::Status(500), 503, unavailable),
        ("HTML", CasFault::Html, 503, unavailable),
        ("garbage", CasFault::Garbage, 503, unavailable),
        ("10 MB", CasFault::Huge(10 << 20), 503, unavailable),
        ("no user", CasFault::NoUser, 403, "The sign-in could not be verified"),
        ("refuses", CasFault::Failure("INVALID_TICKET".to_owned()), 403, "The sign-in could not be verified"),
        (
            "does not know us",
            CasFault::Failure("UNAUTHORIZED_SERVICE".to_owned()),
            502,
            "The sign-in service does not accept us",
        ),
    ] {
        let attempt = app.sign_in().at_provider().await;
        let callback = attempt.callback_for("alice");
        app.cas.set_fault(Some(fault));
        let answer = attempt.open(&callback).await;
        assert_eq!((answer.status.as_u16(), answer.title()), (status, title), "{name}");
        app.cas.set_fault(None);
    }
    assert_eq!(app.rows("accounts").await, 0);
    assert!(app.sign_in().as_person("alice").await.location().contains("loginToken="), "and it recovers");
}

#[tokio::test]
async fn a_provider_that_is_down_is_a_page_that_offers_to_start_again() {
    let app = TestApp::start().await;
    let attempt = app.sign_in().at_provider().await;
    let callback = attempt.callback_for("alice");
    app.stop_cas();
    let answer = attempt.open(&callback).await;
    assert_eq!((answer.status.as_u16(), answer.title()), (503, "The sign-in page cannot be reached"));
    let again = "sso&#x2f;redirect&#x2f;corp?redirectUrl=https%3A%2F%2Fapp%2Eac%2Ecdl%2F%3Fx%3D1%23%2Flogin";
    assert!(answer.body.contains(again), "{}", answer.body);
}

#[tokio::test]
async fn validation_uses_the_very_service_url_and_no_renewal_for_a_login() {
    let app = TestApp::start().await;
    let attempt = app.sign_in().at_provider().await;
    let (_, service) = attempt.login.query_pairs().find(|(name, _)| name == "service").expect("a service");
    attempt.come_back_as("alice").await;
    let validations = app.cas.take_validations();
    assert_eq!(validations.len(), 1);
    assert_eq!((validations[0].service.as_str(), validations[0].renew), (&*service, false));
    assert_eq!(validations[0].path, "/cas/p3/serviceValidate");
}

#[tokio::test]
async fn any_client_may_be_returned_to() {
    let app = TestApp::start().await;
    for redirect_url in [TRUSTED, "element://connect?element-desktop-ssoid=x"] {
        let answer = app.sign_in().to(redirect_url).as_person("alice").await;
        assert!(answer.location().contains("loginToken="), "{redirect_url}");
    }
    let asked = app.sign_in().to(UNTRUSTED).as_person("alice").await;
    assert_eq!((asked.status.as_u16(), asked.title()), (200, "Continue to this site?"));
}

#[tokio::test]
async fn answers_beyond_what_is_verified_at_once_are_asked_to_come_again() {
    let app = TestApp::start().await;
    let id = usher_core::ProviderId::parse("corp").expect("an id");
    let verifying = &app.app.providers.get(&id).expect("configured").verifying;
    let all = u32::try_from(verifying.available_permits()).expect("few");
    let attempt = app.sign_in().at_provider().await;
    let callback = attempt.callback_for("alice");
    let held = verifying.try_acquire_many(all).expect("nobody signs in yet");
    let answer = attempt.open(&callback).await;
    assert_eq!((answer.status.as_u16(), answer.title()), (503, "The sign-in page cannot be reached"));
    assert!(answer.body.contains("redirectUrl="), "a way to start again");
    assert!(app.cas.take_validations().is_empty(), "the provider was not asked");
    drop(held);
    assert!(attempt.open(&callback).await.location().contains("loginToken="), "the answer is still good");
}
