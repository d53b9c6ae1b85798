//! Selectors that look something up: an attribute's values, an address's domain, a name.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use usher_core::select::{AttributeTable, DomainPattern, DomainRow, EmailDomains, Matcher, Row, UserTable};

use super::known::{Known, issuer};
use crate::config::Problems;

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawAttribute {
    /// The attribute's name as the provider releases it, such as `department`. Required.
    name: Option<String>,
    /// Only people of this provider: its `id`. Default: everybody. Several providers may mean different things by one
    /// name.
    provider: Option<String>,
    /// Only people for whom this issuer vouches (for CAS, `cas.base_url` without a slash at the end). Default: everybody.
    issuer: Option<String>,
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
pub(super) struct RawEmailDomain {
    /// The attribute with the addresses, as the provider releases it, such as `mail`. Required.
    attribute: Option<String>,
    /// Only people of this provider: its `id`. Default: everybody.
    provider: Option<String>,
    /// Only people for whom this issuer vouches. Default: everybody.
    issuer: Option<String>,
    /// The first row that matches any address decides. Required.
    rows: Vec<RawDomainRow>,
}

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct RawDomainRow {
    /// What stands after the last `@`, in any case: `eng.ac.cdl`, or `*.ac.cdl` for everything below `ac.cdl`. Required.
    domain: Option<String>,
    /// The server name of the homeserver where those people belong. Required.
    homeserver: Option<String>,
}

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawUsers {
    /// Whose subjects these are: a provider's `id`. Required.
    provider: Option<String>,
    /// Where the provider stands for many issuers: whose subjects. Default: any issuer's.
    issuer: Option<String>,
    /// From subject to server name.
    homeservers: BTreeMap<String, String>,
}

impl RawAttribute {
    pub(super) fn validate(
        self,
        path: &str,
        known: &Known<'_>,
        problems: &mut Problems,
    ) -> Option<AttributeTable> {
        let scope = known.scope(self.provider, self.issuer, path, problems);
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
            let Some((matcher, homeserver)) = matcher.zip(homeserver) else { continue };
            if let Some(earlier) = rows.iter().position(|row: &Row| row.matcher.covers(&matcher)) {
                problems.warn(path, never_reached(earlier));
            }
            rows.push(Row { matcher, homeserver });
        }
        let attribute = attribute(self.name, &format!("{path}.name"), "department", problems)?;
        Some(AttributeTable { scope: scope?, attribute, rows })
    }
}

fn never_reached(earlier: usize) -> String {
    format!("is never reached: rows[{earlier}] matches all that this row does; put this row before that one")
}

/// An attribute's name; required.
fn attribute(raw: Option<String>, path: &str, example: &str, problems: &mut Problems) -> Option<String> {
    let name = raw.filter(|name| !name.is_empty());
    if name.is_none() {
        problems
            .missing(path, &format!("the attribute's name as the provider releases it, such as `{example}`"));
    }
    name
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
            .map_err(|error| problems.error(format!("{path}.pattern"), error.to_string()))
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

impl RawEmailDomain {
    pub(super) fn validate(
        self,
        path: &str,
        known: &Known<'_>,
        problems: &mut Problems,
    ) -> Option<EmailDomains> {
        let scope = known.scope(self.provider, self.issuer, path, problems);
        if self.rows.is_empty() {
            problems.missing(&format!("{path}.rows"), "at least one row with `domain` and `homeserver`");
        }
        let mut rows = Vec::new();
        for (index, raw) in self.rows.into_iter().enumerate() {
            let path = format!("{path}.rows[{index}]");
            let domain = domain(raw.domain.as_deref(), &format!("{path}.domain"), problems);
            let homeserver =
                known.homeserver(raw.homeserver.as_deref(), &format!("{path}.homeserver"), problems);
            let row = domain.zip(homeserver).map(|(domain, homeserver)| DomainRow { domain, homeserver });
            if let Some(row) = row {
                if rows.iter().any(|earlier: &DomainRow| earlier.domain == row.domain) {
                    problems.error(format!("{path}.domain"), "stands twice; only its first row would count");
                } else if let Some(earlier) =
                    rows.iter().position(|earlier| earlier.domain.covers(&row.domain))
                {
                    problems.warn(&path, never_reached(earlier));
                }
                rows.push(row);
            }
        }
        let attribute = attribute(self.attribute, &format!("{path}.attribute"), "mail", problems)?;
        Some(EmailDomains { scope: scope?, attribute, rows })
    }
}

fn domain(raw: Option<&str>, path: &str, problems: &mut Problems) -> Option<DomainPattern> {
    let Some(raw) = raw else {
        problems.missing(path, "a domain such as `eng.ac.cdl` or `*.ac.cdl`");
        return None;
    };
    DomainPattern::parse(raw).map_err(|error| problems.error(path, error.to_string())).ok()
}
impl RawUsers {
    pub(super) fn validate(
        self,
        path: &str,
        known: &Known<'_>,
        problems: &mut Problems,
    ) -> Option<UserTable> {
        let mut users = BTreeMap::new();
        for (user, raw) in self.homeservers {
            let path = format!("{path}.homeservers.{user}");
            if let Some(homeserver) = known.homeserver(Some(&raw), &path, problems) {
                users.insert(user, homeserver);
            }
        }
        let issuer = match self.issuer {
            None => None,
            Some(raw) => Some(issuer(raw, &format!("{path}.issuer"), problems)?),
        };
        let path = format!("{path}.provider");
        let Some(raw) = self.provider else {
            problems.missing(&path, "the `id` of the provider whose subjects these are");
            return None;
        };
        let provider = known.provider(raw, &path, problems)?;
        Some(UserTable { provider, issuer, users })
    }
}
