//! CASES "Mapping and selection", the part that makes accounts.

use serde_json::json;
use usher_lab::scripted::{
    cas::CasPerson,
    homeserver::{Account, Endpoint, Fault},
};

use crate::app::TestApp;

async fn user_of(app: &TestApp, person: &str) -> String {
    let token = app.sign_in().as_person(person).await.login_token();
    app.redeem(&token).await.json()["user_id"].as_str().expect("a user").to_owned()
}

#[tokio::test]
async fn an_account_is_probed_registered_and_found_again() {
    let app = TestApp::start().await;
    assert_eq!(user_of(&app, "alice").await, "@alice:eng.ac.cdl");
    assert_eq!(app.eng.calls_to(Endpoint::WhoAmI).len(), 1);
    assert_eq!(app.eng.calls_to(Endpoint::Register).len(), 1);
    app.eng.forget_calls();
    assert_eq!(user_of(&app, "alice").await, "@alice:eng.ac.cdl");
    assert!(app.eng.calls_to(Endpoint::WhoAmI).is_empty() && app.eng.calls_to(Endpoint::Register).is_empty());
    assert_eq!((app.rows("accounts").await, app.rows("links").await, app.rows("choices").await), (1, 1, 1));
}

#[tokio::test]
async fn a_name_that_is_somebody_elses_is_never_taken() {
    let app = TestApp::start().await;
    for user in ["@alice:eng.ac.cdl", "@alice-2:eng.ac.cdl"] {
        app.eng.add_user(user);
    }
    app.eng.set_account("@alice-2:eng.ac.cdl", Account::Deactivated);
    assert_eq!(user_of(&app, "alice").await, "@alice-3:eng.ac.cdl");
    assert_eq!(app.eng.user("@alice:eng.ac.cdl").map(|user| user.devices.len()), Some(0));
    assert_eq!(app.rows("accounts").await, 1, "names that were given up leave no row");
}

#[tokio::test]
async fn a_name_that_another_service_keeps_is_passed_over() {
    let app = TestApp::start().await;
    app.eng.set_fault(
        Endpoint::Register,
        Fault::error(400, "M_EXCLUSIVE", "reserved by an application service"),
    );
    let attempt = app.sign_in().as_person("alice").await;
    assert_eq!((attempt.status.as_u16(), attempt.title()), (409, "Your account name is taken"));
    assert_eq!(app.rows("accounts").await, 0);
    app.eng.clear_fault(Endpoint::Register);
    assert_eq!(user_of(&app, "alice").await, "@alice:eng.ac.cdl");
}

#[tokio::test]
async fn suffixes_are_bounded() {
    let app = TestApp::start_with(|config| config["mapping"] = json!({ "suffix": { "last": 2 } })).await;
    for user in ["@alice:eng.ac.cdl", "@alice-2:eng.ac.cdl"] {
        app.eng.add_user(user);
    }
    let answer = app.sign_in().as_person("alice").await;
    assert_eq!((answer.status.as_u16(), answer.title()), (409, "Your account name is taken"));
    assert_eq!(app.rows("links").await, 0);
}

#[tokio::test]
async fn two_people_who_want_one_name_are_two_people() {
    let app =
        TestApp::start_with(|config| config["mapping"] = json!({ "localpart": "{{ subject | lower }}" }))
            .await;
    app.cas.add_person(CasPerson::new("Alice").with("department", "engineering"));
    assert_eq!(user_of(&app, "alice").await, "@alice:eng.ac.cdl");
    assert_eq!(user_of(&app, "Alice").await, "@alice-2:eng.ac.cdl");
    app.cas.add_person(CasPerson::new("alice").with("department", "engineering"));
    assert_eq!(user_of(&app, "alice").await, "@alice:eng.ac.cdl");
}

