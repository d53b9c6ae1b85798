//! Signed tokens: the compact serialisation (RFC 7515 section 7.1), its header, and whose signature it has. What a token
//! says is judged by [`id_token`](crate::id_token), [`logout_token`](crate::logout_token) and
//! [`userinfo`](crate::userinfo).
//!
//! Keys come from the provider's key set and from nowhere else: `jwk`, `jku`, `x5c` and `x5u` in a header are not read.

use data_encoding::BASE64URL_NOPAD;
use secrecy::SecretString;
use serde::{Deserialize, de::IgnoredAny};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use crate::{
    claims::Claims,
    config::Algorithm,
    keys::{KeyFault, Keys, verify_with_secret},
    said::Said,
};

/// Longer than any token that lists a person's groups.
const MAX_BYTES: usize = 128 * 1024;

/// A token taken apart, nothing about it believed yet.
pub(crate) struct Jws<'a> {
    header: Header,
    /// What is signed.
    message: &'a str,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

/// What a verified token says.
#[derive(Debug)]
pub(crate) struct Verified {
    pub(crate) claims: Claims,
    pub(crate) algorithm: Algorithm,
    /// The media type it gives itself, in lower case, without `application/`.
    pub(crate) kind: Option<String>,
}

/// RFC 7515 section 4.1.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<IgnoredAny>,
    enc: Option<IgnoredAny>,
}

/// What may have signed.
#[derive(Clone, Copy)]
pub(crate) struct Signers<'a> {
    /// The algorithms that count.
    pub(crate) algorithms: &'a [Algorithm],
    pub(crate) keys: &'a Keys,
    /// For the symmetric ones among them.
    pub(crate) secret: Option<&'a SecretString>,
}

/// Why a token is no word of the provider's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TokenFault {
    #[error("the token is not three parts of base64url, the first of them a header")]
    NotCompact,
    #[error("the token is encrypted, which is not supported: have the provider sign it alone")]
    Encrypted,
    #[error("the token's header has extensions that must be understood and are not")]
    Critical,
    #[error("the token is signed with {0:?}, which is not among `algorithms`")]
    Algorithm(Said),
    #[error(transparent)]
    Key(#[from] KeyFault),
    #[error("the token says nothing that is JSON")]
    NotClaims,
}

impl<'a> Jws<'a> {
    pub(crate) fn parse(token: &'a str) -> Result<Self, TokenFault> {
        if token.len() > MAX_BYTES {
            return Err(TokenFault::NotCompact);
        }
        let parts: Vec<_> = token.split('.').collect();
        let decode = |part: &str| BASE64URL_NOPAD.decode(part.as_bytes()).map_err(|_| TokenFault::NotCompact);
        let [header, payload, signature] = *parts else {
            // RFC 7516 section 7.1: an encrypted one has five.
            return Err(if parts.len() == 5 { TokenFault::Encrypted } else { TokenFault::NotCompact });
        };
        let message = &token[..header.len() + 1 + payload.len()];
        let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| TokenFault::NotCompact)?;
        if header.enc.is_some() {
            return Err(TokenFault::Encrypted);
        }
        // RFC 7515 section 4.1.11: "If any of the listed extension Header Parameters are not understood and supported by
        // the recipient, then the JWS is invalid". None is.
        if header.crit.is_some() {
            return Err(TokenFault::Critical);
        }
        Ok(Self { header, message, payload: decode(payload)?, signature: decode(signature)? })
    }

    /// Its algorithm, if it is one of those.
    ///
    /// OpenID Connect Core 3.1.3.7, 7: it is one that was agreed on, never one that the token picks. `none` (RFC 7518 section
    /// 3.6) has no name here.
    pub(crate) fn algorithm(&self, allowed: &[Algorithm]) -> Result<Algorithm, TokenFault> {
        let named = Algorithm::named(&self.header.alg).filter(|named| allowed.contains(named));
        named.ok_or_else(|| TokenFault::Algorithm(Said::new(&self.header.alg)))
    }

    /// What it says, if one of `signers` has signed it.
    pub(crate) fn verify(&self, signers: Signers<'_>) -> Result<Verified, TokenFault> {
        let algorithm = self.algorithm(signers.algorithms)?;
        let message = self.message.as_bytes();
        if algorithm.is_symmetric() {
            // The key is the client's secret and can be nothing that the provider publishes.
            let secret = signers.secret.ok_or(KeyFault::Unknown)?;
            verify_with_secret(secret, algorithm, message, &self.signature)?;
        } else {
            signers.keys.verify(algorithm, self.header.kid.as_deref(), message, &self.signature)?;
        }
        let claims = serde_json::from_slice(&self.payload).map_err(|_| TokenFault::NotClaims)?;
        let kind = self.header.typ.as_deref().map(str::to_ascii_lowercase);
        let kind = kind.map(|kind| kind.strip_prefix("application/").map_or(kind.clone(), str::to_owned));
        Ok(Verified { claims, algorithm, kind })
    }
}

/// The left half of the hash that goes with `algorithm`, encoded (OpenID Connect Core 3.1.3.6, `at_hash`). For EdDSA it is
/// Ed25519's own, SHA-512.
pub(crate) fn half_hash(algorithm: Algorithm, text: &str) -> String {
    let digest = match algorithm {
        Algorithm::Rs256 | Algorithm::Ps256 | Algorithm::Es256 | Algorithm::Hs256 => {
            Sha256::digest(text).to_vec()
        }
        Algorithm::Rs384 | Algorithm::Ps384 | Algorithm::Es384 | Algorithm::Hs384 => {
            Sha384::digest(text).to_vec()
        }
        Algorithm::Rs512 | Algorithm::Ps512 | Algorithm::EdDsa | Algorithm::Hs512 => {
            Sha512::digest(text).to_vec()
        }
    };
    BASE64URL_NOPAD.encode(&digest[..digest.len() / 2])
}
