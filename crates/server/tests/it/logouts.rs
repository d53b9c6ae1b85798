//! Somebody is logged out at their provider: their sessions end at the homeserver, and logins under way come to nothing.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use url::Url;
use usher_lab::scripted::homeserver::{Endpoint, Fault};

use crate::{
    app::{Answer, TRUSTED, TestApp, UNTRUSTED},
    ports::{begin, post_in, start},
    ui_auth::{self, auth, client, session_of},
};

const ALICE: &str = "@alice:eng.ac.cdl";

async fn notify(app: &TestApp, fields: &[(&str, &str)]) -> Answer {
    Answer::read(app.request(Method::POST, "/_usher/posting/idp/slo").form(fields)).await
}

/// Signs alice in, in a session of the provider's of that name, on a device of that name.
async fn sign_in(app: &TestApp, device: &str) {
    sign_in_again(app, device, device).await;
}

/// The same in a session of another name.
async fn sign_in_again(app: &TestApp, device: &str, session: &str) {
    let back = post_in(app, &begin(app, TRUSTED).await, "alice", session, session).await;
    let body = json!({ "type": "m.login.token", "token": back.login_token(), "device_id": device });
    assert_eq!(app.post_login(&body).await.status, 200);
}

fn devices(app: &TestApp) -> Vec<String> {
    app.eng.user(ALICE).map(|person| person.devices.into_keys().collect()).unwrap_or_default()
}

async fn left(app: &TestApp, expected: &[&str]) {
    app.eventually("sessions have ended", async || {
        devices(app) == expected && app.rows("endings").await == 0
    })
    .await;
}

#[tokio::test]
async fn the_sessions_that_a_notice_is_about_end_and_no_others() {
    let app = start().await;
    for device in ["A", "B", "C"] {
        sign_in(&app, device).await;
    }
    let answer = notify(&app, &[("signature", "good"), ("key", "1"), ("session", "B")]).await;
    assert_eq!(
        (answer.status.as_u16(), answer.body.as_str(), answer.header("cache-control")),
        (200, "", "no-store")
    );
    left(&app, &["A", "C"]).await;
    let wrong = [("signature", "good"), ("key", "2"), ("session", "A"), ("subject", "bob")];
    assert_eq!(notify(&app, &wrong).await.status, 200);
    left(&app, &["A", "C"]).await;
    notify(&app, &[("signature", "good"), ("key", "3"), ("subject", "alice")]).await;
    left(&app, &[]).await;
    assert_eq!(
        app.column("SELECT device_id FROM sessions WHERE ended_at IS NOT NULL").await,
        ["A", "B", "C"]
    );
    app.clock.advance(Duration::from_secs(1));
    sign_in_again(&app, "A", "A, later").await;
    app.wake_endings();
    left(&app, &["A"]).await;
}

/// The same, brought by a browser.
async fn bring(app: &TestApp, fields: &[(&str, &str)]) -> Answer {
    Answer::read(app.request(Method::POST, "/_usher/posting/idp/browser-slo").form(fields)).await
}

#[tokio::test]
async fn a_browser_that_brings_a_notice_takes_back_what_became_of_it() {
    let app = start().await;
    for (device, session) in [("A", "alice/1"), ("B", "alice/2"), ("C", "alice/3"), ("D", "bob/1")] {
        sign_in_again(&app, device, session).await;
    }
    let both = [("signature", "good"), ("key", "1"), ("session", "alice/1"), ("session", "alice/3")];
    let answer = bring(&app, &both).await;
    assert_eq!((answer.status.as_u16(), answer.title()), (200, "On to your sign-in page"));
    assert!(answer.body.contains("name=\"answer\" value=\"ended\""), "{}", answer.body);
    let policy = answer.header("content-security-policy");
    assert!(policy.contains("frame-ancestors https://idp.example") && policy.contains("'none'"), "{policy}");
    assert_eq!(answer.header("x-frame-options"), "", "the provider may show it in a frame, and nobody else");
    left(&app, &["B", "D"]).await;
    bring(&app, &[("signature", "good"), ("key", "2"), ("session", "alice/")]).await;
    left(&app, &["D"]).await;
    app.clock.advance(Duration::from_secs(1));
    // A session of the same name: indexes may come again.
    let back = post_in(&app, &begin(&app, TRUSTED).await, "alice", "another assertion", "alice/1").await;
    let body = json!({ "type": "m.login.token", "token": back.login_token(), "device_id": "A" });
    assert_eq!(app.post_login(&body).await.status, 200);
    app.wake_endings();
    left(&app, &["A", "D"]).await;
    let unheeded = app.get("/_usher/posting/idp/browser-slo").await;
    assert_eq!((unheeded.status.as_u16(), unheeded.location()), (302, "https://idp.example/unheeded"));
}

