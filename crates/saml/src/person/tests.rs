//! Who somebody is, and what is known of them.

use usher_core::Timestamp;
use usher_lab::scripted::saml::{Attribute, NameId as Name, Response, SamlIdp, instant};

use super::{
    ScopeCheck::{AsMetadataSays, Off, Strict},
    *,
};
use crate::{
    metadata::Idp,
    names::FORMAT_EMAIL,
    testing::{ENTITY, IDP, SECONDS, SP, assertion_signed, honest, known, policy, question, read},
};

fn naming(subject: SubjectSource) -> Naming {
    Naming { subject, attributes: BTreeMap::new(), scopes: AsMetadataSays }
}

fn persistent() -> SubjectSource {
    SubjectSource::NameId { format: FORMAT_PERSISTENT.to_owned() }
}

fn by(attribute: &str) -> SubjectSource {
    SubjectSource::Attribute(attribute.to_owned())
}

fn assertion(change: impl FnOnce(&mut Response)) -> Assertion {
    let mut response = honest();
    change(&mut response);
    read(&response.xml(&assertion_signed()).expect("a response")).expect("it counts")
}

fn with_attributes(own: &[Attribute]) -> Assertion {
    assertion(|response| response.assertion.as_mut().expect("an assertion").attributes = own.to_vec())
}

fn who(assertion: &Assertion, naming: &Naming, idp: &Idp) -> Result<String, Unnamed> {
    let policy = policy();
    let question = question(idp, &policy);
    let attributes = attributes(assertion, naming, idp);
    subject(assertion, &attributes, naming, &question).map(|subject| subject.to_string())
}

#[test]
fn a_name_id_counts_in_its_format_and_our_namespace() {
    let name = |change: fn(&mut Name)| {
        assertion(|response| {
            let subject = response.assertion.as_mut().and_then(|assertion| assertion.subject.as_mut());
            change(subject.and_then(|subject| subject.name.as_mut()).expect("a name"));
        })
    };
    let (persistent, email) = (persistent(), SubjectSource::NameId { format: FORMAT_EMAIL.to_owned() });
    let unspecified = SubjectSource::NameId { format: FORMAT_UNSPECIFIED.to_owned() };
    let alice = || Ok("alice-persistent".to_owned());
    for (case, assertion, source, expected) in [
        ("as it is", name(|_| {}), &persistent, alice()),
        (
            "without qualifiers",
            name(|n| (n.name_qualifier, n.sp_name_qualifier) = (None, None)),
            &persistent,
            alice(),
        ),
        (
            "on a line of its own",
            name(|n| n.value = "\n  alice-persistent\n".to_owned()),
            &persistent,
            alice(),
        ),
        (
            "a blank at its end",
            name(|n| n.value = "alice-persistent ".to_owned()),
            &persistent,
            Err(Unnamed::BadSubject),
        ),
        (
            "a line's end at its end",
            name(|n| n.value = "alice-persistent\n".to_owned()),
            &persistent,
            Err(Unnamed::BadSubject),
        ),
        (
            "empty qualifiers",
            name(|n| (n.name_qualifier, n.sp_name_qualifier) = (Some(String::new()), Some(String::new()))),
            &persistent,
            alice(),
        ),
        (
            "transient",
            name(|n| n.format = Some(crate::names::FORMAT_TRANSIENT.to_owned())),
            &persistent,
            Err(Unnamed::Format),
        ),
        ("no format", name(|n| n.format = None), &persistent, Err(Unnamed::Format)),
        ("no format, and none wanted", name(|n| n.format = None), &unspecified, alice()),
        ("an address", name(|n| n.format = Some(FORMAT_EMAIL.to_owned())), &email, alice()),
        ("an address for a name", name(|_| {}), &email, Err(Unnamed::Format)),
        (
            "of another identity provider",
            name(|n| n.name_qualifier = Some("https://other.example".to_owned())),
            &persistent,
            Err(Unnamed::Qualifier),
        ),
        (
            "for another service",
            name(|n| n.sp_name_qualifier = Some("https://other.example".to_owned())),
            &persistent,
            Err(Unnamed::Qualifier),
        ),
        (
            "an address in another namespace",
            name(|n| (n.format, n.name_qualifier) = (Some(FORMAT_EMAIL.to_owned()), Some("x".to_owned()))),
            &email,
            alice(),
        ),
        ("empty", name(|n| n.value = String::new()), &persistent, Err(Unnamed::BadSubject)),
        ("too long", name(|n| n.value = "x".repeat(1025)), &persistent, Err(Unnamed::BadSubject)),
        (
            "a control character",
            name(|n| n.value = "a\u{85}b".to_owned()),
            &persistent,
            Err(Unnamed::BadSubject),
        ),
    ] {
        assert_eq!(who(&assertion, &naming(source.clone()), &known(&IDP)), expected, "{case}");
    }
    let nameless = assertion(|response| {
        let subject = response.assertion.as_mut().and_then(|assertion| assertion.subject.as_mut());
        subject.expect("a subject").name = None;
    });
    assert_eq!(who(&nameless, &naming(persistent), &known(&IDP)), Err(Unnamed::NoNameId));
}

