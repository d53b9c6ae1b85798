//! A private key of this client: signs what proves who the portal is (RFC 7523, OpenID Connect Core 9) and shows its public
//! half as a JSON Web Key (RFC 7517, RFC 7518 section 6, RFC 8037 section 2).
//!
//! ring signs, not the RSA of openidconnect: that one leaks timing of private keys (RUSTSEC-2023-0071), and verifying, the
//! only thing it is used for here, has none.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use ring::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
        KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair, RsaPublicKeyComponents,
    },
};
use rustls_pki_types::{PrivatePkcs8KeyDer, pem::PemObject as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::config::RsaAlgorithm;

/// RFC 7518 section 3.3: "a key of size 2048 bits or larger MUST be used".
const MIN_RSA_BYTES: usize = 256;

/// A key and its name.
pub(crate) struct SigningKey {
    kind: Kind,
    id: String,
}

enum Kind {
    Rsa(Box<RsaKeyPair>, RsaAlgorithm),
    P256(Box<EcdsaKeyPair>),
    P384(Box<EcdsaKeyPair>),
    Ed25519(Box<Ed25519KeyPair>),
}

/// Why a file is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyFault {
    #[error(
        "has no PKCS#8 private key; `openssl pkcs8 -topk8 -nocrypt` makes one of another kind of key file"
    )]
    NotPkcs8,
    #[error("has a key that is none of RSA, P-256, P-384 and Ed25519, or is damaged")]
    Unsupported,
    #[error("has an RSA key of less than 2048 bits")]
    TooShort,
}

/// The system would have to have lost its randomness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the client's key does not sign")]
pub(crate) struct SigningFailed;

impl SigningKey {
    /// The first PKCS#8 key of a PEM file. An RSA key signs with `rsa`; without an `id`, its name is its thumbprint.
    pub(crate) fn from_pem(pem: &[u8], rsa: RsaAlgorithm, id: Option<&str>) -> Result<Self, KeyFault> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem).map_err(|_| KeyFault::NotPkcs8)?;
        let kind = Kind::from_pkcs8(der.secret_pkcs8_der(), rsa)?;
        let id = id.map_or_else(|| thumbprint(&kind.members()), str::to_owned);
        Ok(Self { kind, id })
    }

    /// The `alg` of its signatures.
    pub(crate) fn algorithm(&self) -> &'static str {
        match &self.kind {
            Kind::Rsa(_, algorithm) => algorithm.as_str(),
            Kind::P256(_) => "ES256",
            Kind::P384(_) => "ES384",
            Kind::Ed25519(_) => "EdDSA",
        }
    }

    /// Its `kid`.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// A JWS signature (RFC 7515) of `message`.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed> {
        let random = SystemRandom::new();
        match &self.kind {
            Kind::Rsa(key, algorithm) => {
                let padding: &dyn ring::signature::RsaEncoding = match algorithm {
                    RsaAlgorithm::Rs256 => &RSA_PKCS1_SHA256,
                    RsaAlgorithm::Ps256 => &RSA_PSS_SHA256,
                };
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(padding, &random, message, &mut signature).map_err(|_| SigningFailed)?;
                Ok(signature)
            }
            Kind::P256(key) | Kind::P384(key) => key
                .sign(&random, message)
                .map(|signature| signature.as_ref().to_vec())
                .map_err(|_| SigningFailed),
            Kind::Ed25519(key) => Ok(key.sign(message).as_ref().to_vec()),
        }
    }

    /// The public half.
    pub(crate) fn public_jwk(&self) -> Value {
        let mut jwk = self.kind.members();
        jwk["use"] = json!("sig");
        jwk["alg"] = json!(self.algorithm());
        jwk["kid"] = json!(self.id);
        jwk
    }
}

