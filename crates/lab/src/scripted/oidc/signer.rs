//! Real keys and real signatures (RFC 7515, RFC 7518, RFC 8037), good ones and others.

use data_encoding::{BASE64, BASE64URL_NOPAD};
use ring::{
    hmac,
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
        EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384,
        RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
        RsaPublicKeyComponents,
    },
};
use serde_json::{Value, json};

/// A key that is the same in every run, since making one takes seconds. It protects nothing.
const RSA_KEY: &str = include_str!("rsa_test_key.b64");

/// What a token can be signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Alg {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// The same with SHA-384.
    Rs384,
    /// The same with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// The same with SHA-384.
    Ps384,
    /// The same with SHA-512.
    Ps512,
    /// ECDSA on P-256.
    Es256,
    /// ECDSA on P-384.
    Es384,
    /// Ed25519.
    EdDsa,
}

impl Alg {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::EdDsa,
    ];

    /// As in a header.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The hash that goes with it.
    fn digest(self) -> &'static ring::digest::Algorithm {
        match self {
            Self::Rs256 | Self::Ps256 | Self::Es256 => &ring::digest::SHA256,
            Self::Rs384 | Self::Ps384 | Self::Es384 => &ring::digest::SHA384,
            Self::Rs512 | Self::Ps512 | Self::EdDsa => &ring::digest::SHA512,
        }
    }

    /// `at_hash` (OpenID Connect Core 3.1.3.6) of an access token.
    #[must_use]
    pub fn half_hash(self, text: &str) -> String {
        let digest = ring::digest::digest(self.digest(), text.as_bytes());
        BASE64URL_NOPAD.encode(&digest.as_ref()[..digest.as_ref().len() / 2])
    }
}

/// One set of keys, one of every kind. `generation` is in the names of all but the RSA key's bytes, which never change.
pub(super) struct Keys {
    generation: u32,
    rsa: RsaKeyPair,
    p256: EcdsaKeyPair,
    p384: EcdsaKeyPair,
    ed25519: Ed25519KeyPair,
    random: SystemRandom,
}

impl Keys {
    pub(super) fn generate(generation: u32) -> Self {
        let random = SystemRandom::new();
        let text: String = RSA_KEY.split_whitespace().collect();
        let der = BASE64.decode(text.as_bytes()).expect("the file is base64");
        let rsa = RsaKeyPair::from_pkcs8(&der).expect("the file holds a key");
        let elliptic = |kind: &'static EcdsaSigningAlgorithm| {
            let pkcs8 = EcdsaKeyPair::generate_pkcs8(kind, &random).expect("the system has randomness");
            EcdsaKeyPair::from_pkcs8(kind, pkcs8.as_ref(), &random).expect("ring reads its own keys")
        };
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&random).expect("the system has randomness");
        let ed25519 = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).expect("ring reads its own keys");
        let (p256, p384) =
            (elliptic(&ECDSA_P256_SHA256_FIXED_SIGNING), elliptic(&ECDSA_P384_SHA384_FIXED_SIGNING));
        Self { generation, rsa, p256, p384, ed25519, random }
    }

    /// The name of the key that signs with `alg`.
    pub(super) fn id(&self, alg: Alg) -> String {
        let kind = match alg {
            Alg::Rs256 | Alg::Rs384 | Alg::Rs512 | Alg::Ps256 | Alg::Ps384 | Alg::Ps512 => "rsa",
            Alg::Es256 => "p256",
            Alg::Es384 => "p384",
            Alg::EdDsa => "ed25519",
        };
        format!("{kind}-{}", self.generation)
    }

    pub(super) fn jwks(&self) -> Value {
        let encode = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
        let RsaPublicKeyComponents::<Vec<u8>> { n, e } = self.rsa.public().into();
        let point = |alg: Alg, curve: &str, key: &EcdsaKeyPair| {
            let (x, y) = key.public_key().as_ref()[1..].split_at(key.public_key().as_ref().len() / 2);
            json!({ "kty": "EC", "use": "sig", "kid": self.id(alg), "crv": curve, "x": encode(x), "y": encode(y) })
        };
        json!({ "keys": [
            { "kty": "RSA", "use": "sig", "kid": self.id(Alg::Rs256), "n": encode(&n), "e": encode(&e) },
            point(Alg::Es256, "P-256", &self.p256),
            point(Alg::Es384, "P-384", &self.p384),
            { "kty": "OKP", "use": "sig", "kid": self.id(Alg::EdDsa), "crv": "Ed25519",
              "x": encode(self.ed25519.public_key().as_ref()) },
        ] })
    }

    pub(super) fn sign(&self, alg: Alg, message: &[u8]) -> Vec<u8> {
        let rsa = |encoding: &'static dyn RsaEncoding| {
            let mut signature = vec![0; self.rsa.public().modulus_len()];
            self.rsa.sign(encoding, &self.random, message, &mut signature).expect("the key is large enough");
            signature
        };
        let elliptic = |key: &EcdsaKeyPair| {
            key.sign(&self.random, message).expect("the system has randomness").as_ref().to_vec()
        };
        match alg {
            Alg::Rs256 => rsa(&RSA_PKCS1_SHA256),
            Alg::Rs384 => rsa(&RSA_PKCS1_SHA384),
            Alg::Rs512 => rsa(&RSA_PKCS1_SHA512),
            Alg::Ps256 => rsa(&RSA_PSS_SHA256),
            Alg::Ps384 => rsa(&RSA_PSS_SHA384),
            Alg::Ps512 => rsa(&RSA_PSS_SHA512),
            Alg::Es256 => elliptic(&self.p256),
            Alg::Es384 => elliptic(&self.p384),
            Alg::EdDsa => self.ed25519.sign(message).as_ref().to_vec(),
        }
    }
}