#[test]
fn an_attribute_names_somebody_by_exactly_one_good_value() {
    let number = "urn:oid:2.16.840.1.113730.3.1.3";
    let one = |values: &[&str]| with_attributes(&[Attribute::new(number, values)]);
    for (name, assertion, source, expected) in [
        ("one", one(&["0042"]), "employeeNumber", Ok("0042".to_owned())),
        ("by its formal name", one(&["0042"]), number, Ok("0042".to_owned())),
        ("none", one(&[]), "employeeNumber", Err(Unnamed::NoSubject)),
        ("empty", one(&[""]), "employeeNumber", Err(Unnamed::NoSubject)),
        ("two", one(&["1", "2"]), "employeeNumber", Err(Unnamed::SeveralSubjects)),
        ("the same twice", one(&["1", "1"]), "employeeNumber", Err(Unnamed::SeveralSubjects)),
        ("another case", one(&["1"]), "employeenumber", Err(Unnamed::NoSubject)),
        ("blanks", one(&["1 "]), "employeeNumber", Err(Unnamed::BadSubject)),
        ("a line's end", one(&["1\n"]), "employeeNumber", Err(Unnamed::BadSubject)),
        ("on a line of its own", one(&["\n  1\n  "]), "employeeNumber", Ok("1".to_owned())),
        ("a tab", one(&["1\t2"]), "employeeNumber", Err(Unnamed::BadSubject)),
        ("too long", one(&[&"1".repeat(1025)]), "employeeNumber", Err(Unnamed::BadSubject)),
    ] {
        assert_eq!(who(&assertion, &naming(by(source)), &known(&IDP)), expected, "{name}");
    }
}

#[test]
fn subject_identifiers_have_a_syntax_one_spelling_and_a_scope() {
    let formal = "urn:oasis:names:tc:SAML:attribute:subject-id";
    let scoped = known(&SamlIdp { scopes: vec!["ac.cdl".to_owned()], ..IDP.clone() });
    for (value, expected) in [
        ("alice@ac.cdl", Ok("alice@ac.cdl")),
        ("ALICE=1-2@AC.CDL", Ok("alice=1-2@ac.cdl")),
        ("alice@other.example", Err(Unnamed::NoSubject)),
        ("alice", Err(Unnamed::NoSubject)),
        ("=alice@ac.cdl", Err(Unnamed::SubjectId)),
        ("al ice@ac.cdl", Err(Unnamed::SubjectId)),
        ("älice@ac.cdl", Err(Unnamed::SubjectId)),
        ("@ac.cdl", Err(Unnamed::SubjectId)),
        ("a@b@ac.cdl", Err(Unnamed::SubjectId)),
    ] {
        let assertion = with_attributes(&[Attribute::new(formal, &[value])]);
        for source in ["subject-id", formal] {
            let named = who(&assertion, &naming(by(source)), &scoped);
            assert_eq!(named, expected.map(str::to_owned), "{value} by {source}");
        }
    }
    let assertion = with_attributes(&[Attribute::new(formal, &["alice@other.example"])]);
    let unchecked = Naming { scopes: Off, ..naming(by("subject-id")) };
    assert_eq!(who(&assertion, &unchecked, &scoped), Ok("alice@other.example".to_owned()));
}

