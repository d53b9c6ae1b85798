//! `mapping`: what people are called on their homeserver.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use usher_core::mapping::{LocalpartTemplate, Mapping, Reserved, Suffix, escape};

use super::Problems;

/// The rules, and the names nobody gets.
#[derive(Clone, Debug)]
pub struct MappingConfig {
    /// From identity to names.
    pub mapping: Mapping,
    /// Reserved on every homeserver; each homeserver's application service user comes on top.
    pub reserved: Reserved,
}

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawMapping {
    /// A template (Jinja syntax) of the localpart over `subject`, `provider`, `issuer`, `homeserver` and
    /// `attributes`, which prints single values and refuses everything else. What comes out is lower-cased
    /// and escaped as the Matrix spec says. Default: `{{ subject }}`.
    localpart: Option<String>,
    /// What happens when the name is taken.
    suffix: RawSuffix,
    /// Localparts nobody is mapped to: `*` stands for any characters, `?` for one.
    reserved: Vec<String>,
}

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct RawSuffix {
    /// Between name and number. Default: `-`.
    separator: Option<String>,
    /// The last number tried: with 9, `alice`, then `alice-2` to `alice-9`. 1 tries none. Default: 9.
    last: Option<u16>,
}

impl RawMapping {
    pub(super) fn validate(self, problems: &mut Problems) -> Option<MappingConfig> {
        let separator = self.suffix.separator.unwrap_or_else(|| "-".to_owned());
        if separator.len() > 8 || escape(&format!("a{separator}")) != format!("a{separator}") {
            problems.error(
                "mapping.suffix.separator",
                "must be at most 8 lower-case letters, digits and . _ - / +",
            );
        }
        let last = self.suffix.last.unwrap_or(9);
        if !(1..=99).contains(&last) {
            problems.error("mapping.suffix.last", "must be between 1 and 99");
        }
        let mut reserved = Reserved::default();
        for (index, pattern) in self.reserved.iter().enumerate() {
            if let Err(error) = reserved.add(pattern) {
                problems.error(format!("mapping.reserved[{index}]"), error.to_string());
            }
        }
        let source = self.localpart.unwrap_or_else(|| "{{ subject }}".to_owned());
        let template = LocalpartTemplate::parse(&source)
            .map_err(|error| problems.error("mapping.localpart", error.to_string()))
            .ok()?;
        Some(MappingConfig { mapping: Mapping { template, suffix: Suffix { separator, last } }, reserved })
    }
}
