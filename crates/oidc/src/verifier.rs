//! Verifies the provider's tokens with its keys, and fetches those: when they are first needed, anew now and then, and at
//! once, though not often, when a token is signed with none of them (OpenID Connect Core 10.1.1).

use std::sync::Arc;

use usher_core::{ProviderError, Timestamp};

use crate::{
    cached::Cached,
    calls::{Calls, Failure, Target},
    config::Settings,
    jws::{Jws, Signers, TokenFault, Verified},
    keys::{KeyFault, KeySet, Keys},
};

const WHAT: &str = "key set";

/// Everything a token is verified with.
#[derive(Clone, Copy)]
pub(crate) struct Verifier<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) calls: &'a Calls,
    pub(crate) keys: &'a Cached<Keys>,
    /// Where the keys are.
    pub(crate) jwks: Option<&'a Target>,
}

impl Verifier<'_> {
    /// What `token` says, if the provider has signed it.
    pub(crate) async fn verify(&self, token: &str, now: Timestamp) -> Result<Verified, ProviderError> {
        let jws = Jws::parse(token).map_err(ProviderError::unverified)?;
        // Nobody has keys fetched for a token that is refused with any.
        let algorithm = jws.algorithm(&self.settings.algorithms).map_err(ProviderError::unverified)?;
        if algorithm.is_symmetric() {
            return jws.verify(self.signers(&Keys::default())).map_err(ProviderError::unverified);
        }
        let keys = self.keys.get(now, self.fetch()).await?;
        match jws.verify(self.signers(&keys)) {
            // A new key may have the name of an old one, or none.
            Err(TokenFault::Key(fault @ (KeyFault::Unknown | KeyFault::Several | KeyFault::Signature))) => {
                let renewed = match self.keys.renew(now, &keys, self.fetch()).await {
                    Ok(renewed) => renewed,
                    Err(failure) if fault == KeyFault::Unknown => return Err(failure.into()),
                    // It is bad by the keys that are there.
                    Err(_) => return Err(ProviderError::unverified(TokenFault::Key(fault))),
                };
                let is_same = Arc::ptr_eq(&renewed, &keys);
                if is_same {
                    Err(ProviderError::unverified(TokenFault::Key(fault)))
                } else {
                    jws.verify(self.signers(&renewed)).map_err(ProviderError::unverified)
                }
            }
            verified => verified.map_err(ProviderError::unverified),
        }
    }

    /// Whether the keys can be fetched now.
    pub(crate) async fn probe(&self) -> Result<(), ProviderError> {
        self.fetch().await?;
        Ok(())
    }

    fn signers<'k>(&'k self, keys: &'k Keys) -> Signers<'k> {
        Signers { algorithms: &self.settings.algorithms, keys, secret: self.settings.credentials.secret() }
    }

    async fn fetch(&self) -> Result<Keys, Failure> {
        let Some(target) = self.jwks else { return Ok(Keys::default()) };
        self.calls.get_json::<KeySet>(WHAT, target).await.map(Keys::from)
    }
}
