//! How people log in at a homeserver's own host: our single sign-on among the homeserver's own ways.

use reqwest::Method;
use serde_json::{Value, json};
use usher_lab::scripted::{
    Reply,
    homeserver::{Endpoint, Fault},
};

use crate::app::{Answer, TRUSTED, TestApp};

const ENG: &str = "matrix.eng.ac.cdl";
const HIST: &str = "matrix.hist.ac.cdl";
const LOGIN: &str = "/_matrix/client/v3/login";
const REDIRECT: &str = "/_matrix/client/v3/login/sso/redirect";

/// Usher, answering at both homeservers' hosts.
async fn start() -> TestApp {
    start_with(|_| {}).await
}

async fn start_with(change: impl FnOnce(&mut Value)) -> TestApp {
    TestApp::start_with(|config| {
        for (index, host) in [ENG, HIST].into_iter().enumerate() {
            config["homeservers"][index]["hosts"] = json!([host]);
            config["homeservers"][index]["pass_through_timeout"] = json!("1s");
        }
        change(config);
    })
    .await
}

async fn get(app: &TestApp, host: &str, path: &str) -> Answer {
    Answer::read(app.request(Method::GET, path).header("host", host)).await
}

async fn post(app: &TestApp, host: &str, body: impl Into<reqwest::Body>) -> Answer {
    Answer::read(app.request(Method::POST, LOGIN).header("host", host).body(body)).await
}

fn with_token(token: &str) -> String {
    json!({ "type": "m.login.token", "token": token, "device_id": "PHONE" }).to_string()
}

