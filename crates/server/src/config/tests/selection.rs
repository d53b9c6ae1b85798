//! `selection`, `require`, and which attributes they and others look at.

use super::*;

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn a_mistake_in_a_selector_is_named_with_its_key() {
    let eng = || json!({ "homeserver": "eng.ac.cdl" });
    let weighted = |entries: Value| json!([{ "round_robin": { "homeservers": entries } }]);
    for (name, selection, expected) in [
        ("no kind", json!([{}]), "selection[0]: is missing; give one of `sticky`"),
        ("nothing", json!([]), "selection: sends nobody new anywhere"),
        ("only sticky", json!([{ "sticky": {} }]), "selection: sends nobody new anywhere"),
        ("two kinds", json!([{ "ask": {}, "fixed": eng() }]), "selection[0]: has several selectors"),
        ("fixed nowhere", json!([{ "fixed": {} }]), "selection[0].fixed.homeserver: is missing"),
        (
            "fixed to a stranger",
            json!([{ "fixed": { "homeserver": "x.cdl" } }]),
            "selection[0].fixed.homeserver: is not one of `homeservers`",
        ),
        (
            "asked after fixed",
            json!([{ "fixed": eng() }, { "ask": {} }]),
            "selection[1]: is never asked: selection[0] decides for everybody",
        ),
        (
            "sticky after asking",
            json!([{ "ask": {} }, { "sticky": {} }]),
            "selection[1]: is never asked: selection[0]",
        ),
        (
            "after asking about all by name",
            json!([{ "ask": { "homeservers": ["eng.ac.cdl"] } }, { "fixed": eng() }]),
            "selection[1]: is never asked",
        ),
        (
            "after dealing to all",
            json!([{ "round_robin": { "homeservers": [eng()] } }, { "ask": {} }]),
            "selection[1]: is never asked",
        ),
        (
            "after spreading over all",
            json!([{ "rendezvous": { "homeservers": [eng()] } }, { "ask": {} }]),
            "selection[1]: is never asked",
        ),
        (
            "asked about nothing",
            json!([{ "ask": { "homeservers": [] } }]),
            "selection[0].ask.homeservers: names nobody's",
        ),
        (
            "asked about one twice",
            json!([{ "ask": { "homeservers": ["eng.ac.cdl", "eng.ac.cdl"] } }]),
            "selection[0].ask.homeservers[1]: stands twice",
        ),
        (
            "asked about a stranger",
            json!([{ "ask": { "homeservers": ["x.cdl"] } }]),
            "selection[0].ask.homeservers[0]: is not one of",
        ),
        ("dealt to nobody", weighted(json!([])), "selection[0].round_robin.homeservers: is missing"),
        (
            "dealt to a stranger",
            weighted(json!([{ "homeserver": "x.cdl" }])),
            "selection[0].round_robin.homeservers[0].homeserver: is not one of",
        ),
        (
            "dealt to one twice",
            weighted(json!([eng(), eng()])),
            "selection[0].round_robin.homeservers[1].homeserver: stands twice",
        ),
        (
            "no weight",
            weighted(json!([{ "homeserver": "eng.ac.cdl", "weight": 0 }])),
            "selection[0].round_robin.homeservers[0].weight: must be between 1 and 1000",
        ),
        (
            "too much weight",
            weighted(json!([{ "homeserver": "eng.ac.cdl", "weight": 1001 }])),
            "selection[0].round_robin.homeservers[0].weight: must be between 1 and 1000",
        ),
        (
            "a key that is neither",
            json!([{ "rendezvous": { "key": "department", "homeservers": [eng()] } }]),
            "selection[0].rendezvous.key: is neither `subject`",
        ),
        (
            "no name in the key",
            json!([{ "rendezvous": { "key": "attributes.", "homeservers": [eng()] } }]),
            "selection[0].rendezvous.key: is neither `subject`",
        ),
        (
            "no attribute with addresses",
            json!([{ "email_domain": { "rows": [{ "domain": "a.cdl", "homeserver": "eng.ac.cdl" }] } }]),
            "selection[0].email_domain.attribute: is missing",
        ),
        (
            "no rows of domains",
            json!([{ "email_domain": { "attribute": "mail" } }]),
            "selection[0].email_domain.rows: is missing",
        ),
        (
            "a domain that is an address",
            json!([{ "email_domain": { "attribute": "mail", "rows": [{ "domain": "a@b.cdl", "homeserver": "eng.ac.cdl" }] } }]),
            "selection[0].email_domain.rows[0].domain: is not a domain",
        ),
        (
            "a domain twice",
            json!([{ "email_domain": { "attribute": "mail", "rows": [
                { "domain": "a.cdl", "homeserver": "eng.ac.cdl" }, { "domain": "A.cdl", "homeserver": "eng.ac.cdl" },
            ] } }]),
            "selection[0].email_domain.rows[1].domain: stands twice",
        ),
        (
            "a table for an unknown provider",
            json!([{ "attribute": { "name": "d", "provider": "x", "rows": [{ "value": "e", "homeserver": "eng.ac.cdl" }] } }]),
            "selection[0].attribute.provider: is not the `id`",
        ),
        (
            "users of no issuer",
            json!([{ "users": { "provider": "university", "issuer": "", "homeservers": {} } }]),
            "selection[0].users.issuer: must not be empty",
        ),
        (
            "a service that is nowhere",
            json!([{ "decision_service": {} }]),
            "selection[0].decision_service.url: is missing",
        ),
        (
            "a service with two tokens",
            json!([{ "decision_service": { "url": "https://d.cdl/", "token": "a", "token_file": "b" } }]),
            "selection[0].decision_service.token: is given twice",
        ),
        (
            "a service in the clear",
            json!([{ "decision_service": { "url": "http://d.cdl/" } }]),
            "selection[0].decision_service.url: is plain http",
        ),
        (
            "a service that may take an hour",
            json!([{ "decision_service": { "url": "https://d.cdl/", "timeout": "1h" } }]),
            "selection[0].decision_service.timeout: must be between",
        ),
        (
            "a service told one thing twice",
            json!([{ "decision_service": { "url": "https://d.cdl/", "attributes": ["a", "a"] } }]),
            "selection[0].decision_service.attributes[1]: is empty or stands twice",
        ),
        (
            "a service's authorities that are not there",
            json!([{ "decision_service": { "url": "https://d.cdl/", "ca_file": "none.pem" } }]),
            "selection[0].decision_service.ca_file: cannot be read",
        ),
    ] {
        let mut document = good();
        document["selection"] = selection;
        let problems = problems(document);
        assert!(problems.len() == 1 && problems[0].starts_with(expected), "{name}: {problems:#?}");
    }
}

