//! CASES "Redirect".

use reqwest::Method;
use serde_json::json;
use url::Url;

use crate::app::{Answer, TRUSTED, TestApp};

fn two_providers(config: &mut serde_json::Value) {
    let mut second = config["providers"][0].clone();
    second["id"] = json!("a~second.one");
    second["name"] = json!("A <b>second</b> one");
    config["providers"] = json!([config["providers"][0], second]);
}

#[tokio::test]
async fn it_goes_to_the_provider_with_a_sealed_cookie_and_writes_nothing() {
    let app = TestApp::start().await;
    for sign_in in [app.sign_in(), app.sign_in().at("corp")] {
        let answer = sign_in.first_answer().await;
        assert_eq!(answer.status, 302);
        let login = Url::parse(answer.location()).expect("a URL");
        assert!(login.as_str().starts_with(app.cas_url().as_str()));
        let cookies = answer.set_cookies();
        assert_eq!(cookies.len(), 1);
        assert!(cookies[0].starts_with("__Host-usher-"), "{}", cookies[0]);
        for attribute in ["Path=/", "Secure", "HttpOnly", "SameSite=Lax", "Max-Age=900"] {
            assert!(cookies[0].contains(attribute), "{attribute}: {}", cookies[0]);
        }
        assert!(!cookies[0].contains("app.ac.cdl"), "sealed");
    }
    for table in ["accounts", "links", "choices", "login_tokens", "sessions", "spent"] {
        assert_eq!(app.rows(table).await, 0, "{table}");
    }
}

#[tokio::test]
async fn the_service_url_is_the_portals_own_whatever_the_host_header_says() {
    let app = TestApp::start().await;
    // Marked: a request that was sent on once is answered where it is.
    let path = "/_matrix/client/v3/login/sso/redirect/corp?redirectUrl=https://app.ac.cdl/&usher_canonical=1";
    let request = app
        .request(Method::GET, path)
        .header("host", "evil.example")
        .header("x-forwarded-host", "evil.example")
        .header("forwarded", "host=evil.example");
    let answer = Answer::read(request).await;
    let login = Url::parse(answer.location()).expect("a URL");
    let (_, service) = login.query_pairs().find(|(name, _)| name == "service").expect("a service");
    assert!(service.starts_with(app.base().as_str()), "{service}");
}

#[tokio::test]
async fn bad_redirect_urls_and_unknown_providers_get_a_page_and_no_cookie() {
    let app = TestApp::start().await;
    let long = format!("?redirectUrl=https://app/?{}", "x".repeat(2001 - "https://app/?".len()));
    for (name, tail, status) in [
        ("missing", "", 400),
        ("empty", "?redirectUrl=", 400),
        ("relative", "?redirectUrl=%2Fapp", 400),
        ("twice", "?redirectUrl=https://a/&redirectUrl=https://b/", 400),
        ("script", "?redirectUrl=javascript%3Aalert(1)", 400),
        ("data", "?redirectUrl=data%3Atext%2Fhtml%2Cx", 400),
        ("hostless", "?redirectUrl=https%3A%2F%2F%2Fapp", 400),
        ("userinfo", "?redirectUrl=https%3A%2F%2Fapp.ac.cdl%40evil.example%2F", 400),
        ("CR and LF", "?redirectUrl=https%3A%2F%2Fapp%2F%0D%0ASet-Cookie%3A+x", 400),
        ("2,001 bytes", long.as_str(), 400),
        ("unknown provider", "/nobody?redirectUrl=https://app/", 404),
        ("a provider id no provider has", "/no%20body?redirectUrl=https://app/", 404),
        ("a URL for a provider", "/https%3A%2F%2Fevil.example?redirectUrl=https://app/", 404),
    ] {
        let answer = app.get(&format!("/_matrix/client/v3/login/sso/redirect{tail}")).await;
        assert_eq!(answer.status, status, "{name}");
        assert!(answer.set_cookies().is_empty(), "{name}");
        assert!(answer.header("location").is_empty(), "{name}");
        assert!(answer.header("content-type").starts_with("text/html"), "{name}");
        assert!(answer.body.contains("<h1>"), "{name}");
    }
}

#[tokio::test]
async fn only_a_get_starts_anything() {
    let app = TestApp::start().await;
    for version in ["v3", "r0"] {
        for tail in ["", "/corp"] {
            let path =
                format!("/_matrix/client/{version}/login/sso/redirect{tail}?redirectUrl=https://app.ac.cdl/");
            assert_eq!(app.get(&path).await.status, 302, "{path}");
            for method in [Method::HEAD, Method::OPTIONS, Method::POST, Method::PUT, Method::DELETE] {
                let answer = Answer::read(app.request(method.clone(), &path)).await;
                assert!(answer.set_cookies().is_empty(), "{method} {path}");
                assert!(answer.header("location").is_empty(), "{method} {path}");
            }
        }
    }
}

