//! What a browser takes along that ends its session at the provider.

use url::Url;

use super::{BrowserStep, Keepsake};

/// A person's wish to be signed out at the provider. Whose session the browser has there, the provider knows by the browser's own cookies,
/// or asks to be told (SAML): then it is the one that the browser keeps.
#[derive(Clone, Copy, Debug)]
pub struct SignOut<'a> {
    /// Where the provider may send the browser afterwards. There only if the operator says that it is registered at the
    /// provider; a page of the portal that does nothing.
    pub return_to: Option<&'a Url>,
    /// The language of the page they come from (BCP 47).
    pub locale: &'a str,
    /// What the provider had this browser keep when it signed in ([`Proof::keepsake`](super::Proof::keepsake)).
    pub keepsake: Option<&'a Keepsake>,
}

/// The way to the provider's sign-out.
#[derive(Debug)]
pub struct WayOut {
    /// What the browser does.
    pub step: BrowserStep,
    /// What the answer will be held against, where there is one
    /// ([`SsoProvider::browser_logout`](super::SsoProvider::browser_logout)).
    pub awaited: Option<Keepsake>,
}

/// One without an answer.
impl From<BrowserStep> for WayOut {
    fn from(step: BrowserStep) -> Self {
        Self { step, awaited: None }
    }
}
