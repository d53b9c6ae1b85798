//! What is asked of an account before it is adopted, and what a new one is given.

use ruma_common::room_alias_id;
use serde_json::json;
use usher_homeserver::{AddedEmail, CallError};
use usher_lab::scripted::homeserver::{Account, Endpoint, Fault};

use crate::lab::{Lab, alice, says_json};

const ALICE: &str = "@alice:eng.example";
const EMAIL: &str = "alice@eng.example";

#[tokio::test]
async fn only_an_administrator_is_one() {
    for (name, is_admin, account) in [
        ("ordinary", false, Account::Active),
        ("an administrator", true, Account::Active),
        ("deactivated", false, Account::Deactivated),
        ("locked", false, Account::Locked),
    ] {
        let lab = Lab::start().await;
        lab.scripted.set_account(ALICE, account);
        lab.scripted.set_admin(ALICE, is_admin);
        assert_eq!(lab.homeserver.is_administrator(&alice()).await.expect("an answer"), is_admin, "{name}");
    }
}

#[tokio::test]
async fn whatever_does_not_say_ordinary_does_not_mean_it() {
    for (name, fault) in [
        ("an endpoint nobody knows", Fault::error(404, "M_UNRECOGNIZED", "Unrecognized request")),
        ("no such user", Fault::error(404, "M_NOT_FOUND", "User not found")),
        ("another code", Fault::error(403, "M_UNKNOWN", "You are not a server admin")),
        ("another status", Fault::error(401, "M_FORBIDDEN", "You are not a server admin")),
        ("let in and ordinary", says_json(200, &json!({ "admin": false }))),
        ("let in and nothing", says_json(200, &json!({}))),
        ("a proxy's page", Fault::html()),
    ] {
        let lab = Lab::with_alice().await;
        lab.scripted.set_fault(Endpoint::AdminFlag, fault);
        let result = lab.homeserver.is_administrator(&alice()).await;
        assert!(
            matches!(result, Err(CallError::NotAllowed(_) | CallError::Misbehaved(_))),
            "{name}: {result:?}"
        );
    }
}

#[tokio::test]
async fn a_room_is_joined_once_it_is_there() {
    let lab = Lab::with_alice().await;
    let room = room_alias_id!("#later:eng.example");
    match lab.homeserver.join(&alice(), room.into()).await {
        Err(CallError::NotAllowed(refusal)) => assert_eq!(refusal.errcode, "M_NOT_FOUND"),
        other => panic!("{other:?}"),
    }
    lab.scripted.add_room(room.as_str());
    for time in ["first", "again"] {
        lab.homeserver.join(&alice(), room.into()).await.expect(time);
    }
    assert_eq!(
        lab.scripted.user(ALICE).expect("alice").rooms.into_iter().collect::<Vec<_>>(),
        [room.as_str()]
    );
}

#[tokio::test]
async fn an_address_is_added_to_those_that_are_there() {
    let lab = Lab::with_alice().await;
    lab.scripted.set_emails(ALICE, &["private@elsewhere.example"]);
    let add = async || lab.homeserver.add_email(&alice(), "Alice@Eng.Example").await.expect("an answer");
    assert_eq!(add().await, AddedEmail::Added);
    assert_eq!(add().await, AddedEmail::Present);
    assert_eq!(lab.scripted.user(ALICE).expect("alice").emails, ["private@elsewhere.example", EMAIL]);
    let puts = lab.scripted.calls_to(Endpoint::AdminUser).into_iter().filter(|call| call.method == "PUT");
    let puts: Vec<_> = puts.collect();
    assert_eq!(puts.len(), 1, "nothing is written a second time");
    assert_eq!(puts[0].query, "", "as the service itself");
}

#[tokio::test]
async fn an_address_that_is_somebody_elses_stays_theirs() {
    let lab = Lab::with_alice().await;
    lab.scripted.set_emails("@bob:eng.example", &[EMAIL]);
    assert_eq!(
        lab.homeserver.add_email(&alice(), EMAIL).await.expect("an answer"),
        AddedEmail::SomebodyElses
    );
    assert_eq!(lab.scripted.user("@bob:eng.example").expect("bob").emails, [EMAIL]);
    assert!(lab.scripted.user(ALICE).expect("alice").emails.is_empty());
}

#[tokio::test]
async fn a_service_that_is_no_administrator_adds_no_address() {
    let lab = Lab::with_alice().await;
    lab.scripted.set_admin("@usher:eng.example", false);
    match lab.homeserver.add_email(&alice(), EMAIL).await {
        Err(CallError::NotAllowed(refusal)) => {
            assert_eq!((refusal.status, refusal.errcode.as_str()), (403, "M_FORBIDDEN"));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn no_account_is_made_for_an_address() {
    let lab = Lab::with_alice().await;
    lab.scripted.remove_user(ALICE);
    let result = lab.homeserver.add_email(&alice(), EMAIL).await;
    assert!(matches!(result, Err(CallError::NotAllowed(_))), "{result:?}");
    assert!(lab.scripted.user(ALICE).is_none());
}

#[tokio::test]
async fn addresses_that_cannot_be_read_are_not_written() {
    for (name, endpoint, body) in [
        ("no list", Endpoint::AdminUser, json!({ "name": ALICE })),
        ("null", Endpoint::AdminUser, json!({ "threepids": null })),
        ("texts", Endpoint::AdminUser, json!({ "threepids": ["x@y.example"] })),
        ("nobody's", Endpoint::AdminEmail, json!({})),
    ] {
        let lab = Lab::with_alice().await;
        lab.scripted.set_fault(endpoint, says_json(200, &body));
        let result = lab.homeserver.add_email(&alice(), EMAIL).await;
        assert!(matches!(result, Err(CallError::Misbehaved(_))), "{name}: {result:?}");
        let calls = lab.scripted.calls_to(Endpoint::AdminUser);
        assert!(calls.iter().all(|call| call.method == "GET"), "{name}");
    }
}
