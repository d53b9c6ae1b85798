//! What a backend crate exports: its config section, and how a provider is made of one.

use std::{
    fmt::{self, Display},
    sync::Arc,
};

use async_trait::async_trait;
use serde_json::Value;
use url::Url;

use super::{Descriptor, Document, SsoProvider};
use crate::Timestamp;

/// One protocol. Registered by one line in the server's `registry.rs`.
#[async_trait]
pub trait Backend: fmt::Debug + Send + Sync {
    /// The key of the backend's section in a provider's config, and its segment in `/_usher/{kind}/{id}/`.
    fn kind(&self) -> &'static str;

    /// JSON schema of that section.
    fn config_schema(&self) -> Value;

    /// Makes a provider. `endpoints` is `https://portal/_usher/{kind}/{id}/`, with the slash: every URL the
    /// upstream may send a browser to lies under it. No network: a provider that is down is no obstacle.
    async fn build(
        &self,
        descriptor: Descriptor,
        endpoints: Url,
        config: Value,
    ) -> Result<Arc<dyn SsoProvider>, ConfigError>;

    /// What the upstream's operator has to be given before there can be anything of theirs in the section (SAML metadata of
    /// ours): the very document that the provider publishes, though the rest of the section is not there yet. `None`: this
    /// protocol has no such document.
    fn introduction(&self, _endpoints: &Url, _config: Value) -> Result<Option<Document>, ConfigError> {
        Ok(None)
    }

    /// What is allowed in a section that [`build`](Self::build) accepts, and probably not meant, as things are at `now`.
    fn warnings(&self, _config: &Value, _now: Timestamp) -> Vec<ConfigProblem> {
        Vec::new()
    }
}

/// Everything that is wrong with a backend's section, all at once.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("the provider's config has {} problem(s)", problems.len())]
pub struct ConfigError {
    /// What is wrong, where, and what would be right.
    pub problems: Vec<ConfigProblem>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigProblem {
    /// The key within the backend's section, such as `proxies[0]`; empty for the section itself.
    pub path: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl ConfigError {
    /// One problem.
    #[must_use]
    pub fn at(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { problems: vec![ConfigProblem { path: path.into(), message: message.into() }] }
    }
}

impl ConfigProblem {
    /// What `error`, serde's, says of the value at `path`, without the value, which may be a secret, and without
    /// the names of Rust types.
    #[must_use]
    pub fn unreadable(path: impl Into<String>, error: &impl Display) -> Self {
        Self { path: path.into(), message: unreadable(&error.to_string()) }
    }
}

/// serde words it "invalid type: integer `5`, expected a string". The value comes first and may contain anything, so
/// that only what follows the last ", expected " is sure to be serde's own.
fn unreadable(message: &str) -> String {
    if message.starts_with("unknown field ") {
        let expected = message.rsplit_once("`, ").map_or("", |(_, keys)| keys);
        let expected = message.rsplit_once(", expected ").map_or(expected, |(_, keys)| keys);
        return if expected.starts_with("there are no fields") {
            "is not a key here; there are none".to_owned()
        } else {
            format!("is not a key here; expected {expected}")
        };
    }
    let expected = message.rsplit_once(", expected ").map_or("", |(_, expected)| expected);
    let is_wrong_type = message.starts_with("invalid type: ");
    let text = match expected {
        _ if message.starts_with("unknown variant ") => return format!("must be {expected}"),
        "u8" | "u16" | "u32" | "u64" | "usize" | "i32" | "i64" if is_wrong_type => "must be a whole number",
        "u8" | "u16" | "u32" | "u64" | "usize" | "i32" | "i64" => "is a number too small or too big",
        "a boolean" => "must be true or false",
        "a sequence" => "must be a list",
        "a map" => "must be a section",
        _ if expected.starts_with("struct ") => "must be a section",
        _ if expected.contains("string") => {
            let is_scalar = ["integer", "floating point", "boolean"].iter().any(|kind| {
                message.strip_prefix("invalid type: ").is_some_and(|rest| rest.starts_with(kind))
            });
            if is_scalar { "must be a string; put quotes around it" } else { "must be a string" }
        }
        _ => "is not what belongs here",
    };
    text.to_owned()
}
