//! `well_known`: what `GET /.well-known/matrix/client` says of the portal.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Problems;

/// What the portal says of itself.
#[derive(Clone, Debug)]
pub struct WellKnownConfig {
    /// Whether it says anything: some organisations answer this path elsewhere.
    pub is_served: bool,
    /// What it says besides `m.homeserver`.
    pub content: Map<String, Value>,
}

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawWellKnown {
    /// Whether Usher answers `GET /.well-known/matrix/client` at the portal. Default: `true`.
    serve: Option<bool>,
    /// More for that answer, such as `m.identity_server`; `m.homeserver` is always the portal.
    content: Map<String, Value>,
}

impl RawWellKnown {
    pub(super) fn validate(self, problems: &mut Problems) -> WellKnownConfig {
        if self.content.contains_key("m.homeserver") {
            problems.error(
                "well_known.content",
                "must not contain m.homeserver; that is the portal, `public_base_url`",
            );
        }
        WellKnownConfig { is_served: self.serve.unwrap_or(true), content: self.content }
    }
}
