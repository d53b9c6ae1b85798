//! Each endpoint that needs UI auth, for people who are linked.

use reqwest::Method;
use serde_json::{Value, json};
use usher_lab::scripted::homeserver::{Account, Endpoint, Fault};

use super::{ENG, HIST, auth, client, session_of, start, start_with};
use crate::app::Answer;

fn keys(user: &str, name: &str) -> Value {
    let key = |usage: &str| json!({ "user_id": user, "usage": [usage], "keys": { format!("ed25519:{name}"): name } });
    json!({ "master_key": key("master"), "self_signing_key": key("self_signing"), "user_signing_key": key("user_signing") })
}

#[tokio::test]
async fn cross_signing_keys_are_asked_about_when_the_homeserver_would_ask() {
    let app = start().await;
    let phone = client(&app, "alice", "PHONE").await;
    let upload = "/keys/device_signing/upload";
    let (first, other) = (keys(&phone.user, "one"), keys(&phone.user, "two"));
    for (name, expected) in [("a first upload", 200), ("the same keys again", 200)] {
        let answer = phone.post(upload, &first).await;
        assert_eq!((answer.status.as_u16(), answer.json()), (expected, json!({})), "{name}");
    }
    assert_eq!(app.rows("ui_auth_sessions").await, 0, "nobody was asked");
    let session = session_of(&phone.post(upload, &other).await);
    let current =
        |app: &crate::app::TestApp| app.eng.user("@alice:eng.ac.cdl").expect("she is there").cross_signing;
    assert_eq!(current(&app)["master_key"], first["master_key"], "nothing is changed yet");
    phone.browser(&session).confirmed_by("alice").await;
    let mut changed = keys(&phone.user, "three");
    changed["auth"] = json!({ "session": session });
    assert_eq!(phone.post(upload, &changed).await.status, 403, "other keys than those that were confirmed");
    assert_eq!(phone.post(upload, &auth(&session)).await.status, 200);
    assert_eq!(current(&app)["master_key"], other["master_key"]);

    // Asked with her own token: the homeserver's own words, whatever it says.
    for (status, errcode) in [(400, "M_INVALID_PARAM"), (403, "M_USER_SUSPENDED"), (401, "M_UNKNOWN_TOKEN")] {
        app.eng.set_fault(Endpoint::CrossSigning, Fault::error(status, errcode, "no"));
        let answer = phone.post(upload, &first).await;
        assert_eq!((answer.status.as_u16(), answer.errcode().as_str()), (status, errcode));
    }
}

#[tokio::test]
async fn an_account_is_deactivated_once_its_person_says_so() {
    let app = start().await;
    let phone = client(&app, "alice", "PHONE").await;
    let body = json!({ "erase": true, "x": "not for the homeserver" });
    let session = session_of(&phone.post("/account/deactivate", &body).await);
    phone.browser(&session).confirmed_by("alice").await;
    assert_eq!(phone.post("/account/deactivate", &auth(&session)).await.status, 200);
    let calls = app.eng.calls_to(Endpoint::Deactivate);
    assert_eq!(serde_json::from_slice::<Value>(&calls[0].body).expect("JSON"), json!({ "erase": true }));
    assert_eq!(app.eng.user(&phone.user).map(|person| person.account), Some(Account::Deactivated));
    assert_eq!(phone.post("/account/deactivate", &auth(&session)).await.status, 401, "her token is gone");
    let token = app.sign_in().as_person("alice").await.login_token();
    assert_eq!(app.redeem(&token).await.errcode(), "M_USER_DEACTIVATED", "and she is told so");
}

#[tokio::test]
async fn an_address_is_added_once_its_person_says_so() {
    let app = start().await;
    let phone = client(&app, "alice", "PHONE").await;
    for (path, body, (secret, sid, email)) in [
        ("/account/3pid/add", json!({ "client_secret": "c1", "sid": "1" }), ("c1", "1", "one@ac.cdl")),
        (
            "/account/3pid",
            json!({ "three_pid_creds": { "client_secret": "c2", "sid": "2" } }),
            ("c2", "2", "two@ac.cdl"),
        ),
    ] {
        let session = session_of(&phone.post(path, &body).await);
        phone.browser(&session).confirmed_by("alice").await;
        let early = phone.post(path, &auth(&session)).await;
        assert_eq!(early.status, 400, "{path}: nobody has read the mail yet: {}", early.body);
        app.eng.validate_email(secret, sid, email);
        let done = phone.post(path, &auth(&session)).await;
        assert_eq!(done.status, 200, "{path}: the session was given back: {}", done.body);
        assert!(
            app.eng.user(&phone.user).expect("she is there").emails.contains(&email.to_owned()),
            "{path}"
        );
    }
    for path in ["/account/3pid/add", "/account/3pid"] {
        assert_eq!(phone.post(path, &json!({ "sid": "1" })).await.errcode(), "M_MISSING_PARAM", "{path}");
    }
}

