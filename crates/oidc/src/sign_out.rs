//! Where the browser signs out (OpenID Connect RP-Initiated Logout 1.0, section 2): the parameters of the end session endpoint.
//!
//! No `id_token_hint`: id_tokens are not kept, since they say everything about a person, and whoever has one can have that
//! person signed out without being asked. Without it the provider asks (section 2, "SHOULD ask the End-User"), and knows the
//! client by `client_id`. No `logout_hint` either: the wish is a browser's, and names nobody.

use url::Url;
use usher_core::provider::SignOut;

use crate::config::Settings;

/// `endpoint`, with a query of its own if it has one.
pub(crate) fn url(mut endpoint: Url, settings: &Settings, wish: &SignOut<'_>) -> Url {
    {
        let mut query = endpoint.query_pairs_mut();
        query.append_pair("client_id", &settings.client_id);
        if let Some(return_to) = wish.return_to {
            query.append_pair("post_logout_redirect_uri", return_to.as_str());
        }
        query.append_pair("ui_locales", wish.locale);
    }
    endpoint
}
