//! CASES "Mapping and selection": existing accounts, adopted on the word of an attribute that the operator declared
//! immutable.

use serde_json::json;
use usher_lab::scripted::{
    cas::CasPerson,
    homeserver::{Account, Endpoint, Fault},
};

use crate::app::TestApp;

const OLD: &str = "@old-alice:eng.ac.cdl";
const REFUSED: &str = "Your account could not be connected";

/// At engineering, `employee` names the account of people of `corp`.
async fn adopting() -> TestApp {
    let app = TestApp::start_with(|config| {
        config["homeservers"][0]["adopt"] =
            json!([{ "provider": "corp", "attribute": "employee", "immutable": true }]);
        config["mapping"] = json!({ "reserved": ["admin*"] });
        let mut second = config["providers"][0].clone();
        second["id"] = json!("second");
        config["providers"] = json!([config["providers"][0], second]);
    })
    .await;
    app.cas.add_person(engineer("alice").with("employee", "old-alice"));
    app
}

fn engineer(name: &str) -> CasPerson {
    CasPerson::new(name).with("department", "engineering")
}

async fn user_of(app: &TestApp, person: &str) -> String {
    let token = app.sign_in().at("corp").as_person(person).await.login_token();
    app.redeem(&token).await.json()["user_id"].as_str().expect("a user").to_owned()
}

#[tokio::test]
async fn the_account_that_the_attribute_names_is_the_persons() {
    let app = adopting().await;
    app.eng.add_user(OLD);
    assert_eq!(user_of(&app, "alice").await, OLD);
    assert_eq!(
        app.column("SELECT mxid || ' ' || state || ' ' || origin FROM accounts").await,
        [format!("{OLD} active adopted")]
    );
    assert_eq!((app.rows("links").await, app.rows("choices").await), (1, 1));
    assert!(app.eng.calls_to(Endpoint::Register).is_empty());
    app.eng.forget_calls();
    app.cas.add_person(engineer("alice").with("employee", "somebody-else"));
    assert_eq!(user_of(&app, "alice").await, OLD, "a link is a link");
    assert!(
        app.eng.calls_to(Endpoint::WhoAmI).is_empty() && app.eng.calls_to(Endpoint::AdminFlag).is_empty()
    );
}

#[tokio::test]
async fn the_value_is_spelled_like_any_localpart() {
    let app = adopting().await;
    app.cas.add_person(engineer("alice").with("employee", " Äl "));
    app.eng.add_user("@=c3=84l:eng.ac.cdl");
    assert_eq!(user_of(&app, "alice").await, "@=c3=84l:eng.ac.cdl");
}

#[tokio::test]
async fn who_has_no_account_to_adopt_is_a_newcomer() {
    for (name, person) in [
        ("a name that is free", engineer("alice").with("employee", "old-alice")),
        ("no attribute", engineer("alice")),
        ("an empty one", engineer("alice").with("employee", " ")),
    ] {
        let app = adopting().await;
        app.cas.add_person(person);
        assert_eq!(user_of(&app, "alice").await, "@alice:eng.ac.cdl", "{name}");
        assert!(app.eng.calls_to(Endpoint::AdminFlag).is_empty(), "{name}");
    }
}

#[tokio::test]
async fn only_the_provider_and_the_homeserver_of_the_rule_count() {
    let app = adopting().await;
    app.eng.add_user(OLD);
    app.hist.add_user("@old-carol:hist.ac.cdl");
    app.cas.add_person(CasPerson::new("carol").with("department", "history").with("employee", "old-carol"));
    let token = app.sign_in().at("second").as_person("alice").await.login_token();
    assert_eq!(app.redeem(&token).await.json()["user_id"], "@alice:eng.ac.cdl", "another provider");
    assert_eq!(user_of(&app, "carol").await, "@carol:hist.ac.cdl", "another homeserver");
}