#[tokio::test]
async fn a_login_token_is_ours_and_good_at_its_homeserver_alone() {
    let app = start().await;
    let phone = client(&app, "alice", "PHONE").await;
    let get_token = async |body: &Value| {
        let path = "/_matrix/client/v1/login/get_token";
        Answer::read(phone.request(Method::POST, path).body(body.to_string())).await
    };
    let first = session_of(&get_token(&json!({})).await);
    phone.browser(&first).confirmed_by("alice").await;
    let answer = get_token(&auth(&first)).await.json();
    assert_eq!(answer["expires_in_ms"], 120_000);
    let token = answer["login_token"].as_str().expect("a token").to_owned();
    assert!(token.starts_with("ushl_"));
    assert_ne!(session_of(&get_token(&json!({})).await), first, "asked anew each time");
    assert_eq!(get_token(&auth(&first)).await.status, 403, "once");
    let log_in = async |host: &str| {
        let body = json!({ "type": "m.login.token", "token": token, "device_id": "NEW" }).to_string();
        Answer::read(app.request(Method::POST, "/_matrix/client/v3/login").header("host", host).body(body))
            .await
    };
    assert_eq!(log_in(HIST).await.status, 403);
    let session = log_in(ENG).await;
    assert_eq!(
        (session.status.as_u16(), session.json()["user_id"].as_str()),
        (200, Some("@alice:eng.ac.cdl"))
    );
    assert_eq!(log_in(ENG).await.status, 403, "once");
    assert!(phone.has_device("NEW"));
    assert!(app.eng.calls_to(Endpoint::LoginToken).is_empty(), "the homeserver would answer 500");
    let unstable = "/_matrix/client/unstable/org.matrix.msc3882/login/get_token";
    session_of(&Answer::read(phone.request(Method::POST, unstable).body("{}")).await);
}

#[tokio::test]
async fn linked_people_have_no_password_unless_the_operator_says_so() {
    let app = start().await;
    let phone = client(&app, "alice", "PHONE").await;
    for body in [
        json!({ "new_password": "x" }),
        json!({ "auth": { "session": "own_session_0" } }),
        json!({ "auth": { "session": "ushu_x" } }),
    ] {
        let answer = phone.post("/account/password", &body).await;
        assert_eq!((answer.status.as_u16(), answer.errcode().as_str()), (403, "M_FORBIDDEN"), "{body}");
        assert!(answer.json()["error"].as_str().is_some_and(|said| said.contains("single sign-on")));
    }
    assert!(app.eng.calls_to(Endpoint::Password).is_empty());

    let app = start_with(|config| config["ui_auth"] = json!({ "password": "pass_through" })).await;
    let phone = client(&app, "alice", "PHONE").await;
    let answer = phone.post("/account/password", &json!({ "new_password": "x" })).await;
    assert_eq!(answer.status, 401);
    assert!(answer.json()["session"].as_str().is_some_and(|session| session.starts_with("own_session")));
    assert_eq!(app.eng.calls_to(Endpoint::Password).len(), 1);
}

#[tokio::test]
async fn capabilities_are_told_right_to_linked_people_and_untouched_to_others() {
    let app = start().await;
    let phone = client(&app, "alice", "PHONE").await;
    app.eng.set_password("@pat:eng.ac.cdl", "secret");
    let pat = phone.with_token(&app.eng.open_session("@pat:eng.ac.cdl", "PATS", None));
    let told = async |client: &super::Client<'_>| {
        Answer::read(client.request(Method::GET, "/_matrix/client/v3/capabilities")).await.json()
    };
    let theirs = told(&pat).await;
    let mut expected = theirs.clone();
    expected["capabilities"]["m.get_login_token"] = json!({ "enabled": true });
    expected["capabilities"]["m.change_password"] = json!({ "enabled": false });
    assert_eq!(told(&phone).await, expected);
    assert_ne!(theirs, expected, "or this test says nothing");
    let nobody =
        Answer::read(app.request(Method::GET, "/_matrix/client/v3/capabilities").header("host", ENG)).await;
    assert_eq!(nobody.errcode(), "M_MISSING_TOKEN", "the homeserver's own answer");
}
