//! Names of providers, issuers, subjects and attempts. Parsed once, bounded, and then trusted.

use std::{fmt, str::FromStr};

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};

use crate::Entropy;

/// Why a name was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseIdError {
    /// Nothing there.
    #[error("must not be empty")]
    Empty,
    /// Longer than the given number of bytes.
    #[error("must be at most {0} bytes")]
    TooLong(usize),
    /// A character that has no place in this name.
    #[error("has a character that is not allowed here")]
    BadCharacter,
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, max $max:literal, $is_allowed:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks length and characters.
            pub fn parse(value: impl Into<String>) -> Result<Self, ParseIdError> {
                let value = value.into();
                if value.is_empty() {
                    return Err(ParseIdError::Empty);
                }
                if value.len() > $max {
                    return Err(ParseIdError::TooLong($max));
                }
                let is_allowed: fn(char) -> bool = $is_allowed;
                if value.chars().all(is_allowed) { Ok(Self(value)) } else { Err(ParseIdError::BadCharacter) }
            }

            /// The name itself.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = ParseIdError;
            fn try_from(value: String) -> Result<Self, Self::Error> {
                Self::parse(value)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(value: &str) -> Result<Self, Self::Err> {
                Self::parse(value)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name! {
    /// The id of one configured provider: 1-255 unreserved characters (RFC 3986 section 2.3), as
    /// `identity_providers[].id` of `m.login.sso` demands.
    ProviderId, max 255, |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '~')
}
name! {
    /// Who vouches inside a provider: the verified IdP entity id, `iss`, the CAS base URL.
    Issuer, max 1024, |c| !c.is_control()
}
name! {
    /// The provider's name for a person. Compared byte for byte, never folded.
    Subject, max 1024, |c| !c.is_control()
}

/// The id of one attempt: 128 random bits as unpadded base64url, 22 characters. It travels in the open
/// (RelayState, `state`, a service URL) and opens nothing without the sealed cookie.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Handle(String);

impl Handle {
    /// A new, unguessable handle.
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> Self {
        Self(entropy.base64url::<16>())
    }

    /// Exactly 22 base64url characters that are the canonical spelling of 16 bytes: one attempt has one name.
    pub fn parse(value: impl Into<String>) -> Result<Self, ParseIdError> {
        let value = value.into();
        match BASE64URL_NOPAD.decode(value.as_bytes()) {
            Ok(bytes) if bytes.len() == 16 => Ok(Self(value)),
            _ => Err(ParseIdError::BadCharacter),
        }
    }

    /// The 22 characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Handle {
    type Error = ParseIdError;
    fn try_from(value: String) -> Result<Self, Self::Error> {
        Self::parse(value)
    }
}

impl From<Handle> for String {
    fn from(handle: Handle) -> Self {
        handle.0
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn provider_ids_are_unreserved_characters() {
        for (name, expected) in [
            ("corp", Ok(())),
            ("A-z.0_9~", Ok(())),
            ("", Err(ParseIdError::Empty)),
            ("a b", Err(ParseIdError::BadCharacter)),
            ("a/b", Err(ParseIdError::BadCharacter)),
            ("ü", Err(ParseIdError::BadCharacter)),
        ] {
            assert_eq!(ProviderId::parse(name).map(|_| ()), expected, "{name:?}");
        }
        assert_eq!(ProviderId::parse("a".repeat(256)), Err(ParseIdError::TooLong(255)));
    }

    #[test]
    fn subjects_keep_what_the_provider_said_but_no_control_characters() {
        assert_eq!(
            Subject::parse("Åsa O'Neil@ac.cdl").map(|s| s.to_string()),
            Ok("Åsa O'Neil@ac.cdl".to_owned())
        );
        assert_eq!(Subject::parse("alice\n"), Err(ParseIdError::BadCharacter));
    }

    #[test]
    fn a_handle_has_one_spelling() {
        for (name, value, is_ok) in [
            ("canonical", "AAAAAAAAAAAAAAAAAAAAAA", true),
            ("stray trailing bits", "AAAAAAAAAAAAAAAAAAAAAB", false),
            ("padded", "AAAAAAAAAAAAAAAAAAAAAA==", false),
            ("too short", "AAAAAAAAAAAAAAAAAAAAA", false),
            ("another alphabet", "AAAAAAAAAAAAAAAAAAAA+/", false),
            ("empty", "", false),
        ] {
            assert_eq!(Handle::parse(value).is_ok(), is_ok, "{name}");
        }
    }
}
