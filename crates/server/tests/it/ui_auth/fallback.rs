//! The fallback page, the page that asks, and the completion page.

use reqwest::Method;
use serde_json::json;

use super::{ENG, auth, client, session_of, start, start_with};
use crate::app::{Answer, TestApp};

const SCRIPT: &str = r#"<script>if (window.onAuthDone) { window.onAuthDone(); } else if (window.opener && window.opener.postMessage) { window.opener.postMessage("authDone", "*"); }</script>"#;

async fn at(app: &TestApp, host: &str, method: Method, path: &str) -> Answer {
    Answer::read(app.request(method, path).header("host", host)).await
}

#[tokio::test]
async fn the_fallback_page_leads_to_the_portals_page_under_every_name() {
    let app = start().await;
    let phone = client(&app, "alice", "PHONE").await;
    let session = phone.session_to_delete("PHONE").await;
    let base = app.base().as_str().trim_end_matches('/');
    let mut paths = Vec::new();
    for (version, stage) in [
        ("v3", "m.login.sso"),
        ("r0", "m.login.sso"),
        ("v3", "org.matrix.login.sso"),
        ("v3", "m.login%2Esso"),
    ] {
        let path = format!("/_matrix/client/{version}/auth/{stage}/fallback/web?session={session}");
        let answer = at(&app, ENG, Method::GET, &path).await;
        assert_eq!(answer.status, 302, "{path}");
        let location = answer.location().to_owned();
        assert!(location.starts_with(&format!("{base}/_usher/ui-auth/")), "{location}");
        assert!(!location.contains(&session), "the portal is not told the session");
        assert_eq!(at(&app, ENG, Method::HEAD, &path).await.status, 302, "{path}");
        paths.push(location);
    }
    assert!(paths.iter().all(|path| *path == paths[0]));
    let portal =
        app.get(&format!("/_matrix/client/v3/auth/m.login.sso/fallback/web?session={session}")).await;
    assert_eq!(portal.location(), paths[0], "for clients that have not moved");
}

#[tokio::test]
async fn what_is_no_session_of_ours_is_400_and_another_stage_is_not_ours() {
    let app = start().await;
    let fallback = "/_matrix/client/v3/auth/m.login.sso/fallback/web";
    for (name, host, method, path, status) in [
        ("no session", ENG, Method::GET, fallback.to_owned(), 400),
        ("an unknown one", ENG, Method::GET, format!("{fallback}?session=ushu_AAAA"), 400),
        ("two", ENG, Method::GET, format!("{fallback}?session=ushu_A&session=ushu_B"), 400),
        (
            "an unknown handle",
            ENG,
            Method::GET,
            format!("{fallback}?usher_handle=AAAAAAAAAAAAAAAAAAAAAA"),
            400,
        ),
        ("no handle", ENG, Method::GET, format!("{fallback}?usher_handle=x"), 400),
        (
            "both",
            ENG,
            Method::GET,
            format!("{fallback}?usher_handle=AAAAAAAAAAAAAAAAAAAAAA&session=ushu_A"),
            400,
        ),
        ("a form", ENG, Method::POST, format!("{fallback}?session=ushu_AAAA"), 405),
        ("at the portal", "", Method::GET, fallback.to_owned(), 400),
        (
            "another stage at the portal",
            "",
            Method::GET,
            "/_matrix/client/v3/auth/m.login.recaptcha/fallback/web?session=x".to_owned(),
            404,
        ),
        ("a form at the portal", "", Method::POST, format!("{fallback}?session=ushu_AAAA"), 405),
    ] {
        let request = app.request(method, &path);
        let request = if host.is_empty() { request } else { request.header("host", host) };
        let answer = Answer::read(request).await;
        assert_eq!(answer.status.as_u16(), status, "{name}: {}", answer.body);
        if status == 400 {
            assert_eq!(answer.title(), "There is nothing to confirm here", "{name}");
        }
    }
    assert!(app.eng.calls().is_empty());
    for (name, method, path) in [
        ("another's session", Method::GET, format!("{fallback}?session=own_session_0")),
        ("a form for another's", Method::POST, format!("{fallback}?session=own_session_0")),
        (
            "another stage",
            Method::GET,
            "/_matrix/client/v3/auth/m.login.recaptcha/fallback/web?session=ushu_x".to_owned(),
        ),
    ] {
        app.eng.forget_calls();
        at(&app, ENG, method, &path).await;
        assert_eq!(app.eng.calls().len(), 1, "{name}: passed through");
    }
}