#[tokio::test]
async fn whatever_is_not_clear_is_refused_and_leaves_no_trace() {
    let long = "x".repeat(250);
    for (name, value, prepare) in [
        ("an administrator", "boss", (|app| app.eng.set_admin("@boss:eng.ac.cdl", true)) as fn(&TestApp)),
        ("a reserved name", "administrator", |app| app.eng.add_user("@administrator:eng.ac.cdl")),
        ("the service's own user", "usher", |app| app.eng.add_user("@usher:eng.ac.cdl")),
        ("no localpart", "12345", |_| {}),
        ("too long a name", &long, |_| {}),
        ("a homeserver without the admin API", "old-alice", |app| {
            app.eng.add_user(OLD);
            let unknown = Fault::error(404, "M_UNRECOGNIZED", "Unrecognized request");
            app.eng.set_fault(Endpoint::AdminFlag, unknown);
        }),
        ("another refusal", "old-alice", |app| {
            app.eng.add_user(OLD);
            app.eng.set_fault(Endpoint::AdminFlag, Fault::error(401, "M_UNKNOWN_TOKEN", "who?"));
        }),
    ] {
        let app = adopting().await;
        prepare(&app);
        app.cas.add_person(engineer("alice").with("employee", value));
        let answer = app.sign_in().at("corp").as_person("alice").await;
        assert_eq!((answer.status.as_u16(), answer.title()), (403, REFUSED), "{name}");
        assert!(answer.body.contains("eng.ac.cdl"), "{name}");
        for table in ["accounts", "links", "choices", "login_tokens"] {
            assert_eq!(app.rows(table).await, 0, "{name}: {table}");
        }
        assert!(app.eng.calls_to(Endpoint::Register).is_empty(), "{name}");
    }
}

#[tokio::test]
async fn of_several_values_none_is_taken() {
    let app = adopting().await;
    for user in [OLD, "@other:eng.ac.cdl"] {
        app.eng.add_user(user);
    }
    app.cas.add_person(engineer("alice").with("employee", "old-alice").with("employee", "other"));
    let answer = app.sign_in().at("corp").as_person("alice").await;
    assert_eq!((answer.status.as_u16(), answer.title()), (403, REFUSED));
    assert_eq!(app.rows("accounts").await, 0);
}

#[tokio::test]
async fn a_homeserver_in_trouble_costs_nothing_but_another_try() {
    let app = adopting().await;
    app.eng.add_user(OLD);
    for endpoint in [Endpoint::WhoAmI, Endpoint::AdminFlag] {
        for (name, fault) in [
            ("500", Fault::server_error()),
            ("429", Fault::rate_limited("5")),
            ("HTML", Fault::html()),
            ("cut", Fault::cut()),
        ] {
            app.eng.set_fault(endpoint, fault);
            let answer = app.sign_in().at("corp").as_person("alice").await;
            let expected = (503, "Your homeserver cannot be reached");
            assert_eq!((answer.status.as_u16(), answer.title()), expected, "{endpoint:?} {name}");
            app.eng.clear_fault(endpoint);
        }
    }
    assert_eq!(app.rows("accounts").await, 0);
    assert_eq!(user_of(&app, "alice").await, OLD);
}

#[tokio::test]
async fn an_account_that_usher_knows_is_not_adopted_by_anybody_else() {
    for (name, statement) in [
        ("active", ""),
        ("a tombstone", "DELETE FROM links; UPDATE accounts SET state = 'removed'"),
        ("half made", "UPDATE accounts SET state = 'reserved'"),
    ] {
        let app = adopting().await;
        app.cas.add_person(engineer("old-alice"));
        assert_eq!(user_of(&app, "old-alice").await, OLD);
        app.sql("DELETE FROM login_tokens; DELETE FROM sessions").await;
        app.sql(statement).await;
        let answer = app.sign_in().at("corp").as_person("alice").await;
        assert_eq!((answer.status.as_u16(), answer.title()), (403, REFUSED), "{name}");
        assert_eq!(app.column("SELECT subject FROM links WHERE subject = 'alice'").await, [""; 0], "{name}");
    }
}