#[tokio::test]
async fn a_person_whose_browser_brings_what_is_not_to_be_believed_is_told_so() {
    let app = start().await;
    sign_in(&app, "A").await;
    let good = [("signature", "good"), ("key", "1"), ("session", "B")];
    assert_eq!(bring(&app, &good).await.status, 200, "about somebody else");
    for (name, fields, title) in [
        ("unsigned", vec![("key", "2"), ("session", "A")], "Nothing was signed out here"),
        ("about nobody", vec![("signature", "good"), ("key", "3")], "Nothing was signed out here"),
        ("once more", good.to_vec(), "This was done already"),
    ] {
        let answer = bring(&app, &fields).await;
        assert_eq!((answer.status.as_u16(), answer.title()), (400, title), "{name}");
        assert_eq!(answer.header("x-frame-options"), "DENY", "{name}");
    }
    let id = usher_core::ProviderId::parse("idp").expect("an id");
    let provider = app.app.providers.get(&id).expect("configured");
    let all = u32::try_from(provider.hearing.available_permits()).expect("few");
    let heard = provider.hearing.try_acquire_many(all).expect("nobody sends any yet");
    let later = bring(&app, &[("signature", "good"), ("key", "4"), ("session", "A")]).await;
    assert_eq!((later.status.as_u16(), later.title()), (503, "You are not signed out here yet"));
    drop(heard);
    assert_eq!((devices(&app), app.rows("endings").await), (vec!["A".to_owned()], 0));
}

#[tokio::test]
async fn a_notice_that_is_not_to_be_believed_ends_nothing() {
    let app = start().await;
    sign_in(&app, "A").await;
    for (name, fields, status) in [
        ("unsigned", vec![("key", "1"), ("session", "A")], 400),
        ("about nobody", vec![("signature", "good"), ("key", "2")], 400),
        ("garbage", vec![("signature", "good"), ("signature", "good")], 400),
        ("about somebody else", vec![("signature", "good"), ("key", "3"), ("session", "B")], 200),
        ("replayed", vec![("signature", "good"), ("key", "3"), ("session", "A")], 400),
    ] {
        let answer = notify(&app, &fields).await;
        assert_eq!(answer.status.as_u16(), status, "{name}: {}", answer.body);
        if status == 400 {
            assert_eq!(answer.json()["error"], "invalid_request", "{name}");
            assert_eq!(answer.header("cache-control"), "no-store", "{name}");
        }
    }
    assert_eq!((devices(&app), app.rows("endings").await), (vec!["A".to_owned()], 0));
}

#[tokio::test]
async fn a_logout_kills_a_login_wherever_it_has_come_to() {
    for (name, fields) in [
        ("by session", [("signature", "good"), ("key", "1"), ("session", "S")]),
        ("by person", [("signature", "good"), ("key", "1"), ("subject", "alice")]),
    ] {
        let app = start().await;
        let issued = post_in(&app, &begin(&app, TRUSTED).await, "alice", "one", "S").await.login_token();
        let page = post_in(&app, &begin(&app, UNTRUSTED).await, "alice", "two", "S").await;
        assert_eq!(page.title(), "Continue to this site?", "{name}");
        let begun = begin(&app, TRUSTED).await;
        notify(&app, &fields).await;
        assert_eq!(app.redeem(&issued).await.errcode(), "M_FORBIDDEN", "{name}: a token");
        let value = |key: &str| {
            let after = page.body.split_once(&format!("name=\"{key}\" value=\"")).expect("a field").1;
            after.split_once('"').expect("its end").0.to_owned()
        };
        let form = [("provider", value("provider")), ("attempt", value("attempt")), ("csrf", value("csrf"))];
        let request =
            app.request(Method::POST, "/_usher/confirm").header("cookie", page.cookies().join("; "));
        let confirmed = Answer::read(request.form(&form)).await;
        assert_eq!(confirmed.title(), "This sign-in was used already", "{name}: a page that asks");
        let late = post_in(&app, &begun, "alice", "three", "S").await;
        assert_eq!(late.title(), "This sign-in was used already", "{name}: an answer that came late");
        app.clock.advance(Duration::from_millis(1));
        let fresh = post_in(&app, &begin(&app, TRUSTED).await, "alice", "four", "S2").await;
        assert_eq!(app.redeem(&fresh.login_token()).await.status, 200, "{name}: they sign in anew");
    }
}

