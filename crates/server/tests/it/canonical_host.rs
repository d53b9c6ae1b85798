//! A login that begins at another host, port or scheme than the portal's own is sent there, once.

use reqwest::{Method, RequestBuilder};
use serde_json::json;
use url::Url;

use crate::app::{Answer, TestApp};

const REDIRECT: &str = "/_matrix/client/v3/login/sso/redirect";

/// Redirects that lead to the provider or away to the portal.
fn goes_to_provider(app: &TestApp, answer: &Answer) -> bool {
    answer.header("location").starts_with(app.cas_url().as_str())
}

#[tokio::test]
async fn a_login_that_begins_at_another_host_is_sent_to_the_portals_own_once() {
    let app = TestApp::start().await;
    let base = app.base().as_str().trim_end_matches('/');
    for (name, host) in [
        ("another host", "www.ac.cdl".to_owned()),
        ("an attacker's", "evil.example".to_owned()),
        ("another port", "portal.localhost:1".to_owned()),
        ("no port", "portal.localhost".to_owned()),
        ("the address", format!("127.0.0.1:{}", app.base().port().expect("a port"))),
    ] {
        for query in [
            "redirectUrl=https%3A%2F%2Fapp.ac.cdl%2F%3Fx%23%2Ffrag&action=login",
            // Not encoded, with UTF-8, a repeated name and a name without a value.
            "redirectUrl=element://connect?x=%C3%B6ö&b&a=1&a=2",
        ] {
            for tail in ["", "/corp"] {
                let path = format!("{REDIRECT}{tail}?{query}");
                let answer = Answer::read(app.request(Method::GET, &path).header("host", &host)).await;
                assert_eq!(answer.status, 302, "{name}");
                let location =
                    String::from_utf8(answer.headers["location"].as_bytes().to_vec()).expect("UTF-8");
                // The test's own client encodes what a URL may not have.
                let sent = Url::parse(&format!("{base}{path}")).expect("a URL");
                assert_eq!(location, format!("{sent}&usher_canonical=1"), "{name}");
                assert!(answer.set_cookies().is_empty(), "{name}: nothing has begun");
                let followed = app.get(&location[base.len()..]).await;
                assert!(goes_to_provider(&app, &followed), "{name}");
            }
        }
    }
}

#[tokio::test]
async fn no_client_is_told_at_a_host_that_nobody_knows_that_its_session_is_over() {
    let app = TestApp::start().await;
    let port = app.base().port().expect("a port");
    for (name, host, expected) in [
        ("the portal", format!("portal.localhost:{port}"), (401, "M_UNKNOWN_TOKEN")),
        (
            "the portal, behind a proxy on another port",
            "portal.localhost".to_owned(),
            (401, "M_UNKNOWN_TOKEN"),
        ),
        ("another name", "www.ac.cdl".to_owned(), (404, "M_UNRECOGNIZED")),
        ("a homeserver's that is not configured", "matrix.eng.ac.cdl".to_owned(), (404, "M_UNRECOGNIZED")),
        ("of a proxy that does not hand it on", format!("127.0.0.1:{port}"), (404, "M_UNRECOGNIZED")),
    ] {
        for path in ["/capabilities", "/devices", "/account/whoami", "/devices/ABC"] {
            let path = format!("/_matrix/client/v3{path}");
            let request = app.request(Method::GET, &path).header("host", &host).bearer_auth("syt_good");
            let answer = Answer::read(request).await;
            assert_eq!((answer.status.as_u16(), answer.errcode().as_str()), expected, "{name}: {path}");
        }
    }
}

#[tokio::test]
async fn what_a_url_should_not_have_comes_back_as_it_came() {
    let app = TestApp::start().await;
    let query = r"redirectUrl=element://connect?q=%c3%B6{|}`^'\&b&&a=1&=&a=+%20";
    let request = format!("GET {REDIRECT}?{query} HTTP/1.1\r\nHost: www.ac.cdl\r\nConnection: close\r\n\r\n");
    let answer = app.raw(&request).await;
    let expected = format!("location: {}{}?{query}&usher_canonical=1\r\n", app.base(), &REDIRECT[1..]);
    assert!(answer.starts_with("HTTP/1.1 302") && answer.contains(&expected), "{answer}");
}

