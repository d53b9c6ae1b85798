//! One row for every check, in which that check fails and no other would.

use usher_lab::scripted::saml::{Confirmation, Response, instant};

use super::*;
use crate::testing::SECONDS;

type Change = fn(&mut Response);
type Row = (&'static str, Change, Unproven);

fn confirmation(response: &mut Response) -> &mut Confirmation {
    &mut subject(response).confirmations[0]
}

fn subject(response: &mut Response) -> &mut usher_lab::scripted::saml::Subject {
    assertion(response).subject.as_mut().expect("a subject")
}

fn assertion(response: &mut Response) -> &mut usher_lab::scripted::saml::Assertion {
    response.assertion.as_mut().expect("an assertion")
}

fn conditions(response: &mut Response) -> &mut usher_lab::scripted::saml::Conditions {
    assertion(response).conditions.as_mut().expect("conditions")
}

/// Whoever asks for what is not there is told so; the others are in the table below this one.
const NOT_BY_THE_RESPONSE: [Unproven; 6] = [
    // `what_the_operator_wants_signed_must_be`, `signatures`
    Unproven::Unsigned,
    Unproven::Signature,
    // `decryption`
    Unproven::NotEncrypted,
    Unproven::Encryption,
    Unproven::Undecryptable,
    // `a_class_of_authentication_that_was_not_asked_for_is_refused`
    Unproven::Context,
];

const ROWS: &[Row] = &[
    ("no assertion", |r| r.assertion = None, Unproven::NoAssertion),
    ("SAML 1.1", |r| r.version = "1.1".to_owned(), Unproven::ResponseVersion),
    ("SAML 2.1", |r| r.version = "2.1".to_owned(), Unproven::ResponseVersion),
    ("a response of six minutes ago", |r| r.issue_instant = instant(SECONDS - 360), Unproven::ResponseOld),
    ("a response of the future", |r| r.issue_instant = instant(SECONDS + 61), Unproven::ResponseFuture),
    (
        "another destination",
        |r| r.destination = Some("https://other.example/acs".to_owned()),
        Unproven::Destination,
    ),
    (
        "our metadata as destination",
        |r| r.destination = Some(crate::testing::SP.to_owned()),
        Unproven::Destination,
    ),
    (
        "a destination with a slash more",
        |r| r.destination = Some(format!("{}/", crate::testing::ACS)),
        Unproven::Destination,
    ),
    ("signed for no destination", |r| r.destination = None, Unproven::Destination),
    (
        "the answer to another request",
        |r| r.in_response_to = Some("_other".to_owned()),
        Unproven::InResponseTo,
    ),
    ("an unsolicited response", |r| r.in_response_to = None, Unproven::InResponseTo),
    ("another issuer", |r| other_issuer(r.issuer.as_mut()), Unproven::ResponseIssuer),
    ("an issuer that is no entity", |r| no_entity(r.issuer.as_mut()), Unproven::ResponseIssuer),
    ("signed by nobody in particular", |r| r.issuer = None, Unproven::ResponseIssuer),
    ("an assertion of SAML 1.1", |r| assertion(r).version = "1.1".to_owned(), Unproven::AssertionVersion),
    (
        "an assertion of six minutes ago",
        |r| assertion(r).issue_instant = instant(SECONDS - 360),
        Unproven::AssertionOld,
    ),
    (
        "an assertion of the future",
        |r| assertion(r).issue_instant = instant(SECONDS + 61),
        Unproven::AssertionFuture,
    ),
    (
        "an assertion of another issuer",
        |r| other_issuer(Some(&mut assertion(r).issuer)),
        Unproven::AssertionIssuer,
    ),
    ("an assertion of no entity", |r| no_entity(Some(&mut assertion(r).issuer)), Unproven::AssertionIssuer),
    ("nobody", |r| assertion(r).subject = None, Unproven::NoSubject),
    ("no confirmation", |r| subject(r).confirmations.clear(), Unproven::NoBearer),
    ("a holder of a key", |r| method(r, "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"), Unproven::NoBearer),
    (
        "a sender who vouches",
        |r| method(r, "urn:oasis:names:tc:SAML:2.0:cm:sender-vouches"),
        Unproven::NoBearer,
    ),
    ("a confirmation without data", |r| confirmation(r).has_data = false, Unproven::NoBearer),
    (
        "another recipient",
        |r| confirmation(r).recipient = Some("https://other.example/acs".to_owned()),
        Unproven::Recipient,
    ),
    ("no recipient", |r| confirmation(r).recipient = None, Unproven::Recipient),
    (
        "confirmed for another request",
        |r| confirmation(r).in_response_to = Some("_other".to_owned()),
        Unproven::ConfirmationInResponseTo,
    ),
    (
        "confirmed for no request",
        |r| confirmation(r).in_response_to = None,
        Unproven::ConfirmationInResponseTo,
    ),
    (
        "confirmed until a minute ago",
        |r| confirmation(r).not_on_or_after = Some(instant(SECONDS - 60)),
        Unproven::ConfirmationExpired,
    ),
    ("confirmed for ever", |r| confirmation(r).not_on_or_after = None, Unproven::ConfirmationExpired),
    (
        "confirmed from some time on",
        |r| confirmation(r).not_before = Some(instant(SECONDS - 60)),
        Unproven::ConfirmationNotBefore,
    ),
    (
        "valid from tomorrow",
        |r| conditions(r).not_before = Some(instant(SECONDS + 61)),
        Unproven::NotYetValid,
    ),
    (
        "valid until a minute ago",
        |r| conditions(r).not_on_or_after = Some(instant(SECONDS - 60)),
        Unproven::Expired,
    ),
    ("no conditions", |r| assertion(r).conditions = None, Unproven::NoAudience),
    ("for everybody", |r| conditions(r).audiences.clear(), Unproven::NoAudience),
    (
        "another audience",
        |r| conditions(r).audiences = vec![vec!["https://other.example".to_owned()]],
        Unproven::Audience,
    ),
    (
        "another audience in a second restriction",
        |r| conditions(r).audiences.push(vec!["https://other.example".to_owned()]),
        Unproven::Audience,
    ),
    (
        "an audience in another case",
        |r| conditions(r).audiences = vec![vec![crate::testing::SP.to_uppercase()]],
        Unproven::Audience,
    ),
    (
        "an unknown condition",
        |r| conditions(r).more = "<saml:Condition></saml:Condition>".to_owned(),
        Unproven::UnknownCondition,
    ),
    ("nobody authenticated", |r| assertion(r).authentications.clear(), Unproven::NoAuthentication),
    (
        "authenticated tomorrow",
        |r| assertion(r).authentications[0].instant = instant(SECONDS + 61),
        Unproven::AuthenticationFuture,
    ),
    (
        "the session over",
        |r| assertion(r).authentications[0].session_not_on_or_after = Some(instant(SECONDS - 60)),
        Unproven::SessionOver,
    ),
];

fn other_issuer(issuer: Option<&mut usher_lab::scripted::saml::Issuer>) {
    "https://other.example/idp".clone_into(&mut issuer.expect("an issuer").value);
}

fn no_entity(issuer: Option<&mut usher_lab::scripted::saml::Issuer>) {
    let format = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress".to_owned();
    issuer.expect("an issuer").format = Some(format);
}

fn method(response: &mut Response, method: &str) {
    method.clone_into(&mut confirmation(response).method);
}

#[test]
fn each_check_fails_by_itself() {
    for (name, change, expected) in ROWS {
        let mut response = honest();
        change(&mut response);
        let encrypted =
            Protection { encryption: encryption(Seal::Gcm(128), Transport::OaepMgf1p), ..assertion_signed() };
        let both = Protection { assertion: assertion_signed().assertion, ..response_signed() };
        for protection in [response_signed(), assertion_signed(), both, encrypted] {
            // Whoever signs the response has to say who it is (profiles 4.1.4.2) and where it goes (bindings 3.5.5.2), and nobody else.
            if name.starts_with("signed ") && protection.response.is_none() {
                continue;
            }
            let xml = response.xml(&protection).expect("a response");
            match read(&xml) {
                Err(ResponseError::Unproven(unproven)) => assert_eq!(unproven, *expected, "{name}"),
                Ok(_) => panic!("{name}: it counts"),
                Err(other) => panic!("{name}: {other:?}"),
            }
        }
        if response.assertion.is_none() {
            continue;
        }
        // And no other check would have noticed.
        let xml = response.xml(&response_signed()).expect("a response");
        assert_eq!(failures(&xml), [*expected], "{name}");
    }
}

/// What each check says of a response that is signed.
fn failures(xml: &str) -> Vec<Unproven> {
    let passed = gate::pass(xml, Root::Response).expect("it passes");
    let root = passed.document.root_element();
    let assertion = root.children().find(|node| is(*node, SAML, "Assertion")).expect("an assertion");
    let (idp, policy) = (known(&IDP), policy());
    check::failures(&Facts {
        message: &Message::read(root).expect("a message"),
        assertion: &Assertion::read(assertion).expect("an assertion"),
        trust: Trust { response: true, assertion: false, is_encrypted: false },
        question: &question(&idp, &policy),
    })
}

#[test]
fn every_reason_has_its_row() {
    for reason in ALL {
        let has_row = ROWS.iter().any(|(_, _, expected)| *expected == reason);
        assert!(has_row || NOT_BY_THE_RESPONSE.contains(&reason), "{reason:?} has no row");
    }
}

/// All reasons; the match makes a new one stop the build here.
const ALL: [Unproven; 31] = {
    const fn next(reason: Unproven) -> Unproven {
        match reason {
            Unproven::Unsigned => Unproven::Signature,
            Unproven::Signature => Unproven::NoAssertion,
            Unproven::NoAssertion => Unproven::NotEncrypted,
            Unproven::NotEncrypted => Unproven::Encryption,
            Unproven::Encryption => Unproven::Undecryptable,
            Unproven::Undecryptable => Unproven::ResponseVersion,
            Unproven::ResponseVersion => Unproven::ResponseOld,
            Unproven::ResponseOld => Unproven::ResponseFuture,
            Unproven::ResponseFuture => Unproven::Destination,
            Unproven::Destination => Unproven::InResponseTo,
            Unproven::InResponseTo => Unproven::ResponseIssuer,
            Unproven::ResponseIssuer => Unproven::AssertionVersion,
            Unproven::AssertionVersion => Unproven::AssertionOld,
            Unproven::AssertionOld => Unproven::AssertionFuture,
            Unproven::AssertionFuture => Unproven::AssertionIssuer,
            Unproven::AssertionIssuer => Unproven::NoSubject,
            Unproven::NoSubject => Unproven::NoBearer,
            Unproven::NoBearer => Unproven::Recipient,
            Unproven::Recipient => Unproven::ConfirmationInResponseTo,
            Unproven::ConfirmationInResponseTo => Unproven::ConfirmationExpired,
            Unproven::ConfirmationExpired => Unproven::ConfirmationNotBefore,
            Unproven::ConfirmationNotBefore => Unproven::NotYetValid,
            Unproven::NotYetValid => Unproven::Expired,
            Unproven::Expired => Unproven::NoAudience,
            Unproven::NoAudience => Unproven::Audience,
            Unproven::Audience => Unproven::UnknownCondition,
            Unproven::UnknownCondition => Unproven::NoAuthentication,
            Unproven::NoAuthentication => Unproven::AuthenticationFuture,
            Unproven::AuthenticationFuture => Unproven::SessionOver,
            Unproven::SessionOver => Unproven::Context,
            Unproven::Context => Unproven::Unsigned,
        }
    }
    let mut all = [Unproven::Unsigned; 31];
    let mut index = 1;
    while index < all.len() {
        all[index] = next(all[index - 1]);
        index += 1;
    }
    all
};

#[test]
fn what_lies_at_the_edge_of_the_permitted_skew_counts() {
    for (name, change) in [
        ("a response of a minute ahead", (|r| r.issue_instant = instant(SECONDS + 60)) as Change),
        ("a response as old as can be", |r| r.issue_instant = instant(SECONDS - 359)),
        ("an assertion of a minute ahead", |r| assertion(r).issue_instant = instant(SECONDS + 60)),
        ("confirmed until just now", |r| confirmation(r).not_on_or_after = Some(instant(SECONDS - 59))),
        ("valid from a minute ahead", |r| conditions(r).not_before = Some(instant(SECONDS + 60))),
        ("valid until just now", |r| conditions(r).not_on_or_after = Some(instant(SECONDS - 59))),
        ("authenticated a minute ahead", |r| assertion(r).authentications[0].instant = instant(SECONDS + 60)),
        ("a session that just ended", |r| {
            assertion(r).authentications[0].session_not_on_or_after = Some(instant(SECONDS - 59));
        }),
        ("a session without an end", |r| assertion(r).authentications[0].session_not_on_or_after = None),
        ("one of several audiences", |r| {
            conditions(r).audiences[0].insert(0, "https://other.example".to_owned());
        }),
        ("conditions without times", |r| {
            (conditions(r).not_before, conditions(r).not_on_or_after) = (None, None);
        }),
        ("conditions that are kept", |r| {
            conditions(r).more = "<saml:OneTimeUse></saml:OneTimeUse><saml:ProxyRestriction Count=\"0\"></saml:ProxyRestriction>".to_owned();
        }),
        ("a bearer among others", |r| {
            let mut other = confirmation(r).clone();
            other.recipient = Some("https://other.example".to_owned());
            let mut holder = other.clone();
            holder.method = "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key".to_owned();
            subject(r).confirmations.insert(0, other);
            subject(r).confirmations.insert(0, holder);
        }),
        ("issuers that say what they are", |r| {
            let format = Some("urn:oasis:names:tc:SAML:2.0:nameid-format:entity".to_owned());
            r.issuer.as_mut().expect("an issuer").format.clone_from(&format);
            assertion(r).issuer.format = format;
        }),
    ] {
        let mut response = honest();
        change(&mut response);
        let answer = read(&response.xml(&response_signed()).expect("a response"));
        assert!(answer.is_ok(), "{name}: {:?}", answer.err());
    }
}

#[test]
fn a_response_that_is_not_signed_may_leave_out_what_only_a_signed_one_must_say() {
    let mut response = honest();
    (response.destination, response.issuer) = (None, None);
    let signed = response.xml(&assertion_signed()).expect("a response");
    assert!(read(&signed).is_ok());
    let encrypted =
        Protection { encryption: encryption(Seal::Gcm(128), Transport::OaepMgf1p), ..assertion_signed() };
    let encrypted = response.xml(&encrypted).expect("a response");
    let error = read(&encrypted).expect_err("who encrypted it?");
    assert!(matches!(error, ResponseError::Unproven(Unproven::ResponseIssuer)), "{error:?}");
}

#[test]
fn a_class_of_authentication_that_was_not_asked_for_is_refused() {
    let password = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport";
    let mfa = "https://refeds.org/profile/mfa";
    for (name, wanted, stated, expected) in [
        ("any", &[][..], Some(password), true),
        ("any, none stated", &[], None, true),
        ("the one", &[password], Some(password), true),
        ("one of two", &[mfa, password], Some(password), true),
        ("another", &[mfa], Some(password), false),
        ("none stated", &[mfa], None, false),
    ] {
        let mut response = honest();
        assertion(&mut response).authentications[0].context = stated.map(str::to_owned);
        let contexts = wanted.iter().map(|&class| class.to_owned()).collect();
        let xml = response.xml(&assertion_signed()).expect("a response");
        match read_by(&xml, &known(&IDP), &Policy { contexts, ..policy() }) {
            Ok(_) => assert!(expected, "{name}"),
            Err(ResponseError::Unproven(Unproven::Context)) => assert!(!expected, "{name}"),
            Err(error) => panic!("{name}: {error:?}"),
        }
    }
    let mut response = honest();
    let mut second = assertion(&mut response).authentications[0].clone();
    second.context = Some(mfa.to_owned());
    assertion(&mut response).authentications.push(second);
    let xml = response.xml(&assertion_signed()).expect("a response");
    let answer = read_by(&xml, &known(&IDP), &Policy { contexts: vec![mfa.to_owned()], ..policy() });
    assert!(matches!(answer, Err(ResponseError::Unproven(Unproven::Context))), "every statement counts");
}