#[tokio::test]
async fn the_page_says_what_is_about_to_happen_and_begins_nothing() {
    let app = start().await;
    let phone = client(&app, "alice", "PHONE").await;
    client(&app, "alice", "LAPTOP").await;
    app.eng.set_last_seen(&phone.user, "LAPTOP", 1_800_000_000_000, "203.0.113.9");
    let request = phone.request(Method::DELETE, "/_matrix/client/v3/devices/LAPTOP");
    let session =
        session_of(&Answer::read(request.header("user-agent", "Element <Web> 1.12").body("{}")).await);
    let asked = phone.browser(&session).asked().await;
    let page = &asked.page;
    assert_eq!((page.status.as_u16(), page.title()), (200, "Sign a device out?"));
    for text in [
        "@alice:eng.ac.cdl",
        "alice&#x27;s LAPTOP",
        "LAPTOP",
        "2027-01-15 08:00 UTC",
        "203.0.113.9",
        "alice&#x27;s PHONE",
        "127.0.0.1",
        "Element &lt;Web&gt; 1.12",
        "somebody else may have got into your account",
    ] {
        assert!(page.body.contains(text), "{text}: {}", page.body);
    }
    assert!(!page.body.contains(app.cas_url().as_str()), "no way to the provider without a click");
    let policy = page.header("content-security-policy");
    assert!(
        policy.contains("form-action 'self'")
            && policy.contains("frame-ancestors 'none'")
            && !policy.contains("script-src"),
        "{policy}"
    );
    assert_eq!(page.header("x-frame-options"), "DENY");
    assert_eq!(page.header("cross-origin-opener-policy"), "", "it would cut window.opener");
    let cookie = page.set_cookies().join("\n");
    assert!(
        cookie.starts_with("__Host-usher-page=")
            && cookie.ends_with("; Path=/; Secure; HttpOnly; SameSite=Lax"),
        "{cookie}"
    );
    let again = asked.browser.clone().asked().await;
    assert_eq!(asked.csrf(), again.csrf(), "a second tab has the same cookie");
}

#[tokio::test]
async fn a_page_is_shown_though_the_homeserver_does_not_say_what_devices_are_called() {
    let app = start().await;
    let phone = client(&app, "alice", "PHONE").await;
    let session = phone.session_to_delete("PHONE").await;
    app.eng.set_fault(
        usher_lab::scripted::homeserver::Endpoint::Devices,
        usher_lab::scripted::homeserver::Fault::server_error(),
    );
    let asked = phone.browser(&session).asked().await;
    assert_eq!(asked.page.status, 200);
    assert!(asked.page.body.contains("PHONE"));
}

