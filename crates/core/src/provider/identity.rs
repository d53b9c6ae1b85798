//! What a verified answer says: who, vouched for by whom, and when they authenticated.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use super::{Challenge, Issuer, Origin, ProviderId, Subject};
use crate::Timestamp;

/// What became of a callback.
#[derive(Debug)]
pub enum Outcome {
    /// The person is proven.
    Done(Proof),
    /// One more step (discovery, a retry): the same attempt goes on with this challenge.
    Continue(Challenge),
    /// The person said where they are from: the same attempt goes on with this challenge, and the next one may begin with
    /// that.
    From(Origin, Challenge),
}

/// A verified answer.
#[derive(Debug)]
pub struct Proof {
    /// Who.
    pub identity: Identity,
    /// Keys that must never be seen again (assertion id, `jti`); stored in the transaction that spends the attempt.
    pub spend: Vec<OneTime>,
    /// What the browser keeps to sign out again, where the provider wants to be told whose session ends.
    pub keepsake: Option<Keepsake>,
}

/// Something that a provider has the browser keep: opaque to the server, sealed in a cookie, redacted in `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Keepsake(String);

impl Keepsake {
    /// The longest.
    pub const MAX_BYTES: usize = 1024;

    /// Wraps what the backend serialised; `None` if it is too long.
    #[must_use]
    pub fn new(text: String) -> Option<Self> {
        (text.len() <= Self::MAX_BYTES).then_some(Self(text))
    }

    /// What the backend serialised.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Keepsake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keepsake([redacted])")
    }
}

/// A key that may be seen once.
#[derive(Clone, PartialEq, Eq)]
pub struct OneTime {
    /// Unique within the provider; stored hashed together with the provider's id.
    pub key: String,
    /// From when on the provider's own checks refuse the answer, so that the key can be forgotten.
    pub until: Timestamp,
}

/// Not the key: it may be what a thief would need to be first.
impl fmt::Debug for OneTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OneTime").field("until", &self.until).finish_non_exhaustive()
    }
}

/// A person as one provider knows them. `(provider, issuer, subject)` names them; nothing else does.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Which configured provider.
    pub provider: ProviderId,
    /// Who vouches inside it.
    pub issuer: Issuer,
    /// The issuer's name for the person.
    pub subject: Subject,
    /// When they authenticated.
    pub evidence: Evidence,
    /// Every value of every attribute, in the order they came.
    pub attributes: BTreeMap<String, Vec<String>>,
    /// The provider's session, by which a logout notice will name it.
    pub upstream_session: Option<UpstreamSession>,
}

impl Identity {
    /// The values of one attribute; none if it was not released.
    #[must_use]
    pub fn values(&self, attribute: &str) -> &[String] {
        self.attributes.get(attribute).map_or(&[], Vec::as_slice)
    }
}

/// Names of attributes, never their values.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("provider", &self.provider)
            .field("issuer", &self.issuer)
            .field("evidence", &self.evidence)
            .field("attributes", &self.attributes.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// What the answer proves about *when* the person authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// The provider stated the instant (SAML `AuthnInstant`, OIDC `auth_time`).
    AuthenticatedAt(Timestamp),
    /// Credentials were presented for this very attempt (CAS `renew` at both ends).
    CredentialsPresented,
    /// The provider said nothing about it.
    Unstated,
}

/// The provider's name for its own session, by which a logout notice will name it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum UpstreamSession {
    /// One that no other session of the issuer's ever has (OIDC `sid`, the CAS service ticket).
    Unique(String),
    /// One that is of use together with whose it is, and may come again once it is over (SAML: the `NameID`, and the
    /// `SessionIndex`, which may be a small number). A notice may name all of a group.
    OfGroup {
        /// Whose; what holds them together.
        group: String,
        /// Which of them.
        session: String,
    },
}

impl fmt::Debug for UpstreamSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UpstreamSession([redacted])")
    }
}
