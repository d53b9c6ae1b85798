//! A try that came to nothing: the client is told what happened, beside the flows, until another try succeeds.
//! <https://spec.matrix.org/v1.19/client-server-api/#user-interactive-api-in-the-rest-api>

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use url::Url;
use usher_lab::scripted::cas::{CasFault, CasPerson};

use super::{Asked, auth, client, deeds, failure_of, session_of, start, start_with};
use crate::app::Answer;

/// Comes back from the provider with what it said, in a browser that clicked at the page.
async fn comes_back(asked: &mut Asked<'_>, answer: impl FnOnce(&Url) -> String) -> Answer {
    let login = asked.clicked().await;
    let callback = answer(&login);
    asked.browser.open(Method::GET, &callback, None).await
}

/// Where the provider sends the browser back to.
fn service(login: &Url) -> String {
    let service = login.query_pairs().find(|(name, _)| name == "service").expect("a service").1;
    let service = Url::parse(&service).expect("a URL");
    service[url::Position::BeforePath..].to_owned()
}

#[tokio::test]
async fn the_client_is_told_what_happened_until_somebody_confirms() {
    let app = start_with(|config| {
        config["providers"][0]["require"] = json!([{ "attribute": "department", "contains": "engineering" }]);
    })
    .await;
    let phone = client(&app, "alice", "PHONE").await;
    client(&app, "alice", "LAPTOP").await;
    let session = phone.session_to_delete("LAPTOP").await;
    let other = phone.session_to_delete("LAPTOP").await;
    let mut asked = phone.browser(&session).asked().await;
    let again = async || phone.delete_device("LAPTOP", &auth(&session)).await;

    let back = comes_back(&mut asked, |login| format!("{}?ticket=ST-made-up", service(login))).await;
    assert_eq!(back.status, 403, "{}", back.body);
    let (waiting, said) = failure_of(&again().await);
    assert_eq!(waiting, session);
    assert!(said.contains("signed nobody in"), "{said}");
    assert_eq!(failure_of(&again().await), (waiting, said), "for as long as it is so");
    assert_eq!(session_of(&phone.delete_device("LAPTOP", &auth(&other)).await), other, "another session");

    let back = phone.browser(&session).confirmed_by("bob").await;
    assert_eq!(back.status, 403, "{}", back.body);
    assert!(failure_of(&again().await).1.contains("Somebody else signed in"));

    // She is not of engineering any more.
    app.cas.add_person(CasPerson::new("alice").with("department", "history"));
    let back = phone.browser(&session).confirmed_by("alice").await;
    assert_eq!(back.status, 403, "{}", back.body);
    assert!(failure_of(&again().await).1.contains("may not use this homeserver"));

    app.cas.add_person(CasPerson::new("alice").with("department", "engineering"));
    assert_eq!(deeds(&app), 0);
    assert_eq!(phone.browser(&session).confirmed_by("alice").await.status, 302);
    assert_eq!(app.rows("ui_auth_sessions WHERE failure IS NOT NULL").await, 0, "it is gone");
    assert_eq!(again().await.status, 200);
    assert_eq!(deeds(&app), 1);
}

#[tokio::test]
async fn who_did_not_sign_in_anew_is_told_so() {
    let app = start().await;
    let phone = client(&app, "alice", "PHONE").await;
    let session = phone.session_to_delete("PHONE").await;
    let mut asked = phone.browser(&session).asked().await;
    let back = comes_back(&mut asked, |login| {
        // By a session that she still has there.
        let mut live = login.clone();
        let kept: Vec<_> = login
            .query_pairs()
            .filter(|(name, _)| name != "renew")
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        live.query_pairs_mut().clear().extend_pairs(kept);
        let callback = app.cas.log_in(&live, "alice").expect("a ticket");
        callback[url::Position::BeforePath..].to_owned()
    })
    .await;
    assert_eq!(back.status, 403, "{}", back.body);
    let (waiting, said) = failure_of(&phone.delete_device("PHONE", &auth(&session)).await);
    assert_eq!(waiting, session);
    assert!(["signed nobody in", "signed in just now"].iter().any(|part| said.contains(part)), "{said}");
    phone.browser(&session).confirmed_by("alice").await;
    assert_eq!(phone.delete_device("PHONE", &auth(&session)).await.status, 200);
}

#[tokio::test]
async fn whoever_has_not_begun_at_the_page_cannot_bring_a_failure_about() {
    let app = start_with(|config| config["ui_auth"] = json!({ "session_lifetime": "1m" })).await;
    let phone = client(&app, "alice", "PHONE").await;
    let session = phone.session_to_delete("PHONE").await;
    let mut asked = phone.browser(&session).asked().await;
    let login = asked.clicked().await;
    let forged = format!("{}?ticket=ST-made-up", service(&login));
    let waits = async |name: &str| {
        let again = phone.delete_device("PHONE", &auth(&session)).await;
        assert_eq!(session_of(&again), session, "{name}");
    };
    // The whole address of the callback, handle included, without the browser's cookie.
    let back = app.get(&forged).await;
    assert_eq!(back.status, 400, "{}", back.body);
    waits("without the cookie").await;
    // With the page's own cookie, which whoever opens its address is given.
    let page = phone.browser(&session).asked().await;
    let request = app.request(Method::GET, &forged).header("cookie", page.browser.cookies.join("; "));
    assert_eq!(Answer::read(request).await.status, 400);
    waits("with the page's cookie").await;
    // A provider that is away says nothing of anybody.
    app.cas.set_fault(Some(CasFault::Status(500)));
    let cookies = asked.browser.cookies.clone();
    let back = asked.browser.open(Method::GET, &forged, None).await;
    assert_eq!(back.status, 503, "{}", back.body);
    waits("a provider that is away").await;
    app.cas.set_fault(None);
    // Too late.
    asked.browser.cookies = cookies;
    app.clock.advance(Duration::from_mins(1));
    assert_eq!(asked.browser.open(Method::GET, &forged, None).await.status, 400);
    assert_eq!(app.rows("ui_auth_sessions WHERE failure IS NOT NULL").await, 0);
}