#[test]
fn a_targeted_id_is_read_out_of_its_name_id() {
    let formal = "urn:oid:1.3.6.1.4.1.5923.1.1.1.10";
    let name = Name {
        value: "opaque".to_owned(),
        format: Some(FORMAT_PERSISTENT.to_owned()),
        name_qualifier: Some(ENTITY.to_owned()),
        sp_name_qualifier: Some(SP.to_owned()),
    };
    let bare = Name { name_qualifier: None, sp_name_qualifier: None, ..name.clone() };
    for (name, expected) in [(name, format!("{ENTITY}!{SP}!opaque")), (bare, "opaque".to_owned())] {
        let attribute =
            Attribute { name: formal.to_owned(), friendly_name: None, values: vec![name.xml(None)] };
        let assertion = with_attributes(&[attribute]);
        assert_eq!(who(&assertion, &naming(by("eduPersonTargetedID")), &known(&IDP)), Ok(expected));
    }
}

#[test]
fn attributes_have_their_formal_names_and_what_they_are_called() {
    let (uid, mail) = ("urn:oid:0.9.2342.19200300.100.1.1", "urn:oid:0.9.2342.19200300.100.1.3");
    let mut misled = Attribute::new("urn:oid:9.9.9", &["x"]);
    misled.friendly_name = Some("mail".to_owned());
    let assertion = with_attributes(&[
        Attribute::new(uid, &["alice"]),
        Attribute::new("memberOf", &["b", "a"]),
        Attribute::new("memberOf", &["c", ""]),
        Attribute::new(mail, &["\n  alice@ac.cdl\n "]),
        Attribute::new("empty", &["", ""]),
        Attribute { values: vec!["<a></a>".to_owned(), "b".to_owned()], ..Attribute::new("odd", &[]) },
        Attribute::new("urn:oid:1.2.3", &["1"]),
        misled,
    ]);
    let own = BTreeMap::from([("urn:oid:1.2.3".to_owned(), "badge".to_owned())]);
    let naming = Naming { attributes: own, ..naming(persistent()) };
    let read = attributes(&assertion, &naming, &known(&IDP));
    let values = |values: &[&str]| values.iter().map(|&value| value.to_owned()).collect::<Vec<_>>();
    let expected = BTreeMap::from(
        [
            (uid, values(&["alice"])),
            ("uid", values(&["alice"])),
            ("memberOf", values(&["b", "a", "c"])),
            (mail, values(&["alice@ac.cdl"])),
            ("mail", values(&["alice@ac.cdl"])),
            ("urn:oid:1.2.3", values(&["1"])),
            ("badge", values(&["1"])),
            ("urn:oid:9.9.9", values(&["x"])),
        ]
        .map(|(name, values)| (name.to_owned(), values)),
    );
    assert_eq!(read, expected);
}

#[test]
fn of_an_attribute_under_its_old_name_and_its_new_one_the_new_one_counts() {
    let old = Attribute::new("urn:mace:dir:attribute-def:mail", &["old@ac.cdl"]);
    let new = Attribute::new("urn:oid:0.9.2342.19200300.100.1.3", &["new@ac.cdl"]);
    for (sent, expected) in [
        (vec![old.clone()], "old@ac.cdl"),
        (vec![old.clone(), new.clone()], "new@ac.cdl"),
        (vec![new, old], "new@ac.cdl"),
    ] {
        let attributes = attributes(&with_attributes(&sent), &naming(persistent()), &known(&IDP));
        assert_eq!(attributes["mail"], [expected], "{sent:?}");
    }
}

#[test]
fn an_attribute_that_is_formally_so_called_keeps_its_name() {
    let assertion = with_attributes(&[
        Attribute::new("urn:oid:0.9.2342.19200300.100.1.1", &["by number"]),
        Attribute::new("uid", &["by name"]),
    ]);
    let read = attributes(&assertion, &naming(persistent()), &known(&IDP));
    assert_eq!(read["uid"], ["by name"]);
    assert_eq!(read["urn:oid:0.9.2342.19200300.100.1.1"], ["by number"]);
}

