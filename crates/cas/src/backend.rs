//! What the server registers: the kind `cas`, the schema of its section, and how a provider is made of one.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use url::Url;
use usher_core::{Backend, ConfigError, ConfigProblem, Descriptor, SsoProvider, Timestamp};
use usher_http::Outgoing;

use crate::{
    config::{Section, Settings},
    provider::CasProvider,
    validate::Validator,
};

/// The CAS backend. Its providers call out with `http`'s policy, each with the timeout of its own section and,
/// where a section names a `ca_file`, with a client of its own.
#[must_use]
pub fn backend(http: Outgoing) -> impl Backend {
    CasBackend { http }
}

#[derive(Debug)]
struct CasBackend {
    http: Outgoing,
}

#[async_trait]
impl Backend for CasBackend {
    fn kind(&self) -> &'static str {
        "cas"
    }

    fn config_schema(&self) -> Value {
        schemars::schema_for!(Section).to_value()
    }

    async fn build(
        &self,
        descriptor: Descriptor,
        endpoints: Url,
        config: Value,
    ) -> Result<Arc<dyn SsoProvider>, ConfigError> {
        let settings = Settings::read(config)?;
        let validator = Validator::new(&self.http, &settings)?;
        Ok(Arc::new(CasProvider::new(descriptor, endpoints, settings, validator)))
    }

    fn warnings(&self, config: &Value, _now: Timestamp) -> Vec<ConfigProblem> {
        let is_in_the_clear = Settings::read(config.clone()).is_ok_and(|settings| settings.is_in_the_clear());
        let message =
            "is plain http: whoever sits between here and the CAS server can sign in as anybody; use https";
        let warning = is_in_the_clear
            .then(|| ConfigProblem { path: "base_url".to_owned(), message: message.to_owned() });
        warning.into_iter().collect()
    }
}

#[cfg(test)]
mod tests;
