//! XML in the form that canonicalization gives it (<https://www.w3.org/TR/xml-c14n/>, 2.3): attributes in order, no
//! self-closing tags, the few escapes it has.

use std::fmt::Write as _;

/// An element. `namespace` is its declaration, where it stands for the first time on its path; attributes without a value
/// are left out, and the others are put in order.
#[must_use]
pub fn element(
    name: &str,
    namespace: Option<&str>,
    attributes: &[(&str, Option<&str>)],
    content: &str,
) -> String {
    format!("{}{content}</{name}>", start(name, namespace, attributes))
}

/// The start tag of one.
pub(super) fn start(name: &str, namespace: Option<&str>, attributes: &[(&str, Option<&str>)]) -> String {
    let mut tag = format!("<{name}");
    if let (Some(namespace), Some((prefix, _))) = (namespace, name.split_once(':')) {
        let _ = write!(tag, " xmlns:{prefix}=\"{namespace}\"");
    }
    let mut present: Vec<(&str, &str)> =
        attributes.iter().filter_map(|(name, value)| Some((*name, (*value)?))).collect();
    present.sort_unstable();
    for (name, value) in present {
        let _ = write!(tag, " {name}=\"{}\"", attribute(value));
    }
    tag.push('>');
    tag
}

/// Text inside an element.
#[must_use]
pub fn text(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\r', "&#xD;")
}

/// Text inside an attribute.
#[must_use]
pub fn attribute(text: &str) -> String {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
    escaped.replace('\t', "&#x9;").replace('\n', "&#xA;").replace('\r', "&#xD;")
}