#[tokio::test]
async fn the_same_subject_at_two_providers_is_two_people() {
    let app = TestApp::start_with(|config| {
        let mut second = config["providers"][0].clone();
        second["id"] = json!("second");
        config["providers"] = json!([config["providers"][0], second]);
    })
    .await;
    for (provider, user) in [("corp", "@alice:eng.ac.cdl"), ("second", "@alice-2:eng.ac.cdl")] {
        let token = app.sign_in().at(provider).as_person("alice").await.login_token();
        assert_eq!(app.redeem(&token).await.json()["user_id"], user);
    }
}

#[tokio::test]
async fn localparts_are_validated_by_us() {
    let app = TestApp::start_with(|config| {
        config["mapping"] = json!({ "localpart": "{{ attributes.uid }}", "reserved": ["admin*"] });
    })
    .await;
    let long = "x".repeat(250);
    let cannot = "No account name can be made for you";
    for (name, uid, expected) in [
        ("upper case", "ALICE", "@alice:eng.ac.cdl"),
        ("non-ASCII", "föö", "@f=c3=b6=c3=b6:eng.ac.cdl"),
        ("a server name in it", "x:evil.example", "@x=3aevil.example:eng.ac.cdl"),
        ("digits alone", "12345", cannot),
        ("too long", &long, cannot),
        ("the service's own user", "usher", cannot),
        ("the service's own user in capitals", "Usher", cannot),
        ("reserved", "administrator", cannot),
    ] {
        let subject = name.replace(' ', "-");
        app.cas.add_person(CasPerson::new(&subject).with("department", "engineering").with("uid", uid));
        let answer = app.sign_in().as_person(&subject).await;
        if expected == cannot {
            assert_eq!((answer.status.as_u16(), answer.title()), (403, cannot), "{name}");
        } else {
            assert_eq!(app.redeem(&answer.login_token()).await.json()["user_id"], expected, "{name}");
        }
    }
    let two = CasPerson::new("two").with("department", "engineering").with("uid", "a").with("uid", "b");
    for person in [two, CasPerson::new("none").with("department", "engineering")] {
        let subject = person.user.clone();
        app.cas.add_person(person);
        assert_eq!(app.sign_in().as_person(&subject).await.title(), cannot, "{subject}");
    }
    assert_eq!(app.eng.users().len(), 3);
}

#[tokio::test]
async fn a_new_account_is_given_its_display_name_once() {
    let app = TestApp::start_with(|config| {
        config["homeservers"][0]["new_account"] = json!({ "display_name": "{{ attributes.mail }}" });
    })
    .await;
    user_of(&app, "alice").await;
    let name = app.eng.user("@alice:eng.ac.cdl").and_then(|user| user.display_name);
    assert_eq!(name.as_deref(), Some("alice@ac.cdl"));
    user_of(&app, "alice").await;
    assert_eq!(app.eng.calls_to(Endpoint::DisplayName).len(), 1);
}

#[tokio::test]
async fn a_free_probe_is_worth_nothing_after_a_registration_that_failed() {
    for (name, fault) in [
        ("429", Fault::rate_limited("5")),
        ("not allowed", Fault::error(403, "M_FORBIDDEN", "no")),
        ("no such name", Fault::error(400, "M_INVALID_USERNAME", "no")),
    ] {
        let app = TestApp::start().await;
        app.eng.set_fault(Endpoint::Register, fault);
        assert!(!app.sign_in().as_person("alice").await.status.is_redirection(), "{name}");
        app.eng.clear_fault(Endpoint::Register);
        // An account that has never had a device: a bridge's ghost, or one an administrator made.
        app.eng.add_user("@alice:eng.ac.cdl");
        assert_eq!(user_of(&app, "alice").await, "@alice-2:eng.ac.cdl", "{name}");
    }
}