#[tokio::test]
async fn behind_a_proxy_that_rewrites_the_host_there_is_no_loop() {
    let app = TestApp::start().await;
    let ask = |path: &str| Answer::read(app.request(Method::GET, path).header("host", "usher.internal:8080"));
    let answer = ask(&format!("{REDIRECT}/corp?redirectUrl=https://app.ac.cdl/")).await;
    let (_, path) = answer.location().split_once(".localhost").expect("the portal");
    let path = &path[path.find('/').expect("a path")..];
    assert!(goes_to_provider(&app, &ask(path).await), "the second time it goes on where it is");
}

#[tokio::test]
async fn a_client_never_sees_the_mark() {
    let app = TestApp::start().await;
    let path = format!("{REDIRECT}/corp?redirectUrl=https%3A%2F%2Fapp.ac.cdl%2F%3Fx%3D1&usher_canonical=1");
    let answer = app.get(&path).await;
    let login = Url::parse(answer.location()).expect("a URL");
    assert!(!login.as_str().contains("usher_canonical"), "{login}");
    let callback = app.cas.log_in(&login, "alice").expect("a ticket");
    let callback = callback[url::Position::BeforePath..].to_owned();
    let back =
        Answer::read(app.request(Method::GET, &callback).header("cookie", answer.cookies().join("; ")));
    let location = back.await.location().to_owned();
    assert!(location.starts_with("https://app.ac.cdl/?x=1&loginToken="), "{location}");
    assert!(!location.contains("usher_canonical"), "{location}");
}

#[tokio::test]
async fn a_request_without_a_host_that_can_be_read_is_refused() {
    let app = TestApp::start().await;
    let path = format!("{REDIRECT}/corp?redirectUrl=https://app.ac.cdl/");
    for (name, host) in
        [("a path in it", "a/b"), ("a user name", "user@portal.localhost"), ("a port that is none", "a:b")]
    {
        let answer = Answer::read(app.request(Method::GET, &path).header("host", host)).await;
        assert_eq!(
            (answer.status.as_u16(), answer.title()),
            (400, "This address cannot be understood"),
            "{name}"
        );
        assert!(answer.header("location").is_empty() && answer.set_cookies().is_empty(), "{name}");
    }
    let own = app.base().authority();
    for (name, hosts) in [
        ("none", String::new()),
        ("two", format!("Host: {own}\r\nHost: {own}\r\n")),
        ("an empty one", "Host:\r\n".to_owned()),
    ] {
        let answer = app.raw(&format!("GET {path} HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{name}: {answer}");
    }
    let good = app.raw(&format!("GET {path} HTTP/1.1\r\nHost: {own}\r\nConnection: close\r\n\r\n")).await;
    assert!(good.starts_with("HTTP/1.1 302") && good.contains("/cas/login"), "{good}");
}

#[tokio::test]
async fn what_a_proxy_says_of_host_and_scheme_counts_only_if_it_is_trusted() {
    let spoken = |app: &TestApp, lines: &[(&str, &str)]| {
        let path = format!("{REDIRECT}/corp?redirectUrl=https://app.ac.cdl/");
        lines.iter().fold(app.request(Method::GET, &path), |request: RequestBuilder, (name, value)| {
            request.header(*name, *value)
        })
    };
    let trusting = TestApp::start_with(|config| config["trusted_proxies"] = json!(["127.0.0.1"])).await;
    let other = TestApp::start().await;
    for (name, app, is_trusted) in [("trusted", &trusting, true), ("not trusted", &other, false)] {
        let own = app.base().authority().to_owned();
        for (what, lines, is_right) in [
            (
                "the host is right",
                vec![("host", "usher:8080"), ("x-forwarded-host", own.as_str())],
                is_trusted,
            ),
            ("the host is wrong", vec![("x-forwarded-host", "www.ac.cdl")], !is_trusted),
            ("the scheme is right", vec![("x-forwarded-proto", "http")], true),
            ("the scheme is wrong", vec![("x-forwarded-proto", "https")], !is_trusted),
        ] {
            let answer = Answer::read(spoken(app, &lines)).await;
            assert_eq!(goes_to_provider(app, &answer), is_right, "{name}, {what}: {}", answer.location());
            assert!(!answer.location().contains("www.ac.cdl"), "{name}, {what}");
        }
    }
}
