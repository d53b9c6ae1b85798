//! Signed metadata: of one identity provider, and of federations as large as they come (eduGAIN: 45 MB, 11,500 entities).

use std::fmt::Write as _;

use super::{SamlIdp, Signing, element, sign, text};

const MD: &str = "urn:oasis:names:tc:SAML:2.0:metadata";
const MDUI: &str = "urn:oasis:names:tc:SAML:metadata:ui";

/// Until when metadata counts, and what signs it.
#[derive(Clone, Debug)]
pub struct Issue {
    /// `validUntil`.
    pub valid_until: Option<String>,
    /// `cacheDuration`.
    pub cache_duration: Option<String>,
    /// What signs the root.
    pub signing: Signing,
}

impl Issue {
    /// Of metadata that counts for good.
    #[must_use]
    pub fn signed_with(signing: Signing) -> Self {
        Self { valid_until: None, cache_duration: None, signing }
    }

    fn sign(&self, name: &str, more: &[(&str, Option<&str>)], content: &str) -> anyhow::Result<String> {
        const ID: &str = "_metadata";
        let mut attributes = vec![
            ("ID", Some(ID)),
            ("validUntil", self.valid_until.as_deref()),
            ("cacheDuration", self.cache_duration.as_deref()),
        ];
        attributes.extend_from_slice(more);
        let signature = sign(&element(name, Some(MD), &attributes, content), ID, &self.signing)?;
        Ok(element(name, Some(MD), &attributes, &format!("{signature}{content}")))
    }
}

impl SamlIdp {
    /// Its metadata, signed as a whole.
    pub fn signed_metadata(&self, issue: &Issue) -> anyhow::Result<String> {
        issue.sign("md:EntityDescriptor", &[("entityID", Some(&self.entity_id))], &self.roles()?)
    }

    /// Its `md:EntityDescriptor` as it stands in a federation's metadata, where `md` is known; `extensions` go in front.
    pub fn member(&self, extensions: &str) -> anyhow::Result<String> {
        let content = format!("{extensions}{}", self.roles()?);
        Ok(element("md:EntityDescriptor", None, &[("entityID", Some(&self.entity_id))], &content))
    }

    /// What stands in its metadata, canonical.
    fn roles(&self) -> anyhow::Result<String> {
        let metadata = self.metadata()?;
        let content = metadata.split_once('>').map_or("", |(_, rest)| rest);
        let content = content.strip_suffix("</md:EntityDescriptor>").unwrap_or(content);
        Ok(content.replace("\"/>", "\"></md:SingleSignOnService>"))
    }
}

/// A federation's metadata, signed as a whole: `members` are canonical elements that know `md`.
pub fn aggregate(members: &str, issue: &Issue) -> anyhow::Result<String> {
    issue.sign("md:EntitiesDescriptor", &[("Name", Some("https://federation.cdl"))], members)
}

/// Member `number` of a large federation, canonical: of every three, two are identity providers, which share the key of
/// `certificate` (base64), and one is a service. About 4,000 bytes, most of them what people of many languages are shown.
#[must_use]
pub fn stranger(number: usize, certificate: &str) -> String {
    let mut names = String::new();
    for language in ["en", "fr", "de", "es", "it", "nl", "sv", "fi"] {
        let name = text(&format!("University {number} of Canadialand & its colleges ({language})"));
        let attributes = [("xml:lang", Some(language))];
        names.push_str(&element("mdui:DisplayName", None, &attributes, &name));
        names.push_str(&element("mdui:Description", None, &attributes, &text(&name)));
    }
    let shown = element("mdui:UIInfo", Some(MDUI), &[], &names);
    let extensions = element("md:Extensions", None, &[], &shown);
    let data = element("ds:X509Data", None, &[], &element("ds:X509Certificate", None, &[], certificate));
    let info = element("ds:KeyInfo", Some(super::DS), &[], &data);
    let key = element("md:KeyDescriptor", None, &[("use", Some("signing"))], &info);
    let protocol = ("protocolSupportEnumeration", Some(super::SAMLP));
    let entity = format!("https://idp{number}.example.cdl/idp");
    let place = format!("{entity}/sso");
    let bindings = ["HTTP-Redirect", "HTTP-POST"]
        .map(|binding| format!("urn:oasis:names:tc:SAML:2.0:bindings:{binding}"));
    let role = if number % 3 == 2 {
        let attributes =
            [("Binding", Some(&*bindings[1])), ("Location", Some(&*place)), ("index", Some("0"))];
        let service = element("md:AssertionConsumerService", None, &attributes, "");
        element("md:SPSSODescriptor", None, &[protocol], &format!("{extensions}{key}{service}"))
    } else {
        let services = bindings.iter().fold(String::new(), |mut services, binding| {
            let attributes = [("Binding", Some(&**binding)), ("Location", Some(&*place))];
            services.push_str(&element("md:SingleSignOnService", None, &attributes, ""));
            services
        });
        element("md:IDPSSODescriptor", None, &[protocol], &format!("{extensions}{key}{services}"))
    };
    let mut contacts = String::new();
    for kind in ["administrative", "support", "technical"] {
        let mail = format!("mailto:{kind}@idp{number}.example.cdl");
        let name = element("md:GivenName", None, &[], &format!("The {kind} contact of {entity}"));
        let mail = element("md:EmailAddress", None, &[], &mail);
        let _ = write!(
            contacts,
            "{}",
            element("md:ContactPerson", None, &[("contactType", Some(kind))], &(name + &mail))
        );
    }
    element("md:EntityDescriptor", None, &[("entityID", Some(&entity))], &format!("{role}{contacts}"))
}

/// Many of them.
#[must_use]
pub fn strangers(count: usize, certificate: &str) -> String {
    (0..count).map(|number| stranger(number, certificate)).collect()
}
