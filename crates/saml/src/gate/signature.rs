//! The one shape of a signature that SAML has (SAML core 5.4): enveloped in what it signs, one `Reference` to that
//! element's own ID, enveloped-signature and exclusive canonicalization as its transforms, SHA-2. Anything else that
//! XML Signature knows (other references, `Object`, `Manifest`, `RetrievalMethod`, XPath, XSLT, HMAC, SHA-1) is refused
//! by its shape, before it is looked at by what would run it.

use roxmltree::Node;
use samael::crypto::AllowedSignatureAlgorithm;

use crate::{
    names::{DS, DSIG11, ENVELOPED, EXC_C14N, EXC_C14N_WITH_COMMENTS},
    xml::{SchemaError, Sequence, base64, is, token},
};

/// `SignatureMethod` (<https://www.rfc-editor.org/rfc/rfc9231>); whatever is not listed is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    RsaSha256,
    RsaSha384,
    RsaSha512,
    EcdsaSha256,
    EcdsaSha384,
    EcdsaSha512,
}

/// The kind of key that an algorithm takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyKind {
    Rsa,
    Ec,
}

/// How a signature differs from the one shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ShapeError {
    #[error("it has other parts than it should")]
    Parts(#[from] SchemaError),
    #[error("it has an attribute that does not belong there")]
    Attribute,
    #[error("its canonicalization is not the exclusive one")]
    Canonicalization,
    #[error("its canonicalization lists more prefixes than any honest one")]
    Prefixes,
    #[error("its signature algorithm is not accepted")]
    Algorithm,
    #[error("its digest algorithm is not accepted")]
    Digest,
    #[error("its reference is not to the element that it stands in")]
    Reference,
    #[error("its transforms are not enveloped-signature and exclusive canonicalization")]
    Transforms,
    #[error("its key info has something that would have to be fetched or worked out")]
    KeyInfo,
}

impl Algorithm {
    const ALL: [Self; 6] = [
        Self::RsaSha256,
        Self::RsaSha384,
        Self::RsaSha512,
        Self::EcdsaSha256,
        Self::EcdsaSha384,
        Self::EcdsaSha512,
    ];

    /// By its name.
    pub(crate) fn parse(uri: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.allowed().signature_uri() == uri)
    }

    /// What samael calls it.
    pub(crate) fn allowed(self) -> AllowedSignatureAlgorithm {
        match self {
            Self::RsaSha256 => AllowedSignatureAlgorithm::RsaSha256,
            Self::RsaSha384 => AllowedSignatureAlgorithm::RsaSha384,
            Self::RsaSha512 => AllowedSignatureAlgorithm::RsaSha512,
            Self::EcdsaSha256 => AllowedSignatureAlgorithm::EcdsaSha256,
            Self::EcdsaSha384 => AllowedSignatureAlgorithm::EcdsaSha384,
            Self::EcdsaSha512 => AllowedSignatureAlgorithm::EcdsaSha512,
        }
    }

    /// All of them as samael calls them: their digests are the accepted ones.
    pub(crate) fn all_allowed() -> [AllowedSignatureAlgorithm; 6] {
        Self::ALL.map(Self::allowed)
    }

    /// Which keys can have made it.
    pub(crate) fn key_kind(self) -> KeyKind {
        match self {
            Self::RsaSha256 | Self::RsaSha384 | Self::RsaSha512 => KeyKind::Rsa,
            Self::EcdsaSha256 | Self::EcdsaSha384 | Self::EcdsaSha512 => KeyKind::Ec,
        }
    }
}

/// Checks a `ds:Signature` that stands in `signed`.
pub(super) fn check(signature: Node<'_, '_>, signed: Node<'_, '_>) -> Result<Algorithm, ShapeError> {
    only_attributes(signature, &["Id"])?;
    let mut parts = Sequence::of(signature, "Signature")?;
    let signed_info = parts.one(DS, "SignedInfo")?;
    let value = parts.one(DS, "SignatureValue")?;
    let key_info = parts.optional(DS, "KeyInfo");
    parts.end()?;

    only_attributes(value, &["Id"])?;
    if base64(token(value, "SignatureValue")?).is_none_or(|bytes| bytes.is_empty()) {
        return Err(SchemaError::Base64("SignatureValue").into());
    }
    if let Some(key_info) = key_info {
        check_key_info(key_info)?;
    }
    check_signed_info(signed_info, signed)
}

fn check_signed_info(signed_info: Node<'_, '_>, signed: Node<'_, '_>) -> Result<Algorithm, ShapeError> {
    only_attributes(signed_info, &["Id"])?;
    let mut parts = Sequence::of(signed_info, "SignedInfo")?;
    let canonicalization = parts.one(DS, "CanonicalizationMethod")?;
    let method = parts.one(DS, "SignatureMethod")?;
    let reference = parts.one(DS, "Reference")?;
    parts.end()?;

    if !is_exclusive_canonicalization(canonicalization)? {
        return Err(ShapeError::Canonicalization);
    }
    let algorithm = Algorithm::parse(algorithm(method)?).ok_or(ShapeError::Algorithm)?;
    no_parameters(method, "SignatureMethod")?;
    check_reference(reference, signed)?;
    Ok(algorithm)
}

