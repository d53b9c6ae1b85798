//! A table from the values of one attribute to homeservers.

use async_trait::async_trait;
use regex::Regex;
use ruma_common::OwnedServerName;

use super::{Ballot, HomeserverSelector, Scope, SelectError, Selection, chosen_or_refused};

/// Rows in the order of the config; the first row that matches any value of the attribute decides.
#[derive(Clone, Debug)]
pub struct AttributeTable {
    /// Whose values it is about.
    pub scope: Scope,
    /// The attribute's name as the provider releases it.
    pub attribute: String,
    /// The rows.
    pub rows: Vec<Row>,
}

/// One row.
#[derive(Clone, Debug)]
pub struct Row {
    /// Which values it matches.
    pub matcher: Matcher,
    /// Where those people belong.
    pub homeserver: OwnedServerName,
}

/// How a value is compared.
#[derive(Clone, Debug)]
pub enum Matcher {
    /// Byte for byte.
    Exact(String),
    /// The *whole* value matches: see [`Matcher::pattern`].
    Pattern(Regex),
}

impl Matcher {
    /// A regular expression that must match the whole value: `hist` alone would also match `prehistory`.
    /// Linear time, at most 64 KiB compiled.
    pub fn pattern(expression: &str) -> Result<Self, regex::Error> {
        // Compiled alone first: an unbalanced `a)|(b` must not become valid by our anchors.
        Regex::new(expression)?;
        regex::RegexBuilder::new(&format!(r"\A(?:{expression})\z"))
            .size_limit(1 << 16)
            .build()
            .map(Self::Pattern)
    }

    fn is_match(&self, value: &str) -> bool {
        match self {
            Self::Exact(expected) => value == expected,
            Self::Pattern(pattern) => pattern.is_match(value),
        }
    }
}

#[async_trait]
impl HomeserverSelector for AttributeTable {
    async fn select<'a>(&self, ballot: &Ballot<'a>) -> Result<Selection<'a>, SelectError> {
        if !self.scope.covers(ballot.identity) {
            return Ok(Selection::Pass);
        }
        let values = ballot.identity.values(&self.attribute);
        let row = self.rows.iter().find(|row| values.iter().any(|value| row.matcher.is_match(value)));
        Ok(row.map_or(Selection::Pass, |row| chosen_or_refused(ballot, &row.homeserver)))
    }
}
