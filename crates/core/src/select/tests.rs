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
pub(super) fn answer<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a selector without I/O waited"),
    }
}

/// Somebody of whom nothing else is known.
pub(super) fn person_called(subject: &str) -> Identity {
    Identity {
        provider: ProviderId::parse("corp").expect("valid"),
        issuer: Issuer::parse("https://cas.example").expect("valid"),
        subject: Subject::parse(subject).expect("valid"),
        evidence: Evidence::Unstated,
        attributes: BTreeMap::new(),
        upstream_session: None,
    }
}

fn with(attribute: &str, values: &[&str]) -> Identity {
    let values = values.iter().map(|value| (*value).to_owned()).collect();
    Identity { attributes: BTreeMap::from([(attribute.to_owned(), values)]), ..person_called("alice") }
}

fn person(department: &[&str]) -> Identity {
    with("department", department)
}

/// Homeservers that everybody may have.
pub(super) fn candidates_of(names: &[&str]) -> Vec<Candidate> {
    let candidate = |name: &&str| Candidate {
        server_name: ServerName::parse(*name).expect("valid"),
        name: (*name).to_owned(),
        is_open: true,
    };
    names.iter().map(candidate).collect()
}

fn candidates() -> Vec<Candidate> {
    candidates_of(&["eng.ac.cdl", "hist.ac.cdl"])
}

/// What was decided, in a word the tables below can spell.
fn decide(selector: &dyn HomeserverSelector, identity: &Identity, earlier: Option<&ServerName>) -> String {
    let candidates = candidates();
    let ballot = Ballot { identity, candidates: &candidates, earlier, answer: None, turn: None };
    spell(answer(selector.select(&ballot)))
}

fn spell(selection: Result<Selection<'_>, SelectError>) -> String {
    match selection {
        Ok(Selection::Chosen(candidate)) => candidate.server_name.to_string(),
        Ok(Selection::Ask(asked)) => {
            let names: Vec<_> = asked.iter().map(|candidate| candidate.server_name.as_str()).collect();
            format!("ask: {}", names.join(", "))
        }
        Ok(Selection::Draw(counter)) => format!("draw: {counter}"),
        Ok(Selection::Pass) => "pass".to_owned(),
        Ok(Selection::Refuse(Reason::NotACandidate(name))) => format!("not a candidate: {name}"),
        Ok(Selection::Refuse(Reason::Declined)) => "declined".to_owned(),
        Err(SelectError::Unavailable(_)) => "unavailable".to_owned(),
    }
}

