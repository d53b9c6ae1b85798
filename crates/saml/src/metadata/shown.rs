//! What people are shown of an identity provider, and find it by: names, a logo, words (SAML V2.0 metadata extensions for login and
//! discovery user interface, <https://docs.oasis-open.org/security/saml/Post2.0/sstc-saml-metadata-ui/v1.0/>, section 2).
//!
//! None of it decides anything. It is a federation's text on a page of ours, so that what would not be read as a name is left out.

use roxmltree::Node;
use serde::{Deserialize, Serialize};
use url::Url;

use super::entity::is_identity_provider;
use crate::{
    names::{MD, MDATTR, MDRPI, MDUI, SAML, SHIBMD},
    xml::{is, plain_text},
};

/// Languages that a name is kept in.
const MAX_NAMES: usize = 40;
/// Words and domains that an entity is found by.
const MAX_WORDS: usize = 64;
/// The longest name, in characters.
const MAX_NAME: usize = 200;
/// The longest logo that is written out in the metadata. Twenty of them stand on a page.
const MAX_INLINE_LOGO: usize = 16 * 1024;
/// The height that the page shows a logo at, about.
const LOGO_HEIGHT: u32 = 40;

/// REFEDS: an identity provider that nobody is to be offered.
const HIDDEN: &str = "http://refeds.org/category/hide-from-discovery";
/// The attribute whose values are an entity's categories (RFC 8409).
const CATEGORY: &str = "http://macedir.org/entity-category";

/// What an entity's metadata says for people.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct Shown {
    /// By language, lower case; empty where it is not said.
    pub(crate) names: Vec<(String, String)>,
    /// What tells two of one name apart: a domain.
    pub(crate) detail: String,
    pub(crate) logo: Option<Url>,
    /// What it is found by besides.
    #[serde(skip)]
    pub(crate) words: Vec<String>,
    /// Nobody is to be offered it.
    #[serde(skip)]
    pub(crate) is_hidden: bool,
    /// Who says that it belongs to a federation: `registrationAuthority`.
    #[serde(skip)]
    pub(crate) registered_by: Option<String>,
}

impl Shown {
    /// Of an entity with an identity provider.
    pub(crate) fn read(entity: Node<'_, '_>) -> Self {
        let role = entity.children().find(|node| is_identity_provider(*node)).unwrap_or(entity);
        let info = extension(role, MDUI, "UIInfo").next();
        let hints = extension(role, MDUI, "DiscoHints").next();
        let below = |node: Option<Node<'_, '_>>, name: &'static str| -> Vec<String> {
            let texts =
                node.into_iter().flat_map(|node| node.children().filter(|node| is(*node, MDUI, name)));
            texts.filter_map(name_in).take(MAX_WORDS).collect()
        };
        let domains = domains(entity, role);
        let (detail, hints) = (domains.first().cloned(), below(hints, "DomainHint"));
        let mut words: Vec<_> = below(info, "Keywords").iter().map(|words| words.replace('+', " ")).collect();
        words.extend(domains);
        // By which it is found, and not told apart: anybody may hint at anything.
        words.extend(hints);
        Self {
            names: names(entity, info),
            detail: detail.unwrap_or_default(),
            logo: info.and_then(logo),
            words,
            is_hidden: is_hidden(entity),
            registered_by: registrar(entity),
        }
    }
}

/// The elements of that name in the `Extensions` of `node`.
fn extension<'a, 'input>(
    node: Node<'a, 'input>,
    namespace: &'static str,
    name: &'static str,
) -> impl Iterator<Item = Node<'a, 'input>> {
    let extensions = node.children().filter(|child| is(*child, MD, "Extensions"));
    extensions.flat_map(|node| node.children()).filter(move |node| is(*node, namespace, name))
}

/// The names of its `UIInfo`, or else of its organisation (SAML metadata 2.3.2.1).
fn names(entity: Node<'_, '_>, info: Option<Node<'_, '_>>) -> Vec<(String, String)> {
    let of = |node: Node<'_, '_>, namespace: &str, name: &str| -> Vec<(String, String)> {
        let named = node.children().filter(|child| is(*child, namespace, name));
        named.filter_map(|node| Some((language(node), name_in(node)?))).take(MAX_NAMES).collect()
    };
    let shown = info.map(|info| of(info, MDUI, "DisplayName")).unwrap_or_default();
    if !shown.is_empty() {
        return shown;
    }
    let organisation = entity.children().find(|node| is(*node, MD, "Organization"));
    organisation.map(|node| of(node, MD, "OrganizationDisplayName")).unwrap_or_default()
}

