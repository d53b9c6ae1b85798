//! Responses that count, and for every check one that fails it and nothing else.

mod attacks;
mod checks;
mod cost;
mod decryption;
mod signatures;

use usher_lab::scripted::saml::{Protection, Response, Seal, Signing, Transport};

use super::*;
use crate::testing::{
    IDP, assertion_signed, encryption, honest, known, policy, question, read, read_by, response_signed,
};

/// The name in an answer that counts.
fn name(answer: Result<Assertion, ResponseError>) -> Result<String, String> {
    let name = answer.map_err(|error| format!("{error:?}"))?.subject.and_then(|subject| subject.name);
    name.map(|name| name.value).ok_or_else(|| "nobody".to_owned())
}

#[test]
fn every_honest_way_to_sign_and_encrypt_counts() {
    let key = Signing::with(&IDP.keys[0]);
    for (name_of_case, response, assertion, encrypted) in [
        ("the response signed", true, false, None),
        ("the assertion signed", false, true, None),
        ("both signed", true, true, None),
        ("a signed assertion encrypted", false, true, encryption(Seal::Gcm(128), Transport::OaepMgf1p)),
        ("with 256 bits", false, true, encryption(Seal::Gcm(256), Transport::Oaep256)),
        ("with 192 bits", false, true, encryption(Seal::Gcm(192), Transport::OaepMgf1p)),
        (
            "an unsigned one in a signed response",
            true,
            false,
            encryption(Seal::Gcm(256), Transport::OaepMgf1p),
        ),
        ("a signed one in a signed response", true, true, encryption(Seal::Gcm(128), Transport::Oaep256)),
        ("AES-CBC in a signed response", true, false, encryption(Seal::Cbc(128), Transport::OaepMgf1p)),
        (
            "AES-CBC with 256 bits in a signed response",
            true,
            true,
            encryption(Seal::Cbc(256), Transport::Oaep256),
        ),
    ] {
        let protection = Protection {
            response: response.then(|| key.clone()),
            assertion: assertion.then(|| key.clone()),
            encryption: encrypted,
        };
        let xml = honest().xml(&protection).expect("a response");
        assert_eq!(name(read(&xml)), Ok("alice-persistent".to_owned()), "{name_of_case}");
    }
}

#[test]
fn what_the_operator_wants_signed_must_be() {
    let key = Signing::with(&IDP.keys[0]);
    for (wanted, response, assertion, expected) in [
        (Signed::Either, true, false, true),
        (Signed::Either, false, true, true),
        (Signed::Response, true, false, true),
        (Signed::Response, false, true, false),
        (Signed::Assertion, false, true, true),
        (Signed::Assertion, true, false, false),
        (Signed::Both, true, true, true),
        (Signed::Both, true, false, false),
        (Signed::Both, false, true, false),
    ] {
        for encryption in [None, encryption(Seal::Gcm(128), Transport::OaepMgf1p)] {
            let is_encrypted = encryption.is_some();
            let protection = Protection {
                response: response.then(|| key.clone()),
                assertion: assertion.then(|| key.clone()),
                encryption,
            };
            let xml = honest().xml(&protection).expect("a response");
            let read = read_by(&xml, &known(&IDP), &Policy { signed: wanted, ..policy() });
            let case =
                format!("{wanted:?}, response {response}, assertion {assertion}, encrypted {is_encrypted}");
            match read {
                Ok(_) => assert!(expected, "{case}"),
                Err(ResponseError::Unproven(Unproven::Unsigned)) => assert!(!expected, "{case}"),
                Err(error) => panic!("{case}: {error:?}"),
            }
        }
    }
}

#[test]
fn layout_between_elements_and_a_declaration_change_nothing() {
    let declared =
        |xml: String| format!("<?xml version=\"1.0\" encoding=\"utf-8\" standalone='yes'?>\n{xml}\n");
    let xml = declared(honest().xml(&assertion_signed()).expect("a response"));
    let xml = xml.replacen("<saml:Assertion", "\n\t<saml:Assertion", 1);
    for before in ["", "\r\n "] {
        assert_eq!(name(read(&format!("{before}{xml}"))), Ok("alice-persistent".to_owned()), "{before:?}");
    }
}

