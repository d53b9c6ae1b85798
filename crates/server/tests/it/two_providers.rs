//! Two CAS servers side by side: two organisations, whose people have nothing to do with each other.

use serde_json::json;
use url::Url;
use usher_lab::scripted::cas::{CasPerson, CasScript, CasServer};

use crate::app::{Answer, AtProvider, TestApp};

/// `corp` with its usual people, and `guests` with an Alice of its own and Gwen, both engineers.
async fn start() -> (TestApp, CasServer) {
    let people = CasScript::default();
    for user in ["alice", "gwen"] {
        people.add_person(CasPerson::new(user).with("department", "engineering"));
    }
    let guests = CasServer::start_with(people).await.expect("a second CAS server");
    let base_url = guests.base_url();
    let app = TestApp::start_with(|config| {
        let second =
            json!({ "id": "guests", "name": "Guests", "cas": { "base_url": base_url, "timeout": "1s" } });
        config["providers"].as_array_mut().expect("a list").push(second);
    })
    .await;
    (app, guests)
}

/// The callback that the guests' server sends the browser to.
fn guests_callback(guests: &CasServer, attempt: &AtProvider<'_>, person: &str) -> Url {
    guests.script().log_in(&attempt.login, person).expect("the server knows the person and the service")
}

async fn user_of(app: &TestApp, answer: &Answer) -> String {
    let session = app.redeem(&answer.login_token()).await.json();
    session["user_id"].as_str().expect("a session").to_owned()
}

#[tokio::test]
async fn people_sign_in_at_either_and_the_same_name_at_both_is_two_people() {
    let (app, guests) = start().await;
    let at_guests = async |person: &str| {
        let attempt = app.sign_in().at("guests").at_provider().await;
        assert!(attempt.login.as_str().starts_with(guests.base_url().as_str()), "{}", attempt.login);
        attempt.open(&guests_callback(&guests, &attempt, person)).await
    };
    let first = app.sign_in().at("corp").as_person("alice").await;
    assert_eq!(user_of(&app, &first).await, "@alice:eng.ac.cdl");
    for (name, person, expected) in [
        ("the guests' Alice is not ours", "alice", "@alice-2:eng.ac.cdl"),
        ("and stays who she is", "alice", "@alice-2:eng.ac.cdl"),
        ("somebody only they have", "gwen", "@gwen:eng.ac.cdl"),
    ] {
        assert_eq!(user_of(&app, &at_guests(person).await).await, expected, "{name}");
    }
    let again = app.sign_in().at("corp").as_person("alice").await;
    assert_eq!(user_of(&app, &again).await, "@alice:eng.ac.cdl", "ours is still ours");
    assert_eq!(app.rows("links").await, 3);
}

#[tokio::test]
async fn one_name_on_two_homeservers_is_two_people() {
    let people = CasScript::default();
    people.add_person(CasPerson::new("alice").with("department", "history"));
    let guests = CasServer::start_with(people).await.expect("a second CAS server");
    let base_url = guests.base_url();
    let app = TestApp::start_with(|config| {
        let second = json!({ "id": "guests", "name": "Guests", "cas": { "base_url": base_url } });
        config["providers"].as_array_mut().expect("a list").push(second);
    })
    .await;
    for visit in ["the first", "another"] {
        let ours = app.sign_in().at("corp").as_person("alice").await;
        assert_eq!(user_of(&app, &ours).await, "@alice:eng.ac.cdl", "{visit}");
        let attempt = app.sign_in().at("guests").at_provider().await;
        let theirs = attempt.open(&guests_callback(&guests, &attempt, "alice")).await;
        assert_eq!(
            user_of(&app, &theirs).await,
            "@alice:hist.ac.cdl",
            "{visit}: no number, nobody's name is taken"
        );
    }
    assert_eq!(app.rows("links").await, 2);
    assert_eq!(app.rows("accounts").await, 2);
}

#[tokio::test]
async fn each_server_is_asked_about_its_own_tickets_alone() {
    let (app, guests) = start().await;
    for (own, foreign) in [("corp", "guests"), ("guests", "corp")] {
        let attempt = app.sign_in().at(own).at_provider().await;
        let callback = match own {
            "corp" => attempt.callback_for("alice"),
            _ => guests_callback(&guests, &attempt, "alice"),
        };
        let elsewhere = callback.as_str().replace(&format!("/cas/{own}/"), &format!("/cas/{foreign}/"));
        let answer = attempt.open(&Url::parse(&elsewhere).expect("a URL")).await;
        assert_eq!(
            (answer.status.as_u16(), answer.title()),
            (400, "This sign-in cannot be continued"),
            "an attempt at {own}, answered at {foreign}"
        );
        assert!(app.cas.take_validations().is_empty() && guests.script().take_validations().is_empty());
        assert!(attempt.open(&callback).await.location().contains("loginToken="), "{own}: nothing was spent");
        let asked = (app.cas.take_validations().len(), guests.script().take_validations().len());
        assert_eq!(asked, if own == "corp" { (1, 0) } else { (0, 1) }, "{own}");
    }

    // A ticket of one server with an attempt at the other.
    let [ours, theirs] =
        [app.sign_in().at("corp").at_provider().await, app.sign_in().at("guests").at_provider().await];
    let mut swapped = guests_callback(&guests, &theirs, "alice");
    // The servers count their tickets alike: the second of ours is one that theirs never made.
    let _ = ours.callback_for("alice");
    swapped.set_query(ours.callback_for("alice").query());
    let answer = theirs.open(&swapped).await;
    assert_eq!((answer.status.as_u16(), answer.title()), (403, "The sign-in could not be verified"));
    assert!(app.cas.take_validations().is_empty(), "the ticket's own server was not asked");
}

#[tokio::test]
async fn attempts_at_both_in_one_browser_both_finish_and_one_server_down_is_only_its_own_people() {
    let (app, guests) = start().await;
    let ours = app.sign_in().at("corp").at_provider().await;
    let theirs = app.sign_in().at("guests").with_cookies(&ours.cookies).at_provider().await;
    let (our_callback, their_callback) =
        (ours.callback_for("bob"), guests_callback(&guests, &theirs, "gwen"));
    // The second has the cookies of both.
    assert_eq!(user_of(&app, &theirs.open(&our_callback).await).await, "@bob:eng.ac.cdl");
    assert_eq!(user_of(&app, &theirs.open(&their_callback).await).await, "@gwen:eng.ac.cdl");

    app.stop_cas();
    let attempt = app.sign_in().at("guests").at_provider().await;
    let answer = attempt.open(&guests_callback(&guests, &attempt, "gwen")).await;
    assert_eq!(user_of(&app, &answer).await, "@gwen:eng.ac.cdl");
    let flows = app.get("/_matrix/client/v3/login").await.json();
    let listed = flows["flows"][0]["identity_providers"].as_array().expect("a list").len();
    assert_eq!(listed, 2, "{flows}");
}
