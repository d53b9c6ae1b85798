//! By what a session is known to both sides: the `NameID` of its person and its `SessionIndex` (SAML core 3.7.3.1).
//!
//! A `SessionIndex` alone names nothing: it may be the same small number for everybody (SAML core 2.7.2). So a session is one of a
//! group, the sessions of one `NameID`, and whatever names the person to Usher does not matter here.

use data_encoding::BASE64URL_NOPAD;
use openssl::sha::sha256;

use super::without_layout;
use crate::{names::FORMAT_UNSPECIFIED, response::assertion::NameId};

/// The longest index that is kept as it is: it goes into cookies.
const MAX_INDEX: usize = 64;

/// All sessions of `name`, which the identity provider `idp` gave to the service `sp`: 43 characters.
///
/// A qualifier that is left out, or empty, is the one of whoever speaks or is spoken to, as SAML core 8.3.7 has it for
/// persistent names; identity providers leave them out of requests and not of assertions, and the other way round.
pub(crate) fn group(name: &NameId, idp: &str, sp: &str) -> String {
    let or = |qualifier: &Option<String>, own: &str| {
        qualifier.clone().filter(|qualifier| !qualifier.is_empty()).unwrap_or_else(|| own.to_owned())
    };
    let parts = [
        without_layout(&name.value).to_owned(),
        name.format.clone().unwrap_or_else(|| FORMAT_UNSPECIFIED.to_owned()),
        or(&name.name_qualifier, idp),
        or(&name.sp_name_qualifier, sp),
    ];
    // XML has no NUL, so that no two lists are the same text.
    BASE64URL_NOPAD.encode(&sha256(parts.join("\0").as_bytes()))
}

/// One of them; empty where the identity provider gave it no index.
pub(crate) fn index(index: &str) -> String {
    let is_short = index.len() <= MAX_INDEX;
    if is_short { index.to_owned() } else { BASE64URL_NOPAD.encode(&sha256(index.as_bytes())) }
}
