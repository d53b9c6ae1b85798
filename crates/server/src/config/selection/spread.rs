//! Selectors that spread people over homeservers: by hash, and in turn.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use usher_core::select::{Rendezvous, RendezvousKey, Weighted};

use super::known::Known;
use crate::config::Problems;

/// One homeserver may weigh a thousand times what another does, and a cycle of turns stays short.
const MAX_WEIGHT: u32 = 1000;

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawRendezvous {
    /// What is hashed: `subject`, each person by themselves, or `attributes.NAME`, everybody who shares the attribute's
    /// one value together. Default: `subject`.
    key: Option<String>,
    /// Over which. Required.
    homeservers: Vec<RawWeighted>,
}

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawRoundRobin {
    /// Over which. Required.
    homeservers: Vec<RawWeighted>,
}

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct RawWeighted {
    /// The homeserver's server name. Required.
    homeserver: Option<String>,
    /// Its share, in proportion to the others': 1 to 1000. Default: 1.
    weight: Option<u32>,
}

impl RawRendezvous {
    pub(super) fn validate(
        self,
        path: &str,
        known: &Known<'_>,
        problems: &mut Problems,
    ) -> Option<Rendezvous> {
        let homeservers = weighted(self.homeservers, path, known, problems);
        let attribute =
            |key: &str| key.strip_prefix("attributes.").filter(|name| !name.is_empty()).map(str::to_owned);
        let key = match self.key.as_deref() {
            None | Some("subject") => RendezvousKey::Subject,
            Some(other) => {
                let Some(name) = attribute(other) else {
                    problems.error(
                        format!("{path}.key"),
                        "is neither `subject` nor an attribute such as `attributes.department`",
                    );
                    return None;
                };
                RendezvousKey::Attribute(name)
            }
        };
        Some(Rendezvous { key, homeservers: homeservers? })
    }
}

impl RawRoundRobin {
    pub(super) fn validate(
        self,
        path: &str,
        known: &Known<'_>,
        problems: &mut Problems,
    ) -> Option<Vec<Weighted>> {
        weighted(self.homeservers, path, known, problems)
    }
}

fn weighted(
    raw: Vec<RawWeighted>,
    path: &str,
    known: &Known<'_>,
    problems: &mut Problems,
) -> Option<Vec<Weighted>> {
    if raw.is_empty() {
        problems.missing(&format!("{path}.homeservers"), "at least one entry with `homeserver`");
        return None;
    }
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    for (index, raw) in raw.into_iter().enumerate() {
        let path = format!("{path}.homeservers[{index}]");
        let weight = raw.weight.unwrap_or(1);
        if !(1..=MAX_WEIGHT).contains(&weight) {
            problems.error(format!("{path}.weight"), format!("must be between 1 and {MAX_WEIGHT}"));
        }
        let path = format!("{path}.homeserver");
        let Some(server_name) = known.homeserver(raw.homeserver.as_deref(), &path, problems) else {
            continue;
        };
        if !seen.insert(server_name.clone()) {
            problems.error(path, "stands twice; give it more `weight` instead");
        }
        all.push(Weighted { server_name, weight });
    }
    (!all.is_empty()).then_some(all)
}
