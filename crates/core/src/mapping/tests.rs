use std::collections::BTreeMap;

use proptest::prelude::*;
use ruma_common::server_name;

use super::*;
use crate::{Evidence, Issuer, ProviderId, Subject};

fn person(subject: &str, attributes: &[(&str, &[&str])]) -> Identity {
    Identity {
        provider: ProviderId::parse("corp").expect("valid"),
        issuer: Issuer::parse("https://cas.example").expect("valid"),
        subject: Subject::parse(subject).expect("valid"),
        evidence: Evidence::Unstated,
        attributes: attributes
            .iter()
            .map(|(name, values)| ((*name).to_owned(), values.iter().map(|v| (*v).to_owned()).collect()))
            .collect::<BTreeMap<_, _>>(),
        upstream_session: None,
    }
}

fn reserved(patterns: &[&str]) -> Reserved {
    let mut reserved = Reserved::default();
    for pattern in patterns {
        reserved.add(pattern).expect("valid");
    }
    reserved
}

fn mapping(template: &str, last: u16) -> Mapping {
    Mapping {
        template: LocalpartTemplate::parse(template).expect("valid"),
        suffix: Suffix { separator: "-".to_owned(), last },
    }
}

#[test]
fn localparts_are_escaped_as_the_appendix_says() {
    let server = server_name!("eng.ac.cdl");
    for (name, text, expected) in [
        ("plain", "alice", Ok("@alice:eng.ac.cdl")),
        ("upper case", "Alice.SMITH", Ok("@alice.smith:eng.ac.cdl")),
        ("non-ASCII", "föö", Ok("@f=c3=b6=c3=b6:eng.ac.cdl")),
        ("the escape character itself", "a=b", Ok("@a=3db:eng.ac.cdl")),
        ("spaces and an @", "a b@c", Ok("@a=20b=40c:eng.ac.cdl")),
        ("a colon cannot end the localpart", "a:evil.example", Ok("@a=3aevil.example:eng.ac.cdl")),
        ("allowed punctuation", "a.b_c-d/e+f", Ok("@a.b_c-d/e+f:eng.ac.cdl")),
        ("a bridge's underscore", "_irc", Ok("@=5firc:eng.ac.cdl")),
        ("white space around it", "  alice\t", Ok("@alice:eng.ac.cdl")),
        ("control characters", "a\0b", Ok("@a=00b:eng.ac.cdl")),
        ("empty", "", Err(LocalpartError::Empty)),
        ("white space alone", " \t", Err(LocalpartError::Empty)),
        ("digits alone", "12345", Err(LocalpartError::Digits)),
        ("digits and a letter", "s12345", Ok("@s12345:eng.ac.cdl")),
    ] {
        let mapped = localpart(text, server);
        assert_eq!(mapped.as_ref().map(|user| user.as_str()), expected.as_ref().map(|text| *text), "{name}");
    }
}

#[test]
fn an_mxid_has_at_most_255_bytes() {
    let server = server_name!("eng.ac.cdl");
    let longest = 255 - "@:eng.ac.cdl".len();
    assert!(localpart(&"a".repeat(longest), server).is_ok());
    assert_eq!(localpart(&"a".repeat(longest + 1), server), Err(LocalpartError::TooLong));
}

#[test]
fn a_template_prints_single_values_and_nothing_else() {
    let person = person("alice", &[("uid", &["al"]), ("mail", &["a@x", "b@x"]), ("none", &[])]);
    let undefined = Err(RenderError::Undefined);
    let not_one = Err(RenderError::NotOneValue);
    for (name, template, expected) in [
        ("the subject", "{{ subject }}", Ok("alice".to_owned())),
        ("one value", "{{ attributes.uid }}", Ok("al".to_owned())),
        ("one of several", "{{ attributes.mail[0] }}", Ok("a@x".to_owned())),
        ("first of one is the value, not a letter", "{{ attributes.uid | first }}", Ok("al".to_owned())),
        ("everything else there is", "{{ provider }}.{{ homeserver }}", Ok("corp.eng.ac.cdl".to_owned())),
        ("several values", "{{ attributes.mail }}", not_one.clone()),
        ("no value", "{{ attributes.none }}", not_one.clone()),
        ("a map", "{{ attributes }}", not_one),
        ("an attribute that was not released", "{{ attributes.eppn }}", undefined.clone()),
        ("an item that is not there", "{{ attributes.uid[1] }}", undefined),
        ("a default the operator wrote", "{{ attributes.eppn | default(subject) }}", Ok("alice".to_owned())),
        ("no end", "{% for i in range(100000) %}{{ i }}{% endfor %}", Err(RenderError::TooLong)),
        ("too much", "{{ 'a' * 2000 }}", Err(RenderError::TooLong)),
    ] {
        let template = LocalpartTemplate::parse(template).expect(name);
        assert_eq!(template.render(&person, server_name!("eng.ac.cdl")), expected, "{name}");
    }
}

