//! What an operator is told of a federation: who is in it, by the same config and the same reading as when Usher serves.

use serde_json::Value;
use usher_core::{ConfigError, Ctx, ProviderId};

use crate::{
    config::Settings,
    federation::{IndexError, Reader},
    hardening,
    processors::Processors,
    upkeep::{Unknown, Upkeep, chain},
};

/// Some of a federation.
#[derive(Debug)]
pub struct Listing {
    /// Identity providers that count.
    pub count: usize,
    /// Those that do not, though they are in the metadata, and the first few reasons.
    pub passed_over: (usize, Vec<String>),
    /// Those that are left out because they want signed requests and Usher signs none, and the first of them.
    pub unreached: (usize, Vec<String>),
    /// How many fit what was searched for.
    pub total: usize,
    /// The best of them: entity id, name, domain.
    pub found: Vec<[String; 3]>,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum ListingError {
    /// The section is wrong.
    #[error("the section is wrong")]
    Config(#[from] ConfigError),
    /// It is about one identity provider.
    #[error("the provider has no `federation`; its one identity provider is {0}")]
    NoFederation(String),
    /// The metadata cannot be had.
    #[error("the metadata cannot be used: {0}")]
    Unusable(String),
}

/// Reads the metadata of the section `config` now, and finds `typed` in it.
pub async fn list_federation(
    ctx: &Ctx<'_>,
    id: &ProviderId,
    config: Value,
    reader: Reader,
    typed: &str,
    limit: usize,
) -> Result<Listing, ListingError> {
    hardening::harden().map_err(|error| ListingError::Unusable(error.to_string()))?;
    let (_, source) = Settings::read(config)?;
    let upkeep = Upkeep::new(source, id, Processors::half(), reader)?;
    if let Some(entity_id) = upkeep.entity_id() {
        return Err(ListingError::NoFederation(entity_id.to_string()));
    }
    upkeep.read_now(ctx).await.map_err(ListingError::Unusable)?;
    let unusable = |error: Unknown| ListingError::Unusable(error.to_string());
    let federation = upkeep.federation(ctx.now).map_err(unusable)?;
    let unreadable = |error: IndexError| ListingError::Unusable(chain(&error));
    let (listed, total) = federation.search(typed, limit).map_err(unreadable)?;
    let found = listed.into_iter().map(|one| {
        let name = one.shown.names.first().map(|(_, name)| name.clone()).unwrap_or_default();
        [one.entity_id, name, one.shown.detail]
    });
    let report = &federation.report;
    Ok(Listing {
        count: federation.len(),
        passed_over: (report.passed_over, report.examples.clone()),
        unreached: (report.unreached.count, report.unreached.examples.clone()),
        total,
        found: found.collect(),
    })
}
