use ruma_common::{owned_server_name, owned_user_id, user_id};

use super::*;
use crate::{Issuer, ProviderId, Subject};

const SKEW: Duration = Duration::from_mins(1);
const DEMANDED: Timestamp = Timestamp::from_millis(1_000_000_500);
const NOW: Timestamp = Timestamp::from_millis(1_000_020_000);

fn identity(evidence: Evidence) -> Identity {
    Identity {
        provider: ProviderId::parse("corp").expect("valid"),
        issuer: Issuer::parse("https://cas.example").expect("valid"),
        subject: Subject::parse("alice").expect("valid"),
        evidence,
        attributes: std::collections::BTreeMap::new(),
        upstream_session: None,
    }
}

fn login() -> Purpose {
    Purpose::Login { client_redirect_url: "https://app.example/".to_owned(), only: None }
}

fn ui_auth() -> Purpose {
    Purpose::UiAuth {
        session: "s".to_owned(),
        homeserver: owned_server_name!("eng.ac.cdl"),
        expected: owned_user_id!("@alice:eng.ac.cdl"),
    }
}

#[test]
fn freshness_is_judged_from_the_demanded_second_to_now_with_skew_at_both_ends() {
    let at = |millis| Evidence::AuthenticatedAt(Timestamp::from_millis(millis));
    let oldest = 1_000_000_000 - 60_000;
    let latest = 1_000_020_000 + 60_000;
    for (name, evidence, expected) in [
        ("unstated", Evidence::Unstated, Err(Refusal::FreshnessUnstated)),
        ("credentials presented", Evidence::CredentialsPresented, Ok(())),
        ("the oldest second that counts", at(oldest), Ok(())),
        ("one millisecond older", at(oldest - 1), Err(Refusal::NotFresh)),
        ("at the demand", at(1_000_000_500), Ok(())),
        ("the start of the demanded second", at(1_000_000_000), Ok(())),
        ("the latest that counts", at(latest), Ok(())),
        ("one millisecond later", at(latest + 1), Err(Refusal::FromTheFuture)),
    ] {
        let judged = accept(&login(), Freshness::Since(DEMANDED), &identity(evidence), None, SKEW, NOW);
        assert_eq!(judged, expected, "{name}");
    }
}

#[test]
fn a_login_takes_any_session() {
    for evidence in [
        Evidence::Unstated,
        Evidence::CredentialsPresented,
        Evidence::AuthenticatedAt(Timestamp::from_millis(0)),
    ] {
        let judged = accept(&login(), Freshness::AnySession, &identity(evidence), None, SKEW, NOW);
        assert_eq!(judged, Ok(()), "{evidence:?}");
    }
}

#[test]
fn ui_auth_is_for_the_linked_account_of_the_token_alone() {
    for (name, linked, expected) in [
        ("the same account", Some(user_id!("@alice:eng.ac.cdl")), Ok(())),
        ("nobody", None, Err(Refusal::NotLinked)),
        ("another localpart", Some(user_id!("@bob:eng.ac.cdl")), Err(Refusal::AnotherPerson)),
        ("the same localpart elsewhere", Some(user_id!("@alice:hist.ac.cdl")), Err(Refusal::AnotherPerson)),
        ("another case", Some(user_id!("@Alice:eng.ac.cdl")), Err(Refusal::AnotherPerson)),
    ] {
        let identity = identity(Evidence::CredentialsPresented);
        let judged = accept(&ui_auth(), Freshness::Since(DEMANDED), &identity, linked, SKEW, NOW);
        assert_eq!(judged, expected, "{name}");
    }
}

#[test]
fn a_purpose_asks_for_the_freshness_of_the_moment_it_is_asked() {
    assert_eq!(login().freshness(NOW), Freshness::AnySession);
    assert_eq!(ui_auth().freshness(NOW), Freshness::Since(NOW));
}
