//! CASES "Mapping and selection", the part that selects.

use serde_json::json;

use crate::app::TestApp;

#[tokio::test]
async fn people_of_two_departments_land_on_their_own_homeservers() {
    let app = TestApp::start().await;
    for (person, user, base_url) in [
        ("alice", "@alice:eng.ac.cdl", "https://matrix.eng.ac.cdl"),
        ("carol", "@carol:hist.ac.cdl", "https://matrix.hist.ac.cdl"),
    ] {
        let token = app.sign_in().as_person(person).await.login_token();
        let answer = app.redeem(&token).await.json();
        assert_eq!(answer["user_id"], user);
        assert_eq!(answer["well_known"], json!({ "m.homeserver": { "base_url": base_url } }), "{person}");
    }
}

#[tokio::test]
async fn somebody_without_a_homeserver_is_told_and_leaves_nothing() {
    let app = TestApp::start().await;
    for person in ["erin", "frank"] {
        let answer = app.sign_in().as_person(person).await;
        assert_eq!((answer.status.as_u16(), answer.title()), (403, "No homeserver for you yet"), "{person}");
        assert!(!answer.body.contains("redirectUrl"), "starting again would not help");
    }
    for table in ["accounts", "links", "choices", "login_tokens"] {
        assert_eq!(app.rows(table).await, 0, "{table}");
    }
    assert!(app.eng.users().is_empty() && app.hist.users().is_empty());
}

#[tokio::test]
async fn a_sticky_person_stays_when_their_attribute_moves() {
    let app = TestApp::start().await;
    let first = app.sign_in().as_person("alice").await.login_token();
    assert_eq!(app.redeem(&first).await.json()["user_id"], "@alice:eng.ac.cdl");
    let moved = usher_lab::scripted::cas::CasPerson::new("alice").with("department", "history");
    app.cas.add_person(moved);
    let second = app.sign_in().as_person("alice").await.login_token();
    assert_eq!(app.redeem(&second).await.json()["user_id"], "@alice:eng.ac.cdl");
    assert_eq!(app.rows("links").await, 1);
}

#[tokio::test]
async fn without_sticky_they_get_a_second_account_and_find_the_first_again() {
    let app = TestApp::start_with(|config| {
        config["selection"] = json!([config["selection"][1]]);
    })
    .await;
    let department = |name: &str| usher_lab::scripted::cas::CasPerson::new("alice").with("department", name);
    for (name, user) in [
        ("engineering", "@alice:eng.ac.cdl"),
        ("history", "@alice:hist.ac.cdl"),
        ("engineering", "@alice:eng.ac.cdl"),
    ] {
        app.cas.add_person(department(name));
        let token = app.sign_in().as_person("alice").await.login_token();
        assert_eq!(app.redeem(&token).await.json()["user_id"], user);
    }
    assert_eq!(app.rows("links").await, 2);
}

#[tokio::test]
async fn a_user_table_decides_for_those_it_names() {
    let app = TestApp::start_with(|config| {
        let users = json!({ "users": { "provider": "corp", "homeservers": { "frank": "hist.ac.cdl" } } });
        config["selection"].as_array_mut().expect("a list").push(users);
    })
    .await;
    let token = app.sign_in().as_person("frank").await.login_token();
    assert_eq!(app.redeem(&token).await.json()["user_id"], "@frank:hist.ac.cdl");
    assert_eq!(app.sign_in().as_person("erin").await.title(), "No homeserver for you yet");
}

#[tokio::test]
async fn further_content_of_well_known_reaches_the_client() {
    let app = TestApp::start_with(|config| {
        config["homeservers"][0]["well_known"] =
            json!({ "m.identity_server": { "base_url": "https://id.ac.cdl" } });
    })
    .await;
    let token = app.sign_in().as_person("alice").await.login_token();
    assert_eq!(
        app.redeem(&token).await.json()["well_known"],
        json!({
            "m.homeserver": { "base_url": "https://matrix.eng.ac.cdl" },
            "m.identity_server": { "base_url": "https://id.ac.cdl" },
        })
    );
}

#[tokio::test]
async fn a_homeserver_that_is_gone_from_the_config_is_said_and_nobody_is_moved() {
    let app = TestApp::start().await;
    let earlier = app.sign_in().as_person("alice").await.login_token();
    let gone = "UPDATE choices SET server_name = 'gone.ac.cdl'";
    app.sql(gone).await;
    let answer = app.sign_in().as_person("alice").await;
    assert_eq!((answer.status.as_u16(), answer.title()), (403, "Your homeserver is not served here"));
    assert!(answer.body.contains("gone.ac.cdl"), "{}", answer.body);
    // A token that was issued before the homeserver went.
    app.sql(
        "PRAGMA foreign_keys = OFF;
         UPDATE accounts SET mxid = '@alice:gone.ac.cdl', server_name = 'gone.ac.cdl';
         UPDATE links SET mxid = '@alice:gone.ac.cdl', server_name = 'gone.ac.cdl';
         UPDATE login_tokens SET mxid = '@alice:gone.ac.cdl', audience = 'gone.ac.cdl'",
    )
    .await;
    let answer = app.redeem(&earlier).await;
    assert_eq!((answer.status.as_u16(), answer.errcode().as_str()), (403, "M_FORBIDDEN"));
}
