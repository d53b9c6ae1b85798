//! The signature of a metadata document (SAML metadata 3.1), by samael and xmlsec.
//!
//! The keys are the operator's: a certificate inside the document says who claims to have signed it, and nothing more.

use samael::crypto::{Crypto, CryptoProvider as _, ReduceMode};

use crate::{gate::Algorithm, keys::IdpKey};

/// The text that was signed, if one of `signers` did it; `algorithm` is what the gate found at the root of `text`. One key
/// is tried after the other, as with messages.
pub(super) fn signed(text: &str, algorithm: Algorithm, signers: &[IdpKey]) -> Option<String> {
    let allowed = Algorithm::all_allowed();
    let fitting = signers.iter().filter(|key| key.kind == algorithm.key_kind());
    fitting.into_iter().find_map(|key| {
        let key = std::slice::from_ref(&key.certificate);
        Crypto::reduce_xml_to_signed_with_allowed_algorithms(text, key, ReduceMode::PreDigest, Some(&allowed))
            .ok()
    })
}
