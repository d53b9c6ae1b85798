//! Whether libxml2, which xmlsec reads messages with, sees in a text what `roxmltree` sees, which decides about them.

use libxml::{
    parser::Parser,
    tree::{Node as Theirs, NodeType},
};
use roxmltree::{Document, Node as Ours};

/// Compares the two readings of a text that passed the gate.
///
/// # Panics
///
/// If they differ.
pub fn same(text: &str) {
    let document = Document::parse(text).expect("it passed the gate");
    // What libxml2 does not read at all, it does not verify.
    let Ok(other) = Parser::default().parse_string(text) else { return };
    let root = other.get_root_element().expect("a document has a root");
    same_element(document.root_element(), &root);
}

/// The content of each element of that path below the root, by local names, as libxml2 sees it.
#[must_use]
pub fn texts(text: &str, path: &str) -> Vec<String> {
    let Ok(document) = Parser::default().parse_string(text) else { return Vec::new() };
    let steps: String = path.split('/').map(|name| format!("/*[local-name()='{name}']")).collect();
    // It makes something of anything, a document of nothing included.
    let Some(root) = document.get_root_element() else { return Vec::new() };
    root.findnodes(&steps).expect("a path").iter().map(Theirs::get_content).collect()
}

/// The same of what was encrypted, with the namespaces in scope around it.
#[must_use]
pub fn texts_within(text: &str, path: &str) -> Vec<String> {
    if text.starts_with("<?xml") {
        return texts(text, path);
    }
    let around = "xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\" xmlns:samlp=\"urn:oasis:names:tc:SAML:2.0:protocol\"";
    texts(&format!("<around {around}>{text}</around>"), &format!("around/{path}"))
}

fn same_element(ours: Ours<'_, '_>, theirs: &Theirs) {
    let name = ours.tag_name();
    assert_eq!(name.name(), theirs.get_name(), "a name");
    let namespace = theirs.get_namespace().map(|namespace| namespace.get_href());
    assert_eq!(name.namespace().unwrap_or_default(), namespace.unwrap_or_default(), "a namespace");
    same_attributes(ours, theirs);
    let mut others = theirs.get_child_nodes().into_iter().peekable();
    for child in ours.children() {
        if child.is_element() {
            let other = others.next().expect("libxml2 sees fewer children");
            assert_eq!(other.get_type(), Some(NodeType::ElementNode), "an element");
            same_element(child, &other);
            continue;
        }
        assert!(child.is_text(), "the gate lets only elements and texts pass");
        // libxml2 splits long texts.
        let mut text = String::new();
        while let Some(part) = others.next_if(|other| other.get_type() == Some(NodeType::TextNode)) {
            text.push_str(&part.get_content());
        }
        assert_eq!(child.text().unwrap_or_default(), text, "a text");
    }
    assert!(others.next().is_none(), "libxml2 sees more children");
}

fn same_attributes(ours: Ours<'_, '_>, theirs: &Theirs) {
    let mut names: Vec<_> = ours.attributes().map(|attribute| attribute.name()).collect();
    names.sort_unstable();
    let mut others: Vec<_> = theirs.get_attributes().into_keys().collect();
    others.sort_unstable();
    let mut distinct = names.clone();
    distinct.dedup();
    assert_eq!(distinct, others, "attributes");
    for attribute in ours.attributes() {
        let other = match attribute.namespace() {
            Some(namespace) => theirs.get_attribute_ns(attribute.name(), namespace),
            // Without a namespace libxml2's function takes the first of that name.
            None if names.iter().filter(|name| **name == attribute.name()).count() > 1 => continue,
            None => theirs.get_attribute(attribute.name()),
        };
        assert_eq!(Some(attribute.value()), other.as_deref(), "the attribute {}", attribute.name());
    }
}
