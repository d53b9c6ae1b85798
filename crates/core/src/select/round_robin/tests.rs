use ruma_common::{OwnedServerName, ServerName, server_name};

use super::*;
use crate::select::{
    Candidate, Reason,
    tests::{answer, candidates_of, person_called},
};

fn over(homeservers: &[(&str, u32)]) -> RoundRobin {
    let weighted = |(name, weight): &(&str, u32)| Weighted {
        server_name: ServerName::parse(*name).expect("a name"),
        weight: *weight,
    };
    RoundRobin::new(&homeservers.iter().map(weighted).collect::<Vec<_>>())
}

fn decide<'a>(
    selector: &RoundRobin,
    candidates: &'a [Candidate],
    earlier: Option<&ServerName>,
    turn: Option<u64>,
) -> Selection<'a> {
    let identity = person_called("alice");
    let ballot = Ballot { identity: &identity, candidates, earlier, answer: None, turn };
    let selection = answer(selector.select(&ballot)).expect("it has all it needs");
    match selection {
        Selection::Chosen(chosen) => {
            Selection::Chosen(candidates.iter().find(|one| *one == chosen).expect("a candidate"))
        }
        Selection::Ask(_) => panic!("it never asks"),
        Selection::Pass => Selection::Pass,
        Selection::Draw(counter) => Selection::Draw(counter),
        Selection::Refuse(reason) => Selection::Refuse(reason),
    }
}

/// One letter a turn.
fn dealt(selector: &RoundRobin, candidates: &[Candidate], turns: std::ops::Range<u64>) -> String {
    let deal = |turn| match decide(selector, candidates, None, Some(turn)) {
        Selection::Chosen(candidate) => candidate.server_name.as_str()[..1].to_owned(),
        other => panic!("{other:?}"),
    };
    turns.map(deal).collect()
}

#[test]
fn a_cycle_gives_each_its_weight_and_spreads_it_out() {
    let candidates = candidates_of(&["a.cdl", "b.cdl", "c.cdl"]);
    for (name, weights, expected) in [
        ("equal", [1, 1, 1], "abc"),
        ("nginx's own example", [5, 1, 1], "aabacaa"),
        ("two heavy ones", [2, 2, 1], "abcab"),
        ("a common divisor", [500, 100, 100], "aabacaa"),
    ] {
        let selector = over(&[("a.cdl", weights[0]), ("b.cdl", weights[1]), ("c.cdl", weights[2])]);
        let length = u64::try_from(expected.len()).expect("short");
        assert_eq!(dealt(&selector, &candidates, 0..length), expected, "{name}");
        assert_eq!(dealt(&selector, &candidates, length..2 * length), expected, "{name}: the next cycle");
    }
}

#[test]
fn the_largest_weights_are_dealt_exactly() {
    let candidates = candidates_of(&["a.cdl", "b.cdl"]);
    let all = dealt(&over(&[("a.cdl", 1000), ("b.cdl", 999)]), &candidates, 0..1999);
    assert_eq!((all.matches('a').count(), all.matches('b').count()), (1000, 999));
    assert!(!all[1..].contains("aa") && !all.contains("bb"), "in turn");
}

#[test]
fn a_turn_of_somebody_who_may_not_have_it_goes_to_the_next() {
    let mut candidates = candidates_of(&["a.cdl", "b.cdl", "c.cdl"]);
    candidates[0].is_open = false;
    let selector = over(&[("a.cdl", 5), ("b.cdl", 1), ("c.cdl", 1)]);
    assert_eq!(dealt(&selector, &candidates, 0..7), "bbbccbb");
    for candidate in &mut candidates {
        candidate.is_open = false;
    }
    assert_eq!(
        decide(&selector, &candidates, None, None),
        Selection::Pass,
        "and no turn is drawn for nothing"
    );
}

#[test]
fn a_turn_is_drawn_only_for_somebody_new() {
    let candidates = candidates_of(&["a.cdl", "b.cdl", "elsewhere.cdl"]);
    let selector = over(&[("a.cdl", 1), ("b.cdl", 2)]);
    let chosen = |name: OwnedServerName| {
        Selection::Chosen(candidates.iter().find(|one| one.server_name == name).expect("a candidate"))
    };
    let gone = server_name!("gone.cdl");
    for (name, earlier, expected) in [
        ("new", None, Selection::Draw("a.cdl*1,b.cdl*2".into())),
        ("sent before", Some(server_name!("b.cdl")), chosen(server_name!("b.cdl").to_owned())),
        (
            "sent before by another rule",
            Some(server_name!("elsewhere.cdl")),
            chosen(server_name!("elsewhere.cdl").to_owned()),
        ),
        ("gone", Some(gone), Selection::Refuse(Reason::NotACandidate(gone.to_owned()))),
    ] {
        assert_eq!(decide(&selector, &candidates, earlier, None), expected, "{name}");
    }
}
