//! Our answer to a `LogoutRequest`: a signed `samlp:LogoutResponse` (SAML core 3.7.2, profiles 4.4.4.2).

use usher_core::{Timestamp, provider::BrowserStep};

use super::received::Binding;
use crate::{
    keys::OwnKey,
    metadata::{Location, LogoutServices},
    names::{SAML, SAMLP, STATUS_SUCCESS},
    sending::{self, Letter, SendError},
    time,
    xml::escape,
};

/// SAML core 3.2.2.2.
const STATUS_RESPONDER: &str = "urn:oasis:names:tc:SAML:2.0:status:Responder";
const STATUS_PARTIAL: &str = "urn:oasis:names:tc:SAML:2.0:status:PartialLogout";
const STATUS_UNSUPPORTED: &str = "urn:oasis:names:tc:SAML:2.0:status:RequestUnsupported";

/// What became of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The sessions have ended, or there were none.
    Ended,
    /// Not all of them.
    NotEnded,
    /// It was asked in a way that we do not understand.
    NotSupported,
}

/// An answer, and what it takes to send it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer<'a> {
    /// Its ID.
    pub(crate) id: &'a str,
    pub(crate) now: Timestamp,
    /// Our entity id.
    pub(crate) entity_id: &'a str,
    /// The ID of the request.
    pub(crate) in_response_to: &'a str,
    /// By which binding that came.
    pub(crate) binding: Binding,
    /// What came with it.
    pub(crate) relay_state: Option<&'a str>,
    pub(crate) services: &'a LogoutServices,
    pub(crate) key: &'a OwnKey,
}

/// Why an answer cannot be sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AnswerError {
    #[error("its metadata has no SingleLogoutService for HTTP-Redirect or HTTP-POST")]
    NoService,
    #[error("there is no key to sign with")]
    NoKey,
    #[error("the answer could not be signed")]
    Send(#[from] SendError),
}

impl Answer<'_> {
    /// What the browser does: by the binding of the request, if the identity provider takes answers by it.
    pub(crate) fn step(&self, outcome: Outcome) -> Result<BrowserStep, AnswerError> {
        let letter = Letter {
            parameter: sending::RESPONSE,
            id: self.id,
            xml: &|destination, signature| self.xml(outcome, destination, signature),
            relay_state: self.relay_state,
            key: Some(self.key),
        };
        let (redirect, post) = (self.services.redirect.as_ref(), self.services.post.as_ref());
        let step = match (self.binding, redirect, post) {
            (Binding::Redirect, Some(redirect), _) | (Binding::Post, Some(redirect), None) => {
                letter.by_redirect(&redirect.answers)
            }
            (Binding::Post, _, Some(post)) | (Binding::Redirect, None, Some(post)) => {
                letter.by_post(&post.answers)
            }
            (_, None, None) => return Err(AnswerError::NoService),
        };
        Ok(step?)
    }

    fn xml(&self, outcome: Outcome, destination: &Location, signature: &str) -> String {
        let code = |value: &str, below: &str| {
            format!("<samlp:StatusCode Value=\"{value}\">{below}</samlp:StatusCode>")
        };
        let status = match outcome {
            Outcome::Ended => code(STATUS_SUCCESS, ""),
            Outcome::NotEnded => code(STATUS_RESPONDER, &code(STATUS_PARTIAL, "")),
            Outcome::NotSupported => code(STATUS_RESPONDER, &code(STATUS_UNSUPPORTED, "")),
        };
        format!(
            "<samlp:LogoutResponse xmlns:samlp=\"{SAMLP}\" ID=\"{id}\" Version=\"2.0\" IssueInstant=\"{now}\" \
             Destination=\"{destination}\" InResponseTo=\"{request}\"><saml:Issuer xmlns:saml=\"{SAML}\">{issuer}\
             </saml:Issuer>{signature}<samlp:Status>{status}</samlp:Status></samlp:LogoutResponse>",
            id = escape(self.id),
            now = time::format(self.now),
            destination = escape(&destination.written),
            request = escape(self.in_response_to),
            issuer = escape(self.entity_id),
        )
    }
}
