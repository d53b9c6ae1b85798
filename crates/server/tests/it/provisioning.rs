//! What a new account is given in the background, until it is done, and what follows the provider afterwards.

use std::time::Duration;

use serde_json::{Value, json};
use usher_lab::scripted::{
    cas::CasPerson,
    homeserver::{Endpoint, Fault, Person},
};

use crate::app::TestApp;

const ALICE: &str = "@alice:eng.ac.cdl";
const HOUR: Duration = Duration::from_hours(1);

async fn giving(new_account: Value) -> TestApp {
    let app = TestApp::start_with(|config| config["homeservers"][0]["new_account"] = new_account).await;
    app.eng.set_admin("@usher:eng.ac.cdl", true);
    app
}

async fn sign_in(app: &TestApp) {
    app.sign_in().as_person("alice").await.login_token();
}

fn alice(app: &TestApp) -> Person {
    app.eng.user(ALICE).expect("she has an account")
}

impl TestApp {
    /// Everything that is due is looked at.
    fn wake(&self) {
        for homeserver in self.app.homeservers.iter() {
            homeserver.newcomers.notify_one();
        }
    }

    /// Nothing is left to be given.
    async fn all_given(&self) {
        self.eventually("nothing is left to be given", async || self.rows("provisioning").await == 0).await;
    }

    /// The last answer about each row: `join M_NOT_FOUND`.
    async fn failed(&self, expected: &[&str]) {
        let sql = "SELECT kind || ' ' || COALESCE(last_error, '') FROM provisioning WHERE lease IS NULL";
        self.eventually("it failed", async || self.column(sql).await == expected).await;
    }
}

#[tokio::test]
async fn a_new_account_is_given_everything() {
    let app = giving(json!({
        "display_name": "{{ attributes.mail }}",
        "email": "{{ attributes.mail }}",
        "join": ["#welcome:eng.ac.cdl", "#lounge:eng.ac.cdl"],
    }))
    .await;
    for room in ["#welcome:eng.ac.cdl", "#lounge:eng.ac.cdl", "#other:eng.ac.cdl"] {
        app.eng.add_room(room);
    }
    sign_in(&app).await;
    app.all_given().await;
    let person = alice(&app);
    assert_eq!(person.display_name.as_deref(), Some("alice@ac.cdl"));
    assert_eq!(person.emails, ["alice@ac.cdl"]);
    assert_eq!(person.rooms.into_iter().collect::<Vec<_>>(), ["#lounge:eng.ac.cdl", "#welcome:eng.ac.cdl"]);
    app.eng.forget_calls();
    sign_in(&app).await;
    app.wake();
    assert!(app.eng.calls_to(Endpoint::Join).is_empty(), "once");
}

#[tokio::test]
async fn a_room_that_is_not_there_yet_is_tried_until_it_is() {
    let app = giving(json!({ "join": ["#later:eng.ac.cdl"] })).await;
    sign_in(&app).await;
    for attempt in 1..=12 {
        app.eventually("it was tried again", async || {
            app.eng.calls_to(Endpoint::Join).len() == attempt
                && app.column("SELECT kind FROM provisioning WHERE lease IS NULL").await.len() == 1
        })
        .await;
        app.clock.advance(HOUR);
        app.wake();
    }
    app.failed(&["join M_NOT_FOUND"]).await;
    app.eng.add_room("#later:eng.ac.cdl");
    app.clock.advance(HOUR);
    app.wake();
    app.all_given().await;
    assert_eq!(alice(&app).rooms.len(), 1);
}

#[tokio::test]
async fn nothing_is_tried_again_before_its_time() {
    let app = giving(json!({ "join": ["#later:eng.ac.cdl"] })).await;
    sign_in(&app).await;
    app.failed(&["join M_NOT_FOUND"]).await;
    app.eng.add_room("#later:eng.ac.cdl");
    app.clock.advance(Duration::from_secs(3));
    // Bob's own room is given after the same look.
    app.wake();
    app.sign_in().as_person("bob").await.login_token();
    app.eventually("bob is there", async || {
        app.eng.user("@bob:eng.ac.cdl").is_some_and(|bob| bob.rooms.len() == 1)
    })
    .await;
    assert!(alice(&app).rooms.is_empty());
    app.clock.advance(Duration::from_secs(2));
    app.wake();
    app.all_given().await;
}

