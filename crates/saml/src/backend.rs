//! What the server registers: the kind `saml`, the schema of its section, and how a provider is made of one.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use url::Url;
use usher_core::{
    Backend, ConfigError, ConfigProblem, Descriptor, SsoProvider, Timestamp, provider::Document,
};

use crate::{
    config::Settings, federation::Reader, hardening, processors::Processors, provider::SamlProvider,
    service::Service, upkeep::Upkeep,
};

/// The SAML backend. Its providers share a bound on how many messages are worked on at once; `reader` reads what is too large to be
/// read in a process that serves people.
#[must_use]
pub fn backend(reader: Reader) -> impl Backend {
    SamlBackend { processors: Processors::half(), reader }
}

#[derive(Debug)]
struct SamlBackend {
    processors: Processors,
    reader: Reader,
}

#[async_trait]
impl Backend for SamlBackend {
    fn kind(&self) -> &'static str {
        "saml"
    }

    fn config_schema(&self) -> Value {
        schemars::schema_for!(crate::config::Section).to_value()
    }

    async fn build(
        &self,
        descriptor: Descriptor,
        endpoints: Url,
        config: Value,
    ) -> Result<Arc<dyn SsoProvider>, ConfigError> {
        hardening::harden().map_err(|error| ConfigError::at("", format!("cannot be used here: {error}")))?;
        let (settings, source) = Settings::read(config)?;
        let upkeep = Upkeep::new(source, &descriptor.id, self.processors.clone(), self.reader.clone())?;
        Ok(Arc::new(SamlProvider::new(descriptor, &endpoints, settings, upkeep, self.processors.clone())))
    }

    fn introduction(&self, endpoints: &Url, config: Value) -> Result<Option<Document>, ConfigError> {
        Ok(Some(Service::new(endpoints, Settings::read_ours(config)?).metadata()))
    }

    fn warnings(&self, config: &Value, now: Timestamp) -> Vec<ConfigProblem> {
        Settings::read(config.clone()).map_or_else(
            |_| Vec::new(),
            |(settings, source)| {
                let mut warnings = settings.warnings();
                warnings.extend(source.warnings(now));
                warnings
            },
        )
    }
}

#[cfg(test)]
mod tests;
