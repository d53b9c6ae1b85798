//! A response and its assertion, every field of which a test can change before it is signed.

use super::{
    SAML, SAMLP,
    canonical::{element, start, text},
    encrypt::{Encryption, encrypt},
    sign::{Signing, sign},
};

/// A `samlp:Response`.
#[derive(Clone, Debug)]
pub struct Response {
    /// `ID`
    pub id: String,
    /// `Version`
    pub version: String,
    /// `IssueInstant`
    pub issue_instant: String,
    /// `Destination`
    pub destination: Option<String>,
    /// `InResponseTo`
    pub in_response_to: Option<String>,
    /// `saml:Issuer`
    pub issuer: Option<Issuer>,
    /// The content of `samlp:Extensions`, canonical XML.
    pub extensions: Option<String>,
    /// The top-level `StatusCode`.
    pub status: String,
    /// The one below it.
    pub status_detail: Option<String>,
    /// The assertion.
    pub assertion: Option<Assertion>,
}

/// A `saml:Assertion`.
#[derive(Clone, Debug)]
pub struct Assertion {
    /// `ID`
    pub id: String,
    /// `Version`
    pub version: String,
    /// `IssueInstant`
    pub issue_instant: String,
    /// `saml:Issuer`
    pub issuer: Issuer,
    /// `saml:Subject`
    pub subject: Option<Subject>,
    /// `saml:Conditions`
    pub conditions: Option<Conditions>,
    /// The content of `saml:Advice`, canonical XML.
    pub advice: Option<String>,
    /// `saml:AuthnStatement`
    pub authentications: Vec<Authentication>,
    /// `saml:AttributeStatement`, one for all.
    pub attributes: Vec<Attribute>,
}

/// A `saml:Issuer`.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// Its text.
    pub value: String,
    /// `Format`
    pub format: Option<String>,
}

/// A `saml:Subject`.
#[derive(Clone, Debug)]
pub struct Subject {
    /// `saml:NameID`
    pub name: Option<NameId>,
    /// `saml:EncryptedID`, canonical XML where `saml:` is declared around it.
    pub encrypted_name: Option<String>,
    /// `saml:SubjectConfirmation`
    pub confirmations: Vec<Confirmation>,
}

/// A `saml:NameID`.
#[derive(Clone, Debug)]
pub struct NameId {
    /// Its text.
    pub value: String,
    /// `Format`
    pub format: Option<String>,
    /// `NameQualifier`
    pub name_qualifier: Option<String>,
    /// `SPNameQualifier`
    pub sp_name_qualifier: Option<String>,
}

/// A `saml:SubjectConfirmation`.
#[derive(Clone, Debug)]
pub struct Confirmation {
    /// `Method`
    pub method: String,
    /// Whether there is a `SubjectConfirmationData`, with what follows.
    pub has_data: bool,
    /// `InResponseTo`
    pub in_response_to: Option<String>,
    /// `NotBefore`
    pub not_before: Option<String>,
    /// `NotOnOrAfter`
    pub not_on_or_after: Option<String>,
    /// `Recipient`
    pub recipient: Option<String>,
}

/// A `saml:Conditions`.
#[derive(Clone, Debug)]
pub struct Conditions {
    /// `NotBefore`
    pub not_before: Option<String>,
    /// `NotOnOrAfter`
    pub not_on_or_after: Option<String>,
    /// An `AudienceRestriction` each.
    pub audiences: Vec<Vec<String>>,
    /// Further conditions, canonical XML.
    pub more: String,
}

/// A `saml:AuthnStatement`.
#[derive(Clone, Debug)]
pub struct Authentication {
    /// `AuthnInstant`
    pub instant: String,
    /// `SessionIndex`
    pub session_index: Option<String>,
    /// `SessionNotOnOrAfter`
    pub session_not_on_or_after: Option<String>,
    /// `AuthnContextClassRef`
    pub context: Option<String>,
}

/// A `saml:Attribute`.
#[derive(Clone, Debug)]
pub struct Attribute {
    /// `Name`
    pub name: String,
    /// `FriendlyName`
    pub friendly_name: Option<String>,
    /// The contents of its `AttributeValue`s, canonical XML.
    pub values: Vec<String>,
}

/// How a response is signed and encrypted.
#[derive(Clone, Debug, Default)]
pub struct Protection {
    /// The signature of the response.
    pub response: Option<Signing>,
    /// The signature of the assertion.
    pub assertion: Option<Signing>,
    /// The encryption of the assertion, signature and all.
    pub encryption: Option<Encryption>,
}

impl Response {
    /// The document.
    pub fn xml(&self, protection: &Protection) -> anyhow::Result<String> {
        let assertion = match (&self.assertion, &protection.encryption) {
            (None, _) => String::new(),
            (Some(assertion), None) => assertion.xml(protection.assertion.as_ref())?,
            (Some(assertion), Some(how)) => encrypt(&assertion.xml(protection.assertion.as_ref())?, how)?,
        };
        self.xml_around(&assertion, protection.response.as_ref())
    }

