//! Bounds that keep a hostile answer cheap. The body's length is bounded before; what is left is work that grows
//! faster than the text: roxmltree compares every attribute of an element with every other, and copies the
//! namespaces in scope to every element that declares one.

use roxmltree::Document;

use super::ResponseError;

/// Elements, texts and comments. A person in a thousand groups, each written twice, needs about six thousand.
pub(crate) const MAX_NODES: u32 = 20_000;
/// Start tags, end tags and comments.
const MAX_TAGS: usize = 40_000;
/// Attributes of one element, counted as the `=` up to the next tag.
const MAX_EQUALS_BETWEEN_TAGS: usize = 64;
/// Namespace declarations in the whole answer, which needs one.
const MAX_NAMESPACES: usize = 32;
/// Levels of elements. A CAS answer has four.
const MAX_DEPTH: u32 = 16;

/// What can be counted without a parser. `<` cannot stand in an attribute's value, so that between two of them
/// there are all the attributes of at most one element.
pub(crate) fn check_text(text: &str) -> Result<(), ResponseError> {
    let (mut tags, mut equals) = (0, 0);
    for byte in text.bytes() {
        match byte {
            b'<' => (tags, equals) = (tags + 1, 0),
            b'=' => equals += 1,
            _ => {}
        }
        if tags > MAX_TAGS || equals > MAX_EQUALS_BETWEEN_TAGS {
            return Err(ResponseError::TooComplex);
        }
    }
    if text.matches("xmlns").count() > MAX_NAMESPACES { Err(ResponseError::TooComplex) } else { Ok(()) }
}

/// Nodes come in document order, parents first: one pass.
pub(super) fn check_depth(document: &Document<'_>) -> Result<(), ResponseError> {
    let mut depths: Vec<u32> = Vec::new();
    for node in document.descendants() {
        let parent = node.parent().and_then(|parent| depths.get(parent.id().get_usize()));
        let depth = parent.map_or(0, |depth| depth + 1);
        // The document itself is level 0, its root element level 1.
        if depth > MAX_DEPTH {
            return Err(ResponseError::TooComplex);
        }
        depths.push(depth);
    }
    Ok(())
}