#[test]
fn every_value_of_every_attribute_is_read() {
    let mut response = honest();
    let assertion = response.assertion.as_mut().expect("an assertion");
    assertion.attributes[0].values.push("<saml:NameID>nested</saml:NameID>".to_owned());
    assertion.attributes[0].values.push("<b xmlns=\"urn:x\">elements</b>".to_owned());
    let read = read(&response.xml(&assertion_signed()).expect("a response")).expect("it counts");
    let values = |index: usize| &read.attributes[index].values;
    assert!(
        matches!(&values(0)[..], [assertion::Value::Text(text), assertion::Value::Name(name), assertion::Value::Other]
        if text == "alice" && name.value == "nested")
    );
    assert!(values(1)[0] == assertion::Value::Text("Alice Liddell <Å & Co>".to_owned()));
    assert_eq!(values(2).len(), 2);
}

#[test]
fn a_status_that_says_no_is_told_apart_from_one_that_says_we_are_wrong() {
    let status = |top: &str, detail: Option<&str>| {
        let code = |name: &str| format!("urn:oasis:names:tc:SAML:2.0:status:{name}");
        let mut response = honest();
        response.assertion = None;
        response.status = code(top);
        response.status_detail = detail.map(code);
        response
    };
    for (top, detail, is_ours) in [
        ("Responder", Some("AuthnFailed"), false),
        ("Responder", None, false),
        ("Requester", Some("RequestDenied"), false),
        ("Requester", Some("NoPassive"), false),
        ("Requester", Some("InvalidNameIDPolicy"), true),
        ("Requester", None, true),
        ("VersionMismatch", None, true),
        ("Something", Some("Else"), false),
    ] {
        let signed = status(top, detail).xml(&response_signed()).expect("a response");
        let unsigned = status(top, detail).xml(&Protection::default()).expect("a response");
        let error = read(&signed).expect_err("nobody was signed in");
        assert_eq!(matches!(error, ResponseError::Rejected(_)), is_ours, "{top} {detail:?}: {error:?}");
        assert!(is_ours || matches!(error, ResponseError::Denied(_)), "{top} {detail:?}: {error:?}");
        // Anybody can write an unsigned one: it wakes no operator.
        let error = read(&unsigned).expect_err("nobody was signed in");
        assert!(matches!(error, ResponseError::Denied(_)), "{top} {detail:?}: {error:?}");
    }
    // The same around an assertion that counts: it is the status alone that says no.
    let whole = Response { assertion: honest().assertion, ..status("Responder", Some("AuthnFailed")) };
    for protection in [response_signed(), crate::testing::assertion_signed()] {
        let error = read(&whole.xml(&protection).expect("a response")).expect_err("it says no");
        assert!(matches!(error, ResponseError::Denied(_)), "{error:?}");
    }
    let forged = status("Requester", None).xml(&response_signed()).expect("a response");
    let forged = forged.replacen("Requester", "Responder", 1);
    let error = read(&forged).expect_err("the signature is broken");
    assert!(matches!(error, ResponseError::Unproven(Unproven::Signature)), "{error:?}");
}

#[test]
fn what_its_schema_demands_must_be_there() {
    // In what is not signed, which is read as strictly: one is taken away, and nothing else.
    let whole = honest().xml(&crate::testing::assertion_signed()).expect("a response");
    let status = {
        let start = whole.find("<samlp:Status>").expect("a status");
        let end = whole.find("</samlp:Status>").expect("its end") + "</samlp:Status>".len();
        whole[start..end].to_owned()
    };
    let attribute = |name: &str| {
        let start = whole.find(&format!(" {name}=")).expect(name);
        let length = whole[start + name.len() + 3..].find('"').expect("its end") + name.len() + 4;
        whole[start..start + length].to_owned()
    };
    for (name, part, expected) in [
        ("Status", status, "Schema(Missing(\"Status\"))"),
        ("Version", attribute("Version"), "Schema(NoAttribute(\"Version\"))"),
        ("IssueInstant", attribute("IssueInstant"), "Schema(NoAttribute(\"IssueInstant\"))"),
        ("ID", attribute("ID"), "Gate(NoId)"),
    ] {
        let error = read(&whole.replacen(&part, "", 1)).expect_err(name);
        assert_eq!(format!("{error:?}"), expected, "{name}");
    }
    assert!(read(&whole).is_ok());
}

#[test]
fn what_is_no_base64_of_utf_8_is_no_response() {
    let (idp, policy) = (known(&IDP), policy());
    let question = question(&idp, &policy);
    for (name, encoded) in [
        ("nothing", ""),
        ("half of it", "PHNhbWxwOlJlc3BvbnNl="),
        ("not UTF-8", "//79"),
        ("blanks", " "),
        ("XML", "<a/>"),
    ] {
        let error = super::read(encoded, &question).expect_err(name);
        assert!(matches!(error, ResponseError::Encoding | ResponseError::Gate(_)), "{name}: {error:?}");
    }
}
