//! The provider's keys (RFC 7517), and which of them a signature may be of.

use data_encoding::BASE64URL_NOPAD;
use openidconnect::{
    JsonWebKey as _,
    core::{CoreJsonWebKey, CoreJwsSigningAlgorithm},
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::Value;

use crate::config::Algorithm;

/// RFC 7518 sections 3.3 and 3.5: "a key of size 2048 bits or larger MUST be used".
const MIN_RSA_BYTES: usize = 256;
/// More than this is no key set.
const MAX_KEYS: usize = 200;

/// A key set, without what is not for signatures and what is not understood.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keys(Vec<Key>);

#[derive(Clone, Debug)]
struct Key {
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    jwk: CoreJsonWebKey,
}

/// Why a signature is of no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyFault {
    #[error("the provider has no such key")]
    Unknown,
    #[error("the token does not say which of several keys has signed it")]
    Several,
    #[error("the signature is not good")]
    Signature,
}

/// The document.
#[derive(Deserialize)]
pub(crate) struct KeySet {
    keys: Vec<Value>,
}

/// What is read of a key beside what openidconnect reads.
#[derive(Deserialize)]
struct Members {
    kty: String,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    kid: Option<String>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
}

impl From<KeySet> for Keys {
    fn from(set: KeySet) -> Self {
        Self(set.keys.into_iter().take(MAX_KEYS).filter_map(Key::read).collect())
    }
}

impl Key {
    /// RFC 7517 section 5: keys that are not understood are ignored. So are symmetric ones: the client's secret is the only
    /// one there is.
    fn read(jwk: Value) -> Option<Self> {
        let members = Members::deserialize(&jwk).ok()?;
        let is_for_signatures = members.usage.as_deref().is_none_or(|usage| usage == "sig")
            && members.key_ops.as_ref().is_none_or(|ops| ops.iter().any(|op| op == "verify"));
        let mut algorithms = members.algorithms();
        algorithms.retain(|algorithm| members.alg.as_deref().is_none_or(|alg| alg == algorithm.as_str()));
        if !is_for_signatures || algorithms.is_empty() {
            return None;
        }
        Some(Self { id: members.kid, algorithms, jwk: serde_json::from_value(jwk).ok()? })
    }
}

impl Members {
    /// What a key of this kind can have signed (RFC 7518 section 3.1, RFC 8037 section 3.1).
    fn algorithms(&self) -> Vec<Algorithm> {
        use Algorithm::{EdDsa, Es256, Es384, Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};
        match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => {
                let modulus = self.n.as_deref().and_then(|n| BASE64URL_NOPAD.decode(n.as_bytes()).ok());
                let bytes = modulus.unwrap_or_default();
                let length = bytes.iter().skip_while(|byte| **byte == 0).count();
                let all = vec![Rs256, Rs384, Rs512, Ps256, Ps384, Ps512];
                if length < MIN_RSA_BYTES { Vec::new() } else { all }
            }
            ("EC", Some("P-256")) => vec![Es256],
            ("EC", Some("P-384")) => vec![Es384],
            ("OKP", Some("Ed25519")) => vec![EdDsa],
            _ => Vec::new(),
        }
    }
}

impl Keys {
    /// Whether `signature` of `message` is by the key that is called `id`; without an `id`, by the only key it can be of
    /// (OpenID Connect Core 10.1: where there are several, "a kid value MUST be provided").
    pub(crate) fn verify(
        &self,
        algorithm: Algorithm,
        id: Option<&str>,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), KeyFault> {
        let is_candidate = |key: &&Key| {
            key.algorithms.contains(&algorithm) && id.is_none_or(|id| key.id.as_deref() == Some(id))
        };
        let mut candidates = self.0.iter().filter(is_candidate);
        match (candidates.next(), candidates.next()) {
            (None, _) => Err(KeyFault::Unknown),
            (Some(_), Some(_)) => Err(KeyFault::Several),
            (Some(key), None) => verify(&key.jwk, algorithm, message, signature),
        }
    }
}

/// Whether `signature` of `message` is by `secret` (OpenID Connect Core 10.1).
pub(crate) fn verify_with_secret(
    secret: &SecretString,
    algorithm: Algorithm,
    message: &[u8],
    signature: &[u8],
) -> Result<(), KeyFault> {
    let key = CoreJsonWebKey::new_symmetric(secret.expose_secret().as_bytes().to_vec());
    verify(&key, algorithm, message, signature)
}

fn verify(
    key: &CoreJsonWebKey,
    algorithm: Algorithm,
    message: &[u8],
    signature: &[u8],
) -> Result<(), KeyFault> {
    key.verify_signature(&of_library(algorithm), message, signature).map_err(|_| KeyFault::Signature)
}

fn of_library(algorithm: Algorithm) -> CoreJwsSigningAlgorithm {
    match algorithm {
        Algorithm::Rs256 => CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
        Algorithm::Rs384 => CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
        Algorithm::Rs512 => CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
        Algorithm::Ps256 => CoreJwsSigningAlgorithm::RsaSsaPssSha256,
        Algorithm::Ps384 => CoreJwsSigningAlgorithm::RsaSsaPssSha384,
        Algorithm::Ps512 => CoreJwsSigningAlgorithm::RsaSsaPssSha512,
        Algorithm::Es256 => CoreJwsSigningAlgorithm::EcdsaP256Sha256,
        Algorithm::Es384 => CoreJwsSigningAlgorithm::EcdsaP384Sha384,
        Algorithm::EdDsa => CoreJwsSigningAlgorithm::EdDsa,
        Algorithm::Hs256 => CoreJwsSigningAlgorithm::HmacSha256,
        Algorithm::Hs384 => CoreJwsSigningAlgorithm::HmacSha384,
        Algorithm::Hs512 => CoreJwsSigningAlgorithm::HmacSha512,
    }
}

impl Algorithm {
    /// The algorithm of that name, if it is one that can be listed.
    pub(crate) fn named(name: &str) -> Option<Self> {
        const ALL: [Algorithm; 12] = [
            Algorithm::Rs256,
            Algorithm::Rs384,
            Algorithm::Rs512,
            Algorithm::Ps256,
            Algorithm::Ps384,
            Algorithm::Ps512,
            Algorithm::Es256,
            Algorithm::Es384,
            Algorithm::EdDsa,
            Algorithm::Hs256,
            Algorithm::Hs384,
            Algorithm::Hs512,
        ];
        ALL.into_iter().find(|algorithm| algorithm.as_str() == name)
    }

    /// Whether the client's secret is its key.
    pub(crate) fn is_symmetric(self) -> bool {
        matches!(self, Self::Hs256 | Self::Hs384 | Self::Hs512)
    }
}
