//! Keys with self-signed certificates.

use std::fmt;

use anyhow::Context as _;
use data_encoding::BASE64;
use openssl::{
    asn1::Asn1Time,
    bn::BigNum,
    ec::{EcGroup, EcKey},
    hash::MessageDigest,
    nid::Nid,
    pkey::{PKey, Private},
    rsa::Rsa,
    x509::{X509, X509Name},
};

/// A private key and its certificate.
#[derive(Clone)]
pub struct SamlKey {
    pub(super) private: PKey<Private>,
    pub(super) certificate: X509,
}

impl SamlKey {
    /// A new RSA key of that many bits.
    pub fn rsa(bits: u32) -> anyhow::Result<Self> {
        Self::certified(PKey::from_rsa(Rsa::generate(bits)?)?)
    }

    /// A new key on P-256.
    pub fn p256() -> anyhow::Result<Self> {
        Self::on(Nid::X9_62_PRIME256V1)
    }

    /// A new key on P-384.
    pub fn p384() -> anyhow::Result<Self> {
        Self::on(Nid::SECP384R1)
    }

    /// A new key on a curve that nobody should use for SAML.
    pub fn secp256k1() -> anyhow::Result<Self> {
        Self::on(Nid::SECP256K1)
    }

    /// One that is always the same: a private key in PEM, without a passphrase.
    pub fn from_private_pem(pem: &str) -> anyhow::Result<Self> {
        Self::certified(PKey::private_key_from_pem_passphrase(pem.as_bytes(), b"")?)
    }

    fn on(curve: Nid) -> anyhow::Result<Self> {
        let group = EcGroup::from_curve_name(curve)?;
        Self::certified(PKey::from_ec_key(EcKey::generate(&group)?)?)
    }

    /// A certificate that expired long ago, as most in federations have: only its key counts.
    fn certified(private: PKey<Private>) -> anyhow::Result<Self> {
        let mut name = X509Name::builder()?;
        name.append_entry_by_text("CN", "idp.localhost")?;
        let name = name.build();
        let mut certificate = X509::builder()?;
        certificate.set_version(2)?;
        certificate.set_serial_number(&*BigNum::from_u32(1)?.to_asn1_integer()?)?;
        certificate.set_subject_name(&name)?;
        certificate.set_issuer_name(&name)?;
        certificate.set_pubkey(&private)?;
        certificate.set_not_before(&*Asn1Time::from_str("20150101000000Z")?)?;
        certificate.set_not_after(&*Asn1Time::from_str("20160101000000Z")?)?;
        certificate.sign(&private, MessageDigest::sha256())?;
        Ok(Self { private, certificate: certificate.build() })
    }

    /// The certificate as metadata has it.
    pub fn certificate_base64(&self) -> anyhow::Result<String> {
        Ok(BASE64.encode(&self.certificate.to_der()?))
    }

    /// The certificate as a file.
    pub fn certificate_pem(&self) -> anyhow::Result<String> {
        String::from_utf8(self.certificate.to_pem()?).context("PEM is ASCII")
    }

    /// The private key as a file.
    pub fn private_pem(&self) -> anyhow::Result<String> {
        String::from_utf8(self.private.private_key_to_pem_pkcs8()?).context("PEM is ASCII")
    }

    /// The public key in PEM: what an attacker would use as the secret of an HMAC.
    pub fn public_pem(&self) -> anyhow::Result<Vec<u8>> {
        Ok(self.private.public_key_to_pem()?)
    }
}

impl fmt::Debug for SamlKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SamlKey([redacted])")
    }
}
