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

async fn user_of(app: &TestApp, person: &str) -> String {
    let token = app.sign_in().as_person(person).await.login_token();
    app.redeem(&token).await.json()["user_id"].as_str().unwrap_or_default().to_owned()
}

async fn start(selection: serde_json::Value) -> TestApp {
    TestApp::start_with(|config| config["selection"] = selection).await
}

#[tokio::test]
async fn the_domain_of_an_address_decides() {
    let app = start(json!([{ "email_domain": { "attribute": "mail", "rows": [
        { "domain": "Ac.cdl", "homeserver": "eng.ac.cdl" },
        { "domain": "*.ac.cdl", "homeserver": "hist.ac.cdl" },
    ] } }]))
    .await;
    let person = |name: &str| usher_lab::scripted::cas::CasPerson::new(name);
    app.cas.add_person(person("dora").with("mail", "dora@home.example").with("mail", "dora@Arch.AC.cdl"));
    app.cas.add_person(person("dan").with("mail", "dan@evil-ac.cdl"));
    assert_eq!(user_of(&app, "alice").await, "@alice:eng.ac.cdl");
    assert_eq!(user_of(&app, "dora").await, "@dora:hist.ac.cdl");
    for nobody in ["dan", "frank"] {
        assert_eq!(app.sign_in().as_person(nobody).await.title(), "No homeserver for you yet", "{nobody}");
    }
}

#[tokio::test]
async fn everybody_else_goes_where_everybody_goes() {
    let app = start(json!([
        { "attribute": { "name": "department", "rows": [{ "value": "history", "homeserver": "hist.ac.cdl" }] } },
        { "fixed": { "homeserver": "eng.ac.cdl" } },
    ]))
    .await;
    assert_eq!(user_of(&app, "carol").await, "@carol:hist.ac.cdl", "the first that has an opinion");
    assert_eq!(user_of(&app, "frank").await, "@frank:eng.ac.cdl");
}

#[tokio::test]
async fn a_table_is_for_those_of_its_provider_and_issuer() {
    for (name, condition, is_for_her) in [
        ("her provider", json!({ "provider": "corp" }), true),
        ("another provider", json!({ "provider": "second" }), false),
        ("her issuer", json!({ "issuer": "ISSUER" }), true),
        ("another issuer", json!({ "issuer": "https://other.example/cas" }), false),
    ] {
        let app = TestApp::start_with(|config| {
            let mut second = config["providers"][0].clone();
            second["id"] = json!("second");
            config["providers"] = json!([config["providers"][0], second]);
            let issuer = config["providers"][0]["cas"]["base_url"]
                .as_str()
                .expect("a URL")
                .trim_end_matches('/')
                .to_owned();
            let mut table = json!({ "name": "department", "rows": [
                { "value": "engineering", "homeserver": "eng.ac.cdl" },
            ] });
            for (key, value) in condition.as_object().expect("a section") {
                table[key] = if value == "ISSUER" { json!(issuer) } else { value.clone() };
            }
            config["selection"] = json!([{ "attribute": table }]);
        })
        .await;
        let answer = app.sign_in().at("corp").as_person("alice").await;
        assert_eq!(answer.status.is_redirection(), is_for_her, "{name}: {}", answer.body);
    }
}

#[tokio::test]
async fn people_are_spread_by_hash_and_always_the_same_way() {
    let both = json!([{ "homeserver": "eng.ac.cdl" }, { "homeserver": "hist.ac.cdl" }]);
    let selection = json!([{ "rendezvous": { "homeservers": both } }]);
    for _ in 0..2 {
        let app = start(selection.clone()).await;
        // docs/mapping.md: alice is nearer to History, bob to Engineering.
        assert_eq!(user_of(&app, "alice").await, "@alice:hist.ac.cdl");
        assert_eq!(user_of(&app, "bob").await, "@bob:eng.ac.cdl");
    }
}

#[tokio::test]
async fn new_people_are_dealt_out_in_turn_and_stay_where_they_are() {
    let app = start(json!([{ "round_robin": { "homeservers": [
        { "homeserver": "eng.ac.cdl", "weight": 2 },
        { "homeserver": "hist.ac.cdl" },
    ] } }]))
    .await;
    let mut users = Vec::new();
    for number in 0..6 {
        let name = format!("p{number}");
        app.cas.add_person(usher_lab::scripted::cas::CasPerson::new(&name));
        users.push(user_of(&app, &name).await);
    }
    assert_eq!(
        users,
        [
            "@p0:eng.ac.cdl",
            "@p1:hist.ac.cdl",
            "@p2:eng.ac.cdl",
            "@p3:eng.ac.cdl",
            "@p4:hist.ac.cdl",
            "@p5:eng.ac.cdl"
        ]
    );
    for (number, user) in users.iter().enumerate() {
        assert_eq!(user_of(&app, &format!("p{number}")).await, *user);
    }
    assert_eq!(app.rows("turns WHERE turn = 5").await, 1, "who comes again draws nothing");
}

#[tokio::test]
async fn a_hundred_first_visits_at_once_are_dealt_one_homeserver() {
    let both = json!([{ "homeserver": "eng.ac.cdl" }, { "homeserver": "hist.ac.cdl" }]);
    let app = start(json!([{ "round_robin": { "homeservers": both } }])).await;
    let visits = (0..100).map(|_| async { app.sign_in().as_person("alice").await });
    for answer in futures_util::future::join_all(visits).await {
        assert!(answer.location().contains("loginToken="));
    }
    assert_eq!((app.rows("accounts").await, app.rows("links").await, app.rows("choices").await), (1, 1, 1));
    assert_eq!(app.eng.users().len() + app.hist.users().len(), 1);
}
