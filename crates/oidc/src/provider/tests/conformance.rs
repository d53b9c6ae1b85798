//! The conformance suite of `usher-core`, run against a scripted OpenID Provider.

use std::collections::BTreeMap;

use usher_core::testing::{Death, Guard, Impossible, Parameter, Person, Place, ScriptedUpstream, Twist};
use usher_lab::scripted::{Reply, oidc::Place as At};

use super::*;

usher_core::provider_conformance!(Corp::start);

#[async_trait]
impl ScriptedUpstream for Corp {
    fn provider(&self) -> Arc<dyn SsoProvider> {
        Arc::<OidcProvider>::clone(&self.provider)
    }

    fn now(&self) -> Timestamp {
        NOW
    }

    fn person(&self) -> Person {
        let values = |values: &[&str]| values.iter().map(|&value| value.to_owned()).collect::<Vec<_>>();
        Person {
            issuer: Issuer::parse(self.issuer.as_str()).expect("an issuer"),
            subject: Subject::parse("alice").expect("a subject"),
            attributes: BTreeMap::from([
                ("mail".to_owned(), values(&["alice.liddell@ac.cdl"])),
                ("displayName".to_owned(), values(&["Alice Liddell <Å & Co>"])),
                ("memberOf".to_owned(), values(&["engineering-staff", "chess-players"])),
            ]),
        }
    }

    async fn twist(&self, twist: Twist) -> Result<(), Impossible> {
        let refusal = |status, code: &str| {
            Reply::json(status, &json!({ "error": code, "error_description": "It is so, <b>really</b>" }))
        };
        let lies = match twist {
            Twist::Honest => Lies::default(),
            Twist::WrongAudience => Lies::claims(json!({ "aud": "another-client" })),
            Twist::Error(name) => match name.strip_prefix("token:") {
                Some(code) => Lies::at(At::Token, refusal(400, code)),
                None => Lies {
                    answer: Some(
                        json!({ "code": null, "error": name, "error_description": "<script>alert(1)</script>" }),
                    ),
                    ..Lies::default()
                },
            },
            Twist::Stale => Lies::claims(json!({ "auth_time": NOW.as_millis() / 1000 - 3600 })),
            Twist::Unstated => Lies::claims(json!({ "auth_time": null })),
            Twist::Dead(Death::Silent) => Lies::everywhere(&Reply::Hang),
            Twist::Dead(Death::Failing) => Lies::everywhere(&Reply::new(500, "text/plain", "out of order")),
            Twist::Dead(Death::Garbage) => {
                Lies::everywhere(&Reply::new(200, "application/json", vec![0xFF, 0x00]))
            }
            Twist::Dead(Death::Endless) => Lies::everywhere(&Reply::Endless),
            Twist::Dead(Death::ConnectionRefused) => {
                self.stop();
                return Ok(());
            }
        };
        self.script.lie(lies);
        Ok(())
    }

    async fn browse(&self, step: &BrowserStep) -> Callback {
        let BrowserStep::Redirect(place) = step else { panic!("the browser is redirected: {step:?}") };
        callback_of(&self.script.log_in(place, "alice").expect("the provider answers"))
    }

    fn parameters(&self) -> Vec<Parameter> {
        let parameter = |name| Parameter { name, place: Place::Query, guard: Guard::EveryByte };
        // `iss` decides too, and is no secret: see `answers`.
        vec![parameter("state"), parameter("code")]
    }

    fn errors(&self) -> Vec<(&'static str, &'static str)> {
        vec![
            ("access_denied", "refused"),
            ("login_required", "refused"),
            ("interaction_required", "refused"),
            ("consent_required", "refused"),
            ("account_selection_required", "refused"),
            ("unmet_authentication_requirements", "refused"),
            ("a_word_of_its_own", "refused"),
            ("server_error", "unavailable"),
            ("temporarily_unavailable", "unavailable"),
            ("invalid_request", "internal"),
            ("unauthorized_client", "internal"),
            ("unsupported_response_type", "internal"),
            ("invalid_scope", "internal"),
            ("request_not_supported", "internal"),
            ("token:invalid_grant", "unverified"),
            ("token:a_word_of_its_own", "unverified"),
            ("token:invalid_client", "internal"),
            ("token:unauthorized_client", "internal"),
            ("token:invalid_request", "internal"),
            ("token:unsupported_grant_type", "internal"),
            ("token:invalid_scope", "internal"),
            ("token:server_error", "unavailable"),
            ("token:temporarily_unavailable", "unavailable"),
        ]
    }

    fn secrets(&self) -> Vec<String> {
        let encoded: String = url::form_urlencoded::byte_serialize(CLIENT_SECRET.as_bytes()).collect();
        vec![CLIENT_SECRET.to_owned(), encoded]
    }
}