/// `xml:lang`, if it is one.
fn language(node: Node<'_, '_>) -> String {
    let tag = node.attribute((roxmltree::NS_XML_URI, "lang")).unwrap_or_default();
    let is_tag = tag.len() <= 35 && tag.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if is_tag { tag.to_ascii_lowercase() } else { String::new() }
}

/// The text of an element on one line; `None` if there is none.
fn name_in(node: Node<'_, '_>) -> Option<String> {
    let text = plain_text(node)?;
    let words: Vec<_> = text.split_whitespace().collect();
    let line: String = words.join(" ").chars().filter(|c| !is_invisible(*c)).take(MAX_NAME).collect();
    line.contains(char::is_alphanumeric).then_some(line)
}

/// Controls, and what turns the direction of the text around it (<https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters>).
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{AD}' | '\u{61C}' | '\u{200B}' | '\u{2060}' | '\u{3164}' | '\u{FEFF}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// Who registered it. Of several that say so, at most one is the registrar.
fn registrar(entity: Node<'_, '_>) -> Option<String> {
    let mut infos = extension(entity, MDRPI, "RegistrationInfo");
    let first = infos.next()?;
    let authority = first.attribute("registrationAuthority")?;
    infos.next().is_none().then(|| authority.to_owned())
}

/// Its domains: those its people's names end in, the host of its own name.
fn domains(entity: Node<'_, '_>, role: Node<'_, '_>) -> Vec<String> {
    let scopes = [role, entity].into_iter().flat_map(|node| extension(node, SHIBMD, "Scope"));
    let plain = scopes.filter(|scope| !matches!(scope.attribute("regexp"), Some("true" | "1")));
    let host = entity.attribute("entityID").and_then(|id| Url::parse(id).ok()?.host_str().map(str::to_owned));
    let mut domains: Vec<String> = Vec::new();
    for domain in plain.filter_map(name_in).chain(host).take(MAX_WORDS) {
        let domain = domain.to_lowercase();
        if !domains.contains(&domain) {
            domains.push(domain);
        }
    }
    domains
}

/// The one whose height is nearest to what the page shows. Nothing but https is fetched by people's browsers.
fn logo(info: Node<'_, '_>) -> Option<Url> {
    let height = |node: &Node<'_, '_>| node.attribute("height").and_then(|height| height.parse::<u32>().ok());
    let mut logos: Vec<_> = info.children().filter(|node| is(*node, MDUI, "Logo")).collect();
    logos.sort_by_key(|node| height(node).unwrap_or(u32::MAX).abs_diff(LOGO_HEIGHT));
    logos.into_iter().find_map(|node| {
        let text = plain_text(node)?.trim();
        let is_image = text.starts_with("data:image/") && text.len() <= MAX_INLINE_LOGO;
        let is_address = text.len() <= 1024 && text.starts_with("https://");
        let url = Url::parse(text).ok().filter(|_| is_image || is_address)?;
        (url.username().is_empty() && url.password().is_none()).then_some(url)
    })
}

fn is_hidden(entity: Node<'_, '_>) -> bool {
    let attributes = extension(entity, MDATTR, "EntityAttributes").flat_map(|node| node.children());
    let categories = attributes
        .filter(|node| is(*node, SAML, "Attribute") && node.attribute("Name") == Some(CATEGORY))
        .flat_map(|node| node.children());
    categories
        .filter(|node| is(*node, SAML, "AttributeValue"))
        .any(|value| plain_text(value).is_some_and(|text| text.trim() == HIDDEN))
}

#[cfg(test)]
mod tests {
    use roxmltree::Document;

    use super::*;

    /// An identity provider with `info` in its `UIInfo`, and `more` in the extensions of the entity.
    fn shown(info: &str, more: &str) -> Shown {
        let text = format!(
            "<md:EntityDescriptor xmlns:md=\"{MD}\" xmlns:mdui=\"{MDUI}\" xmlns:shibmd=\"{SHIBMD}\" xmlns:rpi=\"{MDRPI}\" \
             xmlns:attr=\"{MDATTR}\" xmlns:saml=\"{SAML}\" entityID=\"https://IdP.ac.cdl/idp\">\
             <md:Extensions>{more}</md:Extensions>\
             <md:IDPSSODescriptor protocolSupportEnumeration=\"urn:oasis:names:tc:SAML:2.0:protocol\">\
             <md:Extensions><mdui:UIInfo>{info}</mdui:UIInfo></md:Extensions></md:IDPSSODescriptor>\
             <md:Organization><md:OrganizationDisplayName xml:lang=\"en\">The organisation</md:OrganizationDisplayName>\
             </md:Organization></md:EntityDescriptor>"
        );
        Shown::read(Document::parse(&text).expect("XML").root_element())
    }