#[test]
fn values_of_another_scope_are_as_if_not_released() {
    let scoped = known(&SamlIdp { scopes: vec!["ac.cdl".to_owned()], ..IDP.clone() });
    let own = BTreeMap::from([("urn:x:eppn".to_owned(), "eduPersonPrincipalName".to_owned())]);
    let values = ["staff@ac.cdl", "staff@other.example", "staff", "staff@x@ac.cdl"];
    let unlimited = known(&SamlIdp { scopes: Vec::new(), ..IDP.clone() });
    let (ours, none) = (["staff@ac.cdl", "staff@x@ac.cdl"], []);
    let with_any = ["staff@ac.cdl", "staff@other.example", "staff@x@ac.cdl"];
    for (name, scopes, idp, expected) in [
        ("eduPersonScopedAffiliation", AsMetadataSays, &scoped, &ours[..]),
        ("urn:oid:1.3.6.1.4.1.5923.1.1.1.9", AsMetadataSays, &scoped, &ours),
        ("urn:x:eppn", AsMetadataSays, &scoped, &ours),
        ("mail", AsMetadataSays, &scoped, &values),
        ("eduPersonScopedAffiliation", Off, &scoped, &values),
        ("eduPersonScopedAffiliation", AsMetadataSays, &unlimited, &with_any),
        ("eduPersonScopedAffiliation", Strict, &unlimited, &none),
        ("eduPersonScopedAffiliation", Strict, &scoped, &ours),
    ] {
        let assertion = with_attributes(&[Attribute::new(name, &values)]);
        let naming = Naming { attributes: own.clone(), scopes, ..naming(persistent()) };
        let read = attributes(&assertion, &naming, idp);
        let read = read.get(name).map(Vec::as_slice).unwrap_or_default();
        assert_eq!(read, expected, "{name} {scopes:?}");
    }
}

#[test]
fn nobody_escapes_the_check_of_scopes_by_the_name_that_an_operator_gave() {
    let scoped = known(&SamlIdp { scopes: vec!["ac.cdl".to_owned()], ..IDP.clone() });
    let names =
        [("urn:oid:1.3.6.1.4.1.5923.1.1.1.6", "eppn"), ("urn:x:other", "eppn"), ("urn:x:free", "free")];
    let own = names.map(|(formal, called)| (formal.to_owned(), called.to_owned())).into();
    let naming = Naming { attributes: own, scopes: Strict, ..naming(persistent()) };
    let (all, ours) = (["a@ac.cdl", "a@other.example"], ["a@ac.cdl"]);
    for (name, called, expected) in [
        ("urn:oid:1.3.6.1.4.1.5923.1.1.1.6", "eppn", &ours[..]),
        ("eppn", "eppn", &ours),
        ("urn:x:other", "eppn", &ours),
        ("eduPersonPrincipalName", "eduPersonPrincipalName", &ours),
        ("urn:x:free", "free", &all),
        ("free", "free", &all),
    ] {
        let read = attributes(&with_attributes(&[Attribute::new(name, &all)]), &naming, &scoped);
        assert_eq!(read[called], expected, "{name}");
        assert_eq!(naming.is_scoped(called), expected == ours, "{name}");
    }
}

#[test]
fn the_earliest_authentication_is_the_evidence() {
    let twice = assertion(|response| {
        let all = &mut response.assertion.as_mut().expect("an assertion").authentications;
        let mut earlier = all[0].clone();
        (earlier.instant, earlier.session_index) = (instant(SECONDS - 7), None);
        all.insert(0, earlier);
    });
    assert_eq!(evidence(&twice), Evidence::AuthenticatedAt(Timestamp::from_secs(1_767_225_593)));
    let (idp, policy) = (known(&IDP), policy());
    let named = session(&twice, &question(&idp, &policy));
    assert!(
        matches!(named, Some(UpstreamSession::OfGroup { session, .. }) if session.starts_with("_session-"))
    );
}
