//! What is kept of values that must not be kept: their SHA-256, in lower-case hex.
//!
//! Each kind has a type of its own, made only by hashing (or read back from a row), so that neither clear text
//! nor the hash of something else can be passed where one is wanted.

use std::fmt;

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};
use usher_core::{
    Handle, Issuer, ProviderId,
    provider::{OneTime, UpstreamSession},
};

macro_rules! hash {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash)]
        pub struct $name(String);

        impl $name {
            /// 64 lower-case hexadecimal digits.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        /// The first eight digits: enough to tell two rows apart.
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({}..)"), self.0.get(..8).unwrap_or_default())
            }
        }
    };
}

hash! {
    /// The hash of a login token.
    TokenHash
}
hash! {
    /// The hash of an attempt's handle.
    AttemptHash
}
hash! {
    /// The hash of a provider's name for its own session, together with provider and issuer.
    UpstreamSessionHash
}
hash! {
    /// The hash of a key that may be seen once, together with its provider.
    SpentKey
}

hash! {
    /// The hash of a UI-auth session's id.
    UiAuthSessionHash
}
hash! {
    /// The hash of the handle of a UI-auth session's page.
    UiAuthHandleHash
}

impl UiAuthSessionHash {
    /// Of the session id as the client presents it.
    #[must_use]
    pub fn of(session: &str) -> Self {
        Self(sha256([session]))
    }

    /// What [`UiAuthSessionHash::as_str`] gave, back from a row.
    pub(crate) fn from_row(hex: String) -> Option<Self> {
        (hex.len() == 64).then_some(Self(hex))
    }
}

impl UiAuthHandleHash {
    /// Of the handle as it stands in the page's address.
    #[must_use]
    pub fn of(handle: &Handle) -> Self {
        Self(sha256([handle.as_str()]))
    }
}

impl TokenHash {
    /// Of the token as the client presents it.
    #[must_use]
    pub fn of(token: &str) -> Self {
        Self(sha256([token]))
    }
}

impl AttemptHash {
    /// Of the attempt's handle.
    #[must_use]
    pub fn of(attempt: &Handle) -> Self {
        Self(sha256([attempt.as_str()]))
    }
}

impl UpstreamSessionHash {
    /// A `SessionIndex` or `sid` is unique only within the issuer that gave it.
    #[must_use]
    pub fn of(provider: &ProviderId, issuer: &Issuer, session: &UpstreamSession) -> Self {
        Self(sha256([provider.as_str(), issuer.as_str(), &session.0]))
    }

    /// What [`UpstreamSessionHash::as_str`] gave, back from a row.
    pub(crate) fn from_row(hex: String) -> Option<Self> {
        (hex.len() == 64).then_some(Self(hex))
    }
}

impl SpentKey {
    /// A key is unique only within its provider: without it, one provider could spend another's keys.
    #[must_use]
    pub fn of(provider: &ProviderId, key: &OneTime) -> Self {
        Self(sha256([provider.as_str(), &key.key]))
    }
}

/// The hash of something that an account was given, to see whether it has changed.
pub(crate) fn value_hash(value: &str) -> String {
    sha256([value])
}

/// The parts before the last contain no NUL (their types refuse control characters), so the NUL between parts
/// keeps two different lists apart.
fn sha256<const N: usize>(parts: [&str; N]) -> String {
    HEXLOWER.encode(&Sha256::digest(parts.join("\0").as_bytes()))
}

#[cfg(test)]
mod tests {
    use usher_core::Timestamp;

    use super::*;

    #[test]
    fn a_token_hash_is_plain_sha_256_in_hex() {
        assert_eq!(
            TokenHash::of("abc").as_str(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn debug_shows_eight_digits() {
        assert_eq!(format!("{:?}", TokenHash::of("abc")), "TokenHash(ba7816bf..)");
    }

    #[test]
    fn the_same_name_at_another_provider_or_issuer_is_another_hash() {
        let provider = |id| ProviderId::parse(id).expect("a valid id");
        let issuer = |id| Issuer::parse(id).expect("a valid issuer");
        let session = UpstreamSession("1".to_owned());
        let base = UpstreamSessionHash::of(&provider("a"), &issuer("i"), &session);
        assert_ne!(base, UpstreamSessionHash::of(&provider("b"), &issuer("i"), &session));
        assert_ne!(base, UpstreamSessionHash::of(&provider("a"), &issuer("j"), &session));

        let key = OneTime { key: "1".to_owned(), until: Timestamp::from_millis(0) };
        assert_ne!(SpentKey::of(&provider("a"), &key), SpentKey::of(&provider("b"), &key));
    }
}