#[tokio::test]
async fn a_form_that_is_not_the_pages_begins_nothing() {
    let app = start().await;
    let phone = client(&app, "alice", "PHONE").await;
    let session = phone.session_to_delete("PHONE").await;
    let other = phone.session_to_delete("PHONE").await;
    let asked = phone.browser(&session).asked().await;
    let of_other_page = phone.browser(&other).asked().await;
    let (own, foreign) = (asked.csrf(), of_other_page.csrf());
    let cookies = asked.browser.cookies.clone();
    for (name, form, cookies, status) in [
        ("no token", "provider=corp".to_owned(), cookies.clone(), 403),
        ("another", "csrf=x&provider=corp".to_owned(), cookies.clone(), 403),
        ("another page's", format!("csrf={foreign}&provider=corp"), cookies.clone(), 403),
        ("no cookie", format!("csrf={own}&provider=corp"), vec![], 403),
        (
            "another browser's cookie",
            format!("csrf={own}&provider=corp"),
            of_other_page.browser.cookies.clone(),
            403,
        ),
        ("the token twice", format!("csrf={own}&csrf={own}&provider=corp"), cookies.clone(), 403),
        ("neither answer", format!("csrf={own}"), cookies.clone(), 403),
        ("both answers", format!("csrf={own}&provider=corp&deny=yes"), cookies.clone(), 403),
        ("more", format!("csrf={own}&provider=corp&x=y"), cookies.clone(), 403),
        ("a provider that there is not", format!("csrf={own}&provider=nobody"), cookies.clone(), 400),
        ("a long one", format!("csrf={own}&provider=corp&x={}", "x".repeat(10_000)), cookies.clone(), 403),
        ("its own", format!("csrf={own}&provider=corp"), cookies.clone(), 200),
    ] {
        let mut browser = asked.browser.clone();
        browser.cookies = cookies;
        let answer = browser.open(Method::POST, &asked.path, Some(form)).await;
        assert_eq!(answer.status.as_u16(), status, "{name}: {}", answer.body);
        assert_eq!(answer.set_cookies().len(), usize::from(status == 200), "{name}");
    }
    for method in [Method::PUT, Method::DELETE] {
        assert_eq!(Answer::read(app.request(method, &asked.path)).await.status, 405);
    }
}

#[tokio::test]
async fn the_completion_page_tells_the_client_and_nothing_else_can_run_there() {
    let app = start().await;
    let phone = client(&app, "alice", "PHONE").await;
    let session = phone.session_to_delete("PHONE").await;
    let back = phone.browser(&session).confirmed_by("alice").await;
    let completion =
        back.location().strip_prefix("https://matrix.eng.ac.cdl").expect("the homeserver's host").to_owned();
    let by_session = format!("/_matrix/client/v3/auth/m.login.sso/fallback/web?session={session}");
    for path in [&completion, &by_session] {
        let page = at(&app, ENG, Method::GET, path).await;
        assert_eq!((page.status.as_u16(), page.title()), (200, "Thank you"), "{path}");
        assert!(page.body.contains(SCRIPT), "{}", page.body);
        assert_eq!(page.body.matches("<script").count(), 1);
        let policy = page.header("content-security-policy");
        let origin = app.base().origin().ascii_serialization();
        assert!(
            policy.contains("script-src 'sha256-") && policy.contains(&format!("style-src {origin}")),
            "{policy}"
        );
        assert!(
            page.body.replace("&#x2f;", "/").contains(&format!("href=\"{origin}/_usher/style-")),
            "the style sheet is the portal's"
        );
        assert_eq!(page.header("cross-origin-opener-policy"), "");
    }
    let asked = phone.browser(&session).fallback().await;
    assert_eq!(asked.status, 200, "no new single sign-on");
    let handle = completion.rsplit('=').next().expect("a handle").to_owned();
    assert_eq!(
        app.get(&format!("/_usher/ui-auth/{handle}")).await.location(),
        back.location(),
        "nor at the portal"
    );
    assert_eq!(phone.delete_device("PHONE", &auth(&session)).await.status, 200);
    assert_eq!(at(&app, ENG, Method::GET, &completion).await.title(), "Thank you");
    assert_eq!(app.get(&format!("/_usher/ui-auth/{handle}")).await.title(), "This was confirmed already");
}

