//! What can be seen of a message without a parser: its size, and characters that no honest message has.
//!
//! Work that grows faster than the text is what is bounded: `roxmltree` compares every attribute of an element with every
//! other and copies the namespaces in scope to every element that declares one; canonicalization does both again.

use super::GateError;

/// The longest message, in bytes. A response with a hundred attributes and both signatures is under 100 KiB.
pub(crate) const MAX_BYTES: usize = 192 * 1024;
/// Elements, attributes' owners and texts. A person in a thousand groups needs about five thousand.
pub(super) const MAX_NODES: u32 = 20_000;
/// Levels of elements. An encrypted assertion in a response has eight.
pub(super) const MAX_DEPTH: u32 = 16;
/// Start tags and end tags.
const MAX_TAGS: usize = 40_000;
/// Attributes of one element. A response with its namespaces has about ten.
pub(crate) const MAX_ATTRIBUTES: usize = 32;
/// The longest name of a namespace, in bytes. Canonicalization writes it out once more at every element that uses it, so
/// that a message is multiplied by it. The longest that SAML has are about sixty.
pub(crate) const MAX_NAMESPACE_NAME: usize = 256;
/// Namespace declarations. OpenSAML writes two for every value of an attribute.
const MAX_NAMESPACES: usize = 2_048;
/// Different prefixes among them, and so the most that can be in scope anywhere: with a thousand, canonicalization takes
/// seconds. An honest message has about ten.
const MAX_PREFIXES: usize = 32;

/// As in a message, but a federation's root may declare the namespaces of everybody in it.
const MAX_ATTRIBUTES_IN_METADATA: usize = 512;
/// Those of everybody in a federation; eduGAIN has about a hundred.
const MAX_PREFIXES_IN_METADATA: usize = 512;

const BLANKS: [char; 4] = [' ', '\t', '\r', '\n'];

pub(super) fn check(text: &str) -> Result<(), GateError> {
    if text.len() > MAX_BYTES {
        return Err(GateError::TooComplex);
    }
    if !has_only_characters(text) || !has_only_references(text) {
        return Err(GateError::Character);
    }
    // Where a reference follows, `roxmltree` leaves one as it is that libxml2 makes a line end of.
    if text.match_indices('\r').any(|(at, _)| !text[at..].starts_with("\r\n")) {
        return Err(GateError::LineEnd);
    }
    let body = after_declaration(text)?;
    // `<` stands in no attribute's value and no text, so that this is about markup and nothing else. One way through the text:
    // what every message costs is counted in microseconds.
    for (before, tag) in body.split('<').skip(1).enumerate() {
        if tag.starts_with(['!', '?']) {
            return Err(GateError::Markup);
        }
        if before >= MAX_TAGS || attributes(tag.as_bytes()) > MAX_ATTRIBUTES {
            return Err(GateError::TooComplex);
        }
    }
    let (mut end, mut namespaces) = (0, Namespaces::default());
    for (at, _) in body.match_indices('=') {
        let before = &body[end..at];
        end = at + 1;
        namespaces.see(before, &body[end..])?;
    }
    Ok(())
}

/// The same of metadata, before any parser sees it: on its way from an address, anybody may have written it. It may have comments, and is
/// as long as its caller says.
pub(super) fn check_metadata(text: &str) -> Result<(), GateError> {
    if has_more_attributes_than(MAX_ATTRIBUTES_IN_METADATA, text) {
        return Err(GateError::TooComplex);
    }
    let (mut end, mut prefixes) = (0, Vec::new());
    for (at, _) in text.match_indices('=') {
        let before = &text[end..at];
        end = at + 1;
        let Some(prefix) = last_name(before).strip_prefix("xmlns") else { continue };
        if !prefixes.contains(&prefix) {
            prefixes.push(prefix);
        }
        let is_long = quoted(&text[end..]).is_some_and(|name| name.len() > MAX_NAMESPACE_NAME);
        if is_long || prefixes.len() > MAX_PREFIXES_IN_METADATA {
            return Err(GateError::TooComplex);
        }
    }
    Ok(())
}

/// Whether a start tag has more than `most` attributes, in whatever a parser reads of `text` before it gives up. `roxmltree` takes no
/// `<` in an attribute's value, and no quote in a tag but around one: up to the first of either, both see the same tags, and the
/// attributes of a tag are not compared before it ends. What people are called, with `=` and quotes, stands between tags.
fn has_more_attributes_than(most: usize, text: &str) -> bool {
    text.split('<').skip(1).any(|tag| attributes(tag.as_bytes()) > most)
}

