//! The conformance suite of `usher-core`, run against a scripted CAS server.

use std::collections::BTreeMap;

use usher_core::{
    Issuer,
    testing::{Death, Guard, Impossible, Parameter, Person, Place, ScriptedUpstream, Twist},
};

use super::*;

usher_core::provider_conformance!(Corp::start);

#[async_trait]
impl ScriptedUpstream for Corp {
    fn provider(&self) -> Arc<dyn SsoProvider> {
        Arc::<CasProvider>::clone(&self.provider)
    }

    fn now(&self) -> Timestamp {
        NOW
    }

    fn person(&self) -> Person {
        let values = |values: &[&str]| values.iter().map(|&value| value.to_owned()).collect::<Vec<_>>();
        Person {
            issuer: Issuer::parse(self.base_url.as_str()).expect("an issuer"),
            subject: Subject::parse("alice").expect("a subject"),
            attributes: BTreeMap::from([
                ("mail".to_owned(), values(&["alice.liddell@ac.cdl"])),
                ("displayName".to_owned(), values(&["Alice Liddell <Å & Co>"])),
                ("memberOf".to_owned(), values(&["engineering-staff", "chess-players"])),
            ]),
        }
    }

    async fn twist(&self, twist: Twist) -> Result<(), Impossible> {
        let fault = match twist {
            Twist::Honest => None,
            Twist::WrongAudience => Some(CasFault::OtherService),
            Twist::Error(code) => Some(CasFault::Failure(code.to_owned())),
            Twist::Stale => Some(CasFault::StaleSession),
            Twist::Unstated => {
                return Err(Impossible(
                    "a CAS server that validates with `renew` has said that it was heeded",
                ));
            }
            Twist::Dead(Death::Silent) => Some(CasFault::Hang),
            Twist::Dead(Death::Failing) => Some(CasFault::Status(500)),
            Twist::Dead(Death::Garbage) => Some(CasFault::Garbage),
            Twist::Dead(Death::Endless) => Some(CasFault::Endless),
            Twist::Dead(Death::ConnectionRefused) => {
                self.stop();
                None
            }
        };
        self.script.set_fault(fault);
        Ok(())
    }

    async fn browse(&self, step: &BrowserStep) -> Callback {
        let BrowserStep::Redirect(login) = step else { panic!("CAS redirects: {step:?}") };
        let back = self.script.log_in(login, "alice").expect("a ticket");
        let tail = back.as_str().strip_prefix(ENDPOINTS).and_then(|rest| rest.split('?').next());
        let tail = tail.expect("the browser comes back to the endpoints");
        Callback::new(Method::Get, tail, back.query().unwrap_or_default(), "")
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![Parameter { name: "ticket", place: Place::Query, guard: Guard::EveryByte }]
    }

    fn errors(&self) -> Vec<(&'static str, &'static str)> {
        vec![
            ("INVALID_TICKET", "unverified"),
            ("INVALID_SERVICE", "unverified"),
            ("INVALID_TICKET_SPEC", "unverified"),
            ("INVALID_PROXY_CALLBACK", "unverified"),
            ("INTERNAL_ERROR", "unavailable"),
            ("INVALID_REQUEST", "internal"),
            ("UNAUTHORIZED_SERVICE", "internal"),
            ("UNAUTHORIZED_SERVICE_PROXY", "internal"),
            ("A_CODE_OF_ITS_OWN", "unverified"),
        ]
    }
}
