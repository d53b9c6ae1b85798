//! `require`: what must be true of a person before they may use a provider or a homeserver.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use usher_core::{Condition, Requirement};

use super::Problems;

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawRequirement {
    /// The attribute's name as the provider releases it. Required, and exactly one of the keys below.
    attribute: Option<String>,
    /// `true`: it has at least one value that is not empty.
    exists: Option<bool>,
    /// It has exactly one value, and that is this, byte for byte.
    equals: Option<String>,
    /// It has exactly one value, and that is one of these.
    one_of: Option<Vec<String>>,
    /// This is among its values, however many there are.
    contains: Option<String>,
}

pub(super) fn validate(raw: Vec<RawRequirement>, path: &str, problems: &mut Problems) -> Vec<Requirement> {
    let mut requirements: Vec<Requirement> = Vec::new();
    for (index, raw) in raw.into_iter().enumerate() {
        let path = format!("{path}.require[{index}]");
        let Some(requirement) = raw.validate(&path, problems) else { continue };
        if requirements.iter().any(|earlier| contradict(earlier, &requirement)) {
            problems.warn(
                path,
                format!(
                    "can be met by nobody: another entry wants something else of `{}`; all must be met",
                    requirement.attribute
                ),
            );
        }
        requirements.push(requirement);
    }
    requirements
}

/// Whether no values of one attribute meet both.
fn contradict(one: &Requirement, other: &Requirement) -> bool {
    // The only values it may have, if that is said.
    let allowed = |condition: &'_ Condition| match condition {
        Condition::Equals(value) => Some(vec![value.clone()]),
        Condition::OneOf(values) => Some(values.clone()),
        Condition::Exists | Condition::Contains(_) => None,
    };
    let wanted = |condition: &'_ Condition| match condition {
        Condition::Contains(value) => Some(vec![value.clone()]),
        Condition::Equals(_) | Condition::OneOf(_) | Condition::Exists => allowed(condition),
    };
    let excludes = |allowed: Option<Vec<String>>, wanted: Option<Vec<String>>| {
        allowed
            .zip(wanted)
            .is_some_and(|(allowed, wanted)| !wanted.iter().any(|value| allowed.contains(value)))
    };
    one.attribute == other.attribute
        && (excludes(allowed(&one.condition), wanted(&other.condition))
            || excludes(allowed(&other.condition), wanted(&one.condition)))
}

impl RawRequirement {
    fn validate(self, path: &str, problems: &mut Problems) -> Option<Requirement> {
        let condition = match (self.exists, self.equals, self.one_of, self.contains) {
            (Some(true), None, None, None) => Some(Condition::Exists),
            (Some(false), None, None, None) => {
                problems.error(
                    format!("{path}.exists"),
                    "can only be true: nothing can be required to be absent",
                );
                None
            }
            (None, Some(value), None, None) => Some(Condition::Equals(value)),
            (None, None, Some(values), None) if !values.is_empty() => Some(Condition::OneOf(values)),
            (None, None, Some(_), None) => {
                problems.error(format!("{path}.one_of"), "lists nothing: nobody could meet it");
                None
            }
            (None, None, None, Some(value)) => Some(Condition::Contains(value)),
            (None, None, None, None) => {
                problems.missing(path, "one of `exists: true`, `equals`, `one_of`, `contains`");
                None
            }
            _ => {
                problems
                    .error(path, "has several conditions; give each an entry of its own: all must be met");
                None
            }
        };
        let attribute = self.attribute.filter(|name| !name.is_empty());
        if attribute.is_none() {
            problems.missing(
                &format!("{path}.attribute"),
                "the attribute's name as the provider releases it, such as `affiliation`",
            );
        }
        Some(Requirement { attribute: attribute?, condition: condition? })
    }
}