#[test]
fn a_mistake_in_a_requirement_is_named_with_its_key() {
    for (name, requirement, expected) in [
        ("nothing", json!({}), "require[0]: is missing; give one of `exists: true`"),
        ("no attribute", json!({ "exists": true }), "require[0].attribute: is missing"),
        ("no condition", json!({ "attribute": "a" }), "require[0]: is missing; give one of"),
        ("absence", json!({ "attribute": "a", "exists": false }), "require[0].exists: can only be true"),
        ("nothing of", json!({ "attribute": "a", "one_of": [] }), "require[0].one_of: lists nothing"),
        (
            "two conditions",
            json!({ "attribute": "a", "equals": "b", "contains": "b" }),
            "require[0]: has several conditions",
        ),
    ] {
        for place in ["providers", "homeservers"] {
            let mut document = good();
            document[place][0]["require"] = json!([requirement]);
            let problems = problems(document);
            let expected = format!("{place}[0].{expected}");
            assert!(!problems.is_empty() && problems[0].starts_with(&expected), "{name}: {problems:#?}");
        }
    }
}

#[test]
fn what_is_kept_between_two_pages_is_what_something_looks_at() {
    let used = |change: &dyn Fn(&mut Value)| {
        let mut document = good();
        change(&mut document);
        parse(document, "/etc/usher").expect("valid").0.used_attributes()
    };
    let named = |names: &[&str]| UsedAttributes::Named(names.iter().map(|name| (*name).to_owned()).collect());
    let eng = json!([{ "homeserver": "eng.ac.cdl" }]);
    for (name, key, value, expected) in [
        (
            "an attribute's table",
            "/selection",
            json!([{ "attribute": { "name": "d", "rows": [
            { "value": "e", "homeserver": "eng.ac.cdl" },
        ] } }]),
            named(&["d"]),
        ),
        (
            "addresses",
            "/selection",
            json!([{ "email_domain": { "attribute": "m", "rows": [
            { "domain": "a.cdl", "homeserver": "eng.ac.cdl" },
        ] } }]),
            named(&["m"]),
        ),
        (
            "a hash",
            "/selection",
            json!([{ "rendezvous": { "key": "attributes.k", "homeservers": eng } }]),
            named(&["k"]),
        ),
        (
            "a hash of the subject",
            "/selection",
            json!([{ "rendezvous": { "homeservers": eng } }]),
            named(&[]),
        ),
        (
            "a service",
            "/selection",
            json!([{ "decision_service": {
            "url": "https://d.cdl/", "attributes": ["s", "t"],
        } }]),
            named(&["s", "t"]),
        ),
        (
            "a provider's requirement",
            "/providers/0/require",
            json!([{ "attribute": "p", "exists": true }]),
            named(&["department", "p"]),
        ),
        (
            "an adoption",
            "/homeservers/0/adopt",
            json!([{ "provider": "university", "attribute": "old", "immutable": true }]),
            named(&["department", "old"]),
        ),
        (
            "what a new account is given",
            "/homeservers/0/new_account",
            json!({ "display_name": "{{ attributes.cn }}", "email": "{{ attributes.mail }}" }),
            named(&["cn", "department", "mail"]),
        ),
        (
            "a homeserver's requirement",
            "/homeservers/0/require",
            json!([{ "attribute": "h", "exists": true }]),
            named(&["department", "h"]),
        ),
        (
            "the localpart",
            "/mapping",
            json!({ "localpart": "{{ attributes.l }}" }),
            named(&["department", "l"]),
        ),
        (
            "the display name",
            "/homeservers/0/new_account",
            json!({ "display_name": "{{ attributes.n }}" }),
            named(&["department", "n"]),
        ),
        (
            "what cannot be told",
            "/mapping",
            json!({ "localpart": "{{ attributes[subject] }}" }),
            UsedAttributes::All,
        ),
    ] {
        let (parent, last) = key.rsplit_once('/').expect("a pointer");
        let change =
            |document: &mut Value| document.pointer_mut(parent).expect("a parent")[last] = value.clone();
        assert_eq!(used(&change), expected, "{name}");
    }
}
