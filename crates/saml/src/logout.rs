//! Single logout (SAML profiles 4.4): the identity provider sends a browser with the wish that sessions end, and the browser
//! takes back what became of it.
//!
//! ```text
//! HTTP-Redirect: signature over the query's own bytes -> base64 -> inflate -> gate
//! HTTP-POST:     base64 -> gate -> signature (samael) -> gate, of what was signed
//!                -> read -> checks -> decryption -> gate -> which sessions -> an answer, signed
//! ```
//!
//! Whoever can have others logged out destroys the keys on their devices. So nothing is believed that a key of the identity
//! provider's metadata did not sign, and where the signature is beside the message, the message is not even unpacked before.
//!
//! Not here: SOAP and artifact bindings. Where an `EncryptedID` cannot be read, the identity provider is told that it was not heeded.

mod answer;
mod departure;
mod query;
mod received;
mod request;

use std::time::Duration;

use usher_core::{
    Callback, ProviderError, Timestamp,
    provider::{
        BrowserLogout, EndedSession, LogoutAnswers, LogoutNotice, LogoutProof, Method, ParameterError,
        UpstreamSession, WayOut,
    },
};

use crate::{
    encryption::Unreadable,
    gate::{GateError, Root},
    metadata::Idp,
    person::session,
    response::{assertion::NotNamed, message::Status},
    sending,
    service::Service,
    xml::SchemaError,
};
use answer::{Answer, AnswerError, Outcome};
use departure::Departure;
pub(crate) use departure::{Awaited, Memory};
use received::receive;
use request::{Doubt, Expected, LogoutRequest};

/// A message of single logout is under 8 KiB, with a signature, its certificate and an encrypted name. Whatever strangers send
/// is read up to here, and what is let in takes a millisecond to verify.
const MAX_MESSAGE: usize = 16 * 1024;

