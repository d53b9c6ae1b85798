//! The checks on an answer, one function each, in one list. samael is asked for none of them.
//!
//! Instants of the identity provider may be ahead of or behind ours by the configured skew. What begins does so at its
//! instant, what ends is over at its own (`NotOnOrAfter`).

use std::time::Duration;

use usher_core::Timestamp;

use super::{
    Question, Signed, Trust,
    assertion::{Assertion, Confirmation},
    message::{IssuerName, Message},
};
use crate::{
    encryption::Unreadable,
    names::{BEARER, FORMAT_ENTITY},
};

/// How old an answer may be when it comes. A browser brings it at once.
pub(crate) const MAX_AGE: Duration = Duration::from_mins(5);

/// An answer and what it is held against.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    pub(super) message: &'a Message,
    pub(super) assertion: &'a Assertion,
    pub(super) trust: Trust,
    pub(super) question: &'a Question<'a>,
}

/// Why an answer proves nobody. Core, bindings and profiles are those of SAML 2.0
/// (<https://docs.oasis-open.org/security/saml/v2.0/>).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unproven {
    /// Profiles 4.1.4.5, 4.1.4.2.
    #[error("nothing in it is signed that has to be")]
    Unsigned,
    /// Core 5.4, profiles 4.1.4.3.
    #[error("a signature was not made by a key of the identity provider's metadata")]
    Signature,
    /// Core 3.3.3, profiles 4.1.4.2.
    #[error("the response says that it was successful and has no assertion")]
    NoAssertion,
    /// Decided by the operator.
    #[error("the assertion is not encrypted")]
    NotEncrypted,
    /// Core 6.1. What the algorithms alone say, which everybody can read.
    #[error(
        "the assertion is encrypted in a way that is not accepted here: by another algorithm than AES-GCM and RSA-OAEP, \
         or by AES-CBC or RSA 1.5 in a response that is not signed or may not have it"
    )]
    Encryption,
    /// Core 2.3.4, 6.1. One variant for everything that can be wrong with it.
    #[error("the assertion could not be decrypted with a key of ours")]
    Undecryptable,
    /// Core 3.2.2.
    #[error("the response is of another version of SAML")]
    ResponseVersion,
    /// Core 3.2.2.
    #[error("the response was issued too long ago")]
    ResponseOld,
    /// Core 3.2.2.
    #[error("the response was issued in the future")]
    ResponseFuture,
    /// Bindings 3.5.5.2, core 3.2.2.
    #[error("the response is addressed to another destination, or signed and addressed to none")]
    Destination,
    /// Profiles 4.1.4.2, 4.1.4.5, 4.1.5.
    #[error("the response does not answer the request of this browser")]
    InResponseTo,
    /// Profiles 4.1.4.2.
    #[error("the response is from another identity provider, or does not say from which")]
    ResponseIssuer,
    /// Core 2.3.3.
    #[error("the assertion is of another version of SAML")]
    AssertionVersion,
    /// Core 2.3.3.
    #[error("the assertion was issued too long ago")]
    AssertionOld,
    /// Core 2.3.3.
    #[error("the assertion was issued in the future")]
    AssertionFuture,
    /// Profiles 4.1.4.2, core 2.2.5.
    #[error("the assertion is from another identity provider")]
    AssertionIssuer,
    /// Profiles 4.1.4.2.
    #[error("the assertion is about nobody")]
    NoSubject,
    /// Profiles 4.1.4.2, 3.3.
    #[error("no bearer of the assertion is its subject")]
    NoBearer,
    /// Profiles 4.1.4.2.
    #[error("the assertion is confirmed for another recipient")]
    Recipient,
    /// Profiles 4.1.4.2.
    #[error("the assertion is confirmed for another request")]
    ConfirmationInResponseTo,
    /// Profiles 4.1.4.2, 4.1.4.3.
    #[error("the confirmation of the assertion has expired, or does not say when it does")]
    ConfirmationExpired,
    /// Profiles 4.1.4.2.
    #[error("the confirmation of the assertion has a time before which it does not count")]
    ConfirmationNotBefore,
    /// Core 2.5.1.2.
    #[error("the assertion is not valid yet")]
    NotYetValid,
    /// Core 2.5.1.2.
    #[error("the assertion has expired")]
    Expired,
    /// Profiles 4.1.4.2.
    #[error("the assertion is not restricted to any audience")]
    NoAudience,
    /// Core 2.5.1.4: every restriction counts.
    #[error("the assertion is for another audience")]
    Audience,
    /// Core 2.5.1.
    #[error("the assertion has a condition that is not known here")]
    UnknownCondition,
    /// Profiles 4.1.4.2.
    #[error("the assertion does not say that anybody authenticated")]
    NoAuthentication,
    /// Core 2.7.2.
    #[error("the assertion says that somebody will authenticate in the future")]
    AuthenticationFuture,
    /// Core 2.7.2.
    #[error("the session at the identity provider is over")]
    SessionOver,
    /// Core 3.3.2.2.1.
    #[error("the person authenticated in a way that was not asked for")]
    Context,
}