#[tokio::test]
async fn notices_and_logins_do_not_keep_each_other_waiting() {
    let app = start().await;
    sign_in(&app, "A").await;
    let id = usher_core::ProviderId::parse("idp").expect("an id");
    let provider = app.app.providers.get(&id).expect("configured");
    let all = |semaphore: &tokio::sync::Semaphore| u32::try_from(semaphore.available_permits()).expect("few");
    let notice = [("signature", "good"), ("key", "1"), ("session", "A")];

    let heard = provider.hearing.try_acquire_many(all(&provider.hearing)).expect("nobody sends any yet");
    assert_eq!(notify(&app, &notice).await.status, 503, "as many as may be");
    sign_in(&app, "B").await;
    drop(heard);

    let verified = provider.verifying.try_acquire_many(all(&provider.verifying)).expect("nobody signs in");
    assert_eq!(notify(&app, &notice).await.status, 200, "many sign in");
    drop(verified);
}

#[tokio::test]
async fn a_logout_during_the_handoff_delivers_no_session() {
    let app = start().await;
    let token = post_in(&app, &begin(&app, TRUSTED).await, "alice", "one", "S").await.login_token();
    let hold = app.eng.hold_answer(Endpoint::Login);
    let redeeming = async { app.redeem(&token).await };
    let logging_out = async {
        hold.arrived().await;
        notify(&app, &[("signature", "good"), ("key", "1"), ("session", "S")]).await;
        hold.release();
    };
    let (answer, ()) = tokio::join!(redeeming, logging_out);
    assert_ne!(answer.status, 200, "{}", answer.body);
    assert!(!answer.body.contains("syt_"), "{}", answer.body);
    assert_eq!(answer.status, 403, "{}", answer.body);
    assert_eq!(app.redeem(&token).await.status, 403);
    left(&app, &[]).await;
    let sql = "SELECT device_id FROM sessions WHERE ended_at IS NOT NULL";
    app.eventually("what was opened has ended", async || app.column(sql).await.len() == 1).await;
}

#[tokio::test]
async fn a_homeserver_that_is_away_ends_the_session_when_it_is_back() {
    let app = start().await;
    sign_in(&app, "A").await;
    app.eng.set_fault(Endpoint::DeleteDevices, Fault::server_error());
    assert_eq!(notify(&app, &[("signature", "good"), ("key", "1"), ("session", "A")]).await.status, 200);
    let sql = "SELECT last_error FROM endings WHERE lease IS NULL AND last_error IS NOT NULL";
    app.eventually("it failed", async || app.column(sql).await == ["server-error"]).await;
    assert_eq!(devices(&app), ["A"]);
    app.eng.clear_fault(Endpoint::DeleteDevices);
    app.clock.advance(Duration::from_mins(1));
    app.wake_endings();
    left(&app, &[]).await;
}

#[tokio::test]
async fn sessions_are_kept_where_the_operator_says_so() {
    let app = TestApp::start_with(|config| {
        config["providers"] =
            json!([{ "id": "idp", "name": "IdP", "posting": {}, "on_logout": "keep_sessions" }]);
    })
    .await;
    sign_in(&app, "A").await;
    let waiting = post_in(&app, &begin(&app, TRUSTED).await, "alice", "two", "A").await.login_token();
    assert_eq!(notify(&app, &[("signature", "good"), ("key", "1"), ("session", "A")]).await.status, 200);
    assert_eq!(app.redeem(&waiting).await.status, 403, "a login under way comes to nothing all the same");
    assert_eq!((app.rows("endings").await, devices(&app)), (0, vec!["A".to_owned()]));
    let answer = bring(&app, &[("signature", "good"), ("key", "2"), ("session", "A")]).await;
    assert_eq!(answer.location(), "https://idp.example/kept", "and the provider is told");
}

impl TestApp {
    /// Everything that is due is looked at.
    fn wake_endings(&self) {
        for homeserver in self.app.homeservers.iter() {
            homeserver.endings.notify_one();
        }
    }
}

/// What a CAS server posts to a ticket's service URL.
fn cas_notice(ticket: &str) -> String {
    let request = format!(
        r#"<samlp:LogoutRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" ID="LR-1" Version="2.0" IssueInstant="2026-11-25T03:00:00Z"><saml:NameID xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"></saml:NameID><samlp:SessionIndex>{ticket}</samlp:SessionIndex></samlp:LogoutRequest>"#
    );
    url::form_urlencoded::Serializer::new(String::new()).append_pair("logoutRequest", &request).finish()
}

async fn post_cas(app: &TestApp, path: &str, ticket: &str) -> Answer {
    let request = app.request(Method::POST, path).header("content-type", "application/x-www-form-urlencoded");
    Answer::read(request.body(cas_notice(ticket))).await
}

