//! Signing out from here: what the identity provider is asked, and which of its answers count.

use roxmltree::Document;
use usher_core::provider::{Keepsake, UpstreamSession, WayOut};
use usher_lab::scripted::saml::{LogoutPlace, message_in};

use super::*;
use crate::{
    names::{FORMAT_PERSISTENT, SAML, SAMLP},
    person::session,
    testing::{assertion_signed, honest, service, service_without_keys},
};

const REQUEST: &str = "_CCCCCCCCCCCCCCCCCCCCCC";

/// What the browser keeps that Alice has signed in with.
fn memory() -> Memory {
    let xml = honest().xml(&assertion_signed()).expect("a response");
    let assertion = crate::testing::read(&xml).expect("it counts");
    Memory::read(&Memory::of(&assertion, &known(&IDP)).expect("a name")).expect("what was written")
}

fn with_places(bindings: &[&str]) -> SamlIdp {
    let place = |binding: &&str| LogoutPlace {
        binding: format!("urn:oasis:names:tc:SAML:2.0:bindings:{binding}"),
        location: format!("https://idp.ac.cdl/{binding}"),
        response_location: Some("https://idp.ac.cdl/answers".to_owned()),
    };
    SamlIdp { single_logout: bindings.iter().map(place).collect(), ..IDP.clone() }
}

fn way(idp: &SamlIdp) -> Option<WayOut> {
    harden().expect("xmlsec can be used");
    service().sign_out(&memory(), &known(idp), REQUEST, NOW).expect("a way, or none")
}

fn awaited() -> Awaited {
    let awaited = way(&with_places(&["HTTP-Redirect"])).expect("a way").awaited;
    Awaited::read(&awaited.expect("an answer is awaited")).expect("what was written")
}

/// The text of a request, and where it goes.
fn sent(step: &BrowserStep) -> (String, String) {
    match step {
        BrowserStep::Redirect(url) => {
            assert!(url.query_pairs().any(|(name, _)| name == "Signature"), "{url}");
            let place = url.as_str().split('?').next().unwrap_or_default().to_owned();
            (message_in(url, "SAMLRequest").expect("a message"), place)
        }
        BrowserStep::PostForm { action, fields } => {
            let message = &fields.iter().find(|(name, _)| name == "SAMLRequest").expect("a message").1;
            let message = data_encoding::BASE64.decode(message.as_bytes()).expect("base64");
            let message = String::from_utf8(message).expect("UTF-8");
            assert!(message.contains("SignatureValue"), "{message}");
            (message, action.to_string())
        }
        BrowserStep::Ask(_) => panic!("nobody is asked anything"),
    }
}

#[test]
fn the_identity_provider_is_told_whose_session_ends() {
    for (bindings, expected) in [
        (&["HTTP-Redirect", "HTTP-POST"][..], "https://idp.ac.cdl/HTTP-Redirect"),
        (&["HTTP-POST"], "https://idp.ac.cdl/HTTP-POST"),
    ] {
        let (message, place) = sent(&way(&with_places(bindings)).expect("a way").step);
        assert_eq!(place, expected);
        let document = Document::parse(&message).expect("XML");
        let root = document.root_element();
        assert!(root.has_tag_name((SAMLP, "LogoutRequest")));
        for (name, value) in [
            ("ID", REQUEST),
            ("Version", "2.0"),
            ("Destination", expected),
            ("IssueInstant", "2026-01-01T00:00:00Z"),
        ] {
            assert_eq!(root.attribute(name), Some(value), "{name}");
        }
        let child = |name| root.children().find(|child| child.tag_name().name() == name).expect(name);
        assert_eq!(child("Issuer").text(), Some(SP));
        assert_eq!(child("NameID").text(), Some("alice-persistent"));
        assert_eq!(child("NameID").attribute("Format"), Some(FORMAT_PERSISTENT));
        assert!(child("SessionIndex").text().is_some_and(|index| index.starts_with("_session-")));
    }
    assert!(way(&with_places(&["SOAP"])).is_none(), "nowhere to go");
    let none = service_without_keys().sign_out(&memory(), &known(&with_places(&["HTTP-POST"])), REQUEST, NOW);
    assert!(none.expect("none").is_none(), "nothing to sign with");
}

#[test]
fn what_is_kept_is_bounded_and_read_by_nobody_else() {
    let mut response = honest();
    response
        .assertion
        .as_mut()
        .expect("an assertion")
        .subject
        .as_mut()
        .expect("a subject")
        .name
        .as_mut()
        .expect("a name")
        .value = "x".repeat(2000);
    let assertion =
        crate::testing::read(&response.xml(&assertion_signed()).expect("a response")).expect("it counts");
    assert_eq!(Memory::of(&assertion, &known(&IDP)), None, "too long for a cookie");
    for text in ["", "{}", "null", "{\"idp\":\"x\"}"] {
        let keepsake = Keepsake::new(text.to_owned()).expect("short");
        assert!(Memory::read(&keepsake).is_none() && Awaited::read(&keepsake).is_none(), "{text}");
    }
}

/// An answer of the identity provider's.
struct Answered {
    version: &'static str,
    issue_instant: String,
    destination: Option<&'static str>,
    in_response_to: Option<&'static str>,
    issuer: Option<&'static str>,
    status: &'static str,
    more: &'static str,
}