#[tokio::test]
async fn a_name_in_use_is_our_own_try_for_a_quarter_of_an_hour() {
    for (name, minutes, expected) in [("soon", 15, "@alice:eng.ac.cdl"), ("later", 16, "@alice-2:eng.ac.cdl")]
    {
        let app = TestApp::start().await;
        app.eng.set_fault(Endpoint::Register, Fault::act_but_cut());
        assert_eq!(app.sign_in().as_person("alice").await.status, 503, "{name}");
        app.eng.clear_fault(Endpoint::Register);
        app.clock.advance(std::time::Duration::from_mins(minutes));
        assert_eq!(user_of(&app, "alice").await, expected, "{name}");
    }
}

#[tokio::test]
async fn a_display_name_that_cannot_be_had_costs_nobody_their_account() {
    let app = TestApp::start_with(|config| {
        config["homeservers"][0]["new_account"] = json!({ "display_name": "{{ attributes.displayName }}" });
        config["homeservers"][1]["new_account"] = json!({ "display_name": "{{ attributes.mail }}" });
    })
    .await;
    assert_eq!(user_of(&app, "alice").await, "@alice:eng.ac.cdl", "an attribute that is not released");
    app.hist.set_fault(
        Endpoint::DisplayName,
        Fault::error(403, "M_FORBIDDEN", "Changing display name is disabled"),
    );
    let token = app.sign_in().as_person("carol").await.login_token();
    assert_eq!(app.redeem(&token).await.json()["user_id"], "@carol:hist.ac.cdl", "a homeserver that refuses");
}

#[tokio::test]
async fn a_homeserver_in_trouble_costs_nothing_but_another_try() {
    let app = TestApp::start().await;
    let unavailable = (503, "Your homeserver cannot be reached");
    for endpoint in [Endpoint::WhoAmI, Endpoint::Register] {
        for (name, fault) in [
            ("500", Fault::server_error()),
            ("429", Fault::rate_limited("5")),
            ("HTML", Fault::html()),
            ("10 MB", Fault::huge()),
            ("cut", Fault::cut()),
            ("acts and cuts", Fault::act_but_cut()),
        ] {
            app.eng.set_fault(endpoint, fault);
            let answer = app.sign_in().as_person("alice").await;
            assert_eq!((answer.status.as_u16(), answer.title()), unavailable, "{endpoint:?} {name}");
            app.eng.clear_fault(endpoint);
        }
    }
    app.eng.stop().await.expect("stopped");
    let answer = app.sign_in().as_person("alice").await;
    assert_eq!((answer.status.as_u16(), answer.title()), unavailable, "down");
    app.eng.restart().await.expect("restarted");
    assert_eq!(user_of(&app, "alice").await, "@alice:eng.ac.cdl");
    assert_eq!(app.eng.users(), ["@alice:eng.ac.cdl"]);
}

#[tokio::test]
async fn a_homeserver_that_does_not_know_us_is_told_apart() {
    let app = TestApp::start().await;
    app.eng.set_fault(Endpoint::WhoAmI, Fault::error(401, "M_UNKNOWN_TOKEN", "Invalid access token"));
    let answer = app.sign_in().as_person("alice").await;
    assert_eq!((answer.status.as_u16(), answer.title()), (502, "Your homeserver does not accept us"));
    app.eng.set_fault(Endpoint::WhoAmI, Fault::error(403, "M_FORBIDDEN", "cannot masquerade as this user"));
    let answer = app.sign_in().as_person("alice").await;
    assert_eq!(answer.title(), "Your homeserver does not accept us", "an unclear answer is no free name");
    assert!(app.eng.users().is_empty());
}

#[tokio::test]
async fn a_hundred_first_visits_at_once_make_one_account() {
    let app = TestApp::start().await;
    let visits = (0..100).map(|_| async { app.sign_in().as_person("alice").await });
    let answers = futures_util::future::join_all(visits).await;
    for answer in answers {
        assert!(answer.location().contains("loginToken="));
    }
    assert_eq!(app.eng.users(), ["@alice:eng.ac.cdl"]);
    assert_eq!((app.rows("accounts").await, app.rows("links").await), (1, 1));
}
