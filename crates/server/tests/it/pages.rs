//! What every page has.

use reqwest::Method;

use crate::app::{Answer, TestApp};

const BAD: &str = "/_matrix/client/v3/login/sso/redirect";

#[tokio::test]
async fn a_page_runs_nothing_and_cannot_be_framed_or_cached() {
    let app = TestApp::start().await;
    let page = app.get(BAD).await;
    insta::assert_snapshot!(
        page.header("content-security-policy"),
        @"default-src 'none'; style-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    );
    for (header, value) in [
        ("x-frame-options", "DENY"),
        ("referrer-policy", "same-origin"),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("content-type", "text/html; charset=utf-8"),
    ] {
        assert_eq!(page.header(header), value, "{header}");
    }
    assert!(page.header("cross-origin-opener-policy").is_empty(), "it would cut window.opener");
}

#[tokio::test]
async fn a_page_carries_the_request_id_and_no_cause() {
    let app = TestApp::start().await;
    let page = app.get(BAD).await;
    assert!(page.body.contains(page.header("x-request-id")));
    assert!(!page.body.contains("error:") && !page.body.contains("src/"), "{}", page.body);
}

#[tokio::test]
async fn a_page_speaks_the_persons_language() {
    let app = TestApp::start().await;
    for (accept, lang, title) in [
        ("fr-CA, en;q=0.5", "fr", "L’application n’a pas dit où revenir"),
        ("de, en;q=0.5", "en", "The app did not say where to return"),
        ("en;q=0.4, fr;q=0.9", "fr", "L’application n’a pas dit où revenir"),
        ("fr;q=0, en", "en", "The app did not say where to return"),
        ("*", "en", "The app did not say where to return"),
        (";;;q=x,,", "en", "The app did not say where to return"),
    ] {
        let page = Answer::read(app.request(Method::GET, BAD).header("accept-language", accept)).await;
        assert!(page.body.contains(&format!("<html lang=\"{lang}\">")), "{accept}");
        assert_eq!(page.title(), title, "{accept}");
    }
}

#[tokio::test]
async fn the_style_sheet_is_there() {
    let app = TestApp::start().await;
    let page = app.get("/").await;
    assert_eq!(page.status, 404);
    let href = page.body.split_once("rel=\"stylesheet\" href=\"").expect("a style sheet").1;
    let href = href.split_once('"').expect("its address").0.replace("&#x2f;", "/");
    let style = app.get(&href).await;
    assert_eq!((style.status.as_u16(), style.header("content-type")), (200, "text/css; charset=utf-8"));
    assert_eq!(style.header("cache-control"), "public, max-age=31536000, immutable", "{href}");
    let of_another_release = app.get("/_usher/style-0123456789abcdef.css").await;
    assert_eq!(of_another_release.body, style.body);
    assert_eq!(of_another_release.header("cache-control"), "no-store");
}