/// How many values in quotes there are in `tag`, a tag without its `<`, up to its end. What is behind that, the most of a message, is
/// not looked at.
fn attributes(tag: &[u8]) -> usize {
    if matches!(tag.first(), Some(b'/' | b'!' | b'?')) {
        return 0;
    }
    let (mut count, mut open) = (0, None);
    for &byte in tag {
        match (open, byte) {
            (None, b'>') => break,
            (None, b'"' | b'\'') => {
                open = Some(byte);
                count += 1;
            }
            (Some(quote), _) if byte == quote => open = None,
            (None | Some(_), _) => {}
        }
    }
    count
}

/// <https://www.w3.org/TR/xml/#NT-Char>; surrogates cannot be in UTF-8. To the end, whatever comes before: so it takes a
/// fraction of the time.
fn has_only_characters(text: &str) -> bool {
    let is_control = |byte: u8| byte < b' ' && byte != b'\t' && byte != b'\n' && byte != b'\r';
    let has_control = text.bytes().fold(false, |has, byte| has | is_control(byte));
    !has_control && (text.is_ascii() || !(text.contains("\u{FFFE}") || text.contains("\u{FFFF}")))
}

/// No reference to what is no character (<https://www.w3.org/TR/xml/#wf-Legalchar>): `roxmltree` puts another in its place.
fn has_only_references(text: &str) -> bool {
    let is_good = |reference: &str| {
        let Some((number, _)) = reference.split_once(';') else { return false };
        let number = match number.strip_prefix('x') {
            Some(number) => u32::from_str_radix(number, 16),
            None => number.parse(),
        };
        number.ok().and_then(char::from_u32).is_some_and(|c| has_only_characters(c.encode_utf8(&mut [0; 4])))
    };
    // A byte is found at once, two of them are not.
    text.match_indices('&').filter_map(|(at, _)| text[at..].strip_prefix("&#")).all(is_good)
}

/// Declarations of namespaces so far.
#[derive(Default)]
struct Namespaces<'text> {
    count: usize,
    prefixes: Vec<&'text str>,
}

impl<'text> Namespaces<'text> {
    /// What stands before and after a `=`. Whatever looks like a declaration counts as one, in a text or in a value, too.
    ///
    /// Of some declarations parsers make different things: of a prefix of no namespace (`xmlns:x=""`,
    /// <https://www.w3.org/TR/xml-names/#nsc-NoPrefixUndecl>), which libxml2 takes for a part of the name, and of names with `&`,
    /// which it does not undo there, or with characters that no URI has.
    fn see(&mut self, before: &'text str, after: &str) -> Result<(), GateError> {
        let Some(prefix) = last_name(before).strip_prefix("xmlns") else { return Ok(()) };
        self.count += 1;
        if !self.prefixes.contains(&prefix) {
            self.prefixes.push(prefix);
        }
        if self.count > MAX_NAMESPACES || self.prefixes.len() > MAX_PREFIXES {
            return Err(GateError::TooComplex);
        }
        if quoted(after).is_some_and(|name| name.len() > MAX_NAMESPACE_NAME) {
            return Err(GateError::TooComplex);
        }
        let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'&';
        let is_good = |name: &str| name.bytes().all(is_plain) && (prefix.is_empty() || !name.is_empty());
        if quoted(after).is_some_and(|name| !is_good(name)) { Err(GateError::Namespace) } else { Ok(()) }
    }
}

/// The name at the end of `before`, up to what cannot be in one.
fn last_name(before: &str) -> &str {
    let before = before.trim_end_matches(BLANKS);
    let ends =
        |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b'<' | b'>' | b'/' | b'"' | b'\'' | b'&');
    before.as_bytes().iter().rposition(ends).map_or(before, |at| &before[at + 1..])
}

fn quoted(after: &str) -> Option<&str> {
    let after = after.trim_start_matches(BLANKS);
    let quote = after.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    after[1..].split_once(quote).map(|(value, _)| value)
}

/// What follows the XML declaration, if there is one. It may say version 1.0 and UTF-8, and nothing else: libxml2 would
/// decode the rest as it says.
pub(super) fn after_declaration(text: &str) -> Result<&str, GateError> {
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
