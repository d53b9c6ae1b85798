//! How a provider's answer can fail, one variant per reaction of the server.

use std::error::Error;

/// What went wrong underneath, for the log. It must not contain bearer values.
pub type ProviderFailure = Box<dyn Error + Send + Sync + 'static>;

/// One variant per reaction, deliberately exhaustive: a new one must be given a page before it compiles.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// The provider, or the person at the provider, said no. The page says so and offers to try again.
    #[error("the provider refused to sign the person in")]
    Refused(#[source] ProviderFailure),
    /// The person gave wrong credentials to a page of ours. The same page is shown again.
    #[error("the credentials were wrong")]
    BadCredentials,
    /// The browser brought something that is no answer to anything: 400.
    #[error("the callback is malformed")]
    Malformed(#[source] ProviderFailure),
    /// An answer that does not prove what it claims. Refused, and logged as a warning.
    #[error("the provider's answer could not be verified")]
    Unverified(#[source] ProviderFailure),
    /// The provider could not be reached or did not answer sensibly: 503, try later.
    #[error("the provider is unavailable")]
    Unavailable(#[source] ProviderFailure),
    /// The provider says that *we* are wrong (unknown client, unregistered service): an operator must act.
    #[error("the provider does not accept this service")]
    Internal(#[source] ProviderFailure),
}

impl ProviderError {
    /// A callback that is no answer to anything.
    pub fn malformed(source: impl Into<ProviderFailure>) -> Self {
        Self::Malformed(source.into())
    }

    /// An answer that does not prove what it claims.
    pub fn unverified(source: impl Into<ProviderFailure>) -> Self {
        Self::Unverified(source.into())
    }

    /// A provider that did not answer sensibly.
    pub fn unavailable(source: impl Into<ProviderFailure>) -> Self {
        Self::Unavailable(source.into())
    }

    /// A word for logs and metrics.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Refused(_) => "refused",
            Self::BadCredentials => "bad_credentials",
            Self::Malformed(_) => "malformed",
            Self::Unverified(_) => "unverified",
            Self::Unavailable(_) => "unavailable",
            Self::Internal(_) => "internal",
        }
    }
}
