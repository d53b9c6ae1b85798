use std::collections::BTreeMap;

use ruma_common::{OwnedServerName, ServerName};

use super::*;
use crate::select::tests::{answer, candidates_of, person_called};

fn over(homeservers: &[(&str, u32)]) -> Rendezvous {
    let weighted = |(name, weight): &(&str, u32)| Weighted {
        server_name: ServerName::parse(*name).expect("a name"),
        weight: *weight,
    };
    Rendezvous { key: RendezvousKey::Subject, homeservers: homeservers.iter().map(weighted).collect() }
}

/// Where 20,000 people land.
fn spread(selector: &Rendezvous) -> Vec<OwnedServerName> {
    let names: Vec<_> = selector.homeservers.iter().map(|one| one.server_name.as_str()).collect();
    let candidates = candidates_of(&names);
    let land = |number: u32| {
        let identity = person_called(&format!("person{number}"));
        let ballot =
            Ballot { identity: &identity, candidates: &candidates, earlier: None, answer: None, turn: None };
        match answer(selector.select(&ballot)) {
            Ok(Selection::Chosen(candidate)) => candidate.server_name.clone(),
            other => panic!("{other:?}"),
        }
    };
    (0..20_000).map(land).collect()
}

fn shares(spread: &[OwnedServerName]) -> BTreeMap<&str, i64> {
    let mut shares = BTreeMap::new();
    for name in spread {
        *shares.entry(name.as_str()).or_default() += 1;
    }
    shares
}

/// Within four standard deviations of a fair draw, and the draw never changes.
fn is_about(count: i64, expected: i64) -> bool {
    (count - expected).abs() < 280
}

#[test]
fn a_logarithm_is_exact_where_it_can_be_and_rounded_down_elsewhere() {
    for (x, expected) in [
        (1, 0),
        (2, 1 << 48),
        (1 << 63, 63 << 48),
        // log2(3) = 1.5849625007211561814…
        (3, 446_127_282_977_750),
        // log2(10) = 3.3219280948873623479…
        (10, 935_039_633_142_894),
    ] {
        assert_eq!(log2(x), expected, "{x}");
    }
    assert!(log2(u64::MAX) < 64 << 48);
}

/// The vector of docs/mapping.md. If it fails, people would be sent to other homeservers than before: never adapt it.
#[test]
fn the_documented_vector_holds() {
    for (key, server_name, expected) in [
        ("alice", "eng.ac.cdl", 539_182_955_830_172),
        ("alice", "hist.ac.cdl", 110_236_902_622_968),
        ("alice", "phys.ac.cdl", 276_116_762_916_690),
        ("bob", "eng.ac.cdl", 668_208_296_786_595),
        ("bob", "hist.ac.cdl", 1_129_508_010_656_580),
        ("bob", "phys.ac.cdl", 157_536_969_009_780),
        ("Åsa", "eng.ac.cdl", 179_844_746_719_966),
        ("Åsa", "hist.ac.cdl", 232_482_406_888_773),
        ("Åsa", "phys.ac.cdl", 172_330_671_103_967),
    ] {
        assert_eq!(distance(key, server_name), expected, "{key} {server_name}");
    }
}

#[test]
fn everybody_lands_by_weight() {
    let landed = spread(&over(&[("a.cdl", 1), ("b.cdl", 3), ("c.cdl", 4)]));
    let shares = shares(&landed);
    for (name, expected) in [("a.cdl", 2_500), ("b.cdl", 7_500), ("c.cdl", 10_000)] {
        assert!(is_about(shares[name], expected), "{shares:?}");
    }
}

#[test]
fn only_the_share_of_a_homeserver_that_comes_or_goes_moves() {
    let three = spread(&over(&[("a.cdl", 1), ("b.cdl", 1), ("c.cdl", 1)]));
    let four = spread(&over(&[("d.cdl", 1), ("c.cdl", 1), ("b.cdl", 1), ("a.cdl", 1)]));
    let moved: Vec<_> = three.iter().zip(&four).filter(|(before, after)| before != after).collect();
    assert!(moved.iter().all(|(_, after)| *after == "d.cdl"), "nobody moves between those that stay");
    assert!(is_about(i64::try_from(moved.len()).expect("few"), 5_000), "{}", moved.len());
    let heavier = spread(&over(&[("a.cdl", 2), ("b.cdl", 1), ("c.cdl", 1)]));
    let drawn: Vec<_> = three.iter().zip(&heavier).filter(|(before, after)| before != after).collect();
    assert!(drawn.iter().all(|(_, after)| *after == "a.cdl"), "more weight takes nobody away");
    assert!(is_about(i64::try_from(drawn.len()).expect("few"), 3_333), "{}", drawn.len());
}

#[test]
fn who_shares_an_attribute_lands_together_and_who_has_none_is_passed_on() {
    let by_building = Rendezvous {
        key: RendezvousKey::Attribute("building".to_owned()),
        ..over(&[("a.cdl", 1), ("b.cdl", 1), ("c.cdl", 1)])
    };
    let candidates = candidates_of(&["a.cdl", "b.cdl", "c.cdl"]);
    let lands = |subject: &str, buildings: &[&str]| {
        let mut identity = person_called(subject);
        let buildings = buildings.iter().map(|value| (*value).to_owned()).collect();
        identity.attributes.insert("building".to_owned(), buildings);
        let ballot =
            Ballot { identity: &identity, candidates: &candidates, earlier: None, answer: None, turn: None };
        match answer(by_building.select(&ballot)) {
            Ok(Selection::Chosen(candidate)) => Some(candidate.server_name.clone()),
            Ok(Selection::Pass) => None,
            other => panic!("{other:?}"),
        }
    };
    for building in ["north", "south", "east", "west"] {
        assert_eq!(lands("alice", &[building]), lands("bob", &[building]), "{building}");
        assert!(lands("alice", &[building]).is_some());
    }
    for (name, buildings) in [("none", &[][..]), ("an empty one", &[""]), ("two", &["north", "south"])] {
        assert_eq!(lands("alice", buildings), None, "{name}");
    }
}

#[test]
fn nobody_lands_where_they_may_not() {
    let selector = over(&[("a.cdl", 1), ("b.cdl", 1000)]);
    let mut candidates = candidates_of(&["a.cdl", "b.cdl"]);
    let identity = person_called("alice");
    for (name, is_open, expected) in [("one", [true, false], Some("a.cdl")), ("none", [false, false], None)] {
        for (candidate, is_open) in candidates.iter_mut().zip(is_open) {
            candidate.is_open = is_open;
        }
        let ballot =
            Ballot { identity: &identity, candidates: &candidates, earlier: None, answer: None, turn: None };
        let chosen = match answer(selector.select(&ballot)) {
            Ok(Selection::Chosen(candidate)) => Some(candidate.server_name.as_str()),
            Ok(Selection::Pass) => None,
            other => panic!("{other:?}"),
        };
        assert_eq!(chosen, expected, "{name}");
    }
}
