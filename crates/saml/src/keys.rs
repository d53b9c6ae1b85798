//! Keys and certificates: an identity provider's, from its metadata, and our own, from the config.
//!
//! A certificate is nothing but a wrapping for its key: who vouches for it and until when does not matter (SAML V2.0
//! Metadata Interoperability Profile 2.6), because the metadata it stands in does.

use std::fmt;

use data_encoding::BASE64;
use openssl::{
    error::ErrorStack,
    nid::Nid,
    pkey::{Id, PKey, Private, Public},
    x509::X509,
};
use samael::crypto::CertificateDer;
use serde::{Deserialize, Serialize};

use crate::gate::KeyKind;

/// The shortest RSA key that counts as one.
const MIN_RSA_BITS: u32 = 2048;

/// A key that an identity provider signs with. Written and read as the base64 of its certificate.
#[derive(Clone, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct IdpKey {
    /// Its certificate, as samael takes it.
    pub(crate) certificate: CertificateDer,
    pub(crate) kind: KeyKind,
    /// The public key itself, to tell whether two certificates wrap the same.
    spki: Vec<u8>,
}

/// One of our keys, with the certificate that is published in our metadata.
#[derive(Clone)]
pub(crate) struct OwnKey {
    pub(crate) private: PKey<Private>,
    /// DER.
    pub(crate) certificate: Vec<u8>,
}

/// Why a key or certificate is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyError {
    #[error("is no X.509 certificate")]
    NotCertificate,
    #[error("has a key that is neither RSA nor on one of the curves P-256, P-384 and P-521")]
    Kind,
    #[error("has an RSA key of less than 2048 bits")]
    Weak,
    #[error("has no RSA private key in PEM that can be read without a passphrase")]
    NotPrivate,
    #[error("does not belong to the private key beside it")]
    NotAPair,
}

impl KeyError {
    /// Whether the fault lies with a private key, rather than with its certificate.
    pub(crate) fn is_about_the_key(self) -> bool {
        match self {
            Self::NotPrivate | Self::Weak => true,
            Self::NotCertificate | Self::Kind | Self::NotAPair => false,
        }
    }
}

impl IdpKey {
    /// Reads a certificate in DER.
    pub(crate) fn read(der: &[u8]) -> Result<Self, KeyError> {
        let certificate = X509::from_der(der).map_err(|_| KeyError::NotCertificate)?;
        let key = certificate.public_key().map_err(|_| KeyError::Kind)?;
        let kind = match key.id() {
            Id::RSA if key.bits() < MIN_RSA_BITS => return Err(KeyError::Weak),
            Id::RSA => KeyKind::Rsa,
            Id::EC => {
                let curve = key.ec_key().ok().and_then(|key| key.group().curve_name());
                match curve {
                    Some(Nid::X9_62_PRIME256V1 | Nid::SECP384R1 | Nid::SECP521R1) => KeyKind::Ec,
                    _ => return Err(KeyError::Kind),
                }
            }
            _ => return Err(KeyError::Kind),
        };
        let spki = key.public_key_to_der().map_err(|_| KeyError::Kind)?;
        Ok(Self { certificate: CertificateDer::from(der.to_vec()), kind, spki })
    }

    /// The key itself, for signatures that are not in XML.
    pub(crate) fn public(&self) -> Result<PKey<Public>, ErrorStack> {
        PKey::public_key_from_der(&self.spki)
    }

    /// Whether both are certificates of one key.
    pub(crate) fn is_same_key(&self, other: &Self) -> bool {
        self.spki == other.spki
    }
}

impl TryFrom<String> for IdpKey {
    type Error = KeyError;

    fn try_from(text: String) -> Result<Self, KeyError> {
        let der = BASE64.decode(text.as_bytes()).map_err(|_| KeyError::NotCertificate)?;
        Self::read(&der)
    }
}

impl From<IdpKey> for String {
    fn from(key: IdpKey) -> Self {
        BASE64.encode(key.certificate.der_data())
    }
}

impl OwnKey {
    /// Reads a private key and its certificate, both PEM. RSA alone: it has to decrypt, too.
    pub(crate) fn read(key_pem: &[u8], certificate_pem: &[u8]) -> Result<Self, KeyError> {
        // An empty passphrase, or OpenSSL would ask for one at the terminal.
        let private =
            PKey::private_key_from_pem_passphrase(key_pem, b"").map_err(|_| KeyError::NotPrivate)?;
        if private.id() != Id::RSA {
            return Err(KeyError::NotPrivate);
        }
        let certificate = X509::from_pem(certificate_pem).map_err(|_| KeyError::NotCertificate)?;
        let public = certificate.public_key().map_err(|_| KeyError::Kind)?;
        if !private.public_eq(&public) {
            return Err(KeyError::NotAPair);
        }
        if private.bits() < MIN_RSA_BITS {
            return Err(KeyError::Weak);
        }
        let certificate = certificate.to_der().map_err(|_| KeyError::NotCertificate)?;
        Ok(Self { private, certificate })
    }
}

impl OwnKey {
    /// Whether both are one key in one certificate.
    pub(crate) fn is_same_pair(&self, other: &Self) -> bool {
        self.certificate == other.certificate && self.private.public_eq(&other.private)
    }
}

impl fmt::Debug for IdpKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdpKey").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl fmt::Debug for OwnKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnKey([redacted])")
    }
}