#[tokio::test]
async fn a_homeserver_in_trouble_is_asked_again() {
    for (name, fault, code) in [
        ("500", Fault::server_error(), "server-error"),
        ("429", Fault::rate_limited("7"), "M_LIMIT_EXCEEDED"),
        ("HTML", Fault::html(), "misbehaved"),
        ("cut", Fault::cut(), "no-answer"),
        ("refused", Fault::error(403, "M_FORBIDDEN", "You are not invited"), "M_FORBIDDEN"),
    ] {
        let app = giving(json!({ "join": ["#welcome:eng.ac.cdl"] })).await;
        app.eng.add_room("#welcome:eng.ac.cdl");
        app.eng.set_fault(Endpoint::Join, fault);
        sign_in(&app).await;
        app.failed(&[&format!("join {code}")]).await;
        app.eng.clear_fault(Endpoint::Join);
        app.clock.advance(HOUR);
        app.wake();
        app.all_given().await;
        assert_eq!(alice(&app).rooms.len(), 1, "{name}");
    }
}

#[tokio::test]
async fn a_lease_that_nobody_gave_back_runs_out() {
    let app = giving(json!({ "join": ["#welcome:eng.ac.cdl"] })).await;
    let hold = app.eng.hold(Endpoint::Join);
    sign_in(&app).await;
    hold.arrived().await;
    // Its holder is gone.
    app.sql("UPDATE provisioning SET lease = 'dead'").await;
    app.eng.add_room("#welcome:eng.ac.cdl");
    hold.release();
    app.eventually("the room was joined", async || alice(&app).rooms.len() == 1).await;
    app.clock.advance(Duration::from_mins(1));
    app.wake();
    app.all_given().await;
    assert_eq!(app.eng.calls_to(Endpoint::Join).len(), 2, "twice does no harm");
}

#[tokio::test]
async fn what_the_config_does_not_want_any_more_goes() {
    let app = giving(json!({ "join": ["#welcome:eng.ac.cdl"] })).await;
    app.eng.add_room("#welcome:eng.ac.cdl");
    sign_in(&app).await;
    app.all_given().await;
    app.eng.forget_calls();
    app.sql(
        "INSERT INTO provisioning VALUES ('@alice:eng.ac.cdl', 'eng.ac.cdl', 'join', '#old:eng.ac.cdl', \
             '#old:eng.ac.cdl', 5, 0, NULL, NULL, 0), \
             ('@alice:eng.ac.cdl', 'eng.ac.cdl', 'email', '', 'a@ac.cdl', 5, 0, NULL, NULL, 0)",
    )
    .await;
    app.wake();
    app.all_given().await;
    assert!(app.eng.calls().is_empty());
}

#[tokio::test]
async fn a_display_name_that_failed_at_first_is_set_later() {
    let app = giving(json!({ "display_name": "{{ attributes.mail }}" })).await;
    app.eng.set_fault(Endpoint::DisplayName, Fault::server_error());
    sign_in(&app).await;
    app.failed(&["display_name server-error"]).await;
    app.eng.clear_fault(Endpoint::DisplayName);
    app.clock.advance(HOUR);
    app.wake();
    app.all_given().await;
    assert_eq!(alice(&app).display_name.as_deref(), Some("alice@ac.cdl"));
}

#[tokio::test]
async fn an_address_is_given_only_where_the_service_may_and_takes_nobodys() {
    let app = giving(json!({ "email": "{{ attributes.mail }}" })).await;
    app.eng.set_admin("@usher:eng.ac.cdl", false);
    app.eng.set_emails("@bob-of-old:eng.ac.cdl", &["bob@ac.cdl"]);
    sign_in(&app).await;
    app.failed(&["email M_FORBIDDEN"]).await;
    app.eng.set_admin("@usher:eng.ac.cdl", true);
    app.eng.set_emails(ALICE, &["private@elsewhere.example"]);
    app.clock.advance(HOUR);
    app.wake();
    app.all_given().await;
    assert_eq!(alice(&app).emails, ["private@elsewhere.example", "alice@ac.cdl"]);
    app.sign_in().as_person("bob").await.login_token();
    app.failed(&["email email-in-use"]).await;
    assert_eq!(app.eng.user("@bob-of-old:eng.ac.cdl").expect("bob").emails, ["bob@ac.cdl"]);
}

