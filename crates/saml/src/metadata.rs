//! What an identity provider says of itself: SAML metadata
//! (<https://docs.oasis-open.org/security/saml/v2.0/saml-metadata-2.0-os.pdf>, sections 2.3 to 2.4.3), read strictly where
//! it decides something and not at all elsewhere.
//!
//! Metadata *is* the trust in a SAML deployment: whoever writes it signs people in. So an identity provider without a key to
//! verify its signatures is no identity provider here, and a document whose `validUntil` has passed says nothing any more.
//!
//! Not read: `AttributeAuthorityDescriptor`, `ArtifactResolutionService`, `KeyName`s, contacts.

mod entity;
mod shown;
mod signature;

pub(crate) use shown::Shown;

use std::{borrow::Cow, time::Duration};

use roxmltree::{Document, Node, ParsingOptions};
use serde::{Deserialize, Serialize};
use url::Url;
use usher_core::{Issuer, Timestamp};

use crate::{
    gate::{self, GateError},
    keys::{IdpKey, KeyError},
    names::{DS, MD, MDRPI},
    time,
    xml::{SchemaError, is},
};

/// The longest document that is read whole, in bytes.
pub(crate) const MAX_BYTES: usize = 1024 * 1024;
/// The longest pattern of a scope.
const MAX_PATTERN: usize = 256;
/// As much of a name as anybody reads.
const MAX_TOLD: usize = 200;
/// The longest that a process of its own reads, in bytes.
pub(crate) const MAX_FEDERATION_BYTES: usize = 128 * 1024 * 1024;

/// An identity provider that people can be sent to.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Idp {
    /// Its entity id, which is also the issuer of its people.
    pub(crate) entity_id: Issuer,
    /// What it signs with: at least one.
    pub(crate) keys: Vec<IdpKey>,
    /// Where it takes requests, by binding.
    pub(crate) single_sign_on: Endpoints,
    /// Where browsers go that log somebody out, by binding; nowhere, if it has no single logout.
    pub(crate) single_logout: LogoutServices,
    /// `WantAuthnRequestsSigned`.
    pub(crate) wants_signed_requests: bool,
    /// `shibmd:Scope`: what may stand behind the `@` of its people's names; `None` if it says nothing about it.
    pub(crate) scopes: Option<Vec<Scope>>,
    /// From then on none of this counts.
    pub(crate) valid_until: Option<Timestamp>,
    /// When the document was made (`mdrpi:PublicationInfo`), if it says so.
    pub(crate) published: Option<Timestamp>,
    /// For how long it may be used without looking whether it has changed (SAML metadata 2.3.1).
    pub(crate) cache_duration: Option<Duration>,
}

/// One place for each binding: the first that the metadata names.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct Endpoints {
    pub(crate) redirect: Option<Location>,
    pub(crate) post: Option<Location>,
}

/// Where a browser is sent with a message.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct Location {
    pub(crate) url: Url,
    /// As the metadata writes it, which is the message's `Destination`: its recipient may compare the two letter by letter, and a
    /// URL drops a default port and adds a slash.
    pub(crate) written: String,
}

/// One `SingleLogoutService` for each binding: the first that can be used.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct LogoutServices {
    pub(crate) redirect: Option<LogoutService>,
    pub(crate) post: Option<LogoutService>,
}

impl LogoutServices {
    pub(crate) fn is_somewhere(&self) -> bool {
        self.redirect.is_some() || self.post.is_some()
    }
}

/// Where requests go, and where answers to them go (SAML metadata 2.2.2, `ResponseLocation`).
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct LogoutService {
    pub(crate) requests: Location,
    pub(crate) answers: Location,
}

/// One `shibmd:Scope`.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) enum Scope {
    /// `ac.cdl`, compared without regard to case.
    Name(String),
    /// A regular expression for the whole of it.
    Pattern(Pattern),
}

/// A regular expression that a whole scope has to match.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Pattern {
    written: String,
    whole: regex::Regex,
}

