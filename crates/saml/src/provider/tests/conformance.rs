//! The conformance suite of `usher-core`, run against a scripted identity provider.

use std::collections::BTreeMap;

use usher_core::{
    Subject,
    testing::{Guard, Impossible, Parameter, Person, Place, ScriptedUpstream, Twist},
};
use usher_lab::scripted::saml::instant;

use super::*;

usher_core::provider_conformance!(Corp::start);

const STATUS: &str = "urn:oasis:names:tc:SAML:2.0:status:";

#[async_trait]
impl ScriptedUpstream for Corp {
    fn provider(&self) -> Arc<dyn SsoProvider> {
        Arc::<SamlProvider>::clone(&self.provider)
    }

    fn now(&self) -> Timestamp {
        NOW
    }

    fn person(&self) -> Person {
        let values = |values: &[&str]| values.iter().map(|&value| value.to_owned()).collect::<Vec<_>>();
        Person {
            issuer: Issuer::parse(IDP.entity_id.as_str()).expect("an issuer"),
            subject: Subject::parse("alice-persistent").expect("a subject"),
            attributes: BTreeMap::from([
                ("urn:oid:0.9.2342.19200300.100.1.1".to_owned(), values(&["alice.liddell"])),
                ("uid".to_owned(), values(&["alice.liddell"])),
                ("displayName".to_owned(), values(&["Alice Liddell <Å & Co>"])),
                ("memberOf".to_owned(), values(&["engineering-staff", "chess-players"])),
            ]),
        }
    }

    async fn twist(&self, twist: Twist) -> Result<(), Impossible> {
        let lie: Option<fn(&mut Response)> = match twist {
            Twist::Honest => None,
            Twist::WrongAudience => Some(|response| {
                let conditions = response.assertion.as_mut().and_then(|own| own.conditions.as_mut());
                conditions.expect("conditions").audiences = vec![vec!["https://other.example".to_owned()]];
            }),
            Twist::Error("denied") => Some(|response| refuse(response, "Responder", "AuthnFailed")),
            Twist::Error("passive") => Some(|response| refuse(response, "Responder", "NoPassive")),
            Twist::Error("request") => Some(|response| refuse(response, "Requester", "InvalidNameIDPolicy")),
            Twist::Error("version") => {
                Some(|response| refuse(response, "VersionMismatch", "RequestVersionTooLow"))
            }
            Twist::Error(_) => return Err(Impossible("an error that is not listed")),
            Twist::Stale => Some(|response| {
                let assertion = response.assertion.as_mut().expect("an assertion");
                assertion.authentications[0].instant = instant(SECONDS - 3600);
            }),
            Twist::Unstated => return Err(Impossible("an AuthnStatement has its AuthnInstant")),
            Twist::Dead(_) => return Err(Impossible("browsers carry everything")),
        };
        *self.lie.lock().unwrap_or_else(PoisonError::into_inner) = lie;
        Ok(())
    }

    async fn browse(&self, step: &BrowserStep) -> Callback {
        self.answer(&asked(step))
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![
            Parameter { name: "SAMLResponse", place: Place::Form, guard: Guard::Meaning },
            Parameter { name: "RelayState", place: Place::Form, guard: Guard::EveryByte },
        ]
    }

    fn errors(&self) -> Vec<(&'static str, &'static str)> {
        vec![("denied", "refused"), ("passive", "refused"), ("request", "internal"), ("version", "internal")]
    }

    fn secrets(&self) -> Vec<String> {
        vec!["alice-persistent".to_owned(), "_session-".to_owned()]
    }
}

fn refuse(response: &mut Response, top: &str, detail: &str) {
    response.assertion = None;
    response.status = format!("{STATUS}{top}");
    response.status_detail = Some(format!("{STATUS}{detail}"));
}