/// SAML core 5.4.2: a single reference, to the ID of the element that is signed.
fn check_reference(reference: Node<'_, '_>, signed: Node<'_, '_>) -> Result<(), ShapeError> {
    only_attributes(reference, &["Id", "URI", "Type"])?;
    let id = signed.attribute("ID");
    if id.is_none() || reference.attribute("URI").and_then(|uri| uri.strip_prefix('#')) != id {
        return Err(ShapeError::Reference);
    }
    let mut parts = Sequence::of(reference, "Reference")?;
    let transforms = parts.one(DS, "Transforms")?;
    let method = parts.one(DS, "DigestMethod")?;
    let value = parts.one(DS, "DigestValue")?;
    parts.end()?;

    check_transforms(transforms)?;
    let digest = algorithm(method)?;
    if !Algorithm::all_allowed().iter().any(|allowed| allowed.digest_uri() == digest) {
        return Err(ShapeError::Digest);
    }
    no_parameters(method, "DigestMethod")?;
    only_attributes(value, &[])?;
    if base64(token(value, "DigestValue")?).is_none_or(|bytes| bytes.is_empty()) {
        return Err(SchemaError::Base64("DigestValue").into());
    }
    Ok(())
}

/// SAML core 5.4.4.
fn check_transforms(transforms: Node<'_, '_>) -> Result<(), ShapeError> {
    only_attributes(transforms, &[])?;
    let mut parts = Sequence::of(transforms, "Transforms")?;
    let enveloped = parts.one(DS, "Transform")?;
    let canonicalization = parts.one(DS, "Transform")?;
    parts.end()?;
    if algorithm(enveloped)? != ENVELOPED || !is_exclusive_canonicalization(canonicalization)? {
        return Err(ShapeError::Transforms);
    }
    no_parameters(enveloped, "Transform")?;
    Ok(())
}

/// Prefixes that a signature may list as used. libxml2 looks up each of them at every element. OpenSAML lists two.
pub(crate) const MAX_LISTED_PREFIXES: usize = 16;
/// In bytes, and of the whole list.
const MAX_PREFIX_LIST: usize = 256;

/// With or without its one parameter, prefixes that count as used (<https://www.w3.org/TR/xml-exc-c14n/#sec-Use>).
fn is_exclusive_canonicalization(method: Node<'_, '_>) -> Result<bool, ShapeError> {
    if !matches!(algorithm(method)?, EXC_C14N | EXC_C14N_WITH_COMMENTS) {
        return Ok(false);
    }
    let mut parts = Sequence::of(method, "canonicalization")?;
    if let Some(prefixes) = parts.optional(EXC_C14N, "InclusiveNamespaces") {
        only_attributes(prefixes, &["PrefixList"])?;
        no_parameters(prefixes, "InclusiveNamespaces")?;
        let list = prefixes.attribute("PrefixList").unwrap_or_default();
        if list.len() > MAX_PREFIX_LIST || list.split_whitespace().count() > MAX_LISTED_PREFIXES {
            return Err(ShapeError::Prefixes);
        }
    }
    parts.end()?;
    Ok(true)
}

/// Which key it was, for those who do not know; we do. It may hold certificates and key values in clear.
fn check_key_info(key_info: Node<'_, '_>) -> Result<(), ShapeError> {
    const HARMLESS: [(&str, &str); 15] = [
        (DS, "KeyInfo"),
        (DS, "KeyName"),
        (DS, "KeyValue"),
        (DS, "RSAKeyValue"),
        (DS, "Modulus"),
        (DS, "Exponent"),
        (DS, "X509Data"),
        (DS, "X509Certificate"),
        (DS, "X509IssuerSerial"),
        (DS, "X509IssuerName"),
        (DS, "X509SerialNumber"),
        (DS, "X509SubjectName"),
        (DS, "X509SKI"),
        (DSIG11, "ECKeyValue"),
        (DSIG11, "X509Digest"),
    ];
    const OF_CURVES: [&str; 2] = ["NamedCurve", "PublicKey"];
    let is_harmless = |node: Node<'_, '_>| {
        HARMLESS.iter().any(|(namespace, name)| is(node, namespace, name))
            || OF_CURVES.iter().any(|name| is(node, DSIG11, name))
    };
    let mut elements = key_info.descendants().filter(Node::is_element);
    if elements.all(is_harmless) { Ok(()) } else { Err(ShapeError::KeyInfo) }
}

fn algorithm<'a>(method: Node<'a, '_>) -> Result<&'a str, ShapeError> {
    only_attributes(method, &["Algorithm"])?;
    Ok(crate::xml::attribute(method, "Algorithm")?)
}

fn only_attributes(node: Node<'_, '_>, allowed: &[&str]) -> Result<(), ShapeError> {
    let mut attributes = node.attributes();
    let are_known =
        attributes.all(|attribute| attribute.namespace().is_none() && allowed.contains(&attribute.name()));
    if are_known { Ok(()) } else { Err(ShapeError::Attribute) }
}

fn no_parameters(node: Node<'_, '_>, name: &'static str) -> Result<(), ShapeError> {
    Ok(Sequence::of(node, name)?.end()?)
}
