//! Small helpers over `roxmltree`, and the one way text gets into XML that we write.
//!
//! Everything is looked up by namespace and local name; prefixes mean nothing. Schemas are kept to: [`Sequence`] reads
//! the children of an element in the order of its type, and whatever is not expected is an error, never skipped.

use std::borrow::Cow;

use roxmltree::Node;

/// An element that is not what its schema says. The text names our own expectation, never what was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SchemaError {
    #[error("an element has no `{0}` where there must be one")]
    Missing(&'static str),
    #[error("`{0}` has a child that does not belong there, or stands in the wrong place")]
    Unexpected(&'static str),
    #[error("`{0}` has text beside its elements")]
    Text(&'static str),
    #[error("`{0}` is not one plain text")]
    NotPlain(&'static str),
    #[error("the attribute `{0}` is missing")]
    NoAttribute(&'static str),
    #[error("`{0}` is no instant in UTC")]
    Instant(&'static str),
    #[error("`{0}` is no duration")]
    Duration(&'static str),
    #[error("`{0}` is neither true nor false")]
    Boolean(&'static str),
    #[error("`{0}` is no base64")]
    Base64(&'static str),
}

/// Whether `node` is that element.
pub(crate) fn is(node: Node<'_, '_>, namespace: &str, name: &str) -> bool {
    node.is_element() && node.tag_name().namespace() == Some(namespace) && node.tag_name().name() == name
}

/// The child elements of a node, taken in the order of its schema.
pub(crate) struct Sequence<'a, 'input> {
    /// What is read, for errors.
    name: &'static str,
    next: Option<Node<'a, 'input>>,
}

impl<'a, 'input> Sequence<'a, 'input> {
    /// Of an element that has no text of its own but layout.
    pub(crate) fn of(node: Node<'a, 'input>, name: &'static str) -> Result<Self, SchemaError> {
        let is_layout = |text: &str| text.chars().all(|c| matches!(c, ' ' | '\t' | '\r' | '\n'));
        let is_expected = |child: Node<'_, '_>| {
            child.is_element() || child.is_text() && child.text().is_some_and(is_layout)
        };
        let has_text = !node.children().all(is_expected);
        if has_text {
            return Err(SchemaError::Text(name));
        }
        Ok(Self { name, next: node.first_element_child() })
    }

    /// The next child, if it is that element.
    pub(crate) fn optional(&mut self, namespace: &str, name: &str) -> Option<Node<'a, 'input>> {
        let found = self.next.filter(|next| is(*next, namespace, name))?;
        self.next = found.next_sibling_element();
        Some(found)
    }

    /// The next child, which must be that element.
    pub(crate) fn one(
        &mut self,
        namespace: &str,
        name: &'static str,
    ) -> Result<Node<'a, 'input>, SchemaError> {
        self.optional(namespace, name).ok_or(SchemaError::Missing(name))
    }

    /// The next child, whatever it is.
    pub(crate) fn any(&mut self) -> Option<Node<'a, 'input>> {
        let found = self.next?;
        self.next = found.next_sibling_element();
        Some(found)
    }

    /// There must be no more.
    pub(crate) fn end(self) -> Result<(), SchemaError> {
        if self.next.is_none() { Ok(()) } else { Err(SchemaError::Unexpected(self.name)) }
    }
}

/// The text of an element that holds nothing else; empty if it holds nothing.
pub(crate) fn plain_text<'a>(node: Node<'a, '_>) -> Option<&'a str> {
    let mut children = node.children();
    match (children.next(), children.next()) {
        (None, _) => Some(""),
        (Some(only), None) if only.is_text() => only.text(),
        _ => None,
    }
}

/// The same without the blanks around it, which are layout in texts of the schema's own types (URIs, base64).
pub(crate) fn token<'a>(node: Node<'a, '_>, name: &'static str) -> Result<&'a str, SchemaError> {
    let text = plain_text(node).ok_or(SchemaError::NotPlain(name))?;
    Ok(text.trim_matches([' ', '\t', '\r', '\n']))
}

/// An attribute without a namespace that must be there.
pub(crate) fn attribute<'a>(node: Node<'a, '_>, name: &'static str) -> Result<&'a str, SchemaError> {
    node.attribute(name).ok_or(SchemaError::NoAttribute(name))
}

/// `xs:boolean`.
pub(crate) fn boolean(node: Node<'_, '_>, name: &'static str) -> Result<Option<bool>, SchemaError> {
    match node.attribute(name).map(str::trim) {
        None => Ok(None),
        Some("true" | "1") => Ok(Some(true)),
        Some("false" | "0") => Ok(Some(false)),
        Some(_) => Err(SchemaError::Boolean(name)),
    }
}

/// The prefixes that `tag`, a start tag without its `<` and whatever follows, declares; empty: the default namespace.
pub(crate) fn declared(tag: &str) -> Vec<&str> {
    let mut prefixes = Vec::new();
    let mut rest = tag;
    // Names and values by turns, until the tag ends.
    while let Some(at) = rest.find(['=', '>']) {
        let (name, value) = rest.split_at(at);
        if value.starts_with('>') {
            break;
        }
        let name = name.split_ascii_whitespace().next_back().unwrap_or_default();
        prefixes.extend(name.strip_prefix("xmlns:").or_else(|| (name == "xmlns").then_some("")));
        let value = value[1..].trim_start_matches([' ', '\t', '\r', '\n']);
        let Some(quote) = value.chars().next().filter(|quote| matches!(quote, '"' | '\'')) else { break };
        let Some(end) = value[1..].find(quote) else { break };
        rest = &value[end + 2..];
    }
    prefixes
}

/// base64 as XML writes it, line breaks and all.
pub(crate) fn base64(text: &str) -> Option<Vec<u8>> {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    if let Ok(bytes) = data_encoding::BASE64.decode(text.as_bytes()) {
        return Some(bytes);
    }
    let packed: Vec<u8> = text.bytes().filter(|byte| !is_blank(byte)).collect();
    data_encoding::BASE64.decode(&packed).ok()
}

/// `text` for the inside of an element or of an attribute in double quotes. Blanks other than spaces become
/// references, so that no parser turns them into spaces.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>', '"', '\'', '\t', '\r', '\n']) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            '\t' => escaped.push_str("&#9;"),
            '\n' => escaped.push_str("&#10;"),
            '\r' => escaped.push_str("&#13;"),
            other => escaped.push(other),
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use roxmltree::Document;

    use super::*;

    fn document(text: &str) -> Document<'_> {
        Document::parse(text).expect("XML")
    }

    #[test]
    fn a_sequence_takes_children_in_order_and_leaves_none_out() {
        let read = |text: &str| {
            let document = document(text);
            let mut sequence = Sequence::of(document.root_element(), "r")?;
            sequence.optional("n", "a");
            sequence.one("n", "b")?;
            sequence.end()
        };
        for (name, text, expected) in [
            ("both", "<r xmlns='n'><a/><b/></r>", Ok(())),
            ("the needed one", "<r xmlns='n'> <b/>\n</r>", Ok(())),
            ("none", "<r xmlns='n'/>", Err(SchemaError::Missing("b"))),
            ("the wrong way round", "<r xmlns='n'><b/><a/></r>", Err(SchemaError::Unexpected("r"))),
            ("twice", "<r xmlns='n'><b/><b/></r>", Err(SchemaError::Unexpected("r"))),
            ("another namespace", "<r xmlns:o='o'><o:b/></r>", Err(SchemaError::Missing("b"))),
            ("no namespace", "<r><b/></r>", Err(SchemaError::Missing("b"))),
            ("text", "<r xmlns='n'>x<b/></r>", Err(SchemaError::Text("r"))),
            ("a comment", "<r xmlns='n'><!-- x --><b/></r>", Err(SchemaError::Text("r"))),
        ] {
            assert_eq!(read(text), expected, "{name}");
        }
    }

    #[test]
    fn only_an_element_with_text_alone_is_plain() {
        for (text, expected) in [
            ("<r> a&amp;b </r>", Some(" a&b ")),
            ("<r/>", Some("")),
            ("<r>a<b/></r>", None),
            ("<r>a<!-- -->b</r>", None),
        ] {
            assert_eq!(plain_text(document(text).root_element()), expected, "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for text in ["", "plain", "a&b<c>\"d'e", "tab\tline\nreturn\r", "]]>", "Å\u{1F600}"] {
            let written = format!("<r a=\"{0}\">{0}</r>", escape(text));
            let document = document(&written);
            assert_eq!(plain_text(document.root_element()), Some(text));
            assert_eq!(document.root_element().attribute("a"), Some(text));
        }
    }

    #[test]
    fn base64_may_have_line_breaks_and_nothing_else() {
        for (text, expected) in [
            ("aGk=", Some(b"hi".to_vec())),
            (" aG\r\n\tk= ", Some(b"hi".to_vec())),
            ("aGk", None),
            ("aGl=", None),
            ("aG_=", None),
            ("aGk==", None),
            ("", Some(Vec::new())),
        ] {
            assert_eq!(base64(text), expected, "{text:?}");
        }
    }
}