/// Why a message is not heeded, one variant per reaction.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogoutFault {
    #[error("the message does not come as one does")]
    Parameter(#[from] ParameterError),
    #[error("a request and an answer come together")]
    Both,
    #[error("a parameter's name is spelled in a way that could be read in two")]
    OddName,
    #[error("the message is compressed in another way than by DEFLATE")]
    Method,
    #[error("RelayState is longer than any, or no text")]
    RelayState,
    #[error("the message is no base64 of compressed UTF-8, or is longer than any")]
    Encoding,
    #[error("the message is not let in")]
    Gate(#[from] GateError),
    #[error("the message is not what its schema says")]
    Schema(#[from] SchemaError),
    #[error("the message is not to be believed")]
    Unproven(#[from] Doubt),
    #[error("this browser was not sent to sign out")]
    NotAwaited,
    #[error("the identity provider did not sign the person out ({0})")]
    Denied(Status),
    #[error("the identity provider cannot be answered")]
    Answer(#[from] AnswerError),
}

/// Whether `callback` is an answer to a request of ours, rather than a request.
pub(crate) fn is_answer(callback: &Callback) -> bool {
    let parameters = match callback.method {
        Method::Get => &callback.query,
        Method::Post => &callback.form,
    };
    parameters.iter().any(|(name, _)| name == sending::RESPONSE)
}

/// Whom a request says that it is from: nothing of it is believed by that.
pub(crate) fn issuer_of(callback: &Callback) -> Result<String, LogoutFault> {
    received::issuer_of(callback, sending::REQUEST, Root::LogoutRequest)
}

impl Service {
    /// The answer of `idp` to the browser's request to sign out.
    pub(crate) fn signed_out(
        &self,
        callback: &Callback,
        idp: &Idp,
        awaited: &Awaited,
        now: Timestamp,
        skew: Duration,
    ) -> Result<BrowserLogout, ProviderError> {
        let expected = Expected { now, skew, slo: &self.slo, idp };
        let read = || {
            let received = receive(callback, sending::RESPONSE, Root::LogoutResponse, &idp.keys)?;
            awaited.check(&received.text, &expected)
        };
        read().map_err(reaction)?;
        Ok(BrowserLogout::SignedOut(LogoutNotice {
            issuer: idp.entity_id.clone(),
            subject: None,
            sessions: vec![awaited.ended()],
            proof: LogoutProof::Signed,
            spend: vec![awaited.one_time(&expected)],
        }))
    }

    /// Our request to sign the browser out at `idp`; `None` if that has no place for it.
    pub(crate) fn sign_out(
        &self,
        memory: &Memory,
        idp: &Idp,
        id: &str,
        now: Timestamp,
    ) -> Result<Option<WayOut>, ProviderError> {
        let Some(key) = self.settings.keys.first() else { return Ok(None) };
        let departure =
            Departure { id, now, entity_id: &self.entity_id, key, memory, services: &idp.single_logout };
        let step = departure.step().map_err(|error| ProviderError::Internal(error.into()))?;
        let awaited = memory.awaited(id, &self.entity_id);
        Ok(step.zip(awaited).map(|(step, awaited)| WayOut { step, awaited: Some(awaited) }))
    }

    /// What `callback` has of single logout, from a browser that `idp` sent. `id` is the answer's.
    pub(crate) fn logout(
        &self,
        callback: &Callback,
        idp: &Idp,
        id: &str,
        now: Timestamp,
        skew: Duration,
    ) -> Result<BrowserLogout, ProviderError> {
        self.log_out(callback, idp, id, &Expected { now, skew, slo: &self.slo, idp }).map_err(reaction)
    }

    fn log_out(
        &self,
        callback: &Callback,
        idp: &Idp,
        id: &str,
        expected: &Expected<'_>,
    ) -> Result<BrowserLogout, LogoutFault> {
        let received = receive(callback, sending::REQUEST, Root::LogoutRequest, &idp.keys)?;
        let request = LogoutRequest::read(&received, expected, self.opener())?;
        let answer = Answer {
            id,
            now: expected.now,
            entity_id: &self.entity_id,
            in_response_to: &request.id,
            binding: received.binding,
            relay_state: received.relay_state.as_deref(),
            services: &idp.single_logout,
            key: self.settings.keys.first().ok_or(AnswerError::NoKey)?,
        };
        let name = match &request.name {
            Ok(name) => name,
            // It is as it should be otherwise: the person is on their way to other services.
            Err(why) => {
                let step = answer.step(Outcome::NotSupported)?;
                return Ok(BrowserLogout::Unheeded { reason: reason(*why), step });
            }
        };
        let group = session::group(name, idp.entity_id.as_str(), &self.entity_id);
        let of_group = |index: &String| {
            let (group, session) = (group.clone(), session::index(index));
            EndedSession::One(UpstreamSession::OfGroup { group, session })
        };
        // SAML core 3.7.1: without an index, it is about all of them.
        let sessions = if request.sessions.is_empty() {
            vec![EndedSession::Group(group)]
        } else {
            request.sessions.iter().map(of_group).collect()
        };
        let answers =
            LogoutAnswers { ended: answer.step(Outcome::Ended)?, not_ended: answer.step(Outcome::NotEnded)? };
        let notice = LogoutNotice {
            issuer: idp.entity_id.clone(),
            // Whom a `NameID` is about here may be said by an attribute instead.
            subject: None,
            sessions,
            proof: LogoutProof::Signed,
            spend: vec![request.one_time(expected)],
        };
        Ok(BrowserLogout::Notice { notice, answers: Box::new(answers) })
    }
}

/// For the log.
fn reason(why: NotNamed) -> &'static str {
    match why {
        NotNamed::Unreadable(Unreadable::Algorithms) => {
            "its NameID is encrypted by another algorithm than AES and RSA-OAEP, or by RSA 1.5, which is not allowed"
        }
        NotNamed::Unreadable(Unreadable::Undecryptable) => {
            "its NameID is encrypted, and not to a key of ours"
        }
        NotNamed::NoNameId => "its EncryptedID holds no NameID",
    }
}

/// Whose fault each failure is.
fn reaction(fault: LogoutFault) -> ProviderError {
    match fault {
        LogoutFault::Parameter(_)
        | LogoutFault::Both
        | LogoutFault::OddName
        | LogoutFault::Method
        | LogoutFault::RelayState
        | LogoutFault::Encoding
        | LogoutFault::Gate(_)
        | LogoutFault::NotAwaited
        | LogoutFault::Schema(_) => ProviderError::malformed(fault),
        LogoutFault::Denied(_) => ProviderError::Refused(fault.into()),
        LogoutFault::Unproven(_) => ProviderError::unverified(fault),
        // Only after its signature was verified.
        LogoutFault::Answer(_) => ProviderError::Internal(fault.into()),
    }
}

#[cfg(test)]
mod tests;