impl Kind {
    fn from_pkcs8(der: &[u8], rsa: RsaAlgorithm) -> Result<Self, KeyFault> {
        let random = SystemRandom::new();
        if let Ok(key) = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der, &random) {
            return Ok(Self::P256(Box::new(key)));
        }
        if let Ok(key) = EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, der, &random) {
            return Ok(Self::P384(Box::new(key)));
        }
        // As openssl writes them: without the public half, which ring computes.
        if let Ok(key) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
            return Ok(Self::Ed25519(Box::new(key)));
        }
        match RsaKeyPair::from_pkcs8(der) {
            Ok(key) if key.public().modulus_len() < MIN_RSA_BYTES => Err(KeyFault::TooShort),
            Ok(key) => Ok(Self::Rsa(Box::new(key), rsa)),
            // ring has a bound of its own, just under ours.
            Err(error) if error.to_string() == "TooSmall" => Err(KeyFault::TooShort),
            Err(_) => Err(KeyFault::Unsupported),
        }
    }

    /// The members a thumbprint is made of (RFC 7638 section 3.2, RFC 8037 section 2), in their order.
    fn members(&self) -> Value {
        let encode = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
        let point = |curve: &str, key: &EcdsaKeyPair| {
            // Uncompressed: 4, x, y.
            let coordinates = key.public_key().as_ref().get(1..).unwrap_or_default();
            let (x, y) = coordinates.split_at(coordinates.len() / 2);
            json!({ "crv": curve, "kty": "EC", "x": encode(x), "y": encode(y) })
        };
        match self {
            Self::Rsa(key, _) => {
                let RsaPublicKeyComponents::<Vec<u8>> { n, e } = key.public().into();
                json!({ "e": encode(&e), "kty": "RSA", "n": encode(&n) })
            }
            Self::P256(key) => point("P-256", key),
            Self::P384(key) => point("P-384", key),
            Self::Ed25519(key) => {
                json!({ "crv": "Ed25519", "kty": "OKP", "x": encode(key.public_key().as_ref()) })
            }
        }
    }
}

/// RFC 7638 section 3: the required members alone, in lexicographic order (as serde_json's map has them), without blanks.
fn thumbprint(members: &Value) -> String {
    BASE64URL_NOPAD.encode(&Sha256::digest(members.to_string().as_bytes()))
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("id", &self.id)
            .field("algorithm", &self.algorithm())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thumbprint_is_that_of_rfc_7638() {
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMs\
                 tn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n9\
                 1CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        let members = json!({ "e": "AQAB", "kty": "RSA", "n": n });
        assert_eq!(thumbprint(&members), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }

    #[test]
    fn every_kind_of_key_signs_in_its_own_way() {
        let key =
            |pem: &str, id| SigningKey::from_pem(pem.as_bytes(), RsaAlgorithm::Ps256, id).expect("a key");
        for (pem, algorithm, bytes) in [
            (include_str!("../test_keys/rsa.pem"), "PS256", 256),
            (include_str!("../test_keys/p256.pem"), "ES256", 64),
            (include_str!("../test_keys/p384.pem"), "ES384", 96),
            (include_str!("../test_keys/ed25519.pem"), "EdDSA", 64),
        ] {
            let signed = key(pem, None).sign(b"message").map(|signature| signature.len());
            assert_eq!((key(pem, None).algorithm(), signed), (algorithm, Ok(bytes)), "{algorithm}");
            assert_eq!(key(pem, None).id().len(), 43, "{algorithm}: a thumbprint");
            assert_eq!(key(pem, Some("mine")).public_jwk()["kid"], "mine", "{algorithm}");
            let shown = format!("{:?} {}", key(pem, None), key(pem, None).public_jwk());
            let secret: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
            assert!(!shown.contains(&secret[secret.len() / 2..]), "{algorithm}");
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for (name, pem, expected) in [
            ("a short RSA key", include_str!("../test_keys/rsa_1024.pem"), KeyFault::TooShort),
            ("another curve", include_str!("../test_keys/p521.pem"), KeyFault::Unsupported),
            ("an older kind of file", include_str!("../test_keys/rsa_pkcs1.pem"), KeyFault::NotPkcs8),
            ("empty", "", KeyFault::NotPkcs8),
            ("no PEM", "secret", KeyFault::NotPkcs8),
            (
                "another section",
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                KeyFault::NotPkcs8,
            ),
            (
                "a damaged key",
                "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
                KeyFault::Unsupported,
            ),
        ] {
            let read = SigningKey::from_pem(pem.as_bytes(), RsaAlgorithm::Rs256, None);
            assert_eq!(read.err(), Some(expected), "{name}");
        }
    }
}
