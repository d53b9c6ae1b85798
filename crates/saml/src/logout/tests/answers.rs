//! What the identity provider is told, and whether it could tell that it is from us.

use samael::crypto::{CertificateDer, Crypto, CryptoProvider as _};
use usher_core::ProviderError;
use usher_lab::scripted::saml::{Binding as By, LogoutAnswer, LogoutPlace};

use super::*;
use crate::{
    metadata::LogoutServices,
    testing::{OURS, our_keys, service, service_without_keys},
};

const ID: &str = "_BBBBBBBBBBBBBBBBBBBBBB";

/// How it goes, and what it says.
pub(super) fn taken(step: &BrowserStep) -> (String, LogoutAnswer) {
    match step {
        BrowserStep::Redirect(url) => {
            assert!(LogoutAnswer::query_is_signed(url, &OURS).expect("a query"), "{url}");
            let place = url.as_str().split("SAMLResponse").next().unwrap_or_default();
            (format!("redirect {place}"), LogoutAnswer::from_redirect(url).expect("an answer"))
        }
        BrowserStep::PostForm { action, fields } => {
            let answer = LogoutAnswer::from_form(fields).expect("an answer");
            let ours = CertificateDer::from(our_keys()[0].certificate.clone());
            Crypto::verify_signed_xml(&answer.xml, &ours, Some("ID")).expect("our signature");
            let forged = answer.xml.replacen("status:", "status: ", 1);
            Crypto::verify_signed_xml(&forged, &ours, Some("ID")).expect_err("the signature covers it");
            (format!("post {action}"), answer)
        }
        BrowserStep::Ask(_) => panic!("nobody is asked anything"),
    }
}

fn answer(
    idp: &Idp,
    binding: Binding,
    relay_state: Option<&str>,
    outcome: Outcome,
) -> (String, LogoutAnswer) {
    harden().expect("xmlsec can be used");
    let keys = our_keys();
    let answer = Answer {
        id: ID,
        now: NOW,
        entity_id: SP,
        in_response_to: "_logout-1",
        binding,
        relay_state,
        services: &idp.single_logout,
        key: &keys[0],
    };
    taken(&answer.step(outcome).expect("an answer"))
}

fn with(places: Vec<LogoutPlace>) -> Idp {
    known(&SamlIdp { single_logout: places, ..IDP.clone() })
}

#[test]
fn an_answer_says_what_became_of_the_sessions_and_gives_the_state_back() {
    let idp = known(&IDP);
    for binding in [Binding::Redirect, Binding::Post] {
        for (outcome, status) in [
            (Outcome::Ended, &["Success"][..]),
            (Outcome::NotEnded, &["Responder", "PartialLogout"]),
            (Outcome::NotSupported, &["Responder", "RequestUnsupported"]),
        ] {
            for state in [None, Some("a b+c&d=%41\"<é>"), Some("")] {
                let (_, answer) = answer(&idp, binding, state, outcome);
                assert_eq!(answer.status, status, "{binding:?}");
                assert_eq!(answer.relay_state.as_deref(), state, "{binding:?}");
                assert_eq!((&*answer.id, &*answer.in_response_to), (ID, "_logout-1"), "{binding:?}");
                assert_eq!(answer.issuer, SP, "{binding:?}");
            }
        }
    }
}

#[test]
fn an_answer_goes_where_answers_go_by_the_binding_of_the_request_if_it_can() {
    let place = |by, location: &str, answers: Option<&str>| LogoutPlace {
        response_location: answers.map(str::to_owned),
        ..LogoutPlace::new(by, location)
    };
    let (one, other) = ("https://idp.ac.cdl/idp/slo", "https://idp.ac.cdl/done?x=1");
    for (name, places, binding, expected, destination) in [
        (
            "redirect",
            vec![place(By::Redirect, one, None)],
            Binding::Redirect,
            format!("redirect {one}?"),
            one,
        ),
        ("post", vec![place(By::Post, one, None)], Binding::Post, format!("post {one}"), one),
        ("the other way", vec![place(By::Post, one, None)], Binding::Redirect, format!("post {one}"), one),
        ("and back", vec![place(By::Redirect, one, None)], Binding::Post, format!("redirect {one}?"), one),
        (
            "each its own",
            vec![place(By::Redirect, "https://r.example/", None), place(By::Post, one, None)],
            Binding::Post,
            format!("post {one}"),
            one,
        ),
        (
            "a place for answers",
            vec![place(By::Redirect, one, Some(other))],
            Binding::Redirect,
            format!("redirect {other}&"),
            other,
        ),
        (
            "the first that can be used",
            vec![place(By::Redirect, "javascript:alert(1)", None), place(By::Redirect, one, None)],
            Binding::Redirect,
            format!("redirect {one}?"),
            one,
        ),
    ] {
        let (way, answer) = answer(&with(places), binding, None, Outcome::Ended);
        assert_eq!((way, answer.destination.as_str()), (expected, destination), "{name}");
    }
}

#[test]
fn an_identity_provider_without_a_place_for_browsers_has_no_single_logout() {
    let soap = LogoutPlace {
        binding: "urn:oasis:names:tc:SAML:2.0:bindings:SOAP".to_owned(),
        ..LogoutPlace::new(By::Post, "https://idp.ac.cdl/soap")
    };
    let data = LogoutPlace::new(By::Post, "data:text/html,x");
    let trap = LogoutPlace {
        response_location: Some("javascript:alert(1)".to_owned()),
        ..LogoutPlace::new(By::Redirect, "https://idp.ac.cdl/slo")
    };
    for (name, places) in [("none", vec![]), ("SOAP", vec![soap]), ("no web addresses", vec![data, trap])] {
        let idp = with(places);
        assert_eq!(idp.single_logout, LogoutServices::default(), "{name}: people sign in all the same");
        for (binding, callback) in honestly(&asked()) {
            let refused = service().logout(&callback, &idp, ID, NOW, SKEW);
            assert!(matches!(refused, Err(ProviderError::Internal(_))), "{name} by {binding}");
        }
    }
}

#[test]
fn a_notice_has_an_answer_for_either_end() {
    for (binding, callback) in honestly(&asked()) {
        let heard = service().logout(&callback, &known(&IDP), ID, NOW, SKEW).expect("it counts");
        let BrowserLogout::Notice { notice, answers } = heard else { panic!("a notice") };
        assert_eq!((notice.issuer.as_str(), &notice.subject), (IDP.entity_id.as_str(), &None), "{binding}");
        assert_eq!((notice.proof, notice.spend.len()), (LogoutProof::Signed, 1), "{binding}");
        let (way, ended) = taken(&answers.ended);
        let (_, not_ended) = taken(&answers.not_ended);
        assert!(way.starts_with(binding), "{binding}: {way}");
        assert_eq!(ended.relay_state.as_deref(), Some("state"), "{binding}");
        assert_eq!((ended.status[0].as_str(), not_ended.status[0].as_str()), ("Success", "Responder"));
    }
    let refused = service_without_keys().logout(&honestly(&asked())[0].1, &known(&IDP), ID, NOW, SKEW);
    assert!(matches!(refused, Err(ProviderError::Internal(_))), "nobody can be answered without a key");
}
