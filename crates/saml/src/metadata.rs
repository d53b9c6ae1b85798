//! What an identity provider says of itself: SAML metadata
//! (<https://docs.oasis-open.org/security/saml/v2.0/saml-metadata-2.0-os.pdf>, sections 2.3 to 2.4.3), read strictly where
//! it decides something and not at all elsewhere.
//!
//! Metadata *is* the trust in a SAML deployment: whoever writes it signs people in. So an identity provider without a key to
//! verify its signatures is no identity provider here, and a document whose `validUntil` has passed says nothing any more.
//!
//! Not read: `AttributeAuthorityDescriptor`, `ArtifactResolutionService`, `KeyName`s, contacts.

mod entity;
mod signature;

use std::time::Duration;

use roxmltree::{Document, Node, ParsingOptions};
use url::Url;
use usher_core::{Issuer, Timestamp};

use crate::{
    gate::{self, GateError},
    keys::{IdpKey, KeyError},
    names::MD,
    time,
    xml::{SchemaError, is},
};

/// The longest document that is read whole, in bytes.
pub(crate) const MAX_BYTES: usize = 1024 * 1024;
/// Nodes in it.
const MAX_NODES: u32 = 100_000;

/// An identity provider that people can be sent to.
#[derive(Clone, Debug)]
pub(crate) struct Idp {
    /// Its entity id, which is also the issuer of its people.
    pub(crate) entity_id: Issuer,
    /// What it signs with: at least one.
    pub(crate) keys: Vec<IdpKey>,
    /// Where it takes requests, by binding.
    pub(crate) single_sign_on: Endpoints,
    /// `WantAuthnRequestsSigned`.
    pub(crate) wants_signed_requests: bool,
    /// `shibmd:Scope`: what may stand behind the `@` of its people's names; `None` if it says nothing about it.
    pub(crate) scopes: Option<Vec<Scope>>,
    /// From then on none of this counts.
    pub(crate) valid_until: Option<Timestamp>,
    /// For how long it may be used without looking whether it has changed (SAML metadata 2.3.1).
    pub(crate) cache_duration: Option<Duration>,
}

/// One place for each binding: the first that the metadata names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Endpoints {
    pub(crate) redirect: Option<Location>,
    pub(crate) post: Option<Location>,
}

/// Where a browser is sent with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Location {
    pub(crate) url: Url,
    /// As the metadata writes it, which is the message's `Destination`: its recipient may compare the two letter by letter, and a
    /// URL drops a default port and adds a slash.
    pub(crate) written: String,
}

/// One `shibmd:Scope`.
#[derive(Clone, Debug)]
pub(crate) enum Scope {
    /// `ac.cdl`, compared without regard to case.
    Name(String),
    /// A regular expression for the whole of it.
    Pattern(regex::Regex),
}

