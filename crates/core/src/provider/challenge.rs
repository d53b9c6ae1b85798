//! What is asked of a provider, and what the browser must do about it.

use std::fmt;

use serde::{Deserialize, Serialize};
use url::Url;

use super::{Handle, Issuer, Organisations, Origin};
use crate::Freshness;

/// What one attempt asks of a provider. The same value is given to `begin` and, unsealed, to `complete`.
#[derive(Clone, Debug)]
pub struct Demand {
    /// The attempt's id; the only thing of ours that the protocol carries.
    pub handle: Handle,
    /// How recently the person must have authenticated.
    pub freshness: Freshness,
    /// The IdP to ask, where a provider stands for many: UI auth returns to the one the person is linked at.
    pub issuer: Option<Issuer>,
    /// What the client would like; a provider may ignore it.
    pub hints: Hints,
}

/// Wishes of the client that begin an attempt, passed on where the protocol has a place for them, and what its browser
/// remembers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hints {
    /// `action=register` (MSC3824): the person means to make an account.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub register: bool,
    /// Whom the client expects to sign in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<String>,
    /// In which ways it would have them authenticate, the best first, divided by blanks (OIDC `acr_values`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contexts: Option<String>,
    /// Their languages, the best first, divided by blanks (BCP 47).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locales: Option<String>,
    /// Where the person said they were from last time. Not sealed: their browser says so each time, and it proves nothing.
    #[serde(skip)]
    pub origin: Option<Origin>,
}

/// The browser's next step, and what must come back to [`complete`](super::SsoProvider::complete).
#[derive(Debug)]
pub struct Challenge {
    /// What the browser does.
    pub step: BrowserStep,
    /// What the provider must remember; sealed into the attempt's cookie.
    pub state: ProviderState,
    /// How the browser will come back, which decides the cookie's `SameSite` from here on.
    pub returns_by: ReturnTrip,
}

/// What the browser does next.
#[derive(Clone, PartialEq, Eq)]
pub enum BrowserStep {
    /// Go there (302).
    Redirect(Url),
    /// Post these fields there (SAML HTTP-POST binding): a page with a form, which needs no JavaScript.
    PostForm {
        /// Where the form goes.
        action: Url,
        /// Name and value of each hidden field, unescaped.
        fields: Vec<(String, String)>,
    },
    /// Say which organisation they are from: a page of ours, whose answers come to the provider's own endpoint.
    Ask(Box<Organisations>),
}

/// Shows where the browser goes, not what it carries there.
impl fmt::Debug for BrowserStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Redirect(url) => write!(f, "Redirect({})", url.origin().ascii_serialization()),
            Self::PostForm { action, .. } => write!(f, "PostForm({})", action.origin().ascii_serialization()),
            Self::Ask(_) => f.write_str("Ask"),
        }
    }
}

/// How the browser comes back from the provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReturnTrip {
    /// A top-level navigation (GET): a `SameSite=Lax` cookie is sent.
    #[default]
    Navigation,
    /// A cross-site form post (SAML POST binding, OIDC `form_post`): only a `SameSite=None` cookie is sent.
    CrossSitePost,
}

/// A backend's memory of one attempt: opaque to the server, at most [`ProviderState::MAX_BYTES`], redacted in `Debug`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProviderState(String);

impl ProviderState {
    /// The longest state that still fits an attempt's cookie beside a redirect URL of 2,000 bytes.
    pub const MAX_BYTES: usize = 256;

    /// Wraps what the backend serialised.
    #[must_use]
    pub fn new(state: String) -> Self {
        Self(state)
    }

    /// What the backend serialised.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ProviderState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProviderState([redacted])")
    }
}
