//! What is remembered of an attempt, sealed in the browser's cookie.

use openidconnect::PkceCodeVerifier;
use serde::{Deserialize, Serialize};
use usher_core::{Ctx, Handle, provider::ProviderState};

/// Two secrets: the browser shows neither to anybody but the provider.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct State {
    pub(crate) handle: Handle,
    /// 128 bits that come back in the id_token (OpenID Connect Core 15.5.2).
    pub(crate) nonce: String,
    /// 256 bits (RFC 7636 section 4.1), if a proof key goes with the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    verifier: Option<String>,
}

impl State {
    pub(crate) fn generate(ctx: &Ctx<'_>, handle: &Handle, sends_pkce: bool) -> Self {
        Self {
            handle: handle.clone(),
            nonce: ctx.entropy.base64url::<16>(),
            verifier: sends_pkce.then(|| ctx.entropy.base64url::<32>()),
        }
    }

    /// The proof key.
    pub(crate) fn verifier(&self) -> Option<PkceCodeVerifier> {
        self.verifier.clone().map(PkceCodeVerifier::new)
    }

    pub(crate) fn seal(&self) -> ProviderState {
        ProviderState::new(serde_json::to_string(self).expect("texts serialise"))
    }

    /// `None` for the state of another backend.
    pub(crate) fn open(sealed: &ProviderState) -> Option<Self> {
        serde_json::from_str(sealed.as_str()).ok()
    }
}
