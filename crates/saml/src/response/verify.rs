//! Signatures, by samael and xmlsec (SAML core 5.4; <https://www.w3.org/TR/xmldsig-core1/>).

use samael::crypto::{Crypto, CryptoProvider as _, ReduceMode};

use super::check::Unproven;
use crate::{gate::Algorithm, keys::IdpKey};

/// The text that was signed: the root if it has a signature, else the assertion in it. `signatures` are those that the gate
/// found in `text`; every one of them has to be good.
///
/// One key is tried after the other: xmlsec does not survive being shown a key of another kind or curve first, and during a
/// rollover nobody knows which of an identity provider's keys comes next. One key has to have made all signatures.
pub(crate) fn signed_part(
    text: &str,
    signatures: &[Option<Algorithm>],
    keys: &[IdpKey],
) -> Result<String, Unproven> {
    let mut kinds = signatures.iter().flatten().map(|algorithm| algorithm.key_kind());
    let kind = kinds.next().ok_or(Unproven::Unsigned)?;
    if kinds.any(|other| other != kind) {
        return Err(Unproven::Signature);
    }
    let allowed = Algorithm::all_allowed();
    let fitting = keys.iter().filter(|key| key.kind == kind);
    let verified = fitting.filter_map(|key| {
        let key = std::slice::from_ref(&key.certificate);
        Crypto::reduce_xml_to_signed_with_allowed_algorithms(text, key, ReduceMode::PreDigest, Some(&allowed))
            .ok()
    });
    verified.into_iter().next().ok_or(Unproven::Signature)
}
