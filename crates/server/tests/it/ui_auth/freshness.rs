//! Who signs in, and how freshly: the session's own person, anew.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use usher_lab::scripted::cas::CasPerson;

use super::{auth, client, deeds, failure_of, session_of, start, start_with};
use crate::app::Answer;

#[tokio::test]
async fn the_provider_is_asked_for_new_credentials_at_both_ends() {
    let app = start().await;
    let phone = client(&app, "alice", "PHONE").await;
    let session = phone.session_to_delete("PHONE").await;
    let mut asked = phone.browser(&session).asked().await;
    let login = asked.clicked().await;
    assert!(login.query_pairs().any(|(name, value)| name == "renew" && value == "true"), "{login}");
}

#[tokio::test]
async fn another_person_confirms_nothing_and_the_right_one_still_can() {
    let app = start().await;
    let phone = client(&app, "alice", "PHONE").await;
    client(&app, "bob", "BOBS").await;
    client(&app, "carol", "CAROLS").await;
    let session = phone.session_to_delete("PHONE").await;
    let accounts = app.rows("accounts").await;
    for (name, person) in [
        ("somebody else of this homeserver", "bob"),
        ("somebody of another homeserver", "carol"),
        ("somebody without an account", "erin"),
    ] {
        let back = phone.browser(&session).confirmed_by(person).await;
        assert_eq!((back.status.as_u16(), back.title()), (403, "Somebody else is signed in"), "{name}");
        assert!(
            back.body.replace("&#x2f;", "/").contains("/_usher/ui-auth/"),
            "{name}: the way back to the page"
        );
        let (waiting, said) = failure_of(&phone.delete_device("PHONE", &auth(&session)).await);
        assert_eq!(waiting, session, "{name}");
        assert!(said.contains("Somebody else signed in"), "{name}: {said}");
    }
    assert_eq!(app.rows("accounts").await, accounts, "nobody got an account by it");
    assert_eq!(deeds(&app), 0);
    phone.browser(&session).confirmed_by("alice").await;
    assert_eq!(phone.delete_device("PHONE", &auth(&session)).await.status, 200);
}

#[tokio::test]
async fn a_provider_that_proves_nothing_confirms_nothing_unless_the_operator_says_so() {
    for (name, is_enough, status) in [("by default", false, 403), ("on the operator's word", true, 302)] {
        let app = start_with(|config| {
            config["providers"][0]["live_session_is_enough"] = json!(is_enough);
        })
        .await;
        let phone = client(&app, "alice", "PHONE").await;
        let session = phone.session_to_delete("PHONE").await;
        let mut asked = phone.browser(&session).asked().await;
        let login = asked.clicked().await;
        assert_eq!(login.query_pairs().any(|(name, _)| name == "renew"), !is_enough, "{name}");
        // A session that she still has at the CAS server, and no credentials.
        let mut live = login.clone();
        let kept: Vec<_> = login
            .query_pairs()
            .filter(|(name, _)| name != "renew")
            .map(|(n, v)| (n.into_owned(), v.into_owned()))
            .collect();
        live.query_pairs_mut().clear().extend_pairs(kept);
        let callback = app.cas.log_in(&live, "alice").expect("a ticket");
        let back = asked.browser.open(Method::GET, &callback[url::Position::BeforePath..], None).await;
        assert_eq!(back.status.as_u16(), status, "{name}: {}", back.body);
        let after = phone.delete_device("PHONE", &auth(&session)).await;
        assert_eq!(after.status, if is_enough { 200 } else { 401 }, "{name}: {}", after.body);
    }
}

#[tokio::test]
async fn attempts_of_logins_and_of_ui_auth_are_not_each_others() {
    let app = start().await;
    let phone = client(&app, "alice", "PHONE").await;
    let session = phone.session_to_delete("PHONE").await;
    let mut asked = phone.browser(&session).asked().await;
    let for_ui_auth = asked.clicked().await;
    let for_login = app.sign_in().at_provider().await;
    let own = |cookies: &[String]| {
        let is_attempt = |cookie: &&String| cookie.starts_with("__Host-usher-") && !cookie.contains("-page=");
        cookies.iter().find(is_attempt).expect("a cookie").clone()
    };
    let (login_cookie, ui_auth_cookie) = (own(&for_login.cookies), own(&asked.browser.cookies));
    let named = |value_of: &str, name_of: &str| {
        let (name, value) =
            (name_of.split_once('=').expect("a cookie").0, value_of.split_once('=').expect("a cookie").1);
        format!("{name}={value}")
    };
    for (name, login, cookie) in [
        ("the login's cookie under the other's name", &for_ui_auth, named(&login_cookie, &ui_auth_cookie)),
        ("the other's under the login's name", &for_login.login, named(&ui_auth_cookie, &login_cookie)),
        ("the login's cookie alone", &for_ui_auth, login_cookie.clone()),
        ("the other's alone", &for_login.login, ui_auth_cookie.clone()),
    ] {
        let callback = app.cas.log_in(login, "alice").expect("a ticket");
        let mut browser = asked.browser.clone();
        browser.cookies = vec![cookie];
        let back = browser.open(Method::GET, &callback[url::Position::BeforePath..], None).await;
        assert_eq!((back.status.as_u16(), back.title()), (400, "This sign-in cannot be continued"), "{name}");
    }
    assert_eq!(session_of(&phone.delete_device("PHONE", &auth(&session)).await), session);
}

