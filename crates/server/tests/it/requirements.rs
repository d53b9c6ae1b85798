//! What must be true of a person before they may use a provider or a homeserver.

use serde_json::{Value, json};
use usher_lab::scripted::cas::CasPerson;

use crate::app::TestApp;

fn staff() -> Value {
    json!([{ "attribute": "affiliation", "contains": "staff" }, { "attribute": "mail", "exists": true }])
}

fn person(name: &str, affiliation: &str) -> CasPerson {
    CasPerson::new(name)
        .with("department", "engineering")
        .with("affiliation", affiliation)
        .with("mail", format!("{name}@ac.cdl"))
}

#[tokio::test]
async fn a_provider_lets_in_whom_it_is_told_to_at_every_sign_in() {
    let app = TestApp::start_with(|config| config["providers"][0]["require"] = staff()).await;
    app.cas.add_person(person("dora", "guest"));
    app.cas.add_person(CasPerson::new("dan").with("department", "engineering").with("affiliation", "staff"));
    for (name, who) in [("another value", "dora"), ("one of two", "dan"), ("neither", "alice")] {
        let answer = app.sign_in().as_person(who).await;
        assert_eq!((answer.status.as_u16(), answer.title()), (403, "You may not sign in here"), "{name}");
    }
    for table in ["accounts", "links", "choices", "login_tokens", "pending"] {
        assert_eq!(app.rows(table).await, 0, "{table}");
    }
    app.cas.add_person(person("dora", "guest").with("affiliation", "staff"));
    let token = app.sign_in().as_person("dora").await.login_token();
    assert_eq!(app.redeem(&token).await.json()["user_id"], "@dora:eng.ac.cdl");
    app.cas.add_person(person("dora", "guest"));
    assert_eq!(app.sign_in().as_person("dora").await.title(), "You may not sign in here", "she left");
}

#[tokio::test]
async fn whom_a_homeserver_does_not_admit_is_told_and_sent_nowhere_else() {
    let fixed = json!({ "fixed": { "homeserver": "hist.ac.cdl" } });
    for (name, selection) in [
        ("an attribute's row", Value::Null),
        ("fixed", json!([{ "fixed": { "homeserver": "eng.ac.cdl" } }])),
        (
            "a user's row",
            json!([{ "users": { "provider": "corp", "homeservers": { "dora": "eng.ac.cdl" } } }, fixed]),
        ),
        (
            "a domain",
            json!([{ "email_domain": { "attribute": "mail", "rows": [
            { "domain": "ac.cdl", "homeserver": "eng.ac.cdl" },
        ] } }, fixed]),
        ),
    ] {
        let app = TestApp::start_with(|config| {
            config["homeservers"][0]["require"] = staff();
            if !selection.is_null() {
                config["selection"] = selection;
            }
        })
        .await;
        app.cas.add_person(person("dora", "guest"));
        let answer = app.sign_in().as_person("dora").await;
        assert_eq!(
            (answer.status.as_u16(), answer.title()),
            (403, "You may not use your homeserver"),
            "{name}"
        );
        assert!(answer.body.contains("eng.ac.cdl"), "{name}: {}", answer.body);
        assert_eq!((app.rows("accounts").await, app.rows("choices").await), (0, 0), "{name}");
        assert!(app.eng.users().is_empty() && app.hist.users().is_empty(), "{name}");
        app.cas.add_person(person("dora", "staff"));
        let token = app.sign_in().as_person("dora").await.login_token();
        assert_eq!(app.redeem(&token).await.json()["user_id"], "@dora:eng.ac.cdl", "{name}");
    }
}

#[tokio::test]
async fn a_sticky_person_who_is_not_admitted_any_more_is_told_and_not_moved() {
    let app = TestApp::start_with(|config| {
        config["homeservers"][0]["require"] = staff();
        config["selection"] = json!([{ "sticky": {} }, { "ask": {} }]);
        config["homeservers"][1]["new_accounts"] = json!(false);
    })
    .await;
    app.cas.add_person(person("dora", "staff"));
    let token = app.sign_in().as_person("dora").await.login_token();
    assert_eq!(app.redeem(&token).await.json()["user_id"], "@dora:eng.ac.cdl", "the only one that is open");
    app.cas.add_person(person("dora", "guest"));
    assert_eq!(app.sign_in().as_person("dora").await.title(), "You may not use your homeserver");
    assert_eq!(app.rows("accounts").await, 1);
}

#[tokio::test]
async fn nobody_is_dealt_or_spread_to_a_homeserver_that_does_not_admit_them() {
    let both = json!([{ "homeserver": "eng.ac.cdl", "weight": 1000 }, { "homeserver": "hist.ac.cdl" }]);
    for (name, selector) in [
        ("rendezvous", json!({ "rendezvous": { "homeservers": both } })),
        ("round robin", json!({ "round_robin": { "homeservers": both } })),
    ] {
        let app = TestApp::start_with(|config| {
            config["homeservers"][0]["require"] = staff();
            config["selection"] = json!([selector]);
        })
        .await;
        for who in ["dora", "dan", "dina"] {
            app.cas.add_person(person(who, "guest"));
            let token = app.sign_in().as_person(who).await.login_token();
            assert_eq!(app.redeem(&token).await.json()["user_id"], format!("@{who}:hist.ac.cdl"), "{name}");
        }
    }
}
