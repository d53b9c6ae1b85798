//! How a browser carries a message of ours to the identity provider (SAML bindings 3.4 and 3.5).

mod post;
mod redirect;

use std::fmt;

use openssl::error::ErrorStack;
use usher_core::provider::BrowserStep;

use crate::{keys::OwnKey, metadata::Location};

/// The parameter of a request.
pub(crate) const REQUEST: &str = "SAMLRequest";
/// The parameter of an answer.
pub(crate) const RESPONSE: &str = "SAMLResponse";

/// A message, and what it takes to send it.
#[derive(Clone, Copy)]
pub(crate) struct Letter<'a> {
    /// [`REQUEST`] or [`RESPONSE`].
    pub(crate) parameter: &'static str,
    /// The message's ID.
    pub(crate) id: &'a str,
    /// The message to a destination, with a signature where one belongs.
    pub(crate) xml: &'a (dyn Fn(&Location, &str) -> String + Sync),
    pub(crate) relay_state: Option<&'a str>,
    /// What signs it.
    pub(crate) key: Option<&'a OwnKey>,
}

/// Why a message cannot be sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    #[error("the message could not be signed")]
    Redirect(#[from] ErrorStack),
    #[error("the message could not be signed")]
    Post(#[from] samael::crypto::CryptoError),
}

impl Letter<'_> {
    pub(crate) fn by_redirect(&self, location: &Location) -> Result<BrowserStep, SendError> {
        redirect::step(self, location)
    }

    pub(crate) fn by_post(&self, location: &Location) -> Result<BrowserStep, SendError> {
        post::step(self, location)
    }
}

impl fmt::Debug for Letter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Letter")
            .field("parameter", &self.parameter)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