fn answered() -> Answered {
    Answered {
        version: "2.0",
        issue_instant: instant(SECONDS),
        destination: Some(SLO),
        in_response_to: Some(REQUEST),
        issuer: Some(crate::testing::ENTITY),
        status: "<samlp:StatusCode Value=\"urn:oasis:names:tc:SAML:2.0:status:Success\"></samlp:StatusCode>",
        more: "",
    }
}

impl Answered {
    fn xml(&self) -> String {
        let attribute = |name: &str, value: Option<&str>| {
            value.map_or_else(String::new, |value| format!(" {name}=\"{value}\""))
        };
        let issuer = self.issuer.map_or_else(String::new, |issuer| {
            format!("<saml:Issuer xmlns:saml=\"{SAML}\">{issuer}</saml:Issuer>")
        });
        format!(
            "<samlp:LogoutResponse xmlns:samlp=\"{SAMLP}\" ID=\"_answer\" Version=\"{}\" IssueInstant=\"{}\"{}{}>{issuer}\
             <samlp:Status>{}</samlp:Status>{}</samlp:LogoutResponse>",
            self.version,
            self.issue_instant,
            attribute("Destination", self.destination),
            attribute("InResponseTo", self.in_response_to),
            self.status,
            self.more,
        )
    }

    fn signed(&self, key: &SamlKey) -> Callback {
        by_query(&Detached::with(key).query("SAMLResponse", &self.xml(), None).expect("a query"))
    }
}

fn read_answer(callback: &Callback) -> Result<(), LogoutFault> {
    harden().expect("xmlsec can be used");
    let idp = known(&IDP);
    let received = receive(callback, sending::RESPONSE, Root::LogoutResponse, &idp.keys)?;
    awaited().check(&received.text, &Expected { now: NOW, skew: SKEW, slo: SLO, idp: &idp })
}

#[test]
fn an_answer_ends_the_session_that_it_was_asked_to_end() {
    const PARTIAL: &str = "<samlp:StatusCode Value=\"urn:oasis:names:tc:SAML:2.0:status:Responder\">\
        <samlp:StatusCode Value=\"urn:oasis:names:tc:SAML:2.0:status:PartialLogout\"></samlp:StatusCode></samlp:StatusCode>";
    for status in [answered().status, PARTIAL] {
        let callback = Answered { status, ..answered() }.signed(&IDP.keys[0]);
        assert!(is_answer(&callback));
        let done = service().signed_out(&callback, &known(&IDP), &awaited(), NOW, SKEW).expect("it counts");
        let BrowserLogout::SignedOut(notice) = done else { panic!("{done:?}") };
        assert_eq!((notice.issuer.as_str(), notice.spend.len()), (crate::testing::ENTITY, 1));
        // The very session that signing in began.
        let xml = honest().xml(&assertion_signed()).expect("a response");
        let assertion = crate::testing::read(&xml).expect("it counts");
        let name = assertion.subject.as_ref().and_then(|subject| subject.name.as_ref()).expect("a name");
        let [EndedSession::One(UpstreamSession::OfGroup { group, session })] = &notice.sessions[..] else {
            panic!("{:?}", notice.sessions)
        };
        assert_eq!(*group, session::group(name, crate::testing::ENTITY, SP));
        assert!(session.starts_with("_session-"), "{session}");
    }
}

#[test]
fn an_answer_that_fails_one_check_is_refused_by_that_check() {
    type Row = (&'static str, fn(&mut Answered), &'static str);
    let rows: [Row; 11] = [
        ("version", |a| a.version = "1.1", "Unproven(Version)"),
        ("old", |a| a.issue_instant = instant(SECONDS - 361), "Unproven(Old)"),
        ("future", |a| a.issue_instant = instant(SECONDS + 61), "Unproven(Future)"),
        ("no destination", |a| a.destination = None, "Unproven(Destination)"),
        ("destination", |a| a.destination = Some(ACS), "Unproven(Destination)"),
        ("no issuer", |a| a.issuer = None, "Unproven(Issuer)"),
        ("issuer", |a| a.issuer = Some("https://other.example/idp"), "Unproven(Issuer)"),
        ("to nobody", |a| a.in_response_to = None, "Unproven(Unasked)"),
        ("to another request", |a| a.in_response_to = Some("_other"), "Unproven(Unasked)"),
        (
            "denied",
            |a| a.status = "<samlp:StatusCode Value=\"urn:oasis:names:tc:SAML:2.0:status:Responder\"></samlp:StatusCode>",
            "Denied(",
        ),
        ("more", |a| a.more = "<x></x>", "Schema("),
    ];
    for (name, change, expected) in rows {
        let mut answer = answered();
        change(&mut answer);
        let fault = refusal(read_answer(&answer.signed(&IDP.keys[0])));
        assert!(fault.starts_with(expected), "{name}: {fault}");
    }
    let stranger = refusal(read_answer(&answered().signed(&crate::testing::STRANGER)));
    assert_eq!(stranger, "Unproven(Signature)");
    let plain = data_encoding::BASE64.encode(&usher_lab::scripted::saml::compressed(&answered().xml()));
    let unsigned = by_query(&format!("SAMLResponse={}", percent_encoded(&plain, false)));
    assert_eq!(refusal(read_answer(&unsigned)), "Unproven(Unsigned)");
    let xml = asked().xml(None).expect("a request");
    let request = Detached::with(&IDP.keys[0]).query("SAMLResponse", &xml, None).expect("a query");
    assert_eq!(refusal(read_answer(&by_query(&request))), "Gate(Root)", "a request in its place");
}