impl From<Unreadable> for Unproven {
    fn from(unreadable: Unreadable) -> Self {
        match unreadable {
            Unreadable::Algorithms => Self::Encryption,
            Unreadable::Undecryptable => Self::Undecryptable,
        }
    }
}

type Check = fn(&Facts<'_>) -> Result<(), Unproven>;

/// Every check, in the order in which they are made.
const CHECKS: [Check; 19] = [
    is_signed,
    is_encrypted,
    has_response_version,
    has_recent_response,
    has_destination,
    answers_the_request,
    has_response_issuer,
    has_assertion_version,
    has_recent_assertion,
    has_assertion_issuer,
    has_subject,
    has_bearer,
    has_begun,
    has_not_ended,
    has_audience,
    has_known_conditions,
    has_authentication,
    has_session,
    has_context,
];

/// Makes all of them; the first that fails is the answer.
pub(super) fn all(facts: &Facts<'_>) -> Result<(), Unproven> {
    CHECKS.iter().try_for_each(|check| check(facts))
}

/// What all of them say.
#[cfg(test)]
pub(super) fn failures(facts: &Facts<'_>) -> Vec<Unproven> {
    CHECKS.iter().filter_map(|check| check(facts).err()).collect()
}

fn must(holds: bool, otherwise: Unproven) -> Result<(), Unproven> {
    if holds { Ok(()) } else { Err(otherwise) }
}

fn is_signed(facts: &Facts<'_>) -> Result<(), Unproven> {
    let Trust { response, assertion, .. } = facts.trust;
    let is_enough = match facts.question.policy.signed {
        Signed::Either => response || assertion,
        Signed::Assertion => assertion,
        Signed::Response => response,
        Signed::Both => response && assertion,
    };
    must(is_enough, Unproven::Unsigned)
}

fn is_encrypted(facts: &Facts<'_>) -> Result<(), Unproven> {
    must(facts.trust.is_encrypted || !facts.question.policy.needs_encryption, Unproven::NotEncrypted)
}

fn has_response_version(facts: &Facts<'_>) -> Result<(), Unproven> {
    must(facts.message.version == "2.0", Unproven::ResponseVersion)
}

fn has_recent_response(facts: &Facts<'_>) -> Result<(), Unproven> {
    let issued = facts.message.issue_instant;
    must(!is_old(issued, facts.question), Unproven::ResponseOld)?;
    must(!is_future(issued, facts.question), Unproven::ResponseFuture)
}

fn has_destination(facts: &Facts<'_>) -> Result<(), Unproven> {
    let is_ours = match &facts.message.destination {
        Some(destination) => destination == facts.question.acs,
        None => !facts.trust.response,
    };
    must(is_ours, Unproven::Destination)
}

/// An unsolicited response answers nothing, and is refused: anybody could have begun it for this browser.
fn answers_the_request(facts: &Facts<'_>) -> Result<(), Unproven> {
    let is_answer = facts.message.in_response_to.as_deref() == Some(facts.question.request_id);
    must(is_answer, Unproven::InResponseTo)
}

fn has_response_issuer(facts: &Facts<'_>) -> Result<(), Unproven> {
    let is_right = match &facts.message.issuer {
        Some(issuer) => is_the_idp(issuer, facts.question),
        None => !facts.trust.response && !facts.trust.is_encrypted,
    };
    must(is_right, Unproven::ResponseIssuer)
}

fn has_assertion_version(facts: &Facts<'_>) -> Result<(), Unproven> {
    must(facts.assertion.version == "2.0", Unproven::AssertionVersion)
}

fn has_recent_assertion(facts: &Facts<'_>) -> Result<(), Unproven> {
    let issued = facts.assertion.issue_instant;
    must(!is_old(issued, facts.question), Unproven::AssertionOld)?;
    must(!is_future(issued, facts.question), Unproven::AssertionFuture)
}

fn has_assertion_issuer(facts: &Facts<'_>) -> Result<(), Unproven> {
    must(is_the_idp(&facts.assertion.issuer, facts.question), Unproven::AssertionIssuer)
}

fn has_subject(facts: &Facts<'_>) -> Result<(), Unproven> {
    must(facts.assertion.subject.is_some(), Unproven::NoSubject)
}

/// One confirmation that fits is enough; of several that do not, the last says why.
fn has_bearer(facts: &Facts<'_>) -> Result<(), Unproven> {
    // That there is one is another check.
    let Some(subject) = &facts.assertion.subject else { return Ok(()) };
    let bearers = subject.confirmations.iter().filter(|confirmation| confirmation.method == BEARER);
    let mut verdict = Err(Unproven::NoBearer);
    for bearer in bearers {
        verdict = is_confirmed(bearer, facts.question);
        if verdict.is_ok() {
            break;
        }
    }
    verdict
}

fn is_confirmed(bearer: &Confirmation, question: &Question<'_>) -> Result<(), Unproven> {
    let data = bearer.data.as_ref().ok_or(Unproven::NoBearer)?;
    must(data.recipient.as_deref() == Some(question.acs), Unproven::Recipient)?;
    must(data.in_response_to.as_deref() == Some(question.request_id), Unproven::ConfirmationInResponseTo)?;
    must(data.not_before.is_none(), Unproven::ConfirmationNotBefore)?;
    let is_current = data.not_on_or_after.is_some_and(|until| !is_over(until, question));
    must(is_current, Unproven::ConfirmationExpired)
}

fn has_begun(facts: &Facts<'_>) -> Result<(), Unproven> {
    let from = facts.assertion.conditions.as_ref().and_then(|conditions| conditions.not_before);
    must(!from.is_some_and(|from| is_future(from, facts.question)), Unproven::NotYetValid)
}

fn has_not_ended(facts: &Facts<'_>) -> Result<(), Unproven> {
    let until = facts.assertion.conditions.as_ref().and_then(|conditions| conditions.not_on_or_after);
    must(!until.is_some_and(|until| is_over(until, facts.question)), Unproven::Expired)
}

fn has_audience(facts: &Facts<'_>) -> Result<(), Unproven> {
    let restrictions = facts.assertion.conditions.iter().flat_map(|conditions| &conditions.audiences);
    let is_ours = |audiences: &Vec<String>| audiences.iter().any(|own| own == facts.question.entity_id);
    must(restrictions.clone().next().is_some(), Unproven::NoAudience)?;
    must(restrictions.clone().all(is_ours), Unproven::Audience)
}

fn has_known_conditions(facts: &Facts<'_>) -> Result<(), Unproven> {
    let has_unknown = facts.assertion.conditions.as_ref().is_some_and(|conditions| conditions.has_unknown);
    must(!has_unknown, Unproven::UnknownCondition)
}

fn has_authentication(facts: &Facts<'_>) -> Result<(), Unproven> {
    let authentications = &facts.assertion.authentications;
    must(!authentications.is_empty(), Unproven::NoAuthentication)?;
    let is_possible = |instant| !is_future(instant, facts.question);
    must(
        authentications.iter().all(|authentication| is_possible(authentication.instant)),
        Unproven::AuthenticationFuture,
    )
}

fn has_session(facts: &Facts<'_>) -> Result<(), Unproven> {
    let mut ends = facts.assertion.authentications.iter().filter_map(|own| own.session_not_on_or_after);
    must(!ends.any(|end| is_over(end, facts.question)), Unproven::SessionOver)
}

/// Every statement has to name one of the classes that were asked for, as `Comparison="exact"` has it.
fn has_context(facts: &Facts<'_>) -> Result<(), Unproven> {
    let wanted = &facts.question.policy.contexts;
    let is_wanted = |context: &Option<String>| {
        context.as_ref().is_some_and(|context| wanted.iter().any(|class| class == context))
    };
    let mut all = facts.assertion.authentications.iter();
    must(wanted.is_empty() || all.all(|own| is_wanted(&own.context)), Unproven::Context)
}

/// SAML core 2.2.5: without a format, an issuer is an entity.
fn is_the_idp(issuer: &IssuerName, question: &Question<'_>) -> bool {
    let is_entity = issuer.format.as_deref().is_none_or(|format| format == FORMAT_ENTITY);
    is_entity && issuer.value == question.idp.entity_id.as_str()
}

fn is_old(issued: Timestamp, question: &Question<'_>) -> bool {
    issued.plus(MAX_AGE).plus(question.skew) <= question.now
}

fn is_future(instant: Timestamp, question: &Question<'_>) -> bool {
    instant > question.now.plus(question.skew)
}

fn is_over(end: Timestamp, question: &Question<'_>) -> bool {
    end.plus(question.skew) <= question.now
}
