//! The gate: what a message must look like before the XML libraries written in C are shown it.
//!
//! xmlsec does what a signature says before it knows whether the signature is good: it dereferences each `Reference`
//! (`http:`, `file:`) and runs each transform (XSLT, XPath), and libxml2 expands entities. So a message is first read by
//! a parser that knows neither (`roxmltree`), and whatever no honest identity provider sends is refused here:
//!
//! - more text, elements, attributes, namespaces or levels than a large honest message has;
//! - an encoding other than UTF-8, a DOCTYPE, comments, CDATA sections, processing instructions: with none of them, a text is
//!   one text node for every parser there is;
//! - a namespace that parsers disagree about;
//! - an ID that is no NCName, stands twice, or is an ID by its namespace (`xml:id`, `wsu:Id`);
//! - anything called `Response`, `Assertion`, `EncryptedAssertion`, `LogoutRequest`, `LogoutResponse` or `Signature` but the
//!   root, the one assertion below it, and their own signatures: every known signature-wrapping attack needs a second one somewhere;
//! - a signature of any other shape than SAML core 5.4 has: [`signature`].
//!
//! What passes is no more trustworthy than before. It is only harmless.

mod metadata;
mod signature;
mod text;

use roxmltree::{Document, Node, ParsingOptions};

pub(crate) use metadata::{check_metadata, pass_metadata};
pub(crate) use signature::{Algorithm, KeyKind, ShapeError};
pub(crate) use text::MAX_BYTES;
#[cfg(test)]
pub(crate) use {
    signature::MAX_LISTED_PREFIXES,
    text::{MAX_ATTRIBUTES, MAX_NAMESPACE_NAME},
};

use crate::{
    names::{DS, SAML, SAMLP},
    xml::{declared, is},
};

/// Names that a message may have in a few places, whatever their namespace says.
const GUARDED: [&str; 6] =
    ["Response", "Assertion", "EncryptedAssertion", "LogoutRequest", "LogoutResponse", "Signature"];

/// What kind of message is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Root {
    /// `samlp:Response`.
    Response,
    /// `saml:Assertion`: what was inside an `EncryptedAssertion`.
    Assertion,
    /// `saml:NameID`: what was inside an `EncryptedID`.
    NameId,
    /// `samlp:LogoutRequest`.
    LogoutRequest,
    /// `samlp:LogoutResponse`.
    LogoutResponse,
}

/// A message that may be shown to libxml2 and xmlsec.
#[derive(Debug)]
pub(crate) struct Passed<'input> {
    /// The message as this crate's own parser sees it.
    pub(crate) document: Document<'input>,
    /// How the root is signed; `None` if it is not.
    pub(crate) root_signature: Option<Algorithm>,
    /// What a response holds; always `None` in anything else.
    pub(crate) content: Option<Content>,
}

/// The one assertion of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// In clear, with its own signature if it has one.
    Assertion(Option<Algorithm>),
    /// Encrypted.
    Encrypted,
}

/// Why a message does not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum GateError {
    #[error("the message has more text, elements, attributes, namespaces or levels than any honest one")]
    TooComplex,
    #[error("the message has a character that XML does not have")]
    Character,
    #[error("the message has a carriage return that is not half of a line end")]
    LineEnd,
    #[error("the XML declaration is not one of version 1.0 and UTF-8")]
    Declaration,
    #[error("the message has a comment, a CDATA section, a DOCTYPE or a processing instruction")]
    Markup,
    #[error("the message is not well-formed XML")]
    NotXml,
    #[error("a name begins with a colon")]
    Name,
    #[error("the root is not the expected element")]
    Root,
    #[error("an ID is no NCName")]
    IdSyntax,
    #[error("an ID stands twice")]
    IdTwice,
    #[error("an attribute is an ID by its namespace")]
    ForeignId,
    #[error(
        "a prefix stands for no namespace or is declared twice, or a namespace has a name that is no URI"
    )]
    Namespace,
    #[error("the root has no ID")]
    NoId,
    #[error("there is a response, assertion or signature where none belongs")]
    Misplaced,
    #[error("the root is not signed")]
    NotSigned,
    #[error("there are several assertions")]
    SeveralAssertions,
    #[error("the signature is not of the shape that SAML allows")]
    Signature(#[from] ShapeError),
}

/// Lets `text` pass, or says why not.
pub(crate) fn pass(text: &str, root: Root) -> Result<Passed<'_>, GateError> {
    text::check(text)?;
    pass_signed(text, root)
}

/// The same of what xmlsec found to be signed in a text that has passed: libxml2 wrote it, and somebody who is known wrote what is in
/// it. What is seen without a parser was seen before.
pub(crate) fn pass_signed(text: &str, root: Root) -> Result<Passed<'_>, GateError> {
    let options = ParsingOptions { nodes_limit: text::MAX_NODES, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options).map_err(|error| match error {
        // The parser's own errors quote the document.
        roxmltree::Error::NodesLimitReached => GateError::TooComplex,
        _ => GateError::NotXml,
    })?;
    check_depth(&document)?;
    check_ids(&document)?;
    check_names(&document, text)?;
    check_declarations(&document, text)?;
    let (element, name) = (document.root_element(), root.name());
    if !is(element, name.0, name.1) {
        return Err(GateError::Root);
    }
    if element.attribute("ID").is_none() && root != Root::NameId {
        return Err(GateError::NoId);
    }
    let content = match root {
        Root::Response => content(element)?,
        Root::Assertion | Root::NameId | Root::LogoutRequest | Root::LogoutResponse => None,
    };
    check_places(&document, element, content)?;
    let root_signature = own_signature(element)?;
    let content = match content {
        None => None,
        Some(node) if is(node, SAML, "Assertion") => Some(Content::Assertion(own_signature(node)?)),
        Some(_) => Some(Content::Encrypted),
    };
    Ok(Passed { document, root_signature, content })
}