/// Signs alice in at the CAS server: the callback's path, the ticket, and the login token.
async fn at_cas(app: &TestApp) -> (String, String, String) {
    let at_provider = app.sign_in().at_provider().await;
    let callback: Url = at_provider.callback_for("alice");
    let ticket = callback.query_pairs().find(|(name, _)| name == "ticket").expect("a ticket").1.into_owned();
    let token = at_provider.open(&callback).await.login_token();
    (callback.path().to_owned(), ticket, token)
}

#[tokio::test]
async fn a_cas_servers_single_logout_ends_the_session_of_its_ticket() {
    let app = TestApp::start().await;
    let (path, ticket, token) = at_cas(&app).await;
    let body = json!({ "type": "m.login.token", "token": token, "device_id": "A" });
    assert_eq!(app.post_login(&body).await.status, 200);
    let (other_path, other_ticket, waiting) = at_cas(&app).await;
    for (name, path, ticket) in [
        ("a ticket that nobody has", path.as_str(), "ST-made-up"),
        ("another attempt's path and a ticket of nobody", other_path.as_str(), "ST-made-up"),
    ] {
        assert_eq!(post_cas(&app, path, ticket).await.status, 200, "{name}");
        assert_eq!(
            (app.rows("logouts").await, app.rows("endings").await),
            (0, 0),
            "{name}: no row for strangers"
        );
    }
    assert_eq!(post_cas(&app, &path, &ticket).await.status, 200);
    left(&app, &[]).await;
    assert_eq!(post_cas(&app, &other_path, &other_ticket).await.status, 200);
    assert_eq!(app.redeem(&waiting).await.status, 403, "and of a login that is under way");
    let request = app.request(Method::POST, &path).form(&[("logoutRequest", "<x/>")]);
    assert_eq!(Answer::read(request).await.status, 400);
}

const GET_TOKEN: &str = "/_matrix/client/v1/login/get_token";

#[tokio::test]
async fn a_login_token_that_was_asked_for_is_begun_when_its_person_signs_in_again() {
    let app = ui_auth::start().await;
    let phone = client(&app, "alice", "PHONE").await;
    let get_token =
        async |body: String| Answer::read(phone.request(Method::POST, GET_TOKEN).body(body)).await;
    let second = Duration::from_secs(1);
    // Everywhere, by a notice that is about her and no session.
    let logged_out = async |id: &str| {
        app.clock.advance(second);
        let now = usher_server::clock::Clock::now(&*app.clock).as_millis();
        let sql = format!(
            "INSERT INTO logouts (logout_id, provider, issuer, subject, upstream_session_hash, ends_sessions, received_at, keep_until)
             SELECT '{id}', provider, issuer, subject, NULL, 0, {now}, {now} + 1000000 FROM links"
        );
        app.sql(&sql).await;
        app.clock.advance(second);
    };
    let session = session_of(&get_token("{}".to_owned()).await);
    logged_out("before").await;
    phone.browser(&session).confirmed_by("alice").await;
    let given = get_token(auth(&session).to_string()).await;
    assert_eq!(given.status, 200, "she has signed in since: {}", given.body);
    let body = json!({ "type": "m.login.token", "token": given.json()["login_token"] });
    assert_eq!(app.post_login(&body).await.status, 200);

    let session = session_of(&get_token("{}".to_owned()).await);
    phone.browser(&session).confirmed_by("alice").await;
    logged_out("after").await;
    assert_eq!(get_token(auth(&session).to_string()).await.status, 403, "and she has not signed in since");
}

#[tokio::test]
async fn a_logout_outlasts_whatever_was_confirmed_before_and_reaches_it() {
    let app = ui_auth::start_with(|config| config["ui_auth"] = json!({ "session_lifetime": "60m" })).await;
    let phone = client(&app, "alice", "PHONE").await;
    let get_token =
        async |body: String| Answer::read(phone.request(Method::POST, GET_TOKEN).body(body)).await;
    let session = session_of(&get_token("{}".to_owned()).await);
    let mut asked = phone.browser(&session).asked().await;
    let callback: Url = app.cas.log_in(&asked.clicked().await, "alice").expect("a ticket");
    let way_back = callback[url::Position::BeforePath..].to_owned();
    assert_eq!(asked.browser.open(Method::GET, &way_back, None).await.status, 302);
    let ticket = callback.query_pairs().find(|(name, _)| name == "ticket").expect("a ticket").1.into_owned();
    assert_eq!(post_cas(&app, callback.path(), &ticket).await.status, 200);
    let kept = "SELECT CAST((keep_until - received_at) / 60000 AS TEXT) FROM logouts";
    assert_eq!(app.column(kept).await, ["62"], "for as long as it waits, and its token");
    app.clock.advance(Duration::from_mins(50));
    assert_eq!(get_token(auth(&session).to_string()).await.status, 403);
    assert_eq!(app.rows("login_tokens WHERE state = 'issued'").await, 0);
}
