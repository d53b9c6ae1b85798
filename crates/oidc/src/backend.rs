//! What the server registers: the kind `oidc`, the schema of its section, and how a provider is made of one.

use std::sync::Arc;

use async_trait::async_trait;
use schemars::generate::SchemaSettings;
use serde_json::Value;
use url::Url;
use usher_core::{Backend, ConfigError, ConfigProblem, Descriptor, SsoProvider, Timestamp};
use usher_http::Outgoing;

use crate::{
    calls::Calls,
    config::{Pkce, Section, Settings},
    provider::OidcProvider,
};

/// The OpenID Connect backend. Its providers call out with `http`'s policy, each with the timeout of its own section.
#[must_use]
pub fn backend(http: Outgoing) -> impl Backend {
    OidcBackend { http }
}

#[derive(Debug)]
struct OidcBackend {
    http: Outgoing,
}

#[async_trait]
impl Backend for OidcBackend {
    fn kind(&self) -> &'static str {
        "oidc"
    }

    fn config_schema(&self) -> Value {
        // Subschemas inline, as in the server's schema.
        let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
        settings.into_generator().into_root_schema_for::<Section>().to_value()
    }

    async fn build(
        &self,
        descriptor: Descriptor,
        endpoints: Url,
        config: Value,
    ) -> Result<Arc<dyn SsoProvider>, ConfigError> {
        let settings = Settings::read(config)?;
        let calls = Calls::new(&self.http, &settings)?;
        Ok(Arc::new(OidcProvider::new(descriptor, &endpoints, settings, calls)))
    }

    fn warnings(&self, config: &Value, _now: Timestamp) -> Vec<ConfigProblem> {
        let Ok(settings) = Settings::read(config.clone()) else { return Vec::new() };
        let warning = |path: String, message: &str| ConfigProblem { path, message: message.to_owned() };
        let clear =
            "is plain http: whoever sits between here and the provider can sign in as anybody; use https";
        let mut warnings: Vec<_> =
            settings.in_the_clear().into_iter().map(|path| warning(path, clear)).collect();
        if settings.pkce == Pkce::Never {
            let message = "is `never`: a code that leaks can be used by whoever finds it; leave it out unless the provider \
                           chokes on it";
            warnings.push(warning("pkce".to_owned(), message));
        }
        for name in ["email", "preferred_username", "upn", "unique_name"] {
            if settings.subject.is_claim(name) {
                let message = "can be given to another person later, who would be taken for this one";
                warnings.push(warning("subject".to_owned(), message));
            }
        }
        warnings
    }
}

#[cfg(test)]
mod tests;
