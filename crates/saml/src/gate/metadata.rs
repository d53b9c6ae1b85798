//! The gate for signed metadata: one signature, the root's own, of the shape that messages' have (SAML metadata 3.1 asks for
//! the same as SAML core 5.4), and nothing that xmlsec could take for another.
//!
//! Metadata may have comments, and more of everything than a message. Its author is not a stranger, but whoever stands
//! between the author and us is.

use std::collections::HashSet;

use roxmltree::Document;

use super::{Algorithm, GateError, is_nc_name, own_signature, text};
use crate::{names::DS, xml::is};

/// How the root of `document`, whose text is `text`, is signed.
pub(crate) fn pass_metadata(text: &str, document: &Document<'_>) -> Result<Algorithm, GateError> {
    text::after_declaration(text)?;
    let root = document.root_element();
    let id = root.attribute("ID").ok_or(GateError::NoId)?;
    let mut seen = HashSet::new();
    for node in document.descendants().filter(roxmltree::Node::is_element) {
        if is(node, DS, "Signature") && node.parent_element() != Some(root) {
            return Err(GateError::Misplaced);
        }
        for attribute in node.attributes() {
            match (attribute.name(), attribute.namespace()) {
                // Without these xmlsec does not know what is signed.
                ("ID", None) if !is_nc_name(attribute.value()) => return Err(GateError::IdSyntax),
                ("ID", None) if !seen.insert(attribute.value()) => return Err(GateError::IdTwice),
                // What else its members name is nobody's here: the signature is of the root.
                _ if attribute.value() != id => {}
                (name, Some(_)) if name.eq_ignore_ascii_case("id") => return Err(GateError::ForeignId),
                (name, None) if name.eq_ignore_ascii_case("id") && node != root => {
                    return Err(GateError::IdTwice);
                }
                _ => {}
            }
        }
    }
    own_signature(root)?.ok_or(GateError::NotSigned)
}

/// What can be seen of a document before anything reads it.
pub(crate) fn check_metadata(text: &str) -> Result<(), GateError> {
    text::check_metadata(text)
}
