//! What a browser takes along that ends its session at the provider.

use url::Url;

/// A person's wish to be signed out at the provider. It names nobody: whose session the browser has there, the provider knows,
/// and asks.
#[derive(Clone, Copy, Debug)]
pub struct SignOut<'a> {
    /// Where the provider may send the browser afterwards. There only if the operator says that it is registered at the
    /// provider; a page of the portal that does nothing.
    pub return_to: Option<&'a Url>,
    /// The language of the page they come from (BCP 47).
    pub locale: &'a str,
}
