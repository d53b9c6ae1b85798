//! What a claim says when a provider breaks it.

use std::fmt;

/// What became of one claim.
pub type Claim = Result<(), Violation>;

/// How a provider broke a claim: a sentence for whoever reads the test's output. It may quote errors, which
/// hold no secrets, but never a callback's values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation(String);

impl Violation {
    /// A violation told by `what`.
    pub fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }

    /// Holds if `is_kept`, else tells `what`.
    pub(super) fn unless(is_kept: bool, what: impl FnOnce() -> String) -> Claim {
        if is_kept { Ok(()) } else { Err(Self(what())) }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