#[tokio::test]
async fn this_was_not_me_ends_the_request_and_the_session_it_came_from() {
    let app = start().await;
    let laptop = client(&app, "alice", "LAPTOP").await;
    for is_confirmed in [false, true] {
        let stolen = client(&app, "alice", "STOLEN").await;
        let session = stolen.session_to_delete("LAPTOP").await;
        let mut asked = stolen.browser(&session).asked().await;
        if is_confirmed {
            stolen.browser(&session).confirmed_by("alice").await;
        }
        let form = format!("csrf={}&deny=yes", asked.csrf());
        let path = asked.path.clone();
        let page = asked.browser.open(Method::POST, &path, Some(form.clone())).await;
        assert_eq!((page.status.as_u16(), page.title()), (200, "The request was stopped"), "{is_confirmed}");
        assert!(page.body.contains("is signed out of your account"), "{}", page.body);
        assert!(!laptop.has_device("STOLEN") && laptop.has_device("LAPTOP"));
        assert_eq!(stolen.delete_device("LAPTOP", &auth(&session)).await.status, 401, "its token is gone");
        let back = app.eng.open_session("@alice:eng.ac.cdl", "STOLEN", None);
        let answer = stolen.with_token(&back).delete_device("LAPTOP", &auth(&session)).await;
        assert_eq!(
            (answer.status.as_u16(), answer.errcode().as_str()),
            (403, "M_FORBIDDEN"),
            "{is_confirmed}"
        );
        assert_eq!(stolen.browser(&session).fallback().await.title(), "This request was stopped");
        let again = asked.browser.open(Method::POST, &path, Some(form)).await;
        assert_eq!((again.status.as_u16(), again.title()), (200, "The request was stopped"));
        assert!(laptop.has_device("STOLEN"), "an old page signs nobody out who has signed in since");
    }
}

#[tokio::test]
async fn this_was_not_me_stops_the_request_though_the_homeserver_is_away() {
    let app = start().await;
    let stolen = client(&app, "alice", "STOLEN").await;
    let session = stolen.session_to_delete("STOLEN").await;
    let mut asked = stolen.browser(&session).asked().await;
    app.eng.stop().await.expect("stopped");
    let (path, form) = (asked.path.clone(), format!("csrf={}&deny=yes", asked.csrf()));
    let page = asked.browser.open(Method::POST, &path, Some(form)).await;
    assert_eq!(page.title(), "The request was stopped");
    assert!(page.body.contains("will be signed out of your account as soon as"), "{}", page.body);
    app.eng.restart().await.expect("it comes back");
    assert_eq!(stolen.delete_device("STOLEN", &auth(&session)).await.status, 403);
    let form = format!("csrf={}&deny=yes", asked.csrf());
    let again = asked.browser.open(Method::POST, &path, Some(form)).await;
    assert!(again.body.contains("is signed out of your account"), "sent once more: {}", again.body);
    assert!(!stolen.has_device("STOLEN"));
}

#[tokio::test]
async fn this_was_not_me_ends_whatever_else_the_device_has_asked_for() {
    let app = start_with(|config| config["ui_auth"] = json!({ "grace": "5m" })).await;
    let stolen = client(&app, "alice", "STOLEN").await;
    for device in ["A", "B"] {
        client(&app, "alice", device).await;
    }
    let (done, confirmed, pending, denied) = (
        stolen.session_to_delete("A").await,
        stolen.session_to_delete("B").await,
        session_of(&stolen.post("/account/deactivate", &json!({})).await),
        stolen.session_to_delete("B").await,
    );
    stolen.browser(&done).confirmed_by("alice").await;
    assert_eq!(stolen.delete_device("A", &auth(&done)).await.status, 200);
    stolen.browser(&confirmed).confirmed_by("alice").await;
    let mut asked = stolen.browser(&denied).asked().await;
    let (path, form) = (asked.path.clone(), format!("csrf={}&deny=yes", asked.csrf()));
    app.eng.set_fault(
        usher_lab::scripted::homeserver::Endpoint::DeleteDevices,
        usher_lab::scripted::homeserver::Fault::server_error(),
    );
    assert_eq!(asked.browser.open(Method::POST, &path, Some(form)).await.status, 200);
    app.eng.clear_fault(usher_lab::scripted::homeserver::Endpoint::DeleteDevices);
    assert_eq!(stolen.delete_device("B", &auth(&confirmed)).await.status, 403, "confirmed before");
    assert_eq!(stolen.post("/account/deactivate", &auth(&pending)).await.status, 403);
    assert_eq!(stolen.browser(&pending).fallback().await.title(), "This request was stopped");
    session_of(&stolen.delete_device("B", &json!({})).await);
    assert!(stolen.has_device("B") && stolen.has_device("STOLEN"));
}

