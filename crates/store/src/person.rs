//! How a row names a person.

use usher_core::{Identity, Issuer, ProviderId, Subject};

use crate::StoreError;

/// A person as one provider knows them: these three together, nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PersonKey<'a> {
    /// Which configured provider.
    pub provider: &'a ProviderId,
    /// Who vouches inside it.
    pub issuer: &'a Issuer,
    /// The issuer's name for the person.
    pub subject: &'a Subject,
}

impl<'a> From<&'a Identity> for PersonKey<'a> {
    fn from(identity: &'a Identity) -> Self {
        Self { provider: &identity.provider, issuer: &identity.issuer, subject: &identity.subject }
    }
}

/// Reads a value that only Usher writes. `column` is named in the error, the value is not.
pub(crate) fn parsed<T, U: TryInto<T>>(column: &'static str, value: U) -> Result<T, StoreError> {
    value.try_into().map_err(|_| StoreError::corrupt(column))
}