/// Why a document is no metadata of the identity provider in question.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MetadataError {
    #[error("is longer than {0} bytes")]
    TooLong(usize),
    #[error("is not UTF-8")]
    NotUtf8,
    #[error("is not well-formed XML, or has a DOCTYPE")]
    NotXml,
    #[error("has more elements than any honest document of its kind")]
    TooComplex,
    #[error("is no SAML metadata: its root is neither an EntityDescriptor nor an EntitiesDescriptor")]
    NotMetadata,
    #[error("has no SAML 2.0 identity provider `{0}`")]
    NoSuchEntity(String),
    #[error("has no SAML 2.0 identity provider `{0}`, but `{1}`; if that is meant, name it with `idp`")]
    Another(String, String),
    #[error(
        "is the metadata of a service provider, perhaps Usher's own; what is needed is the identity provider's"
    )]
    ServiceProvider,
    #[error("has no SAML 2.0 identity provider")]
    Nobody,
    #[error("has {0} SAML 2.0 identity providers; name the one that is meant with `idp`")]
    NotOne(usize),
    #[error("has the identity provider `{0}` several times")]
    Twice(String),
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
    #[error("has a shibmd:Scope that is no regular expression, or more of them than anybody needs")]
    Scope,
    #[error("is not signed, though `metadata_certificate_file` says by whom it should be")]
    Unsigned,
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
        Self::read_text(&trusted(document, Bounds::ENTITY, signers)?, wanted)
    }

    /// Reads the identity provider `wanted` from a document, or the only one there is.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn read(document: &[u8], wanted: Option<&str>) -> Result<Self, MetadataError> {
        Self::read_signed(document, wanted, &[])
    }

    /// Reads an entity that has an identity provider.
    pub(crate) fn of(entity: Node<'_, '_>) -> Result<Self, MetadataError> {
        entity::read(entity)
    }

    fn read_text(text: &str, wanted: Option<&str>) -> Result<Self, MetadataError> {
        let document = parse(text, Bounds::ENTITY)?;
        entity::read(find(root(&document)?, wanted)?)
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
            Self::Pattern(pattern) => pattern.whole.is_match(scope),
        }
    }
}

impl TryFrom<String> for Pattern {
    type Error = MetadataError;

    /// By itself first: `a)|(b` becomes a pattern only when it is put into another. `regex` is linear in time; the size of what
    /// it compiles to is bounded here.
    fn try_from(written: String) -> Result<Self, MetadataError> {
        let build = |pattern: &str| regex::RegexBuilder::new(pattern).size_limit(64 * 1024).build();
        if written.len() > MAX_PATTERN || build(&written).is_err() {
            return Err(MetadataError::Scope);
        }
        let whole = build(&format!(r"\A(?:{written})\z")).map_err(|_| MetadataError::Scope)?;
        Ok(Self { written, whole })
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.written
    }
}

/// How much a document may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    bytes: usize,
    nodes: u32,
}

impl Bounds {
    /// The metadata of one identity provider, or of a few.
    pub(crate) const ENTITY: Self = Self { bytes: MAX_BYTES, nodes: 100_000 };
    /// The metadata of a federation. eduGAIN has 45 MB and two million nodes.
    pub(crate) const FEDERATION: Self = Self { bytes: MAX_FEDERATION_BYTES, nodes: 8_000_000 };
}

/// The text of a document that counts: all of it, or, if there are `signers`, what one of them has signed as a whole.
pub(crate) fn trusted<'a>(
    document: &'a [u8],
    bounds: Bounds,
    signers: &[IdpKey],
) -> Result<Cow<'a, str>, MetadataError> {
    let text = plain(document, bounds)?;
    if signers.is_empty() {
        return Ok(Cow::Borrowed(text));
    }
    let document = parse(text, bounds)?;
    if !document.descendants().any(|node| is(node, DS, "Signature")) {
        return Err(MetadataError::Unsigned);
    }
    let algorithm = gate::pass_metadata(text, &document)?;
    // libxml2 is about to have a tree of its own.
    drop(document);
    let signed = signature::signed(text, algorithm, signers).ok_or(MetadataError::Signer)?;
    Ok(Cow::Owned(signed))
}

/// The text of a document of bounded length.
fn plain(document: &[u8], bounds: Bounds) -> Result<&str, MetadataError> {
    if document.len() > bounds.bytes {
        return Err(MetadataError::TooLong(bounds.bytes));
    }
    let text = std::str::from_utf8(document).map_err(|_| MetadataError::NotUtf8)?;
    Ok(text.strip_prefix('\u{FEFF}').unwrap_or(text))
}

pub(crate) fn parse(text: &str, bounds: Bounds) -> Result<Document<'_>, MetadataError> {
    gate::check_metadata(text).map_err(|_| MetadataError::TooComplex)?;
    let options = ParsingOptions { nodes_limit: bounds.nodes, ..ParsingOptions::default() };
    Document::parse_with_options(text, options).map_err(|error| match error {
        roxmltree::Error::NodesLimitReached => MetadataError::TooComplex,
        _ => MetadataError::NotXml,
    })
}

