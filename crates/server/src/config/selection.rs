//! `selection`: who decides where a person belongs.

use std::collections::BTreeMap;

use ruma_common::{OwnedServerName, ServerName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use usher_core::{
    HomeserverSelector, ProviderId,
    select::{AttributeTable, Chain, Matcher, Row, Sticky, UserTable},
};

use super::Problems;

/// One selector, validated.
#[derive(Clone, Debug)]
pub enum SelectorConfig {
    /// Where they were sent before.
    Sticky,
    /// By an attribute's values.
    Attribute(AttributeTable),
    /// By name.
    Users(UserTable),
}

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawSelector {
    /// Where they were sent before, whatever has become of their attributes. Usually first.
    sticky: Option<RawSticky>,
    /// By the values of one attribute.
    attribute: Option<RawAttribute>,
    /// By name, for those no attribute tells apart.
    users: Option<RawUsers>,
}

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct RawSticky {}

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct RawAttribute {
    /// The attribute's name as the provider releases it, such as `department`. Required.
    name: Option<String>,
    /// The first row that matches any of its values decides. Required.
    rows: Vec<RawRow>,
}

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct RawRow {
    /// The exact value, such as `engineering`.
    value: Option<String>,
    /// Or a regular expression that must match the whole value.
    pattern: Option<String>,
    /// The server name of the homeserver where those people belong. Required.
    homeserver: Option<String>,
}

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct RawUsers {
    /// Whose subjects these are: a provider's `id`. Required.
    provider: Option<String>,
    /// From subject to server name.
    homeservers: BTreeMap<String, String>,
}

pub(super) fn validate(
    raw: Option<Vec<RawSelector>>,
    homeservers: &[OwnedServerName],
    providers: &[ProviderId],
    problems: &mut Problems,
) -> Vec<SelectorConfig> {
    let Some(raw) = raw else {
        problems.missing(
            "selection",
            "at least one selector, such as `attribute` or `users`, or nobody new has a homeserver",
        );
        return Vec::new();
    };
    let known = Known { homeservers, providers };
    let mut selectors = Vec::new();
    for (index, raw) in raw.into_iter().enumerate() {
        let path = format!("selection[{index}]");
        match (raw.sticky, raw.attribute, raw.users) {
            (Some(_), None, None) => selectors.push(SelectorConfig::Sticky),
            (None, Some(raw), None) => selectors.extend(
                raw.validate(&format!("{path}.attribute"), &known, problems).map(SelectorConfig::Attribute),
            ),
            (None, None, Some(raw)) => {
                selectors.extend(
                    raw.validate(&format!("{path}.users"), &known, problems).map(SelectorConfig::Users),
                );
            }
            (None, None, None) => problems.missing(&path, "one of `sticky`, `attribute`, `users`"),
            _ => problems.error(
                path,
                "has several selectors in one entry; give each its own, so that their order is clear",
            ),
        }
    }
    if !problems.has_errors() && selectors.iter().all(|selector| matches!(selector, SelectorConfig::Sticky)) {
        problems.error("selection", "sends nobody new anywhere; add `attribute` or `users`");
    }
    selectors
}

/// What a selector may name.
struct Known<'a> {
    homeservers: &'a [OwnedServerName],
    providers: &'a [ProviderId],
}

impl Known<'_> {
    fn homeserver(&self, raw: Option<&str>, path: &str, problems: &mut Problems) -> Option<OwnedServerName> {
        let Some(raw) = raw else {
            problems.missing(path, "the `server_name` of one of `homeservers`");
            return None;
        };
        let found = ServerName::parse(raw).ok().filter(|name| self.homeservers.contains(name));
        // Said only if the list itself is sound: its own problems come first.
        if found.is_none() && !problems.iter().any(|problem| problem.path.starts_with("homeservers")) {
            let known = self.homeservers.iter().map(AsRef::<str>::as_ref).collect::<Vec<_>>().join(", ");
            problems.error(path, format!("is not one of `homeservers`; there are: {known}"));
        }
        found
    }
}

impl RawAttribute {
    fn validate(self, path: &str, known: &Known<'_>, problems: &mut Problems) -> Option<AttributeTable> {
        if self.rows.is_empty() {
            problems.missing(
                &format!("{path}.rows"),
                "at least one row with `value` or `pattern`, and `homeserver`",
            );
        }
        let mut rows = Vec::new();
        for (index, raw) in self.rows.into_iter().enumerate() {
            let path = format!("{path}.rows[{index}]");
            let matcher = matcher(raw.value, raw.pattern.as_deref(), &path, problems);
            let homeserver =
                known.homeserver(raw.homeserver.as_deref(), &format!("{path}.homeserver"), problems);
            rows.extend(matcher.zip(homeserver).map(|(matcher, homeserver)| Row { matcher, homeserver }));
        }
        let Some(attribute) = self.name.filter(|name| !name.is_empty()) else {
            problems.missing(
                &format!("{path}.name"),
                "the attribute's name as the provider releases it, such as `department`",
            );
            return None;
        };
        Some(AttributeTable { attribute, rows })
    }
}

fn matcher(
    value: Option<String>,
    pattern: Option<&str>,
    path: &str,
    problems: &mut Problems,
) -> Option<Matcher> {
    match (value, pattern) {
        (Some(value), None) => Some(Matcher::Exact(value)),
        (None, Some(pattern)) => Matcher::pattern(pattern)
            .map_err(|error| {
                problems.error(format!("{path}.pattern"), format!("is not a regular expression: {error}"));
            })
            .ok(),
        (None, None) => {
            problems.missing(path, "`value` (exact) or `pattern` (a regular expression)");
            None
        }
        (Some(_), Some(_)) => {
            problems.error(path, "has both `value` and `pattern`; keep one");
            None
        }
    }
}

impl RawUsers {
    fn validate(self, path: &str, known: &Known<'_>, problems: &mut Problems) -> Option<UserTable> {
        let mut users = BTreeMap::new();
        for (user, raw) in self.homeservers {
            let path = format!("{path}.homeservers.{user}");
            if let Some(homeserver) = known.homeserver(Some(&raw), &path, problems) {
                users.insert(user, homeserver);
            }
        }
        let path = format!("{path}.provider");
        let Some(raw) = self.provider else {
            problems.missing(&path, "the `id` of the provider whose subjects these are");
            return None;
        };
        let provider = ProviderId::parse(raw).ok().filter(|id| known.providers.contains(id));
        if provider.is_none() && !problems.iter().any(|problem| problem.path.starts_with("providers")) {
            problems.error(path, "is not the `id` of one of `providers`");
        }
        Some(UserTable { provider: provider?, users })
    }
}

/// The chain that the validated selectors make.
#[must_use]
pub fn build(selectors: &[SelectorConfig]) -> Chain {
    let build = |selector: &SelectorConfig| -> Box<dyn HomeserverSelector> {
        match selector {
            SelectorConfig::Sticky => Box::new(Sticky),
            SelectorConfig::Attribute(table) => Box::new(table.clone()),
            SelectorConfig::Users(table) => Box::new(table.clone()),
        }
    };
    Chain(selectors.iter().map(build).collect())
}
