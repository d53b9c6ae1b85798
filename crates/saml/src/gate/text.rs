//! What can be seen of a message without a parser: its size, and characters that no honest message has.
//!
//! Work that grows faster than the text is what is bounded: `roxmltree` compares every attribute of an element with every
//! other and copies the namespaces in scope to every element that declares one; canonicalization does both again.

use std::collections::HashSet;

use super::GateError;

/// The longest message, in bytes. A response with a hundred attributes and both signatures is under 100 KiB.
pub(crate) const MAX_BYTES: usize = 192 * 1024;
/// Elements, attributes' owners and texts. A person in a thousand groups needs about five thousand.
pub(super) const MAX_NODES: u32 = 20_000;
/// Levels of elements. An encrypted assertion in a response has eight.
pub(super) const MAX_DEPTH: u32 = 16;
/// Start tags and end tags.
const MAX_TAGS: usize = 40_000;
/// Attributes of one element, counted as the `=` up to the next tag. A response with its namespaces has about ten.
const MAX_EQUALS_BETWEEN_TAGS: usize = 32;
/// Namespace declarations. OpenSAML writes two for every value of an attribute.
const MAX_NAMESPACES: usize = 2_048;
/// Different prefixes among them, and so the most that can be in scope anywhere: with a thousand, canonicalization takes
/// seconds. An honest message has about ten.
const MAX_PREFIXES: usize = 32;

pub(super) fn check(text: &str) -> Result<(), GateError> {
    if text.len() > MAX_BYTES {
        return Err(GateError::TooComplex);
    }
    // https://www.w3.org/TR/xml/#NT-Char
    let is_xml = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..);
    if !text.chars().all(is_xml) {
        return Err(GateError::Character);
    }
    let body = after_declaration(text)?;
    // `<` stands in no attribute's value and no text, so that this is about markup and nothing else.
    if body.contains("<!") || body.contains("<?") {
        return Err(GateError::Markup);
    }
    let (mut tags, mut equals) = (0, 0);
    for byte in body.bytes() {
        match byte {
            b'<' => (tags, equals) = (tags + 1, 0),
            b'=' => equals += 1,
            _ => {}
        }
        if tags > MAX_TAGS || equals > MAX_EQUALS_BETWEEN_TAGS {
            return Err(GateError::TooComplex);
        }
    }
    check_namespaces(body)
}

/// Whatever looks like a declaration counts as one, in a text or in a value, too.
fn check_namespaces(body: &str) -> Result<(), GateError> {
    let mut prefixes = HashSet::new();
    for (number, (at, word)) in body.match_indices("xmlns").enumerate() {
        let rest = &body[at + word.len()..];
        let ends = |c: char| matches!(c, '=' | ' ' | '\t' | '\r' | '\n' | '<' | '>' | '/');
        prefixes.insert(rest.split(ends).next().unwrap_or_default());
        if number >= MAX_NAMESPACES || prefixes.len() > MAX_PREFIXES {
            return Err(GateError::TooComplex);
        }
    }
    Ok(())
}

/// What follows the XML declaration, if there is one. It may say version 1.0 and UTF-8, and nothing else: libxml2 would
/// decode the rest as it says.
fn after_declaration(text: &str) -> Result<&str, GateError> {
    let Some(rest) = text.strip_prefix("<?xml") else {
        // A byte order mark, or anything else, is no beginning.
        return if text.starts_with('<') { Ok(text) } else { Err(GateError::Declaration) };
    };
    let (declaration, body) = rest.split_once("?>").ok_or(GateError::Declaration)?;
    let mut words = declaration.split_ascii_whitespace();
    let is_version = words.next().is_some_and(|word| is_pair(word, "version", &["1.0"]));
    let mut rest = words.next();
    if rest.is_some_and(|word| is_pair(word, "encoding", &["utf-8"])) {
        rest = words.next();
    }
    if rest.is_some_and(|word| is_pair(word, "standalone", &["yes", "no"])) {
        rest = words.next();
    }
    let is_good = declaration.starts_with([' ', '\t', '\r', '\n']) && is_version && rest.is_none();
    if is_good { Ok(body) } else { Err(GateError::Declaration) }
}

fn is_pair(word: &str, name: &str, values: &[&str]) -> bool {
    let quoted = word.strip_prefix(name).and_then(|rest| rest.strip_prefix('='));
    let unquoted = quoted.and_then(|value| {
        ['"', '\''].into_iter().find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote))
    });
    unquoted.is_some_and(|value| values.iter().any(|good| good.eq_ignore_ascii_case(value)))
}