fn table() -> AttributeTable {
    let exact = |value: &str, homeserver| Row { matcher: Matcher::Exact(value.to_owned()), homeserver };
    let pattern =
        |value: &str, homeserver| Row { matcher: Matcher::pattern(value).expect("valid"), homeserver };
    AttributeTable {
        scope: Scope::default(),
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
fn a_pattern_is_for_the_whole_value_however_it_is_written() {
    let commented = "(?x)hist # ory";
    for (name, expression, value, expected) in [
        ("words of all alphabets", r"\w+\.\w+", "åsa.ek", true),
        ("three of them", r"\w+-\w+-\w+", "a-b-c", true),
        ("anything of a length", ".{1,64}", "föö", true),
        ("a comment at the end", commented, "hist", true),
        ("and the whole value all the same", commented, "hist\n", false),
        ("and from its beginning", commented, "prehist", false),
        ("a hash that is no comment", "hist #", "hist #", true),
    ] {
        let row = Row {
            matcher: Matcher::pattern(expression).expect(name),
            homeserver: owned_server_name!("eng.ac.cdl"),
        };
        let table = AttributeTable { rows: vec![row], ..table() };
        let expected = if expected { "eng.ac.cdl" } else { "pass" };
        assert_eq!(decide(&table, &person(&[value]), None), expected, "{name}");
    }
}

#[test]
fn what_is_said_of_a_bad_pattern_does_not_show_how_it_is_anchored() {
    for (name, expression, expected) in [
        ("unbalanced", "(".to_owned(), "is not a regular expression"),
        ("too large", r"\w{1,1000}".to_owned(), "is too large a regular expression; use [a-z]"),
        ("too large, and a comment", r"(?x)\w{1,1000} # all".to_owned(), "is too large"),
        ("nested as deeply as may be", format!("{}a{}", "(".repeat(250), ")".repeat(250)), "is too large"),
    ] {
        let said = Matcher::pattern(&expression).expect_err(name).to_string();
        assert!(
            said.starts_with(expected) && !said.contains(r"\A") && !said.contains(r"\z"),
            "{name}: {said}"
        );
    }
}

#[test]
fn a_matcher_covers_what_it_certainly_matches() {
    let exact = |value: &str| Matcher::Exact(value.to_owned());
    let pattern = |expression: &str| Matcher::pattern(expression).expect("valid");
    for (name, earlier, later, expected) in [
        ("one value twice", exact("a"), exact("a"), true),
        ("two values", exact("a"), exact("b"), false),
        ("a pattern before its value", pattern("a.*"), exact("ab"), true),
        ("a value before its pattern", exact("ab"), pattern("a.*"), false),
        ("one pattern twice", pattern("a.*"), pattern("a.*"), true),
        ("two patterns", pattern("a.*"), pattern("ab"), false),
        ("everything before a pattern", pattern(".*"), pattern("ab"), true),
        ("everything after a pattern", pattern("ab"), pattern(".*"), false),
    ] {
        assert_eq!(earlier.covers(&later), expected, "{name}");
    }
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
    let table = |provider: &str, issuer: Option<&str>, user: &str| UserTable {
        provider: ProviderId::parse(provider).expect("valid"),
        issuer: issuer.map(|issuer| Issuer::parse(issuer).expect("valid")),
        users: BTreeMap::from([(user.to_owned(), owned_server_name!("hist.ac.cdl"))]),
    };
    for (name, selector, expected) in [
        ("listed", table("corp", None, "alice"), "hist.ac.cdl"),
        ("listed for her issuer", table("corp", Some("https://cas.example"), "alice"), "hist.ac.cdl"),
        ("another provider's alice", table("other", None, "alice"), "pass"),
        ("another issuer's alice", table("corp", Some("https://cas.example/"), "alice"), "pass"),
        ("another case", table("corp", None, "Alice"), "pass"),
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

#[test]
fn a_table_of_values_is_for_those_it_covers() {
    let scope = |provider: Option<&str>, issuer: Option<&str>| Scope {
        provider: provider.map(|provider| ProviderId::parse(provider).expect("valid")),
        issuer: issuer.map(|issuer| Issuer::parse(issuer).expect("valid")),
    };
    let by_mail = |scope| EmailDomains {
        scope,
        attribute: "department".to_owned(),
        rows: vec![DomainRow {
            domain: DomainPattern::parse("ac.cdl").expect("a domain"),
            homeserver: owned_server_name!("eng.ac.cdl"),
        }],
    };
    for (name, scope, expected) in [
        ("everybody", scope(None, None), "eng.ac.cdl"),
        ("her provider", scope(Some("corp"), None), "eng.ac.cdl"),
        ("her issuer", scope(None, Some("https://cas.example")), "eng.ac.cdl"),
        ("another provider", scope(Some("other"), None), "pass"),
        ("another issuer", scope(None, Some("https://other.example")), "pass"),
        ("her issuer at another provider", scope(Some("other"), Some("https://cas.example")), "pass"),
    ] {
        let attribute = AttributeTable { scope: scope.clone(), ..table() };
        assert_eq!(decide(&attribute, &person(&["engineering"]), None), expected, "{name}");
        assert_eq!(decide(&by_mail(scope), &person(&["alice@ac.cdl"]), None), expected, "{name}: e-mail");
    }
}

#[test]
fn an_email_domain_decides_by_its_first_matching_row() {
    let row = |domain: &str, homeserver| DomainRow {
        domain: DomainPattern::parse(domain).expect("a domain"),
        homeserver,
    };
    let selector = EmailDomains {
        scope: Scope::default(),
        attribute: "mail".to_owned(),
        rows: vec![
            row("eng.ac.cdl", owned_server_name!("eng.ac.cdl")),
            row("*.ac.cdl", owned_server_name!("hist.ac.cdl")),
            row("old.cdl", owned_server_name!("gone.ac.cdl")),
        ],
    };
    for (name, mail, expected) in [
        ("first row", &["alice@eng.ac.cdl"][..], "eng.ac.cdl"),
        ("second row", &["alice@arch.ac.cdl"], "hist.ac.cdl"),
        ("one of several", &["alice@home.example", "alice@eng.ac.cdl"], "eng.ac.cdl"),
        ("rows, not values, set the order", &["alice@arch.ac.cdl", "alice@eng.ac.cdl"], "eng.ac.cdl"),
        ("no such domain", &["alice@home.example"], "pass"),
        ("no address", &["eng.ac.cdl"], "pass"),
        ("not released", &[], "pass"),
        ("a homeserver that is gone", &["alice@old.cdl"], "not a candidate: gone.ac.cdl"),
    ] {
        assert_eq!(decide(&selector, &with("mail", mail), None), expected, "{name}");
    }
}

#[test]
fn fixed_is_for_everybody() {
    let fixed = |name: &str| Fixed(ServerName::parse(name).expect("a name"));
    assert_eq!(decide(&fixed("hist.ac.cdl"), &person(&[]), None), "hist.ac.cdl");
    assert_eq!(decide(&fixed("gone.ac.cdl"), &person(&[]), None), "not a candidate: gone.ac.cdl");
}

#[test]
fn only_what_a_person_may_have_is_asked_and_only_that_is_taken_for_an_answer() {
    let all = Ask::default();
    let named = |names: &[&str]| Ask {
        homeservers: Some(names.iter().map(|name| ServerName::parse(*name).expect("a name")).collect()),
    };
    let (two, gone) = (named(&["c.cdl", "a.cdl"]), named(&["gone.cdl"]));
    let (a, b, x) = (Some(server_name!("a.cdl")), Some(server_name!("b.cdl")), Some(server_name!("x.cdl")));
    for (name, selector, open, answered, expected) in [
        ("all", &all, "abc", None, "ask: a.cdl, b.cdl, c.cdl"),
        ("what they may have", &all, "ac", None, "ask: a.cdl, c.cdl"),
        ("the only one", &all, "b", None, "b.cdl"),
        ("none", &all, "", None, "pass"),
        ("those that are named, in that order", &two, "abc", None, "ask: c.cdl, a.cdl"),
        ("the only one that is named", &two, "ab", None, "a.cdl"),
        ("none that is named", &two, "b", None, "pass"),
        ("named and gone", &gone, "abc", None, "pass"),
        ("an answer", &all, "abc", b, "b.cdl"),
        ("an answer they may not have", &all, "ac", b, "ask: a.cdl, c.cdl"),
        ("an answer that was not asked", &two, "abc", b, "ask: c.cdl, a.cdl"),
        ("an answer that is no homeserver here", &all, "abc", x, "ask: a.cdl, b.cdl, c.cdl"),
        ("another answer than the only one", &all, "b", a, "ask: b.cdl"),
        ("an answer where there is none", &all, "", a, "pass"),
    ] {
        let mut candidates = candidates_of(&["a.cdl", "b.cdl", "c.cdl"]);
        for candidate in &mut candidates {
            candidate.is_open = open.contains(&candidate.name[..1]);
        }
        let identity = person(&[]);
        let ballot = Ballot {
            identity: &identity,
            candidates: &candidates,
            earlier: None,
            answer: answered,
            turn: None,
        };
        assert_eq!(spell(answer(selector.select(&ballot))), expected, "{name}");
    }
}

#[test]
fn policy_that_names_a_homeserver_is_not_overruled_by_what_somebody_may_have() {
    let mut candidates = candidates();
    for candidate in &mut candidates {
        candidate.is_open = false;
    }
    let identity = person(&["engineering"]);
    let earlier = Some(server_name!("eng.ac.cdl"));
    let ballot = Ballot { identity: &identity, candidates: &candidates, earlier, answer: None, turn: None };
    let fixed = Fixed(owned_server_name!("eng.ac.cdl"));
    for selector in [&table() as &dyn HomeserverSelector, &Sticky, &fixed] {
        assert_eq!(spell(answer(selector.select(&ballot))), "eng.ac.cdl", "{selector:?}");
    }
}
