//! Localparts nobody is ever mapped to.

use regex::Regex;

/// Patterns of reserved localparts: `*` stands for any number of characters, `?` for one, the rest for itself.
#[derive(Clone, Debug, Default)]
pub struct Reserved(Vec<Regex>);

/// Why a pattern was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Nothing there: it would reserve nothing, which is not what was meant.
    #[error("must not be empty")]
    Empty,
    /// Longer than any localpart.
    #[error("must be at most 255 characters")]
    TooLong,
}

impl Reserved {
    /// Adds a pattern. Localparts are lower case, so the pattern is taken as lower case too.
    pub fn add(&mut self, pattern: &str) -> Result<(), PatternError> {
        if pattern.is_empty() {
            return Err(PatternError::Empty);
        }
        let expression: String = pattern
            .chars()
            .flat_map(char::to_lowercase)
            .map(|c| match c {
                '*' => ".*".to_owned(),
                '?' => ".".to_owned(),
                other => regex::escape(other.encode_utf8(&mut [0; 4])),
            })
            .collect();
        if pattern.chars().count() > 255 {
            return Err(PatternError::TooLong);
        }
        let regex = Regex::new(&format!(r"(?s)\A{expression}\z")).map_err(|_| PatternError::TooLong)?;
        self.0.push(regex);
        Ok(())
    }

    /// Whether `localpart` is reserved.
    #[must_use]
    pub fn contains(&self, localpart: &str) -> bool {
        self.0.iter().any(|pattern| pattern.is_match(localpart))
    }
}