    /// The document around a text that stands for its assertion.
    pub fn xml_around(&self, assertion: &str, signing: Option<&Signing>) -> anyhow::Result<String> {
        let attributes = [
            ("Destination", self.destination.as_deref()),
            ("ID", Some(self.id.as_str())),
            ("InResponseTo", self.in_response_to.as_deref()),
            ("IssueInstant", Some(&self.issue_instant)),
            ("Version", Some(&self.version)),
        ];
        let mut head = start("samlp:Response", Some(SAMLP), &attributes);
        if let Some(issuer) = &self.issuer {
            head.push_str(&issuer.xml(Some(SAML)));
        }
        let detail = self.status_detail.as_deref();
        let detail = detail
            .map_or(String::new(), |code| element("samlp:StatusCode", None, &[("Value", Some(code))], ""));
        let status = element("samlp:StatusCode", None, &[("Value", Some(&self.status))], &detail);
        let extensions = self.extensions.as_deref();
        let tail = [
            extensions.map_or(String::new(), |content| element("samlp:Extensions", None, &[], content)),
            element("samlp:Status", None, &[], &status),
            assertion.to_owned(),
            "</samlp:Response>".to_owned(),
        ]
        .concat();
        enveloped(head, &tail, &self.id, signing)
    }
}

impl Assertion {
    /// The element, with its own namespace declarations.
    pub fn xml(&self, signing: Option<&Signing>) -> anyhow::Result<String> {
        let attributes = [
            ("ID", Some(self.id.as_str())),
            ("IssueInstant", Some(&self.issue_instant)),
            ("Version", Some(&self.version)),
        ];
        let mut head = start("saml:Assertion", Some(SAML), &attributes);
        head.push_str(&self.issuer.xml(None));
        let mut tail = String::new();
        tail.extend(self.subject.as_ref().map(Subject::xml));
        tail.extend(self.conditions.as_ref().map(Conditions::xml));
        tail.extend(self.advice.as_ref().map(|content| element("saml:Advice", None, &[], content)));
        tail.extend(self.authentications.iter().map(Authentication::xml));
        if !self.attributes.is_empty() {
            let attributes: String = self.attributes.iter().map(Attribute::xml).collect();
            tail.push_str(&element("saml:AttributeStatement", None, &[], &attributes));
        }
        tail.push_str("</saml:Assertion>");
        enveloped(head, &tail, &self.id, signing)
    }
}

/// The signature stands behind the issuer.
pub(super) fn enveloped(
    mut head: String,
    tail: &str,
    id: &str,
    signing: Option<&Signing>,
) -> anyhow::Result<String> {
    if let Some(signing) = signing {
        let signature = sign(&format!("{head}{tail}"), id, signing)?;
        head.push_str(&signature);
    }
    head.push_str(tail);
    Ok(head)
}

impl Issuer {
    pub(super) fn xml(&self, namespace: Option<&str>) -> String {
        element("saml:Issuer", namespace, &[("Format", self.format.as_deref())], &text(&self.value))
    }
}

impl Subject {
    fn xml(&self) -> String {
        let mut content = String::new();
        content.extend(self.name.as_ref().map(|name| name.xml(None)));
        content.extend(self.encrypted_name.clone());
        content.extend(self.confirmations.iter().map(Confirmation::xml));
        element("saml:Subject", None, &[], &content)
    }
}

impl NameId {
    /// The element; `namespace` where `saml:` is not declared around it.
    #[must_use]
    pub fn xml(&self, namespace: Option<&str>) -> String {
        let attributes = [
            ("Format", self.format.as_deref()),
            ("NameQualifier", self.name_qualifier.as_deref()),
            ("SPNameQualifier", self.sp_name_qualifier.as_deref()),
        ];
        element("saml:NameID", namespace, &attributes, &text(&self.value))
    }
}

impl Confirmation {
    fn xml(&self) -> String {
        let attributes = [
            ("InResponseTo", self.in_response_to.as_deref()),
            ("NotBefore", self.not_before.as_deref()),
            ("NotOnOrAfter", self.not_on_or_after.as_deref()),
            ("Recipient", self.recipient.as_deref()),
        ];
        let data = if self.has_data {
            element("saml:SubjectConfirmationData", None, &attributes, "")
        } else {
            String::new()
        };
        element("saml:SubjectConfirmation", None, &[("Method", Some(&self.method))], &data)
    }
}

impl Conditions {
    fn xml(&self) -> String {
        let mut content = String::new();
        for restriction in &self.audiences {
            let audiences: String =
                restriction.iter().map(|name| element("saml:Audience", None, &[], &text(name))).collect();
            content.push_str(&element("saml:AudienceRestriction", None, &[], &audiences));
        }
        content.push_str(&self.more);
        let attributes =
            [("NotBefore", self.not_before.as_deref()), ("NotOnOrAfter", self.not_on_or_after.as_deref())];
        element("saml:Conditions", None, &attributes, &content)
    }
}

impl Authentication {
    fn xml(&self) -> String {
        let class = self.context.as_deref();
        let class = class
            .map_or(String::new(), |class| element("saml:AuthnContextClassRef", None, &[], &text(class)));
        let attributes = [
            ("AuthnInstant", Some(self.instant.as_str())),
            ("SessionIndex", self.session_index.as_deref()),
            ("SessionNotOnOrAfter", self.session_not_on_or_after.as_deref()),
        ];
        element("saml:AuthnStatement", None, &attributes, &element("saml:AuthnContext", None, &[], &class))
    }
}

impl Attribute {
    /// One whose values are texts.
    #[must_use]
    pub fn new(name: &str, values: &[&str]) -> Self {
        Self {
            name: name.to_owned(),
            friendly_name: None,
            values: values.iter().map(|value| text(value)).collect(),
        }
    }

    fn xml(&self) -> String {
        let values: String =
            self.values.iter().map(|value| element("saml:AttributeValue", None, &[], value)).collect();
        let attributes =
            [("FriendlyName", self.friendly_name.as_deref()), ("Name", Some(self.name.as_str()))];
        element("saml:Attribute", None, &attributes, &values)
    }
}
