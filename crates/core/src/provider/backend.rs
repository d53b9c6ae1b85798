//! What a backend crate exports: its config section, and how a provider is made of one.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use serde_json::Value;
use url::Url;

use super::{Descriptor, SsoProvider};

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
