//! A `samlp:LogoutRequest` (SAML core 3.7.1), from the text that was signed, and the checks on it, one function each, in one
//! list.

use std::time::Duration;

use roxmltree::{Document, Node};
use usher_core::{Timestamp, provider::OneTime};

use crate::{
    encryption::Opener,
    metadata::Idp,
    names::{DS, FORMAT_ENTITY, SAML, SAMLP},
    response::{
        assertion::{NameId, NotNamed},
        check::MAX_AGE,
        message::IssuerName,
    },
    time,
    xml::{SchemaError, Sequence, attribute, token},
};

use super::{LogoutFault, received::Received};

/// More sessions of one person with us than any identity provider names at once.
const MAX_SESSIONS: usize = 32;

/// What a request is held against. Nothing of it comes from the request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected<'a> {
    pub(crate) now: Timestamp,
    /// Permitted difference between the identity provider's clock and ours.
    pub(crate) skew: Duration,
    /// Our single logout service.
    pub(crate) slo: &'a str,
    pub(crate) idp: &'a Idp,
}

/// Why a message is not to be believed. Core, bindings and profiles are those of SAML 2.0
/// (<https://docs.oasis-open.org/security/saml/v2.0/>).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Doubt {
    /// Profiles 4.4.4.1: by these bindings it has to be.
    #[error("the message is not signed")]
    Unsigned,
    /// Core 5.4, bindings 3.4.4.1; no SHA-1.
    #[error("the signature's algorithm is not accepted")]
    Algorithm,
    /// Core 5.4, bindings 3.4.4.1.
    #[error("the signature was not made by a key of the identity provider's metadata")]
    Signature,
    /// Bindings 3.4.4.1.
    #[error("the message is signed by its query and has a signature of its own")]
    SignedTwice,
    /// Core 3.2.1.
    #[error("the message is of another version of SAML")]
    Version,
    /// Core 3.2.1.
    #[error("the message was issued too long ago")]
    Old,
    /// Core 3.2.1.
    #[error("the message was issued in the future")]
    Future,
    /// Bindings 3.4.5.2, 3.5.5.2.
    #[error("the message is addressed to another destination, or to none")]
    Destination,
    /// Profiles 4.4.4.1, core 2.2.5.
    #[error("the message is from another identity provider, or does not say from which")]
    Issuer,
    /// Core 3.7.1.
    #[error("the request has expired")]
    Expired,
    /// Core 3.7.1.
    #[error("the request is about nobody")]
    Nameless,
    /// Core 3.2.2.
    #[error("the answer is to another request than the one that this browser was sent with")]
    Unasked,
    /// Ours.
    #[error("the request names more sessions than anybody has")]
    Sessions,
}

/// A request that counts.
pub(crate) struct LogoutRequest {
    pub(crate) id: String,
    issue_instant: Timestamp,
    /// Whose sessions; an encrypted name may be one that we cannot read.
    pub(crate) name: Result<NameId, NotNamed>,
    /// Which of them; all of them, if none is named.
    pub(crate) sessions: Vec<String>,
}

/// A request that may count.
struct Claim<'a, 'input> {
    id: String,
    version: String,
    issue_instant: Timestamp,
    destination: Option<String>,
    issuer: Option<IssuerName>,
    not_on_or_after: Option<Timestamp>,
    whose: Whose<'a, 'input>,
    sessions: Vec<String>,
}

/// Whose sessions.
enum Whose<'a, 'input> {
    Named(NameId),
    /// `EncryptedID`.
    Encrypted(Node<'a, 'input>),
    /// `BaseID`, or nothing.
    Nobody,
}