    #[test]
    fn names_are_one_line_in_each_language() {
        let name = |text: &str| format!("<mdui:DisplayName xml:lang=\"FR-ca\">{text}</mdui:DisplayName>");
        for (case, text, expected) in [
            ("plain", "Collège du port", "Collège du port"),
            ("on lines of its own", "\n  Collège\n du port ", "Collège du port"),
            ("escaped", "A &amp; &lt;b&gt;", "A & <b>"),
            ("turned around", "A\u{202E}B\u{2066}C", "ABC"),
            ("too long", &"x".repeat(300), &"x".repeat(200)),
        ] {
            assert_eq!(shown(&name(text), "").names, [("fr-ca".to_owned(), expected.to_owned())], "{case}");
        }
        let organisation = [("en".to_owned(), "The organisation".to_owned())];
        assert_eq!(shown("", "").names, organisation, "none of its own");
        assert_eq!(shown(&name(" \u{200F}"), "").names, organisation, "an empty one");
    }

    #[test]
    fn it_is_found_by_its_words_and_domains() {
        let info = "<mdui:Keywords xml:lang=\"en\">sea+ships fish</mdui:Keywords>";
        let scopes = "<shibmd:Scope regexp=\"true\">.*</shibmd:Scope><shibmd:Scope>AC.cdl</shibmd:Scope>";
        let found = shown(info, scopes);
        assert_eq!(found.words, ["sea ships fish", "ac.cdl", "idp.ac.cdl"]);
        assert_eq!(found.detail, "ac.cdl");
        assert_eq!(shown("", "").detail, "idp.ac.cdl");
    }

    #[test]
    fn a_logo_is_an_image_that_browsers_may_fetch() {
        let logo = |height: u32, text: &str| {
            format!("<mdui:Logo width=\"80\" height=\"{height}\">{text}</mdui:Logo>")
        };
        let good = logo(60, "https://idp.ac.cdl/60.png");
        for (case, info, expected) in [
            ("none", String::new(), None),
            (
                "the nearest height",
                logo(400, "https://idp.ac.cdl/400.png") + &good,
                Some("https://idp.ac.cdl/60.png"),
            ),
            (
                "not encrypted",
                logo(40, "http://idp.ac.cdl/40.png") + &good,
                Some("https://idp.ac.cdl/60.png"),
            ),
            ("a script", logo(40, "javascript:alert(1)"), None),
            ("a page", logo(40, "data:text/html,x"), None),
            ("inline", logo(40, "data:image/png;base64,AAAA"), Some("data:image/png;base64,AAAA")),
            (
                "a large one inline",
                logo(40, &format!("data:image/png,{}", "A".repeat(20_000))) + &good,
                Some("https://idp.ac.cdl/60.png"),
            ),
            ("with a password", logo(40, "https://a:b@idp.ac.cdl/40.png"), None),
        ] {
            assert_eq!(shown(&info, "").logo.as_ref().map(Url::as_str), expected, "{case}");
        }
    }

    #[test]
    fn who_registered_it_and_whether_it_is_offered_is_told() {
        let registered = "<rpi:RegistrationInfo registrationAuthority=\"https://federation.cdl\"/>";
        assert_eq!(shown("", registered).registered_by.as_deref(), Some("https://federation.cdl"));
        assert_eq!(shown("", &registered.repeat(2)).registered_by, None, "at most one of them is true");
        let category = |name: &str, value: &str| {
            format!(
                "<attr:EntityAttributes><saml:Attribute Name=\"{name}\"><saml:AttributeValue>{value}</saml:AttributeValue>\
                 </saml:Attribute></attr:EntityAttributes>"
            )
        };
        for (case, extensions, expected) in [
            ("hidden", category(CATEGORY, HIDDEN), true),
            (
                "another category",
                category(CATEGORY, "http://refeds.org/category/research-and-scholarship"),
                false,
            ),
            ("another attribute", category("urn:x", HIDDEN), false),
            ("nothing", String::new(), false),
        ] {
            assert_eq!(shown("", &extensions).is_hidden, expected, "{case}");
        }
    }
}