#[tokio::test]
async fn it_is_too_late_to_stop_what_was_done() {
    let app = start().await;
    let phone = client(&app, "alice", "PHONE").await;
    client(&app, "alice", "LAPTOP").await;
    let session = phone.session_to_delete("LAPTOP").await;
    let mut asked = phone.browser(&session).asked().await;
    phone.browser(&session).confirmed_by("alice").await;
    assert_eq!(phone.delete_device("LAPTOP", &auth(&session)).await.status, 200);
    let (path, form) = (asked.path.clone(), format!("csrf={}&deny=yes", asked.csrf()));
    let page = asked.browser.open(Method::POST, &path, Some(form)).await;
    assert_eq!((page.status.as_u16(), page.title()), (409, "It is too late to stop this"));
    assert!(phone.has_device("PHONE"));
}

#[tokio::test]
async fn whoever_stops_what_has_made_room_for_others_is_told_what_to_do() {
    let app = start_with(|config| config["ui_auth"] = json!({ "max_open": 1 })).await;
    let stolen = client(&app, "alice", "STOLEN").await;
    let session = stolen.session_to_delete("STOLEN").await;
    let mut asked = stolen.browser(&session).asked().await;
    stolen.session_to_delete("STOLEN").await;
    let (path, form) = (asked.path.clone(), format!("csrf={}&deny=yes", asked.csrf()));
    let page = asked.browser.open(Method::POST, &path, Some(form)).await;
    assert_eq!((page.status.as_u16(), page.title()), (409, "It is too late to stop this"));
}

/// A second CAS server's worth of a provider, at which alice is linked too.
async fn with_two_providers() -> TestApp {
    start_with(|config| {
        let mut second = config["providers"][0].clone();
        second["id"] = json!("library");
        second["name"] = json!("Library");
        config["providers"].as_array_mut().expect("a list").push(second);
    })
    .await
}

#[tokio::test]
async fn several_providers_are_offered_the_last_used_first_and_a_hint_is_heeded() {
    let app = with_two_providers().await;
    let token = app.sign_in().at("corp").as_person("alice").await.login_token();
    let body = json!({ "type": "m.login.token", "token": token, "device_id": "PHONE" });
    let session = app.post_login(&body).await.json();
    let access_token = session["access_token"].as_str().expect("a token").to_owned();
    app.sql(
        "INSERT INTO links SELECT 'library', issuer, subject, server_name, mxid, created_at FROM links WHERE provider = 'corp'",
    )
    .await;
    let phone = super::Client {
        app: &app,
        host: ENG,
        token: access_token,
        user: "@alice:eng.ac.cdl".to_owned(),
        replica: None,
    };
    let session = phone.session_to_delete("PHONE").await;
    let order = |body: &str| (body.find("value=\"corp\""), body.find("value=\"library\""));
    let asked = phone.browser(&session).asked().await;
    let (corp, library) = order(&asked.page.body);
    assert!(corp.is_some() && corp < library, "{}", asked.page.body);
    app.sql("UPDATE sessions SET provider = 'library'").await;
    let asked = phone.browser(&session).asked().await;
    let (corp, library) = order(&asked.page.body);
    assert!(library.is_some() && library < corp, "{}", asked.page.body);
    for name in ["idp_id", "io.element.idp_id"] {
        let path = format!("/_matrix/client/v3/auth/m.login.sso/fallback/web?session={session}&{name}=");
        let to = at(&app, ENG, Method::GET, &format!("{path}corp")).await;
        let page = app.get(&to.location()[app.base().as_str().len() - 1..]).await;
        let (corp, library) = order(&page.body);
        assert!(corp.is_some() && library.is_none(), "{name}: {}", page.body);
        let to = at(&app, ENG, Method::GET, &format!("{path}no%3Cbody")).await;
        let page = app.get(&to.location()[app.base().as_str().len() - 1..]).await;
        let (corp, library) = order(&page.body);
        assert!(library.is_some() && library < corp, "{name}: a hint, and no dead end: {}", page.body);
    }
}