#[tokio::test]
async fn a_picked_provider_is_named_by_its_id_alone() {
    let app = TestApp::start_with(two_providers).await;
    let path = "/_matrix/client/v3/login/sso/redirect?redirectUrl=https://app.ac.cdl/";
    for (name, idp, status) in [
        ("known", "&idp=corp", 302),
        ("known, with a character that needs no escape", "&idp=a~second.one", 302),
        ("known, escaped all the same", "&idp=a%7Esecond%2Eone", 302),
        ("unknown", "&idp=nobody", 400),
        ("empty", "&idp=", 400),
        ("a URL", "&idp=https%3A%2F%2Fevil.example%2F", 400),
        ("a URL as it is", "&idp=https://evil.example/", 400),
        ("a newline", "&idp=corp%0D%0ALocation:%20https://evil.example", 400),
        ("two", "&idp=corp&idp=corp", 400),
    ] {
        let answer = app.get(&format!("{path}{idp}")).await;
        assert_eq!(answer.status, status, "{name}");
        let goes_to_cas = answer.header("location").starts_with(app.cas_url().as_str());
        assert_eq!(goes_to_cas, status == 302, "{name}");
        assert!(
            goes_to_cas || (answer.header("location").is_empty() && answer.cookies().is_empty()),
            "{name}"
        );
        assert!(!answer.body.contains("evil.example"), "{name}: not even shown");
    }
    let in_path =
        app.get("/_matrix/client/v3/login/sso/redirect/a%7Esecond.one?redirectUrl=https://a/").await;
    assert_eq!(in_path.status, 302, "an id escaped without need is the same id");
}

#[tokio::test]
async fn an_action_that_nobody_defined_changes_nothing() {
    let app = TestApp::start().await;
    for action in ["action=login", "action=register", "action=LOGIN", "action", "org.matrix.msc3824.action=x"]
    {
        let path = format!("/_matrix/client/v3/login/sso/redirect?{action}&redirectUrl=https://app.ac.cdl/");
        assert_eq!(app.get(&path).await.status, 302, "{action}");
    }
}

#[tokio::test]
async fn with_several_providers_the_person_picks_and_the_redirect_url_is_kept() {
    let app = TestApp::start_with(two_providers).await;
    for redirect_url in [
        TRUSTED,
        "element://connect?element-desktop-ssoid=a%2Fb",
        "https://app.ac.cdl/?b&a=1&b&q=föö+%C3%B6#/x?y",
    ] {
        let page = app.sign_in().to(redirect_url).first_answer().await;
        assert_eq!((page.status.as_u16(), page.title()), (200, "Sign in"));
        assert!(page.set_cookies().is_empty(), "nothing has begun");
        assert!(page.body.contains("A &lt;b&gt;second&lt;&#x2f;b&gt; one"), "{}", page.body);
        let links: Vec<_> =
            page.body.split("href=\"").skip(1).filter_map(|rest| rest.split_once('"')).collect();
        let links: Vec<_> = links.into_iter().filter(|(href, _)| href.contains("redirect")).collect();
        assert_eq!(links.len(), 2);
        for (href, _) in links {
            let href = href.replace("&#x2f;", "/").replace("&amp;", "&");
            let at_provider = app.get(&href).await;
            assert_eq!(at_provider.status, 302, "{href}");
            let url = Url::parse(&format!("http://portal{href}")).expect("a URL");
            let (_, kept) = url.query_pairs().next().expect("a redirectUrl");
            assert_eq!(kept, redirect_url, "byte for byte");
        }
    }
}

#[tokio::test]
async fn twenty_abandoned_attempts_do_not_overflow_the_header_and_the_last_still_works() {
    let app = TestApp::start().await;
    let mut cookies: Vec<String> = Vec::new();
    let redirect_url = format!("https://app.ac.cdl/?{}", "x".repeat(1000));
    for _ in 0..20 {
        let answer = app.sign_in().to(&redirect_url).with_cookies(&cookies).first_answer().await;
        for cookie in answer.set_cookies() {
            let (name, _) = cookie.split_once('=').expect("a cookie");
            cookies.retain(|kept| !kept.starts_with(name));
        }
        cookies.extend(answer.cookies());
        let total: usize = cookies.iter().map(|cookie| cookie.len() + 2).sum();
        assert!(total <= 6 * 1024, "{total} bytes");
    }
    let at_provider = app.sign_in().with_cookies(&cookies).at_provider().await;
    assert!(at_provider.come_back_as("alice").await.location().contains("loginToken="));
}

#[tokio::test]
async fn any_clients_address_survives_to_the_end_byte_for_byte() {
    let app = TestApp::start_with(|config| {
        let clients = ["https://app.ac.cdl/", "element://", "im.fluffychat://", "http://localhost:8080/"];
        config["login"]["trusted_clients"] = json!(clients);
    })
    .await;
    for redirect_url in [
        "https://app.ac.cdl/?x",
        "https://app.ac.cdl/?b&a=1&b&a=2&q=föö+%C3%B6",
        "element://connect?element-desktop-ssoid=a%2Fb",
        "im.fluffychat://login",
        "http://localhost:8080/cb",
    ] {
        let answer = app.sign_in().to(redirect_url).as_person("alice").await;
        let location = answer.headers["location"].as_bytes();
        let separator = if redirect_url.contains('?') { '&' } else { '?' };
        let expected = format!("{redirect_url}{separator}loginToken=");
        assert!(location.starts_with(expected.as_bytes()), "{redirect_url}");
    }
}

#[tokio::test]
async fn the_longest_redirect_url_survives_to_the_end() {
    let app = TestApp::start().await;
    let prefix = "https://app.ac.cdl/?";
    let redirect_url = format!("{prefix}{}", "x".repeat(2000 - prefix.len()));
    let answer = app.sign_in().to(&redirect_url).as_person("alice").await;
    assert!(answer.location().starts_with(&redirect_url));
}
