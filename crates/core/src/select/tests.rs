use std::{
    collections::BTreeMap,
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};

use ruma_common::{owned_server_name, server_name};

use super::*;
use crate::{Evidence, Issuer, ProviderId, Subject};

/// Selectors of this crate never wait, so one poll answers.
fn answer<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a selector without I/O waited"),
    }
}

fn person(department: &[&str]) -> Identity {
    Identity {
        provider: ProviderId::parse("corp").expect("valid"),
        issuer: Issuer::parse("https://cas.example").expect("valid"),
        subject: Subject::parse("alice").expect("valid"),
        evidence: Evidence::Unstated,
        attributes: BTreeMap::from([(
            "department".to_owned(),
            department.iter().map(|value| (*value).to_owned()).collect(),
        )]),
        upstream_session: None,
    }
}

fn candidates() -> Vec<Candidate> {
    ["eng.ac.cdl", "hist.ac.cdl"]
        .map(|name| Candidate { server_name: ServerName::parse(name).expect("valid"), name: name.to_owned() })
        .to_vec()
}

/// What was decided, in a word the tables below can spell.
fn decide(selector: &dyn HomeserverSelector, identity: &Identity, earlier: Option<&ServerName>) -> String {
    let candidates = candidates();
    let ballot = Ballot { identity, candidates: &candidates, earlier, answer: None };
    match answer(selector.select(&ballot)) {
        Ok(Selection::Chosen(candidate)) => candidate.server_name.to_string(),
        Ok(Selection::Ask(_)) => "ask".to_owned(),
        Ok(Selection::Pass) => "pass".to_owned(),
        Ok(Selection::Refuse(Reason::NotACandidate(name))) => format!("not a candidate: {name}"),
        Err(SelectError::Unavailable(_)) => "unavailable".to_owned(),
    }
}

fn table() -> AttributeTable {
    let exact = |value: &str, homeserver| Row { matcher: Matcher::Exact(value.to_owned()), homeserver };
    let pattern =
        |value: &str, homeserver| Row { matcher: Matcher::pattern(value).expect("valid"), homeserver };
    AttributeTable {
        attribute: "department".to_owned(),
        rows: vec![
            exact("engineering", owned_server_name!("eng.ac.cdl")),
            pattern("hist(ory)?", owned_server_name!("hist.ac.cdl")),
            pattern("a|b", owned_server_name!("hist.ac.cdl")),
            exact("closed", owned_server_name!("gone.ac.cdl")),
        ],
    }
}

#[test]
fn an_attribute_table_decides_by_its_first_matching_row() {
    for (name, department, expected) in [
        ("exact", &["engineering"][..], "eng.ac.cdl"),
        ("exact is case-sensitive", &["Engineering"], "pass"),
        ("pattern", &["history"], "hist.ac.cdl"),
        ("a pattern matches the whole value", &["prehistory"], "pass"),
        ("a newline does not end a value", &["history\nx"], "pass"),
        ("alternatives stay inside the anchors", &["bx"], "pass"),
        ("one of several values", &["staff", "history"], "hist.ac.cdl"),
        ("rows, not values, set the order", &["history", "engineering"], "eng.ac.cdl"),
        ("no such value", &["physics"], "pass"),
        ("not released", &[], "pass"),
        ("a row for a homeserver that is gone", &["closed"], "not a candidate: gone.ac.cdl"),
    ] {
        assert_eq!(decide(&table(), &person(department), None), expected, "{name}");
    }
}

#[test]
fn an_unbalanced_pattern_is_refused_though_anchors_would_balance_it() {
    assert!(Matcher::pattern("a)|(b").is_err());
}

#[test]
fn a_sticky_person_stays_and_is_never_moved_silently() {
    for (name, earlier, expected) in [
        ("first visit", None, "pass"),
        ("second visit", Some(server_name!("hist.ac.cdl")), "hist.ac.cdl"),
        ("gone from the config", Some(server_name!("old.ac.cdl")), "not a candidate: old.ac.cdl"),
    ] {
        assert_eq!(decide(&Sticky, &person(&["engineering"]), earlier), expected, "{name}");
    }
}

#[test]
fn a_user_table_is_for_one_providers_subjects() {
    let table = |provider: &str, user: &str| UserTable {
        provider: ProviderId::parse(provider).expect("valid"),
        users: BTreeMap::from([(user.to_owned(), owned_server_name!("hist.ac.cdl"))]),
    };
    for (name, selector, expected) in [
        ("listed", table("corp", "alice"), "hist.ac.cdl"),
        ("another provider's alice", table("other", "alice"), "pass"),
        ("another case", table("corp", "Alice"), "pass"),
    ] {
        assert_eq!(decide(&selector, &person(&[]), None), expected, "{name}");
    }
}

#[derive(Debug)]
struct Unavailable;

#[async_trait]
impl HomeserverSelector for Unavailable {
    async fn select<'a>(&self, _: &Ballot<'a>) -> Result<Selection<'a>, SelectError> {
        Err(SelectError::Unavailable("the decision service is away".into()))
    }
}

#[test]
fn in_a_chain_the_first_that_does_not_pass_decides() {
    let hist = Some(server_name!("hist.ac.cdl"));
    let sticky_first = Chain(vec![Box::new(Sticky), Box::new(table())]);
    let table_first = Chain(vec![Box::new(table()), Box::new(Sticky)]);
    let broken = Chain(vec![Box::new(Sticky), Box::new(Unavailable), Box::new(table())]);
    for (name, chain, earlier, expected) in [
        ("sticky before attribute", &sticky_first, hist, "hist.ac.cdl"),
        ("attribute before sticky", &table_first, hist, "eng.ac.cdl"),
        ("first visit falls through", &sticky_first, None, "eng.ac.cdl"),
        ("an error is not overruled", &broken, None, "unavailable"),
        ("an error after a decision is not reached", &broken, hist, "hist.ac.cdl"),
        ("an empty chain has no opinion", &Chain::default(), hist, "pass"),
    ] {
        assert_eq!(decide(chain, &person(&["engineering"]), earlier), expected, "{name}");
    }
}