#[tokio::test]
async fn whoever_is_linked_at_several_identity_providers_of_one_provider_confirms_at_either() {
    let app = start().await;
    let phone = client(&app, "alice", "PHONE").await;
    client(&app, "alice", "LAPTOP").await;
    // Used later than the one that she still can use.
    app.sql(
        "INSERT INTO links (provider, issuer, subject, server_name, mxid, created_at)
         SELECT provider, 'https://old.example', subject, server_name, mxid, created_at + 1000 FROM links
         WHERE subject = 'alice'",
    )
    .await;
    app.sql("UPDATE sessions SET issuer = 'https://old.example' WHERE device_id = 'PHONE'").await;
    let session = phone.session_to_delete("LAPTOP").await;
    assert_eq!(phone.browser(&session).confirmed_by("alice").await.status, 302);
    assert_eq!(phone.delete_device("LAPTOP", &auth(&session)).await.status, 200);
}

#[tokio::test]
async fn pages_speak_the_persons_language() {
    let app = start().await;
    let phone = client(&app, "alice", "PHONE").await;
    let session = phone.session_to_delete("PHONE").await;
    let asked = phone.browser(&session).asked().await;
    let page =
        Answer::read(app.request(Method::GET, &asked.path).header("accept-language", "fr-CA, en;q=0.5"))
            .await;
    assert_eq!(page.title(), "Déconnecter un appareil\u{202f}?");
    let unknown = app
        .request(Method::GET, "/_matrix/client/v3/auth/m.login.sso/fallback/web")
        .header("host", ENG)
        .header("accept-language", "fr");
    assert_eq!(Answer::read(unknown).await.title(), "Il n’y a rien à confirmer ici");
}

#[tokio::test]
async fn no_device_is_hidden_behind_others_that_there_are_not() {
    let app = start().await;
    let phone = client(&app, "alice", "PHONE").await;
    client(&app, "alice", "LAPTOP").await;
    let mut devices: Vec<_> = (0..500).map(|number| format!("OLD{number}")).collect();
    devices.push("LAPTOP".to_owned());
    let session = session_of(&phone.post("/delete_devices", &json!({ "devices": devices })).await);
    let page = phone.browser(&session).asked().await.page;
    let (laptop, other) = (page.body.find("alice&#x27;s LAPTOP"), page.body.find("OLD0"));
    assert!(laptop.is_some() && laptop < other, "{}", page.body);
    assert!(page.body.contains("and 450 more that the homeserver did not name"), "{}", page.body);
}

#[tokio::test]
async fn the_page_says_that_what_was_written_would_go_too() {
    let app = start().await;
    let phone = client(&app, "alice", "PHONE").await;
    for (erase, is_said) in [(true, true), (false, false)] {
        let session = session_of(&phone.post("/account/deactivate", &json!({ "erase": erase })).await);
        let page = phone.browser(&session).asked().await.page;
        assert_eq!(page.title(), "Delete your account for good?");
        assert_eq!(page.body.contains("what you wrote to be erased"), is_said, "{}", page.body);
    }
}

#[tokio::test]
async fn a_cookie_of_another_site_of_the_organisation_keeps_nobody_from_confirming() {
    let app = start().await;
    let phone = client(&app, "alice", "PHONE").await;
    let session = phone.session_to_delete("PHONE").await;
    let mut browser = phone.browser(&session);
    browser.cookies.push("name=M\u{fc}ller".to_owned());
    let back = browser.confirmed_by("alice").await;
    assert_eq!(back.status, 302, "{}", back.body);
}
