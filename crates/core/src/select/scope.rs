//! Whose attributes and names a table is about.

use crate::{Identity, Issuer, ProviderId};

/// Limits a table to the people of one provider, or of one issuer within it. Without a limit, an identity provider of a
/// federation can assert what another's people are sorted by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Only people who signed in at this provider.
    pub provider: Option<ProviderId>,
    /// Only people this issuer vouches for.
    pub issuer: Option<Issuer>,
}

impl Scope {
    /// Whether `identity` is one of those people.
    #[must_use]
    pub fn covers(&self, identity: &Identity) -> bool {
        self.provider.as_ref().is_none_or(|provider| *provider == identity.provider)
            && self.issuer.as_ref().is_none_or(|issuer| *issuer == identity.issuer)
    }
}
