//! Lines in the log about what anybody can bring about without being anybody, as often as they like: an operator has to see
//! that it happens, and nobody may fill the log with it.

use std::{
    fmt,
    hash::BuildHasher as _,
    mem::{Discriminant, discriminant},
};

use usher_core::{ProviderError, ProviderId};

use super::Limits;

/// Whether the log says it aloud, or only to whoever looks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mention {
    /// Once a minute.
    pub(crate) is_aloud: bool,
}

impl Limits {
    /// Whether the log may say once more that what came for `provider`, from whoever it was, failed with `error`. One kind of
    /// failure hides no other: a stranger's garbage must not keep the operator from reading that a key is wrong.
    pub(crate) fn mention(&self, provider: &ProviderId, error: &ProviderError) -> Mention {
        let kind: Discriminant<ProviderError> = discriminant(error);
        let key = self.hasher.hash_one((provider.as_str(), kind));
        Mention { is_aloud: self.mentioned.as_ref().is_some_and(|limiter| limiter.check_key(&key).is_ok()) }
    }
}

/// What is added to a line.
impl fmt::Display for Mention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_aloud { "; more of this is not logged for a minute" } else { "" })
    }
}