#[test]
fn a_broken_template_is_refused_when_the_config_is_read() {
    for (template, expected) in [
        ("{{ subject", "is not a template: "),
        ("{% if %}", "is not a template: "),
        ("{{ subject | nosuchfilter }", "is not a template: "),
        ("{{ atributes.uid }}", "uses `atributes`, which a template does not have; there are: subject, "),
        ("{% if user %}{{ subject }}{% endif %}", "uses `user`, "),
    ] {
        let error = LocalpartTemplate::parse(template).expect_err(template).to_string();
        assert!(error.starts_with(expected) && !error.contains("localpart"), "{template}: {error}");
    }
    for template in ["{% set x = subject %}{{ x }}", "{% for i in range(2) %}{{ loop.index }}{% endfor %}"] {
        assert!(LocalpartTemplate::parse(template).is_ok(), "{template}");
    }
}

#[test]
fn names_are_suffixed_within_bounds() {
    let names = mapping("{{ subject }}", 3)
        .names(&person("alice", &[]), server_name!("eng.ac.cdl"), &Reserved::default())
        .expect("mapped");
    assert_eq!(names, ["@alice:eng.ac.cdl", "@alice-2:eng.ac.cdl", "@alice-3:eng.ac.cdl"]);
}

#[test]
fn suffixes_never_make_an_mxid_too_long() {
    let longest = "a".repeat(255 - "@:eng.ac.cdl".len());
    let names = mapping("{{ subject }}", 9)
        .names(&person(&longest, &[]), server_name!("eng.ac.cdl"), &Reserved::default())
        .expect("mapped");
    assert_eq!(names.len(), 1);
}

#[test]
fn reserved_names_are_refused_and_never_suffixed() {
    let server = server_name!("eng.ac.cdl");
    for (name, patterns, subject, expected) in [
        ("the service's own user", &["usher"][..], "usher", None),
        ("in another case", &["usher"], "USHER", None),
        ("a glob", &["*bot"], "irc-bot", None),
        ("one character", &["a?"], "ab", None),
        ("a dot is a dot", &["a.b"], "axb", Some(2)),
        ("a suffix that is reserved", &["alice-2"], "alice", Some(1)),
        ("not reserved", &["admin"], "alice", Some(2)),
    ] {
        let names = mapping("{{ subject }}", 2).names(&person(subject, &[]), server, &reserved(patterns));
        match expected {
            None => assert_eq!(names, Err(MappingError::Reserved), "{name}"),
            Some(count) => assert_eq!(names.expect(name).len(), count, "{name}"),
        }
    }
}

proptest! {
    #[test]
    fn any_text_becomes_a_valid_mxid_or_a_refusal(text in ".{0,300}") {
        if let Ok(user) = localpart(&text, server_name!("eng.ac.cdl")) {
            prop_assert!(user.validate_strict().is_ok());
            prop_assert_eq!(user.server_name(), server_name!("eng.ac.cdl"));
        }
    }

    #[test]
    fn texts_that_differ_in_more_than_ascii_case_stay_apart(a in ".{0,20}", b in ".{0,20}") {
        if !a.eq_ignore_ascii_case(&b) {
            prop_assert_ne!(escape(&a), escape(&b));
        }
    }
}

#[test]
fn a_template_says_which_attributes_it_looks_at_or_that_it_cannot() {
    for (source, expected) in [
        ("{{ subject }}", Some(vec![])),
        ("{{ attributes.uid }}", Some(vec!["uid"])),
        ("{{ attributes.given }}.{{ attributes.family | lower }}", Some(vec!["family", "given"])),
        ("{{ attributes.eppn | default(subject) }}", Some(vec!["eppn"])),
        ("{% if attributes.a is defined %}{{ attributes.b }}{% endif %}", Some(vec!["a", "b"])),
        ("{% for mail in attributes.mail %}{{ mail }}{% endfor %}", Some(vec!["mail"])),
        ("{{ attributes.mail[0] }}", Some(vec!["mail"])),
        ("{{ attributes.mail | first }}", Some(vec!["mail"])),
        ("{{ attributes }}", None),
        ("{{ attributes[subject] }}", None),
        ("{{ attributes['urn:oid:0.9'] }}", None),
        ("{% set a = attributes %}{{ a.uid }}", None),
        ("{% for name in attributes %}{{ name }}{% endfor %}", None),
        ("{{ attributes | items }}", None),
        ("{{ attributes.uid }}{{ attributes[subject] }}", None),
    ] {
        let used = LocalpartTemplate::parse(source).expect("a template").attributes();
        let expected = expected.map(|names| names.into_iter().map(str::to_owned).collect());
        assert_eq!(used, expected, "{source}");
    }
}
