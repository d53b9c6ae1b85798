//! A plaintext stands where its `EncryptedData` stood, and the namespaces in scope in the element around that are in scope in
//! it (XML Encryption 4.3.2). Many encryptors, Apache Santuario and xmlsec among them, write out an element's own declarations
//! alone; what `EncryptedData` declares itself may be the same prefixes for other namespaces.

use std::fmt::Write as _;

use roxmltree::Node;

use crate::xml::{declared, escape};

/// `text` with the declarations in scope in its parent `place` that its root does not make itself. Text that is no XML stays as it is.
pub(super) fn within(text: &str, place: Node<'_, '_>) -> String {
    let Some((start, tag)) = start_tag(text) else { return text.to_owned() };
    let own = declared(tag);
    let inherited = place.namespaces().filter(|namespace| {
        let prefix = namespace.name().unwrap_or_default();
        prefix != "xml" && !namespace.uri().is_empty() && !own.contains(&prefix)
    });
    let mut declarations = String::new();
    for namespace in inherited {
        let uri = escape(namespace.uri());
        let _ = match namespace.name() {
            Some(prefix) => write!(declarations, " xmlns:{prefix}=\"{uri}\""),
            None => write!(declarations, " xmlns=\"{uri}\""),
        };
    }
    let name = tag.find([' ', '\t', '\r', '\n', '/', '>']).unwrap_or(tag.len());
    let (before, after) = text.split_at(start + name);
    format!("{before}{declarations}{after}")
}

/// The root's start tag without its `<`, as far as the end of the text, and where it begins.
fn start_tag(text: &str) -> Option<(usize, &str)> {
    let declaration = if text.starts_with("<?xml") { text.find("?>")? + 2 } else { 0 };
    let start = declaration + text[declaration..].find('<')? + 1;
    Some((start, &text[start..]))
}

#[cfg(test)]
mod tests {
    use roxmltree::Document;

    use super::*;

    #[test]
    fn what_the_root_does_not_declare_itself_comes_from_around_it() {
        let around = "<r xmlns='urn:d' xmlns:a='urn:a&amp;b' xmlns:b='urn:b'><e/></r>";
        let around = Document::parse(around).expect("XML");
        let place = around.root_element().first_element_child().expect("a child");
        let empty = Document::parse("<e/>").expect("XML");
        for (name, text, expected) in [
            (
                "nothing of its own",
                "<a:x/>",
                "<a:x xmlns=\"urn:d\" xmlns:a=\"urn:a&amp;b\" xmlns:b=\"urn:b\"/>",
            ),
            (
                "one of its own",
                "<a:x c='xmlns:b=\">' xmlns:a = 'urn:own'><b:y xmlns:b='urn:c'/></a:x>",
                "<a:x xmlns=\"urn:d\" xmlns:b=\"urn:b\" c='xmlns:b=\">' xmlns:a = 'urn:own'><b:y xmlns:b='urn:c'/></a:x>",
            ),
            (
                "its own default",
                "<x\nxmlns=''>y</x>",
                "<x xmlns:a=\"urn:a&amp;b\" xmlns:b=\"urn:b\"\nxmlns=''>y</x>",
            ),
            (
                "a declaration of XML",
                "<?xml version='1.0'?>\n<x>",
                "<?xml version='1.0'?>\n<x xmlns=\"urn:d\" xmlns:a=\"urn:a&amp;b\" xmlns:b=\"urn:b\">",
            ),
            ("no XML", "alice", "alice"),
            ("nothing", "", ""),
            ("half a declaration", "<?xml", "<?xml"),
        ] {
            assert_eq!(within(text, place), expected, "{name}");
            assert_eq!(within(text, empty.root_element()), text, "{name}: nothing around it");
        }
    }
}