type Check = fn(&Claim<'_, '_>, &Expected<'_>) -> Result<(), Doubt>;

/// Every check, in the order in which they are made.
const CHECKS: [Check; 7] = [
    has_version,
    is_recent,
    has_destination,
    has_issuer,
    has_not_expired,
    is_about_somebody,
    has_few_sessions,
];

impl LogoutRequest {
    /// Reads what was received, and so signed, and makes all checks; the first that fails is the answer. Only then is anything
    /// decrypted.
    pub(crate) fn read(
        received: &Received,
        expected: &Expected<'_>,
        opener: Opener<'_>,
    ) -> Result<Self, LogoutFault> {
        // It has passed the gate, which has bounds for it.
        let document = Document::parse(&received.text).map_err(|_| SchemaError::Missing("LogoutRequest"))?;
        let claim = Claim::read(document.root_element())?;
        CHECKS.iter().try_for_each(|check| check(&claim, expected))?;
        let name = match claim.whose {
            Whose::Named(name) => Ok(name),
            Whose::Encrypted(node) => NameId::decrypt(node, opener),
            Whose::Nobody => return Err(Doubt::Nameless.into()),
        };
        Ok(Self { id: claim.id, issue_instant: claim.issue_instant, name, sessions: claim.sessions })
    }

    /// It counts once, by its ID. It is refused as too old before it is forgotten.
    pub(crate) fn one_time(&self, expected: &Expected<'_>) -> OneTime {
        OneTime {
            key: format!("logout {} {}", expected.idp.entity_id, self.id),
            until: self.issue_instant.plus(MAX_AGE).plus(2 * expected.skew),
        }
    }
}

impl<'a, 'input> Claim<'a, 'input> {
    fn read(node: Node<'a, 'input>) -> Result<Self, SchemaError> {
        let mut parts = Sequence::of(node, "LogoutRequest")?;
        let issuer = parts.optional(SAML, "Issuer").map(IssuerName::read).transpose()?;
        parts.optional(DS, "Signature");
        parts.optional(SAMLP, "Extensions");
        let whose = if let Some(name) = parts.optional(SAML, "NameID") {
            Whose::Named(NameId::read(name)?)
        } else if let Some(name) = parts.optional(SAML, "EncryptedID") {
            Whose::Encrypted(name)
        } else {
            parts.optional(SAML, "BaseID");
            Whose::Nobody
        };
        let mut sessions = Vec::new();
        while let Some(session) = parts.optional(SAMLP, "SessionIndex") {
            sessions.push(token(session, "SessionIndex")?.to_owned());
        }
        parts.end()?;
        Ok(Self {
            id: attribute(node, "ID")?.to_owned(),
            version: attribute(node, "Version")?.to_owned(),
            issue_instant: time::instant(node, "IssueInstant")?
                .ok_or(SchemaError::NoAttribute("IssueInstant"))?,
            destination: node.attribute("Destination").map(str::to_owned),
            issuer,
            not_on_or_after: time::instant(node, "NotOnOrAfter")?,
            whose,
            sessions,
        })
    }
}

fn must(holds: bool, otherwise: Doubt) -> Result<(), Doubt> {
    if holds { Ok(()) } else { Err(otherwise) }
}

fn has_version(request: &Claim<'_, '_>, _: &Expected<'_>) -> Result<(), Doubt> {
    must(request.version == "2.0", Doubt::Version)
}

fn is_recent(request: &Claim<'_, '_>, expected: &Expected<'_>) -> Result<(), Doubt> {
    is_recent_at(request.issue_instant, expected)
}

pub(super) fn is_recent_at(issued: Timestamp, expected: &Expected<'_>) -> Result<(), Doubt> {
    let (now, skew) = (expected.now, expected.skew);
    must(issued.plus(MAX_AGE).plus(skew) > now, Doubt::Old)?;
    must(issued <= now.plus(skew), Doubt::Future)
}

/// It is signed, so that it has to have one.
fn has_destination(request: &Claim<'_, '_>, expected: &Expected<'_>) -> Result<(), Doubt> {
    must(request.destination.as_deref() == Some(expected.slo), Doubt::Destination)
}

/// SAML core 2.2.5: without a format, an issuer is an entity.
fn has_issuer(request: &Claim<'_, '_>, expected: &Expected<'_>) -> Result<(), Doubt> {
    has_issuer_of(request.issuer.as_ref(), expected)
}

pub(super) fn has_issuer_of(issuer: Option<&IssuerName>, expected: &Expected<'_>) -> Result<(), Doubt> {
    let is_idp = issuer.is_some_and(|issuer| {
        issuer.format.as_deref().is_none_or(|format| format == FORMAT_ENTITY)
            && issuer.value == expected.idp.entity_id.as_str()
    });
    must(is_idp, Doubt::Issuer)
}

fn has_not_expired(request: &Claim<'_, '_>, expected: &Expected<'_>) -> Result<(), Doubt> {
    let is_over = request.not_on_or_after.is_some_and(|end| end.plus(expected.skew) <= expected.now);
    must(!is_over, Doubt::Expired)
}

fn is_about_somebody(request: &Claim<'_, '_>, _: &Expected<'_>) -> Result<(), Doubt> {
    must(!matches!(request.whose, Whose::Nobody), Doubt::Nameless)
}

fn has_few_sessions(request: &Claim<'_, '_>, _: &Expected<'_>) -> Result<(), Doubt> {
    must(request.sessions.len() <= MAX_SESSIONS, Doubt::Sessions)
}
