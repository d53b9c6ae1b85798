//! What is kept of values that must not be kept: their SHA-256, in lower-case hex.
//!
//! Each kind has a type of its own, made only by hashing (or read back from a row), so that neither clear text
//! nor the hash of something else can be passed where one is wanted.

use std::fmt;

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};
use usher_core::{
    Handle, Issuer, ProviderId,
    provider::{EndedSession, OneTime, UpstreamSession},
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
    /// The hash of a provider's name for its own session, together with provider and issuer. Of one in a group it is the hash
    /// of the group, `g` and 31 digits, and 32 digits of its own, so that SQL can tell of either what it is about.
    UpstreamSessionHash
}
hash! {
    /// The hash of what a logout names: an [`UpstreamSessionHash`], or the group that one begins with.
    EndedSessionHash
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
    /// A `sid`, a ticket or a `NameID` is unique only within the issuer that gave it.
    #[must_use]
    pub fn of(provider: &ProviderId, issuer: &Issuer, session: &UpstreamSession) -> Self {
        match session {
            UpstreamSession::Unique(name) => Self(sha256([provider.as_str(), issuer.as_str(), name])),
            UpstreamSession::OfGroup { group, session } => {
                let group = group_hash(provider, issuer, group);
                let session = sha256([&group, session]);
                Self(group + &session[..32])
            }
        }
    }

    /// What [`UpstreamSessionHash::as_str`] gave, back from a row.
    pub(crate) fn from_row(hex: String) -> Option<Self> {
        (hex.len() == 64).then_some(Self(hex))
    }
}

impl EndedSessionHash {
    /// Of what a notice says has ended.
    #[must_use]
    pub fn of(provider: &ProviderId, issuer: &Issuer, ended: &EndedSession) -> Self {
        match ended {
            EndedSession::One(session) => Self::from(&UpstreamSessionHash::of(provider, issuer, session)),
            EndedSession::Group(group) => Self(group_hash(provider, issuer, group)),
        }
    }
}

impl From<&UpstreamSessionHash> for EndedSessionHash {
    fn from(session: &UpstreamSessionHash) -> Self {
        Self(session.0.clone())
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

/// 124 bits of a hash behind a letter that no other hash begins with.
fn group_hash(provider: &ProviderId, issuer: &Issuer, group: &str) -> String {
    format!("g{}", &sha256([provider.as_str(), issuer.as_str(), group])[..31])
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
        let session = UpstreamSession::Unique("1".to_owned());
        let base = UpstreamSessionHash::of(&provider("a"), &issuer("i"), &session);
        assert_ne!(base, UpstreamSessionHash::of(&provider("b"), &issuer("i"), &session));
        assert_ne!(base, UpstreamSessionHash::of(&provider("a"), &issuer("j"), &session));

        let key = OneTime { key: "1".to_owned(), until: Timestamp::from_millis(0) };
        assert_ne!(SpentKey::of(&provider("a"), &key), SpentKey::of(&provider("b"), &key));
    }

    #[test]
    fn a_session_of_a_group_says_which_group() {
        let (provider, issuer) =
            (ProviderId::parse("a").expect("an id"), Issuer::parse("i").expect("an issuer"));
        let of = |group: &str, session: &str| {
            let session = UpstreamSession::OfGroup { group: group.to_owned(), session: session.to_owned() };
            UpstreamSessionHash::of(&provider, &issuer, &session)
        };
        let group = EndedSessionHash::of(&provider, &issuer, &EndedSession::Group("alice".to_owned()));
        let session = of("alice", "1");
        assert_eq!((session.as_str().len(), group.as_str().len()), (64, 32), "what every release takes");
        assert!(session.as_str().starts_with(group.as_str()) && group.as_str().starts_with('g'));
        for (name, other) in [
            ("another session", of("alice", "2")),
            ("another group", of("bob", "1")),
            ("divided elsewhere", of("alic", "e1")),
            (
                "without a group",
                UpstreamSessionHash::of(&provider, &issuer, &UpstreamSession::Unique("1".to_owned())),
            ),
        ] {
            assert_ne!(session, other, "{name}");
        }
        assert!(!of("bob", "1").as_str().starts_with(group.as_str()));
        let one = EndedSession::One(UpstreamSession::OfGroup {
            group: "alice".to_owned(),
            session: "1".to_owned(),
        });
        assert_eq!(EndedSessionHash::of(&provider, &issuer, &one).as_str(), session.as_str());
    }
}
