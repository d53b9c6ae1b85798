//! Mapping from other character sets to a localpart (Matrix spec appendices, "User identifiers"), and the
//! rules of ours on top.

use std::fmt::Write as _;

use ruma_common::{OwnedUserId, ServerName, UserId};

/// Why a text cannot become a localpart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LocalpartError {
    /// Nothing is left of it.
    #[error("the localpart is empty")]
    Empty,
    /// The whole MXID would be over 255 bytes (Matrix spec appendices, "User identifiers").
    #[error("the MXID would be longer than 255 bytes")]
    TooLong,
    /// Synapse reserves localparts of digits alone for guests: such a person could meet a guest's account.
    #[error("the localpart would be digits alone")]
    Digits,
}

/// Lower-cases ASCII and writes every byte that is not allowed, and `=` itself, as `=` and two hexadecimal
/// digits: `föö` becomes `f=c3=b6=c3=b6`. A leading `_` becomes `=5f`: those names are the bridges'.
///
/// Two texts that differ in more than the case of ASCII letters never become one.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut localpart = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'_' if localpart.is_empty() => localpart.push_str("=5f"),
            b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-' | b'/' | b'+' => localpart.push(char::from(byte)),
            b'A'..=b'Z' => localpart.push(char::from(byte.to_ascii_lowercase())),
            other => write!(localpart, "={other:02x}").expect("writing to a String cannot fail"),
        }
    }
    localpart
}

/// The MXID of `text`, trimmed and escaped, on `server_name`.
pub fn localpart(text: &str, server_name: &ServerName) -> Result<OwnedUserId, LocalpartError> {
    let localpart = escape(text.trim());
    if localpart.is_empty() {
        return Err(LocalpartError::Empty);
    }
    if localpart.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(LocalpartError::Digits);
    }
    // Escaped, so the length is all that can still be wrong; judged by the library that clients and servers trust.
    let user = UserId::parse(format!("@{localpart}:{server_name}")).map_err(|_| LocalpartError::TooLong)?;
    user.validate_strict().map_err(|_| LocalpartError::TooLong)?;
    Ok(user)
}
