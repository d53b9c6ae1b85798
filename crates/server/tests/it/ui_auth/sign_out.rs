//! The way out: the link to it, the page that asks, and where it leads.

use reqwest::Method;
use serde_json::json;

use super::{Browser, ENG, client, start, start_with};
use crate::app::{Answer, TestApp};

const PAGE: &str = "/_usher/sign-out/corp";

/// The completion page of a request that alice confirmed.
async fn completed(app: &TestApp) -> (Answer, Browser<'_>) {
    let phone = client(app, "alice", "PHONE").await;
    let session = phone.session_to_delete("PHONE").await;
    let browser = phone.browser(&session);
    let back = browser.clone().confirmed_by("alice").await;
    let path = back.location().strip_prefix("https://matrix.eng.ac.cdl").expect("the homeserver's host");
    (Answer::read(app.request(Method::GET, path).header("host", ENG)).await, browser)
}

fn csrf(page: &Answer) -> String {
    let fields = page.hidden_fields();
    fields.into_iter().find(|(name, _)| name == "csrf").expect("a token").1
}

fn plain(answer: &Answer) -> String {
    answer.body.replace("&#x2f;", "/").replace("&amp;", "&").replace("&#x3d;", "=")
}

async fn with(sign_out: &str) -> TestApp {
    start_with(|config| config["providers"][0]["sign_out"] = json!(sign_out)).await
}

#[tokio::test]
async fn whoever_has_confirmed_something_is_offered_to_sign_out_at_the_provider() {
    for (sign_out, query) in [("offer", String::new()), ("offer_and_return", "?service=".to_owned())] {
        let app = with(sign_out).await;
        let base = app.base().as_str().trim_end_matches('/').to_owned();
        let (page, mut browser) = completed(&app).await;
        assert!(plain(&page).contains(&format!("href=\"{base}{PAGE}\"")), "{}", page.body);
        assert_eq!(page.body.matches("<script").count(), 1, "it runs what it always ran");
        let asked = browser.open(Method::GET, PAGE, None).await;
        assert_eq!((asked.status.as_u16(), asked.title()), (200, "Sign out?"));
        assert!(asked.body.contains("may be signed out as well"), "{}", asked.body);
        assert!(!plain(&asked).contains("/logout"), "to look at it leads nowhere");
        let form = format!("csrf={}", csrf(&asked));
        let onward = browser.open(Method::POST, PAGE, Some(form)).await;
        assert_eq!((onward.status.as_u16(), onward.header("location")), (200, ""));
        let logout =
            format!("content=\"0;url={}/logout{query}", app.cas_url().as_str().trim_end_matches('/'));
        assert!(plain(&onward).contains(&logout), "{logout}: {}", onward.body);
        let is_sent_back = plain(&onward).contains("signed-out");
        assert_eq!(is_sent_back, !query.is_empty(), "{}", onward.body);
    }
}

#[tokio::test]
async fn nothing_of_the_request_says_where_it_leads() {
    let app = start().await;
    let (_, mut browser) = completed(&app).await;
    let path = format!(
        "{PAGE}?url=https://evil.example/&service=https://evil.example/&post_logout_redirect_uri=https://evil.example/"
    );
    let asked = browser.open(Method::GET, &path, None).await;
    assert!(!asked.body.contains("evil"), "{}", asked.body);
    let form = format!("csrf={}", csrf(&asked));
    let onward = browser.open(Method::POST, &path, Some(form)).await;
    assert_eq!(onward.status, 200);
    assert!(!onward.body.contains("evil"), "{}", onward.body);
    let done = app.get("/_usher/signed-out?state=%3Cb%3E&url=https://evil.example/").await;
    assert_eq!((done.status.as_u16(), done.title()), (200, "You are back"));
    assert!(
        !done.body.contains("evil") && !done.body.contains("<form") && !done.body.contains("<a "),
        "{}",
        done.body
    );
}

#[tokio::test]
async fn nobody_is_signed_out_by_another_site() {
    let app = start_with(|config| {
        let mut second = config["providers"][0].clone();
        second["id"] = json!("library");
        config["providers"].as_array_mut().expect("a list").push(second);
    })
    .await;
    let (path, cookies) = (PAGE.to_owned(), Vec::new());
    let mut browser = Browser { app: &app, host: ENG, path, cookies, replica: None };
    let asked = browser.open(Method::GET, PAGE, None).await;
    let token = csrf(&asked);
    let other = csrf(&browser.open(Method::GET, "/_usher/sign-out/library", None).await);
    let mut stranger = browser.clone();
    stranger.cookies.clear();
    for (name, browser, form) in [
        ("no form", &browser, String::new()),
        ("no token", &browser, "csrf=".to_owned()),
        ("the token of another page", &browser, format!("csrf={other}")),
        ("the token twice", &browser, format!("csrf={token}&csrf={token}")),
        ("something more", &browser, format!("csrf={token}&url=https://evil.example/")),
        ("another name", &browser, format!("token={token}")),
        ("without the cookie, as another site's form comes", &stranger, format!("csrf={token}")),
        ("longer than any", &browser, format!("csrf={token}{}", "x".repeat(2000))),
    ] {
        let answer = browser.clone().open(Method::POST, PAGE, Some(form)).await;
        assert_eq!((answer.status.as_u16(), answer.title()), (403, "This form cannot be used"), "{name}");
        assert!(!plain(&answer).contains("/logout"), "{name}: {}", answer.body);
    }
    let answer = browser.open(Method::POST, PAGE, Some(format!("csrf={token}"))).await;
    assert_eq!(answer.status, 200, "the page's own form");
    assert_eq!(asked.header("x-frame-options"), "DENY", "and no site draws it under a button of its own");
}

#[tokio::test]
async fn it_is_not_offered_where_the_operator_does_not_want_it_or_there_is_no_such_provider() {
    let app = with("never").await;
    let (page, mut browser) = completed(&app).await;
    assert!(!page.body.contains("sign-out"), "{}", page.body);
    for path in [PAGE, "/_usher/sign-out/nobody", "/_usher/sign-out/%3Cb%3E"] {
        let answer = browser.open(Method::GET, path, None).await;
        assert_eq!(
            (answer.status.as_u16(), answer.title()),
            (404, "You cannot sign out from here"),
            "{path}"
        );
    }
    assert_eq!(app.request(Method::PUT, PAGE).send().await.expect("an answer").status(), 405);
}

#[tokio::test]
async fn whoever_signed_in_as_somebody_else_can_sign_out_first() {
    for (sign_out, is_offered) in [("offer", true), ("never", false)] {
        let app = with(sign_out).await;
        let phone = client(&app, "alice", "PHONE").await;
        client(&app, "bob", "PHONE").await;
        let session = phone.session_to_delete("PHONE").await;
        let back = phone.browser(&session).confirmed_by("bob").await;
        assert_eq!((back.status.as_u16(), back.title()), (403, "Somebody else is signed in"));
        assert_eq!(plain(&back).contains(PAGE), is_offered, "{}", back.body);
    }
}

#[tokio::test]
async fn the_page_says_what_ends_and_is_limited_like_others() {
    let app = start_with(|config| {
        config["providers"][0]["on_logout"] = json!("keep_sessions");
        config["limits"]["redirect"] = json!({ "burst": 1, "per_minute": 1 });
    })
    .await;
    let asked = app.get(PAGE).await;
    assert_eq!(asked.title(), "Sign out?");
    assert!(!asked.body.contains("may be signed out as well"), "{}", asked.body);
    assert_eq!(app.get(PAGE).await.status, 429);
}
