//! A table from the values of one attribute to homeservers.

use async_trait::async_trait;
use regex::{Regex, RegexBuilder};
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

/// Compiled, a pattern is no larger: `\w` of all alphabets is some 20 KiB each time it is written out.
const MAX_COMPILED: usize = 1 << 20;

/// Why a pattern was not accepted. The text finishes a sentence that begins with the pattern's place.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PatternError {
    /// Not a regular expression.
    #[error("is not a regular expression: {0}")]
    Syntax(regex::Error),
    /// Over 1 MiB compiled, or nested too deeply.
    #[error(r"is too large a regular expression; use [a-z], or (?-u:\w) for \w, and smaller numbers of repetitions")]
    TooLarge,
}

impl Matcher {
    /// A regular expression that must match the whole value: `hist` alone would also match `prehistory`.
    /// Linear time, at most 1 MiB compiled.
    pub fn pattern(expression: &str) -> Result<Self, PatternError> {
        let compile = |text: &str| RegexBuilder::new(text).size_limit(MAX_COMPILED).build();
        // Compiled alone first: an unbalanced `a)|(b` must not become valid by our anchors, and what is said of a
        // mistake must not show them.
        compile(expression).map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => PatternError::TooLarge,
            error => PatternError::Syntax(error),
        })?;
        // A comment (`(?x)hist # …`) would swallow what closes our group; where there is none, a newline would be part
        // of the pattern.
        compile(&format!(r"\A(?:{expression})\z"))
            .or_else(|error| match error {
                regex::Error::Syntax(_) => compile(&format!("\\A(?:{expression}\n)\\z")),
                error => Err(error),
            })
            .map(Self::Pattern)
            .map_err(|_| PatternError::TooLarge)
    }

    /// Whether every value that `later` matches is certainly matched by this one, so that a later row is never reached.
    #[must_use]
    pub fn covers(&self, later: &Self) -> bool {
        match (self, later) {
            (_, Self::Exact(value)) => self.is_match(value),
            (Self::Exact(_), Self::Pattern(_)) => false,
            (Self::Pattern(earlier), Self::Pattern(later)) => {
                earlier.as_str() == later.as_str() || EVERYTHING.contains(&earlier.as_str())
            }
        }
    }

    fn is_match(&self, value: &str) -> bool {
        match self {
            Self::Exact(expected) => value == expected,
            Self::Pattern(pattern) => pattern.is_match(value),
        }
    }
}

/// Patterns that match every value anybody has, as they are written and anchored.
const EVERYTHING: [&str; 4] = [r"\A(?:.*)\z", r"\A(?:.+)\z", r"\A(?:(?s).*)\z", r"\A(?:(?s).+)\z"];

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