/// How a token comes to its signature.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Signed {
    /// With the provider's key.
    #[default]
    Rightly,
    /// With another key of the same kind, under the right name.
    ByAnotherKey,
    /// Rightly, and then one byte of the claims is another.
    ThenChanged,
    /// Not at all, and it says so: `alg: none`.
    Not,
    /// Not at all, and it says otherwise.
    Empty,
    /// With HMAC under these octets, such as a public key's (the confusion of RFC 8725 section 2.1).
    WithSecret {
        /// As in a header: `HS256`.
        alg: &'static str,
        /// The key.
        secret: Vec<u8>,
    },
}

/// A compact token.
pub(super) fn token(keys: &Keys, alg: Alg, signed: &Signed, mut header: Value, claims: &Value) -> String {
    let encode = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    match signed {
        Signed::Not => header["alg"] = json!("none"),
        Signed::WithSecret { alg, .. } => header["alg"] = json!(alg),
        Signed::Rightly | Signed::ByAnotherKey | Signed::ThenChanged | Signed::Empty => {}
    }
    let message = format!("{}.{}", encode(&header), encode(claims));
    let signature = match signed {
        Signed::Rightly | Signed::ThenChanged => keys.sign(alg, message.as_bytes()),
        Signed::ByAnotherKey => other_signature(alg, message.as_bytes()),
        Signed::Not | Signed::Empty => Vec::new(),
        Signed::WithSecret { alg, secret } => {
            let kind = match *alg {
                "HS384" => hmac::HMAC_SHA384,
                "HS512" => hmac::HMAC_SHA512,
                _ => hmac::HMAC_SHA256,
            };
            hmac::sign(&hmac::Key::new(kind, secret), message.as_bytes()).as_ref().to_vec()
        }
    };
    let message = match signed {
        Signed::ThenChanged => {
            let mut changed = claims.clone();
            changed["changed"] = json!(true);
            format!("{}.{}", encode(&header), encode(&changed))
        }
        _ => message,
    };
    format!("{message}.{}", BASE64URL_NOPAD.encode(&signature))
}

/// Another RSA key would take seconds to make: that one signs something else.
fn other_signature(alg: Alg, message: &[u8]) -> Vec<u8> {
    let other = Keys::generate(u32::MAX);
    match alg {
        Alg::Es256 | Alg::Es384 | Alg::EdDsa => other.sign(alg, message),
        _ => other.sign(alg, b"another message"),
    }
}