/// Why a document is no metadata of the identity provider in question.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MetadataError {
    #[error("is longer than {MAX_BYTES} bytes; have the federation's MDQ service give you the one entity")]
    TooLong,
    #[error("is not UTF-8")]
    NotUtf8,
    #[error("is not well-formed XML, or has a DOCTYPE")]
    NotXml,
    #[error("has more elements than the metadata of one identity provider")]
    TooComplex,
    #[error("is no SAML metadata: its root is neither an EntityDescriptor nor an EntitiesDescriptor")]
    NotMetadata,
    #[error("has no SAML 2.0 identity provider `{0}`")]
    NoSuchEntity(String),
    #[error("has {0} SAML 2.0 identity providers; name the one that is meant with `idp`")]
    NotOne(usize),
    #[error("is not what metadata should be: {0}")]
    Schema(#[from] SchemaError),
    #[error("has an entityID that is empty, too long or has control characters")]
    EntityId,
    #[error(
        "has no certificate for signatures, so that nothing its identity provider says could be verified"
    )]
    NoKeys,
    #[error("has no certificate for signatures that can be used; one of them {0}")]
    BadKeys(#[source] KeyError),
    #[error("has no SingleSignOnService for HTTP-Redirect or HTTP-POST with an http or https address")]
    NoEndpoint,
    #[error("has a shibmd:Scope that is no regular expression")]
    Scope,
    #[error("is not signed as metadata is: {0}")]
    Signature(#[from] GateError),
    #[error("is not signed by a key of `metadata_certificate_file`")]
    Signer,
}

impl Idp {
    /// The same of a document that one of `signers` has signed as a whole, if there are any: what was signed is read.
    pub(crate) fn read_signed(
        document: &[u8],
        wanted: Option<&str>,
        signers: &[IdpKey],
    ) -> Result<Self, MetadataError> {
        if signers.is_empty() {
            return Self::read(document, wanted);
        }
        let text = plain(document)?;
        let algorithm = gate::pass_metadata(text, &parse(text)?)?;
        let signed = signature::signed(text, algorithm, signers).ok_or(MetadataError::Signer)?;
        Self::read(signed.as_bytes(), wanted)
    }

    /// Reads the identity provider `wanted` from a document, or the only one there is.
    pub(crate) fn read(document: &[u8], wanted: Option<&str>) -> Result<Self, MetadataError> {
        let document = parse(plain(document)?)?;
        let root = document.root_element();
        if !is(root, MD, "EntityDescriptor") && !is(root, MD, "EntitiesDescriptor") {
            return Err(MetadataError::NotMetadata);
        }
        let entity = find(root, wanted)?;
        entity::read(entity)
    }

    /// Whether any of it still counts.
    pub(crate) fn is_valid(&self, now: Timestamp) -> bool {
        self.valid_until.is_none_or(|until| now < until)
    }

    /// Whether its people may be of that scope. An identity provider that names none is not limited by its metadata.
    pub(crate) fn speaks_for(&self, scope: &str) -> bool {
        self.scopes.as_ref().is_none_or(|scopes| scopes.iter().any(|own| own.is(scope)))
    }
}

impl Scope {
    fn is(&self, scope: &str) -> bool {
        match self {
            Self::Name(name) => name.eq_ignore_ascii_case(scope),
            Self::Pattern(pattern) => pattern.is_match(scope),
        }
    }
}

/// The text of a document of bounded length.
fn plain(document: &[u8]) -> Result<&str, MetadataError> {
    if document.len() > MAX_BYTES {
        return Err(MetadataError::TooLong);
    }
    let text = std::str::from_utf8(document).map_err(|_| MetadataError::NotUtf8)?;
    Ok(text.strip_prefix('\u{FEFF}').unwrap_or(text))
}

fn parse(text: &str) -> Result<Document<'_>, MetadataError> {
    let options = ParsingOptions { nodes_limit: MAX_NODES, ..ParsingOptions::default() };
    Document::parse_with_options(text, options).map_err(|error| match error {
        roxmltree::Error::NodesLimitReached => MetadataError::TooComplex,
        _ => MetadataError::NotXml,
    })
}

/// The entity that is meant. Entities without an identity provider of SAML 2.0 do not count.
fn find<'a, 'input>(root: Node<'a, 'input>, wanted: Option<&str>) -> Result<Node<'a, 'input>, MetadataError> {
    let is_idp = |node: &Node<'_, '_>| {
        is(*node, MD, "EntityDescriptor") && node.children().any(entity::is_identity_provider)
    };
    let mut idps = root.descendants().filter(is_idp);
    match wanted {
        Some(wanted) => {
            let found = idps.find(|idp| idp.attribute("entityID") == Some(wanted));
            found.ok_or_else(|| MetadataError::NoSuchEntity(wanted.to_owned()))
        }
        None => match (idps.next(), idps.count()) {
            (Some(only), 0) => Ok(only),
            (None, _) => Err(MetadataError::NotOne(0)),
            (Some(_), others) => Err(MetadataError::NotOne(others + 1)),
        },
    }
}

/// The earliest `validUntil` of an entity, its role and everything around it (SAML metadata 2.3.1): an expired whole has no
/// valid parts.
fn valid_until(entity: Node<'_, '_>) -> Result<Option<Timestamp>, MetadataError> {
    let role = entity.children().filter(|child| entity::is_identity_provider(*child));
    let mut earliest: Option<Timestamp> = None;
    for node in entity.ancestors().filter(Node::is_element).chain(role) {
        if let Some(instant) = time::instant(node, "validUntil")? {
            earliest = Some(earliest.map_or(instant, |earlier| earlier.min(instant)));
        }
    }
    Ok(earliest)
}

/// The shortest `cacheDuration` of the same elements.
fn cache_duration(entity: Node<'_, '_>) -> Result<Option<Duration>, MetadataError> {
    let role = entity.children().filter(|child| entity::is_identity_provider(*child));
    let mut shortest: Option<Duration> = None;
    for node in entity.ancestors().filter(Node::is_element).chain(role) {
        if let Some(duration) = time::duration(node, "cacheDuration")? {
            shortest = Some(shortest.map_or(duration, |shorter| shorter.min(duration)));
        }
    }
    Ok(shortest)
}

#[cfg(test)]
mod tests;
