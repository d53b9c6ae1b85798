//! Randomness as an argument, so that a test can seed it and a reviewer can see who draws it.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;

/// A cryptographically secure source of random bytes.
pub trait Entropy: fmt::Debug + Send + Sync {
    /// Fills `bytes` entirely. A source that fails must not return: a guessable handle is worse than none.
    fn fill(&self, bytes: &mut [u8]);
}

impl dyn Entropy + '_ {
    /// `N` random bytes as unpadded base64url (RFC 4648 section 5), the alphabet that survives in URLs, cookie names and
    /// XML attribute values alike.
    #[must_use]
    pub fn base64url<const N: usize>(&self) -> String {
        let mut bytes = [0_u8; N];
        self.fill(&mut bytes);
        BASE64URL_NOPAD.encode(&bytes)
    }
}