#[tokio::test]
async fn of_two_people_with_the_same_value_one_adopts() {
    let app = adopting().await;
    app.eng.add_user(OLD);
    app.cas.add_person(engineer("bob").with("employee", "old-alice"));
    // Both have asked the homeserver everything, and neither has written anything.
    let hold = app.eng.hold_answer(Endpoint::AdminFlag);
    let visit = async |person: &'static str| app.sign_in().at("corp").as_person(person).await;
    let release = async {
        hold.arrived().await;
        app.eventually("both have asked", async || app.eng.calls_to(Endpoint::AdminFlag).len() == 2).await;
        hold.release();
    };
    let (alice, bob, ()) = tokio::join!(visit("alice"), visit("bob"), release);
    let mut statuses = [alice.status.as_u16(), bob.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [302, 403]);
    assert_eq!((app.rows("accounts").await, app.rows("links").await), (1, 1));
    assert_eq!(app.eng.users(), [OLD], "and the other one is made nothing");
}

#[tokio::test]
async fn a_hundred_first_visits_at_once_adopt_one_account() {
    for name in ["old-alice", "free"] {
        let app = adopting().await;
        app.eng.add_user(OLD);
        app.cas.add_person(engineer("alice").with("employee", name));
        let visits = (0..100).map(|_| async { app.sign_in().at("corp").as_person("alice").await });
        for answer in futures_util::future::join_all(visits).await {
            assert!(answer.location().contains("loginToken="), "{name}");
        }
        assert_eq!((app.rows("accounts").await, app.rows("links").await), (1, 1), "{name}");
    }
}

#[tokio::test]
async fn who_was_deactivated_or_locked_is_told_so_and_not_made_anew() {
    for (account, status, errcode) in
        [(Account::Deactivated, 403, "M_USER_DEACTIVATED"), (Account::Locked, 401, "M_USER_LOCKED")]
    {
        let app = adopting().await;
        app.eng.set_account(OLD, account);
        let token = app.sign_in().at("corp").as_person("alice").await.login_token();
        let answer = app.redeem(&token).await;
        assert_eq!((answer.status.as_u16(), answer.errcode().as_str()), (status, errcode));
        assert_eq!(app.eng.users(), [OLD]);
    }
}

#[tokio::test]
async fn an_account_of_ours_that_is_promoted_later_stays_usable() {
    let app = adopting().await;
    app.eng.add_user(OLD);
    assert_eq!(user_of(&app, "alice").await, OLD);
    app.eng.set_admin(OLD, true);
    assert_eq!(user_of(&app, "alice").await, OLD);
}

#[tokio::test]
async fn where_new_accounts_are_closed_old_ones_are_open() {
    for (name, pointer) in
        [("the homeserver", "/homeservers/0/new_accounts"), ("the provider", "/providers/0/new_accounts")]
    {
        let app = TestApp::start_with(|config| {
            config["homeservers"][0]["adopt"] =
                json!([{ "provider": "corp", "attribute": "employee", "immutable": true }]);
            for path in ["/homeservers/0", "/providers/0"] {
                config.pointer_mut(path).expect("a section")["new_accounts"] = json!(true);
            }
            *config.pointer_mut(pointer).expect("a key") = json!(false);
        })
        .await;
        let answer = app.sign_in().as_person("alice").await;
        assert_eq!(
            (answer.status.as_u16(), answer.title()),
            (403, "New accounts are not made here"),
            "{name}"
        );
        for table in ["accounts", "links", "choices", "login_tokens"] {
            assert_eq!(app.rows(table).await, 0, "{name}: {table}");
        }
        assert!(app.eng.calls().is_empty(), "{name}: nobody is asked, nobody registered");

        app.eng.add_user(OLD);
        app.cas.add_person(engineer("bob").with("employee", "old-alice"));
        let token = app.sign_in().as_person("bob").await.login_token();
        assert_eq!(app.redeem(&token).await.json()["user_id"], OLD, "{name}: adoption makes nothing");
        let token = app.sign_in().as_person("bob").await.login_token();
        assert_eq!(app.redeem(&token).await.status, 200, "{name}: who has an account has it");
        let elsewhere = app.sign_in().as_person("carol").await;
        assert_eq!(elsewhere.status.is_redirection(), pointer.starts_with("/homeservers"), "{name}");
    }
}