/// Its root, if it is metadata.
fn root<'a, 'input>(document: &'a Document<'input>) -> Result<Node<'a, 'input>, MetadataError> {
    let root = document.root_element();
    let is_metadata = is(root, MD, "EntityDescriptor") || is(root, MD, "EntitiesDescriptor");
    is_metadata.then_some(root).ok_or(MetadataError::NotMetadata)
}

/// Every entity with an identity provider of SAML 2.0, in the order of the document.
pub(crate) fn entities<'a, 'input>(
    document: &'a Document<'input>,
) -> Result<impl Iterator<Item = Node<'a, 'input>>, MetadataError> {
    Ok(root(document)?.descendants().filter(is_entity))
}

fn is_entity(node: &Node<'_, '_>) -> bool {
    is(*node, MD, "EntityDescriptor") && node.children().any(entity::is_identity_provider)
}

/// The entity that is meant. Entities without an identity provider of SAML 2.0 do not count.
fn find<'a, 'input>(root: Node<'a, 'input>, wanted: Option<&str>) -> Result<Node<'a, 'input>, MetadataError> {
    let mut idps = root.descendants().filter(is_entity);
    match wanted {
        Some(wanted) => {
            let mut found = idps.filter(|idp| idp.attribute("entityID") == Some(wanted));
            match (found.next(), found.next()) {
                (Some(only), None) => Ok(only),
                (None, _) => Err(missing(root, wanted)),
                (Some(_), Some(_)) => Err(MetadataError::Twice(wanted.to_owned())),
            }
        }
        None => match (idps.next(), idps.count()) {
            (Some(only), 0) => Ok(only),
            (None, _) if is_service_provider(root) => Err(MetadataError::ServiceProvider),
            (None, _) => Err(MetadataError::Nobody),
            (Some(_), others) => Err(MetadataError::NotOne(others + 1)),
        },
    }
}

/// Why there is no `wanted`. An entity id that is nearly that, or the only one, is told, since it may have been meant.
fn missing(root: Node<'_, '_>, wanted: &str) -> MetadataError {
    let names: Vec<_> =
        root.descendants().filter(is_entity).filter_map(|idp| idp.attribute("entityID")).collect();
    let plain = |name: &str| name.trim_end_matches('/').to_lowercase();
    let near = names.iter().find(|name| plain(name) == plain(wanted));
    match (near, &names[..]) {
        (Some(near), _) | (None, [near]) => {
            let near = near.chars().filter(|c| !c.is_control()).take(MAX_TOLD).collect();
            MetadataError::Another(wanted.to_owned(), near)
        }
        (None, []) if is_service_provider(root) => MetadataError::ServiceProvider,
        (None, _) => MetadataError::NoSuchEntity(wanted.to_owned()),
    }
}

/// Whether it is of a service provider and nobody else.
fn is_service_provider(root: Node<'_, '_>) -> bool {
    is(root, MD, "EntityDescriptor") && root.children().any(|child| is(child, MD, "SPSSODescriptor"))
}

/// The earliest `validUntil` of an entity, its role and everything around it (SAML metadata 2.3.1): an expired whole has no
/// valid parts.
pub(crate) fn valid_until(entity: Node<'_, '_>) -> Result<Option<Timestamp>, MetadataError> {
    let role = entity.children().filter(|child| entity::is_identity_provider(*child));
    let mut earliest: Option<Timestamp> = None;
    for node in entity.ancestors().filter(Node::is_element).chain(role) {
        if let Some(instant) = time::instant(node, "validUntil")? {
            earliest = Some(earliest.map_or(instant, |earlier| earlier.min(instant)));
        }
    }
    Ok(earliest)
}

/// When the document around `node` was made (SAML metadata extensions for registration and publication information 2.2.1).
pub(crate) fn published(node: Node<'_, '_>) -> Result<Option<Timestamp>, MetadataError> {
    let root = node.document().root_element();
    // They come first but for a signature (SAML metadata 2.3.1, 2.3.2), and a federation has ten thousand children behind them.
    let first = root.children().filter(Node::is_element);
    let extensions = first
        .skip_while(|child| is(*child, DS, "Signature"))
        .take_while(|child| is(*child, MD, "Extensions"));
    let mut infos =
        extensions.flat_map(|node| node.children()).filter(|node| is(*node, MDRPI, "PublicationInfo"));
    Ok(infos.next().map(|info| time::instant(info, "creationInstant")).transpose()?.flatten())
}

/// The shortest `cacheDuration` of the same elements.
pub(crate) fn cache_duration(entity: Node<'_, '_>) -> Result<Option<Duration>, MetadataError> {
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