impl Root {
    fn name(self) -> (&'static str, &'static str) {
        match self {
            Self::Response => (SAMLP, "Response"),
            Self::Assertion => (SAML, "Assertion"),
            Self::NameId => (SAML, "NameID"),
            Self::LogoutRequest => (SAMLP, "LogoutRequest"),
            Self::LogoutResponse => (SAMLP, "LogoutResponse"),
        }
    }
}

/// Nodes come in document order, parents first: one pass, no recursion.
fn check_depth(document: &Document<'_>) -> Result<(), GateError> {
    let mut depths: Vec<u32> = Vec::new();
    for node in document.descendants() {
        let parent = node.parent().and_then(|parent| depths.get(parent.id().get_usize()));
        let depth = parent.map_or(0, |depth| depth + 1);
        // The document itself is level 0, its root element level 1.
        if depth > text::MAX_DEPTH {
            return Err(GateError::TooComplex);
        }
        depths.push(depth);
    }
    Ok(())
}

/// Every attribute that any of the libraries could take for an ID. XML names are case-sensitive, attackers are not.
fn check_ids(document: &Document<'_>) -> Result<(), GateError> {
    let mut seen = Vec::new();
    for attribute in document.descendants().flat_map(|node| node.attributes()) {
        if !attribute.name().eq_ignore_ascii_case("id") {
            continue;
        }
        if attribute.namespace().is_some() {
            return Err(GateError::ForeignId);
        }
        if !is_nc_name(attribute.value()) {
            return Err(GateError::IdSyntax);
        }
        seen.push(attribute.value());
    }
    seen.sort_unstable();
    let is_twice = seen.windows(2).any(|pair| pair[0] == pair[1]);
    if is_twice { Err(GateError::IdTwice) } else { Ok(()) }
}

/// A name that begins with a colon has an empty prefix to `roxmltree`, and to libxml2 the colon is a part of it.
fn check_names(document: &Document<'_>, text: &str) -> Result<(), GateError> {
    let mut attributes = document.descendants().flat_map(|node| node.attributes());
    let has_bad = text.contains("<:")
        || text.contains("</:")
        || attributes.any(|attribute| text[attribute.range().start..].starts_with(':'));
    if has_bad { Err(GateError::Name) } else { Ok(()) }
}

/// No element declares a prefix twice: `roxmltree` lets an empty default namespace follow another, which libxml2 takes for an end
/// of what it understands.
fn check_declarations(document: &Document<'_>, text: &str) -> Result<(), GateError> {
    for element in document.descendants().filter(Node::is_element) {
        let tag = &text[element.range().start + 1..];
        // `<` stands in no attribute's value.
        let tag = tag.split('<').next().unwrap_or_default();
        if tag.matches("xmlns").nth(1).is_none() {
            continue;
        }
        let mut prefixes = declared(tag);
        prefixes.sort_unstable();
        if prefixes.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(GateError::Namespace);
        }
    }
    Ok(())
}

/// ASCII of <https://www.w3.org/TR/xml-names/#NT-NCName>: no identity provider has been seen to use more.
fn is_nc_name(value: &str) -> bool {
    let is_start = |c: char| c.is_ascii_alphabetic() || c == '_';
    let is_later = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    value.starts_with(is_start) && value.chars().all(is_later) && value.len() <= 256
}

/// The assertion below a response, of which there is at most one.
fn content<'a, 'input>(response: Node<'a, 'input>) -> Result<Option<Node<'a, 'input>>, GateError> {
    let is_content =
        |node: &Node<'_, '_>| is(*node, SAML, "Assertion") || is(*node, SAML, "EncryptedAssertion");
    let mut found = response.children().filter(is_content);
    match (found.next(), found.next()) {
        (content, None) => Ok(content),
        (_, Some(_)) => Err(GateError::SeveralAssertions),
    }
}

/// Nothing with a guarded name stands anywhere else.
fn check_places(
    document: &Document<'_>,
    root: Node<'_, '_>,
    content: Option<Node<'_, '_>>,
) -> Result<(), GateError> {
    let is_guarded =
        |node: &Node<'_, '_>| GUARDED.iter().any(|name| node.tag_name().name().eq_ignore_ascii_case(name));
    for node in document.descendants().filter(Node::is_element).filter(is_guarded) {
        let is_signer = |parent: Node<'_, '_>| {
            parent == root
                || content.is_some_and(|content| parent == content && is(content, SAML, "Assertion"))
        };
        let belongs = node == root
            || Some(node) == content
            || (is(node, DS, "Signature") && node.parent_element().is_some_and(is_signer));
        if !belongs {
            return Err(GateError::Misplaced);
        }
    }
    Ok(())
}

/// The signature that is a child of `signed`.
fn own_signature(signed: Node<'_, '_>) -> Result<Option<Algorithm>, GateError> {
    let mut signatures = signed.children().filter(|node| is(*node, DS, "Signature"));
    match (signatures.next(), signatures.next()) {
        (None, _) => Ok(None),
        (Some(signature), None) => Ok(Some(signature::check(signature, signed)?)),
        (Some(_), Some(_)) => Err(GateError::Misplaced),
    }
}

#[cfg(test)]
mod tests;
