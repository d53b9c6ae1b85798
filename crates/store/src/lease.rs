//! Leases: who holds a row for a while, by a random name. A process that dies leaves its lease to run out.

use std::fmt;

use usher_core::Entropy;

/// The random name of one lease: who knows it may end it.
#[derive(Clone, PartialEq, Eq)]
pub struct Lease(String);

impl Lease {
    /// A new lease, 128 bits.
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> Self {
        Self(entropy.base64url::<16>())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lease(..)")
    }
}