#[tokio::test]
async fn the_homeservers_own_flows_are_listed_with_our_single_sign_on() {
    let app = start().await;
    for path in [LOGIN, "/_matrix/client/r0/login", "/_matrix/client/v3/%6cogin/?x=y"] {
        let answer = get(&app, ENG, path).await;
        assert_eq!(answer.status, 200, "{path}");
        let expected = json!({ "flows": [
            { "type": "m.login.password" },
            { "type": "m.login.sso", "identity_providers": [{ "id": "corp", "name": "University" }] },
            { "type": "m.login.application_service" },
            { "type": "m.login.token", "get_login_token": true },
        ] });
        assert_eq!(answer.json(), expected, "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), "*", "{path}");
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
    }
    let asked = app.eng.calls_to(Endpoint::Flows);
    assert!(asked.iter().all(|call| !call.headers.contains_key("authorization")), "as anybody");
    assert_eq!(asked[0].headers["x-forwarded-for"], "127.0.0.1");
}

#[tokio::test]
async fn whatever_else_a_homeserver_says_of_logging_in_is_said_on() {
    let app = start().await;
    let said =
        json!({ "flows": [{ "type": "m.login.token", "get_login_token": true, "x": 1 }], "more": [null] });
    app.eng.set_fault(Endpoint::Flows, Fault::Says(Reply::json(200, &said)));
    let answer = get(&app, ENG, LOGIN).await.json();
    assert_eq!(answer["more"], said["more"]);
    assert_eq!(answer["flows"][1], said["flows"][0]);
}

#[tokio::test]
async fn a_homeserver_that_does_not_say_how_people_log_in_is_not_guessed_about() {
    let app = start().await;
    for (name, fault, status) in [
        ("a fault of its own", Fault::server_error(), 502),
        ("a proxy's page", Fault::bad_gateway(), 502),
        ("another page", Fault::html(), 502),
        ("cut", Fault::cut(), 504),
        ("silent", Fault::hang(), 504),
        ("no flows", Fault::Says(Reply::json(200, &json!({}))), 502),
        (
            "flows that are none",
            Fault::Says(Reply::json(200, &json!({ "flows": ["m.login.password"] }))),
            502,
        ),
        ("refused", Fault::error(403, "M_FORBIDDEN", "no"), 502),
        ("busy", Fault::rate_limited("7"), 429),
        ("Usher itself", Fault::error(508, "M_UNKNOWN", "upstream_url"), 508),
    ] {
        app.eng.set_fault(Endpoint::Flows, fault);
        let answer = get(&app, ENG, LOGIN).await;
        assert_eq!(answer.status.as_u16(), status, "{name}: {}", answer.body);
        assert!(!answer.errcode().is_empty(), "{name}");
        if status == 429 {
            assert_eq!(answer.header("retry-after"), "7");
        }
    }
    app.eng.clear_fault(Endpoint::Flows);
    app.eng.stop().await.expect("stopped");
    assert_eq!(get(&app, ENG, LOGIN).await.status, 502, "gone");
    assert_eq!(get(&app, HIST, LOGIN).await.status, 200, "the other one is not concerned");
    assert_eq!(app.get(LOGIN).await.status, 200, "nor is the portal");
}

#[tokio::test]
async fn a_login_that_begins_at_a_homeservers_host_goes_on_at_the_portal() {
    let app = start().await;
    let base = app.base().as_str().trim_end_matches('/');
    let ours = "usher_homeserver=eng.ac.cdl";
    let url = "redirectUrl=element://connect?x=%C3%B6&b&a=1&a=2";
    for (name, path, expected) in [
        ("a provider", format!("{REDIRECT}/corp?{url}"), format!("{REDIRECT}/corp?{url}&{ours}")),
        ("none", format!("{REDIRECT}?{url}"), format!("{REDIRECT}?{url}&{ours}")),
        (
            "r0",
            format!("/_matrix/client/r0/login/sso/redirect/corp?{url}"),
            format!("{REDIRECT}/corp?{url}&{ours}"),
        ),
        (
            "an id to be escaped",
            format!("{REDIRECT}/c%2Frp?{url}"),
            format!("{REDIRECT}/c%2Frp?{url}&{ours}"),
        ),
        ("no query", REDIRECT.to_owned(), format!("{REDIRECT}?{ours}")),
        (
            "another homeserver's name",
            format!("{REDIRECT}?usher_homeserver=hist.ac.cdl&{url}&usher%5Fhomeserver=x"),
            format!("{REDIRECT}?{url}&{ours}"),
        ),
        ("a mark of ours", format!("{REDIRECT}?{url}&usher_canonical=1"), format!("{REDIRECT}?{url}&{ours}")),
    ] {
        let answer = get(&app, ENG, &path).await;
        assert_eq!(
            (answer.status.as_u16(), answer.location()),
            (302, format!("{base}{expected}").as_str()),
            "{name}"
        );
        assert!(answer.set_cookies().is_empty(), "{name}");
    }
    for method in [Method::HEAD, Method::POST] {
        let answer =
            app.request(method.clone(), REDIRECT).header("host", ENG).send().await.expect("an answer");
        assert_eq!(answer.status(), 405, "{method} begins nothing");
    }
    assert!(app.eng.calls().is_empty(), "the homeserver is not asked");
}

#[tokio::test]
async fn the_portal_knows_the_homeservers_it_serves() {
    let app = start().await;
    for (name, query, status) in [
        ("one that is served", "usher_homeserver=eng.ac.cdl", 302),
        ("the other", "usher_homeserver=hist.ac.cdl", 302),
        ("an unknown one", "usher_homeserver=evil.example", 400),
        ("none", "usher_homeserver=", 400),
        ("no name", "usher_homeserver=a%20b", 400),
        ("two", "usher_homeserver=eng.ac.cdl&usher_homeserver=hist.ac.cdl", 400),
        ("the same twice", "usher_homeserver=eng.ac.cdl&usher_homeserver=eng.ac.cdl", 400),
    ] {
        let answer = app.get(&format!("{REDIRECT}/corp?redirectUrl=https://app.ac.cdl/&{query}")).await;
        assert_eq!(answer.status.as_u16(), status, "{name}");
        if status == 400 {
            assert_eq!(answer.title(), "There is no such homeserver here", "{name}");
            assert!(answer.set_cookies().is_empty(), "{name}");
        }
    }
}

/// Signs `person` in, from the host of a homeserver to wherever that leads.
async fn sign_in_at(app: &TestApp, host: &str, person: &str) -> Answer {
    let encoded: String = url::form_urlencoded::byte_serialize(TRUSTED.as_bytes()).collect();
    let first = get(app, host, &format!("{REDIRECT}/corp?redirectUrl={encoded}")).await;
    let path = first
        .location()
        .strip_prefix(app.base().as_str().trim_end_matches('/'))
        .expect("the portal")
        .to_owned();
    let begun = app.get(&path).await;
    let login = url::Url::parse(begun.location()).expect("a URL");
    let callback = app.cas.log_in(&login, person).expect("a ticket");
    let path = callback[url::Position::BeforePath..].to_owned();
    Answer::read(app.request(Method::GET, &path).header("cookie", begun.cookies().join("; "))).await
}

#[tokio::test]
async fn somebody_of_this_homeserver_lands_here() {
    let app = start().await;
    let back = sign_in_at(&app, ENG, "alice").await;
    assert!(back.location().starts_with("https://app.ac.cdl/?x=1&loginToken=ushl_"), "{}", back.location());
    let session = post(&app, ENG, with_token(&back.login_token())).await;
    assert_eq!(
        (session.status.as_u16(), session.json()["user_id"].as_str()),
        (200, Some("@alice:eng.ac.cdl"))
    );
    assert_eq!(session.json()["device_id"], "PHONE");
    assert_eq!(session.json()["well_known"]["m.homeserver"]["base_url"], "https://matrix.eng.ac.cdl");
    assert_eq!(session.header("access-control-allow-origin"), "*");
    assert_eq!(session.header("cache-control"), "no-store");
}

#[tokio::test]
async fn somebody_of_another_homeserver_is_told_so_and_gets_no_account_here() {
    let app = start().await;
    for has_been_here in [false, true] {
        let back = sign_in_at(&app, ENG, "carol").await;
        assert_eq!(
            (back.status.as_u16(), back.title()),
            (403, "Your account is somewhere else"),
            "{has_been_here}"
        );
        assert!(back.body.contains("hist.ac.cdl"), "{}", back.body);
        assert!(app.eng.users().is_empty(), "{has_been_here}");
        // And at their own they have one.
        let token = sign_in_at(&app, HIST, "carol").await.login_token();
        assert_eq!(post(&app, HIST, with_token(&token)).await.json()["user_id"], "@carol:hist.ac.cdl");
    }
}

#[tokio::test]
async fn a_token_is_good_at_the_portal_and_at_its_homeservers_host_and_nowhere_else() {
    let app = start().await;
    for (name, began_at) in [("begun here", ENG), ("begun at the portal", "")] {
        let sign_in = async || match began_at {
            "" => app.sign_in().as_person("alice").await.login_token(),
            host => sign_in_at(&app, host, "alice").await.login_token(),
        };
        let token = sign_in().await;
        for round in 0..2 {
            let elsewhere = post(&app, HIST, with_token(&token)).await;
            let got = (elsewhere.status.as_u16(), elsewhere.errcode());
            assert_eq!(got, (403, "M_FORBIDDEN".to_owned()), "{name}, {round}");
        }
        assert_eq!(post(&app, ENG, with_token(&token)).await.status, 200, "{name}: it is still good here");
        assert_eq!(post(&app, ENG, with_token(&token)).await.status, 403, "{name}: once");
        assert_eq!(app.redeem(&token).await.status, 403, "{name}: at the portal too");

        let token = sign_in().await;
        assert_eq!(app.redeem(&token).await.status, 200, "{name}: or at the portal");
        assert_eq!(post(&app, ENG, with_token(&token)).await.status, 403, "{name}: and then not here");
    }
    assert!(app.hist.users().is_empty() && app.hist.calls_to(Endpoint::Login).is_empty());
}

#[tokio::test]
async fn a_token_that_says_it_is_ours_and_is_not_is_refused_here() {
    let app = start().await;
    for token in ["ushl_", "ushl_AAAA", &format!("ushl_{}", "A".repeat(2000))] {
        let answer = post(&app, ENG, with_token(token)).await;
        assert_eq!((answer.status.as_u16(), answer.errcode().as_str()), (403, "M_FORBIDDEN"));
    }
    assert!(app.eng.calls().is_empty());
}

#[tokio::test]
async fn every_other_login_is_the_homeservers_byte_for_byte() {
    let app = start().await;
    let long =
        format!(r#"{{"type":"m.login.token","token":"ushl_x","padding":"{}"}}"#, "x".repeat(64 * 1024));
    let largest = format!(r#"{{"type":"m.login.password","padding":"{}"}}"#, "x".repeat(64 * 1024 - 40));
    for (name, body) in [
        ("a password", r#"{ "type":"m.login.password", "password":"p\u00f6",  "user":"alice"}"#.to_owned()),
        ("another's token", with_token("syl_alice")),
        (
            "an application service",
            r#"{"type":"m.login.application_service","identifier":{"type":"m.id.user","user":"bot"}}"#
                .to_owned(),
        ),
        ("two tokens", r#"{"type":"m.login.token","token":"syl_x","token":"ushl_x"}"#.to_owned()),
        ("no JSON", "user=alice&password=p".to_owned()),
        ("half a JSON", r#"{"type":"m.login.password""#.to_owned()),
        ("nothing", String::new()),
        ("as long as a login of ours can be", largest),
        ("longer", long),
    ] {
        app.eng.forget_calls();
        let before = app.rows("login_tokens").await;
        let request = app.request(Method::POST, &format!("{LOGIN}?x=%2F")).header("host", ENG);
        let answer = Answer::read(request.header("authorization", "Bearer its-own").body(body.clone())).await;
        let calls = app.eng.calls();
        assert_eq!(calls.len(), 1, "{name}: {}", answer.body);
        assert_eq!(calls[0].body, body.as_bytes(), "{name}");
        assert_eq!((calls[0].path.as_str(), calls[0].query.as_str()), (LOGIN, "x=%2F"), "{name}");
        assert_eq!(calls[0].headers["authorization"], "Bearer its-own", "{name}");
        assert!(!answer.headers.contains_key("x-request-id"), "{name}: the answer is the homeserver's own");
        assert_eq!(app.rows("login_tokens").await, before, "{name}");
    }
}

#[tokio::test]
async fn an_application_service_logs_in_as_before() {
    let app = start().await;
    app.eng.add_user("@bot:eng.ac.cdl");
    let body = json!({
        "type": "m.login.application_service",
        "identifier": { "type": "m.id.user", "user": "@bot:eng.ac.cdl" },
    });
    let request = app.request(Method::POST, LOGIN).header("host", ENG).bearer_auth(app.eng.as_token());
    let session = Answer::read(request.body(body.to_string())).await;
    assert_eq!((session.status.as_u16(), session.json()["user_id"].as_str()), (200, Some("@bot:eng.ac.cdl")));
    let token = session.json()["access_token"].as_str().expect("a token").to_owned();
    let path = "/_matrix/client/v3/account/whoami";
    let who = Answer::read(app.request(Method::GET, path).header("host", ENG).bearer_auth(token)).await;
    assert_eq!((who.status.as_u16(), who.json()["user_id"].as_str()), (200, Some("@bot:eng.ac.cdl")));
}

#[tokio::test]
async fn our_limits_are_for_what_is_ours() {
    let app = start_with(|config| {
        config["limits"]["login"] = json!({ "burst": 1, "per_second": 1 });
    })
    .await;
    for _ in 0..3 {
        assert_eq!(post(&app, ENG, with_token("syl_x")).await.status, 400, "the homeserver's own answer");
    }
    for _ in 0..3 {
        assert_eq!(post(&app, ENG, with_token("ushl_x")).await.status, 403, "made by nobody");
    }
    let token = app.sign_in().as_person("alice").await.login_token();
    assert_eq!(post(&app, ENG, with_token(&token)).await.status, 200);
    let limited = post(&app, ENG, with_token(&token)).await;
    assert_eq!((limited.status.as_u16(), limited.errcode().as_str()), (429, "M_LIMIT_EXCEEDED"));
    assert_eq!(post(&app, ENG, with_token("syl_x")).await.status, 400, "still the homeserver's own");
}

#[tokio::test]
async fn preflights_of_what_is_ours_need_no_homeserver() {
    let app = start().await;
    app.eng.stop().await.expect("stopped");
    for path in [LOGIN, REDIRECT, "/_matrix/client/r0/login/sso/redirect/corp"] {
        let answer = Answer::read(app.request(Method::OPTIONS, path).header("host", ENG)).await;
        assert_eq!(answer.status, 204, "{path}");
        assert_eq!(
            answer.header("access-control-allow-headers"),
            "X-Requested-With, Content-Type, Authorization"
        );
    }
}

#[tokio::test]
async fn the_portal_answers_nothing_of_its_own_at_a_homeservers_host() {
    let app = start().await;
    for path in [
        "/_usher/health",
        "/_usher/cas/corp/callback/x",
        "/_matrix/client/versions",
        "/.well-known/matrix/client",
    ] {
        let answer = get(&app, ENG, path).await;
        assert_eq!((answer.status.as_u16(), answer.errcode().as_str()), (404, "M_UNRECOGNIZED"), "{path}");
    }
    assert_eq!(app.eng.calls().len(), 4, "the homeserver has said so");
}

#[tokio::test]
async fn who_starts_again_or_picks_a_provider_is_still_bound_for_this_homeserver() {
    let app = start_with(|config| {
        let other = json!({ "id": "other", "name": "Other", "cas": config["providers"][0]["cas"] });
        config["providers"].as_array_mut().expect("providers").push(other);
    })
    .await;
    let path = format!("{REDIRECT}?redirectUrl=https%3A%2F%2Fapp.ac.cdl%2F&usher_homeserver=eng.ac.cdl");
    let picker = app.get(&path).await;
    assert_eq!(picker.status, 200);
    assert_eq!(picker.body.matches("usher_homeserver=eng.ac.cdl").count(), 2, "{}", picker.body);
    app.stop_cas();
    let encoded = "https%3A%2F%2Fapp.ac.cdl%2F";
    let begun = app.get(&format!("{REDIRECT}/corp?redirectUrl={encoded}&usher_homeserver=eng.ac.cdl")).await;
    let callback = url::Url::parse(begun.location()).expect("a URL");
    let service =
        callback.query_pairs().find(|(name, _)| name == "service").expect("a service").1.into_owned();
    let service = url::Url::parse(&service).expect("a URL");
    let path = format!("{}?ticket=ST-1", &service[url::Position::BeforePath..]);
    let failed =
        Answer::read(app.request(Method::GET, &path).header("cookie", begun.cookies().join("; "))).await;
    assert_eq!(failed.status, 503);
    assert!(failed.body.contains("usher_homeserver=eng.ac.cdl"), "{}", failed.body);
}
