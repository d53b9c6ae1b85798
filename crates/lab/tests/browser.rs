//! The browser: redirects, cookies between sites, forms, and apps that take over.

use std::sync::{Arc, Mutex};

use reqwest::StatusCode;
use usher_lab::{
    browser::Browser,
    scripted::{Reply, Request, ScriptedServer},
};

/// What the server was sent, as `METHOD path cookie origin body`.
type Seen = Arc<Mutex<Vec<String>>>;

/// One server that is `portal.localhost` and `sso.localhost` at once.
async fn server() -> anyhow::Result<(ScriptedServer, Seen)> {
    let seen = Seen::default();
    let log = Arc::clone(&seen);
    let server = ScriptedServer::start(move |request| {
        let header = |name: &str| {
            let value = request.headers.get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or("-").to_owned()
        };
        let body = String::from_utf8_lossy(&request.body).into_owned();
        let line =
            format!("{} {} {} {} {body}", request.method, request.path, header("cookie"), header("origin"));
        log.lock().expect("no panic").push(line.trim_end().to_owned());
        std::future::ready(answer(&request))
    });
    Ok((server.await?, seen))
}

fn answer(request: &Request) -> Reply {
    let page = |html: &str| Reply::new(200, "text/html", html.to_owned());
    let to = |status: u16, location: &str| Reply::Answer {
        status: StatusCode::from_u16(status).expect("the script names a status that exists"),
        headers: vec![("location".to_owned(), location.to_owned())],
        body: "".into(),
    };
    let elsewhere = request.query_values("to").concat();
    match request.path.as_str() {
        "/set" => Reply::Answer {
            status: StatusCode::OK,
            headers: [
                "lax=1; Path=/",
                "none=1; Path=/; SameSite=None; Secure",
                "strict=1; Path=/; SameSite=Strict",
            ]
            .map(|line| ("set-cookie".to_owned(), line.to_owned()))
            .to_vec(),
            body: "set".into(),
        },
        "/302" => to(302, &elsewhere),
        "/307" => to(307, &elsewhere),
        "/loop" => to(302, "/loop"),
        "/form" => page(&format!(
            r#"<form method="post" action="{elsewhere}"><input name="a" value="1"><button>Go</button></form>
               <a href="/page">To <b>the</b> page</a>"#
        )),
        "/get-form" => page(
            r#"<form action="/page?gone=1"><input name="q"><button name="go" value="2">Go</button></form>"#,
        ),
        _ => page("<p>a page</p>"),
    }
}

fn taken(seen: &Seen) -> Vec<String> {
    std::mem::take(&mut seen.lock().expect("no panic"))
}

#[tokio::test]
async fn cookies_go_where_chromium_would_send_them() -> anyhow::Result<()> {
    let (server, seen) = server().await?;
    let port = server.address().port();
    let at = |host: &str, rest: &str| format!("http://{host}.localhost:{port}{rest}");
    let browser = Browser::new();
    browser.open(at("portal", "/set")).await?;
    assert_eq!(browser.cookies("portal.localhost").len(), 3);
    taken(&seen);

    browser.open(at("portal", "/typed")).await?;
    assert_eq!(taken(&seen), ["GET /typed lax=1; none=1; strict=1 -"]);

    let form = browser.open(at("sso", &format!("/form?to={}", at("portal", "/acs")))).await?.form()?;
    taken(&seen);
    form.submit(&browser).await?;
    assert_eq!(taken(&seen), [format!("POST /acs none=1 {} a=1", at("sso", ""))], "a post from another site");

    let via = at("sso", &format!("/302?to={}", at("portal", "/callback")));
    let form = browser.open(at("sso", &format!("/form?to={via}"))).await?.form()?;
    taken(&seen);
    form.submit(&browser).await?;
    assert_eq!(
        taken(&seen),
        [format!("POST /302 - {} a=1", at("sso", "")), "GET /callback lax=1; none=1 -".to_owned()],
        "a redirect becomes a GET, and Lax goes along"
    );
    browser.forget_cookies(None);
    browser.open(at("portal", "/typed")).await?;
    assert_eq!(taken(&seen), ["GET /typed - -"]);
    Ok(())
}

#[tokio::test]
async fn a_307_repeats_the_post_and_a_form_by_get_replaces_the_query() -> anyhow::Result<()> {
    let (server, seen) = server().await?;
    let at = |rest: &str| format!("http://portal.localhost:{}{rest}", server.address().port());
    let browser = Browser::new();
    let form = browser.open(at("/form?to=/307?to=/page")).await?.form()?;
    taken(&seen);
    form.fill("a", "ü").submit(&browser).await?;
    let posts = ["/307", "/page"].map(|path| format!("POST {path} - {} a=%C3%BC", at("")));
    assert_eq!(taken(&seen), posts);

    let page = browser.open(at("/get-form")).await?.form()?.fill("q", "x y").submit(&browser).await?;
    assert_eq!(page.url().query(), Some("q=x+y&go=2"));
    assert_eq!(page.text(), "a page");
    Ok(())
}

#[tokio::test]
async fn an_app_is_handed_its_address_and_nothing_is_fetched() -> anyhow::Result<()> {
    let (server, seen) = server().await?;
    let at = |rest: &str| format!("http://portal.localhost:{}{rest}", server.address().port());
    let browser = Browser::new().with_app_at("http://app.localhost:1/cb");
    for (target, is_app) in [
        ("element://connect?loginToken=a%26b", true),
        ("http://app.localhost:1/cb?loginToken=a%26b", true),
        ("/page?loginToken=a%26b", false),
    ] {
        let encoded: String = url::form_urlencoded::byte_serialize(target.as_bytes()).collect();
        let page = browser.open(at(&format!("/302?to={encoded}"))).await?;
        assert_eq!(page.is_handed_over(), is_app, "{target}");
        assert_eq!(page.query("loginToken").as_deref(), Some("a&b"), "{target}");
        assert_eq!(taken(&seen).len(), if is_app { 1 } else { 2 }, "{target}");
    }
    Ok(())
}

#[tokio::test]
async fn links_are_followed_and_endless_redirects_are_not() -> anyhow::Result<()> {
    let (server, _) = server().await?;
    let at = |rest: &str| format!("http://portal.localhost:{}{rest}", server.address().port());
    let browser = Browser::new();
    let page = browser.open(at("/form?to=/x")).await?;
    let (label, url) = page.links().remove(0);
    assert_eq!(label, "To the page");
    assert_eq!(browser.follow(&page, url).await?.text(), "a page");

    let first = browser.open_once(at("/loop")).await?;
    assert_eq!(first.redirect_target()?.map(String::from), Some(at("/loop")));
    let error = browser.open(at("/loop")).await.expect_err("it never ends").to_string();
    assert!(error.contains("redirected more than 20 times"), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_form_that_is_not_as_expected_is_said_plainly() -> anyhow::Result<()> {
    let (server, _) = server().await?;
    let at = |rest: &str| format!("http://portal.localhost:{}{rest}", server.address().port());
    let browser = Browser::new();
    let no_form = browser.open(at("/page")).await?;
    for error in [no_form.form(), no_form.form_with("password")].map(|form| form.expect_err("there is none"))
    {
        assert!(error.to_string().ends_with("it says: a page"), "{error}");
    }
    let form = browser.open(at("/form?to=/x")).await?.form()?;
    let error = form.fill("b", "1").submit(&browser).await.expect_err("there is no b").to_string();
    assert!(error.contains(r#"no field "b""#), "{error}");
    Ok(())
}