#[tokio::test]
async fn grace_is_for_device_deletions_on_the_device_that_proved_itself() {
    let app = start_with(|config| config["ui_auth"] = json!({ "grace": "5m" })).await;
    let phone = client(&app, "alice", "PHONE").await;
    let laptop = client(&app, "alice", "LAPTOP").await;
    for device in ["A", "B", "C", "D"] {
        client(&app, "alice", device).await;
    }
    let session = phone.session_to_delete("A").await;
    phone.browser(&session).confirmed_by("alice").await;
    assert_eq!(phone.delete_device("A", &auth(&session)).await.status, 200);
    assert_eq!(phone.delete_device("B", &json!({})).await.status, 200, "within grace");
    assert_eq!(
        phone.post("/delete_devices", &json!({ "devices": ["C"] })).await.status,
        200,
        "both endpoints"
    );
    session_of(&laptop.delete_device("D", &json!({})).await);
    session_of(&phone.post("/account/deactivate", &json!({})).await);
    let get_token = phone.request(Method::POST, "/_matrix/client/v1/login/get_token").body("{}");
    session_of(&Answer::read(get_token).await);
    app.clock.advance(Duration::from_mins(5));
    session_of(&phone.delete_device("D", &json!({})).await);
    assert!(phone.has_device("D") && !phone.has_device("B") && !phone.has_device("C"));
}

#[tokio::test]
async fn without_grace_every_deletion_is_asked_about() {
    let app = start().await;
    let phone = client(&app, "alice", "PHONE").await;
    for device in ["A", "B"] {
        client(&app, "alice", device).await;
    }
    let session = phone.session_to_delete("A").await;
    phone.browser(&session).confirmed_by("alice").await;
    assert_eq!(phone.delete_device("A", &auth(&session)).await.status, 200);
    session_of(&phone.delete_device("B", &json!({})).await);
}

#[tokio::test]
async fn a_live_session_gives_no_grace() {
    let app = start_with(|config| {
        config["ui_auth"] = json!({ "grace": "5m" });
        config["providers"][0]["live_session_is_enough"] = json!(true);
    })
    .await;
    let phone = client(&app, "alice", "PHONE").await;
    for device in ["A", "B"] {
        client(&app, "alice", device).await;
    }
    let session = phone.session_to_delete("A").await;
    phone.browser(&session).confirmed_by("alice").await;
    assert_eq!(phone.delete_device("A", &auth(&session)).await.status, 200);
    session_of(&phone.delete_device("B", &json!({})).await);
}

#[tokio::test]
async fn whoever_may_not_sign_in_any_more_confirms_nothing() {
    let staff = json!([{ "attribute": "affiliation", "contains": "staff" }]);
    let dora = |affiliation: &str| {
        CasPerson::new("dora").with("department", "engineering").with("affiliation", affiliation)
    };
    for (place, title) in
        [("providers", "You may not sign in here"), ("homeservers", "You may not use your homeserver")]
    {
        let app = start_with(|config| config[place][0]["require"] = staff.clone()).await;
        app.cas.add_person(dora("staff"));
        let phone = client(&app, "dora", "PHONE").await;
        let path = "/_matrix/client/v1/login/get_token";
        let get_token = async |body: String| Answer::read(phone.request(Method::POST, path).body(body)).await;
        let session = session_of(&get_token("{}".to_owned()).await);
        app.cas.add_person(dora("guest"));
        let back = phone.browser(&session).confirmed_by("dora").await;
        assert_eq!((back.status.as_u16(), back.title()), (403, title), "{place}");
        let again = get_token(auth(&session).to_string()).await;
        assert_eq!(failure_of(&again).0, session, "{place}: it is not confirmed");
        app.cas.add_person(dora("staff"));
        assert_eq!(phone.browser(&session).confirmed_by("dora").await.status, 302, "{place}");
        assert_eq!(get_token(auth(&session).to_string()).await.status, 200, "{place}");
    }
}