#[tokio::test]
async fn what_is_no_single_address_is_given_to_nobody() {
    let app = giving(json!({ "email": "{{ attributes.mail }}" })).await;
    for (name, mails) in [
        ("none", &[][..]),
        ("two", &["a@ac.cdl", "b@ac.cdl"]),
        ("no-address", &["nobody"]),
        ("two-in-one", &["a@ac.cdl,b@ac.cdl"]),
    ] {
        let person = CasPerson::new(name).with("department", "engineering");
        app.cas.add_person(mails.iter().fold(person, |person, mail| person.with("mail", *mail)));
        app.sign_in().as_person(name).await.login_token();
        assert_eq!(app.rows("provisioning").await, 0, "{name}");
    }
    assert!(app.eng.calls_to(Endpoint::AdminUser).is_empty());
}

/// Whose name follows the provider.
async fn following() -> TestApp {
    TestApp::start_with(|config| {
        config["homeservers"][0]["new_account"] = json!({ "display_name": "{{ attributes.cn }}" });
        config["homeservers"][0]["profile"] = json!({ "update": ["display_name"] });
    })
    .await
}

async fn sign_in_as(app: &TestApp, cn: &str) {
    app.cas.add_person(CasPerson::new("alice").with("department", "engineering").with("cn", cn));
    sign_in(app).await;
    app.all_given().await;
}

#[tokio::test]
async fn a_name_follows_the_provider_and_nothing_else() {
    let app = following().await;
    let name = || alice(&app).display_name.unwrap_or_default();
    sign_in_as(&app, "Alice Liddell").await;
    app.eng.forget_calls();
    sign_in_as(&app, "Alice Liddell").await;
    assert!(app.eng.calls_to(Endpoint::DisplayName).is_empty(), "nothing has changed");
    sign_in_as(&app, "Alice Hargreaves").await;
    assert_eq!(name(), "Alice Hargreaves");

    app.eng.set_display_name(ALICE, "the queen");
    sign_in_as(&app, "Alice Hargreaves").await;
    assert_eq!(name(), "the queen", "her own choice, for as long as the provider says nothing new");
    sign_in_as(&app, "Alice Liddell").await;
    assert_eq!(name(), "Alice Liddell");
}

#[tokio::test]
async fn a_name_that_changes_back_before_it_was_set_stays() {
    let app = following().await;
    sign_in_as(&app, "Alice").await;
    app.eng.set_fault(Endpoint::DisplayName, Fault::server_error());
    app.cas.add_person(CasPerson::new("alice").with("department", "engineering").with("cn", "A typo"));
    sign_in(&app).await;
    app.failed(&["display_name server-error"]).await;
    app.eng.clear_fault(Endpoint::DisplayName);
    sign_in_as(&app, "Alice").await;
    assert_eq!(alice(&app).display_name.as_deref(), Some("Alice"));
}

#[tokio::test]
async fn a_name_that_cannot_be_had_costs_nobody_their_sign_in() {
    let app = following().await;
    sign_in_as(&app, "Alice").await;
    app.cas.add_person(CasPerson::new("alice").with("department", "engineering"));
    sign_in(&app).await;
    assert_eq!((alice(&app).display_name.as_deref(), app.rows("provisioning").await), (Some("Alice"), 0));
}

#[tokio::test]
async fn an_adopted_account_follows_too() {
    let app = TestApp::start_with(|config| {
        config["homeservers"][0]["new_account"] = json!({ "display_name": "{{ attributes.mail }}" });
        config["homeservers"][0]["profile"] = json!({ "update": ["display_name"] });
        config["homeservers"][0]["adopt"] =
            json!([{ "provider": "corp", "attribute": "mail", "immutable": true }]);
    })
    .await;
    app.eng.add_user("@alice=40ac.cdl:eng.ac.cdl");
    sign_in(&app).await;
    app.all_given().await;
    let name = app.eng.user("@alice=40ac.cdl:eng.ac.cdl").and_then(|user| user.display_name);
    assert_eq!(name.as_deref(), Some("alice@ac.cdl"));
}
