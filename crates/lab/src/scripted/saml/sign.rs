//! Enveloped signatures (<https://www.w3.org/TR/xmldsig-core1/>), good ones and, by changing a field, any other.

use data_encoding::BASE64;
use openssl::{
    ecdsa::EcdsaSig,
    hash::{MessageDigest, hash},
    pkey::{Id, PKey},
    sign::Signer,
};

use super::{DS, SamlKey, canonical::element};

/// A hash, for digests and signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digest {
    /// Which nobody should use any more.
    Sha1,
    /// The usual one.
    Sha256,
    /// Longer.
    Sha384,
    /// Longest.
    Sha512,
}

/// How a signature is made. All names are written as they stand, fitting or not.
#[derive(Clone, Debug)]
pub struct Signing {
    /// Whose signature it is.
    pub key: SamlKey,
    /// What is signed with; also decides `method`.
    pub digest: Digest,
    /// `SignatureMethod/@Algorithm`; `None`: the one that was used.
    pub method: Option<String>,
    /// `DigestMethod/@Algorithm`; `None`: the one that was used.
    pub digest_method: Option<String>,
    /// `Reference/@URI`; `None`: `#` and the ID.
    pub uri: Option<String>,
    /// `CanonicalizationMethod/@Algorithm`.
    pub canonicalization: String,
    /// The content of `Transforms`.
    pub transforms: String,
    /// Goes into `SignedInfo` after the reference.
    pub more_in_signed_info: String,
    /// The content of `KeyInfo`; `None`: the certificate.
    pub key_info: Option<String>,
    /// Goes into `Signature` after `KeyInfo`.
    pub more_in_signature: String,
    /// With the bytes of this as an HMAC's secret, instead of with the key.
    pub hmac_secret: Option<Vec<u8>>,
}

impl Digest {
    pub(super) fn hash(self) -> MessageDigest {
        match self {
            Self::Sha1 => MessageDigest::sha1(),
            Self::Sha256 => MessageDigest::sha256(),
            Self::Sha384 => MessageDigest::sha384(),
            Self::Sha512 => MessageDigest::sha512(),
        }
    }

    pub(super) fn number(self) -> &'static str {
        match self {
            Self::Sha1 => "1",
            Self::Sha256 => "256",
            Self::Sha384 => "384",
            Self::Sha512 => "512",
        }
    }

    /// As `DigestMethod` names it.
    #[must_use]
    pub fn uri(self) -> &'static str {
        match self {
            Self::Sha1 => "http://www.w3.org/2000/09/xmldsig#sha1",
            Self::Sha256 => "http://www.w3.org/2001/04/xmlenc#sha256",
            Self::Sha384 => "http://www.w3.org/2001/04/xmldsig-more#sha384",
            Self::Sha512 => "http://www.w3.org/2001/04/xmlenc#sha512",
        }
    }
}

impl Signing {
    /// Exclusive canonicalization.
    pub const EXCLUSIVE: &'static str = "http://www.w3.org/2001/10/xml-exc-c14n#";
    /// The transform that leaves the signature out.
    pub const ENVELOPED: &'static str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";

    /// As SAML has it, with SHA-256.
    #[must_use]
    pub fn with(key: &SamlKey) -> Self {
        Self {
            key: key.clone(),
            digest: Digest::Sha256,
            method: None,
            digest_method: None,
            uri: None,
            canonicalization: Self::EXCLUSIVE.to_owned(),
            transforms: [Self::ENVELOPED, Self::EXCLUSIVE].map(Self::transform).concat(),
            more_in_signed_info: String::new(),
            key_info: None,
            more_in_signature: String::new(),
            hmac_secret: None,
        }
    }

    /// A transform without parameters.
    #[must_use]
    pub fn transform(algorithm: &str) -> String {
        element("ds:Transform", None, &[("Algorithm", Some(algorithm))], "")
    }

    fn method(&self) -> String {
        let kind = if self.key.private.id() == Id::EC { "ecdsa" } else { "rsa" };
        let place = if kind == "rsa" && self.digest == Digest::Sha1 {
            "http://www.w3.org/2000/09/xmldsig#"
        } else {
            "http://www.w3.org/2001/04/xmldsig-more#"
        };
        format!("{place}{kind}-sha{}", self.digest.number())
    }
}

/// The `ds:Signature` of an element with that ID whose canonical form, without the signature, is `signed`.
pub fn sign(signed: &str, id: &str, signing: &Signing) -> anyhow::Result<String> {
    let digest = BASE64.encode(&hash(signing.digest.hash(), signed.as_bytes())?);
    let uri = signing.uri.clone().unwrap_or_else(|| format!("#{id}"));
    let method = signing.method.clone().unwrap_or_else(|| signing.method());
    let digest_method = signing.digest_method.as_deref().unwrap_or(signing.digest.uri());
    let algorithm = |name: &str, algorithm: &str| element(name, None, &[("Algorithm", Some(algorithm))], "");
    let reference = [
        element("ds:Transforms", None, &[], &signing.transforms),
        algorithm("ds:DigestMethod", digest_method),
        element("ds:DigestValue", None, &[], &digest),
    ]
    .concat();
    let content = [
        algorithm("ds:CanonicalizationMethod", &signing.canonicalization),
        algorithm("ds:SignatureMethod", &method),
        element("ds:Reference", None, &[("URI", Some(&uri))], &reference),
        signing.more_in_signed_info.clone(),
    ]
    .concat();
    let value = value(&element("ds:SignedInfo", Some(DS), &[], &content), signing)?;
    let key_info = if let Some(content) = &signing.key_info {
        content.clone()
    } else {
        let certificate = element("ds:X509Certificate", None, &[], &signing.key.certificate_base64()?);
        element("ds:X509Data", None, &[], &certificate)
    };
    let parts = [
        element("ds:SignedInfo", None, &[], &content),
        element("ds:SignatureValue", None, &[], &BASE64.encode(&value)),
        element("ds:KeyInfo", None, &[], &key_info),
        signing.more_in_signature.clone(),
    ]
    .concat();
    Ok(element("ds:Signature", Some(DS), &[], &parts))
}

fn value(signed_info: &str, signing: &Signing) -> anyhow::Result<Vec<u8>> {
    let digest = signing.digest.hash();
    if let Some(secret) = &signing.hmac_secret {
        let key = PKey::hmac(secret)?;
        let mut signer = Signer::new(digest, &key)?;
        signer.update(signed_info.as_bytes())?;
        return Ok(signer.sign_to_vec()?);
    }
    let mut signer = Signer::new(digest, &signing.key.private)?;
    signer.update(signed_info.as_bytes())?;
    let signature = signer.sign_to_vec()?;
    if signing.key.private.id() != Id::EC {
        return Ok(signature);
    }
    // XML Signature 6.4.3: r and s, one behind the other, each as long as the curve.
    let signature = EcdsaSig::from_der(&signature)?;
    let length = i32::try_from(signing.key.private.bits().div_ceil(8))?;
    Ok([signature.r().to_vec_padded(length)?, signature.s().to_vec_padded(length)?].concat())
}
