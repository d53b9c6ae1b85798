//! What a `saml:Assertion` says (SAML core 2.3 to 2.7), read whole: what is not in its schema is an error, and what its
//! schema has but this profile does not need is passed over by name.

use std::fmt;

use roxmltree::Node;
use usher_core::Timestamp;

use super::message::IssuerName;
use crate::{
    encryption::{Opener, Unreadable},
    gate::{self, GateError, Root},
    names::{DS, SAML},
    time,
    xml::{SchemaError, Sequence, attribute, is, plain_text, token},
};

/// An assertion, as far as this profile goes.
#[derive(Clone)]
pub(crate) struct Assertion {
    pub(crate) id: String,
    pub(crate) version: String,
    pub(crate) issue_instant: Timestamp,
    pub(crate) issuer: IssuerName,
    /// Absent in an assertion about nobody.
    pub(crate) subject: Option<Subject>,
    pub(crate) conditions: Option<Conditions>,
    pub(crate) authentications: Vec<Authentication>,
    /// In order; a name may come several times.
    pub(crate) attributes: Vec<Attribute>,
}

/// Whom it is about.
#[derive(Clone)]
pub(crate) struct Subject {
    /// Absent if the person has no name here, or one that is encrypted by itself and was not decrypted.
    pub(crate) name: Option<NameId>,
    pub(crate) confirmations: Vec<Confirmation>,
}

/// SAML core 2.2.3.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct NameId {
    /// As it stands there, blanks and all: they may be part of a name.
    pub(crate) value: String,
    pub(crate) format: Option<String>,
    pub(crate) name_qualifier: Option<String>,
    pub(crate) sp_name_qualifier: Option<String>,
}

/// Why an `EncryptedID` names nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotNamed {
    Unreadable(Unreadable),
    /// It does not hold a `NameID`.
    NoNameId,
}

impl From<Unreadable> for NotNamed {
    fn from(unreadable: Unreadable) -> Self {
        Self::Unreadable(unreadable)
    }
}

impl From<GateError> for NotNamed {
    fn from(_: GateError) -> Self {
        Self::NoNameId
    }
}

impl From<SchemaError> for NotNamed {
    fn from(_: SchemaError) -> Self {
        Self::NoNameId
    }
}

/// SAML core 2.4.1.1: what whoever brings the assertion has to show.
#[derive(Clone, Debug)]
pub(crate) struct Confirmation {
    pub(crate) method: String,
    pub(crate) data: Option<ConfirmationData>,
}

/// SAML core 2.4.1.2.
#[derive(Clone, Debug)]
pub(crate) struct ConfirmationData {
    pub(crate) not_before: Option<Timestamp>,
    pub(crate) not_on_or_after: Option<Timestamp>,
    pub(crate) recipient: Option<String>,
    pub(crate) in_response_to: Option<String>,
}

/// SAML core 2.5.
#[derive(Clone, Debug)]
pub(crate) struct Conditions {
    pub(crate) not_before: Option<Timestamp>,
    pub(crate) not_on_or_after: Option<Timestamp>,
    /// The audiences of each `AudienceRestriction`.
    pub(crate) audiences: Vec<Vec<String>>,
    /// Whether there is one that the specification does not have.
    pub(crate) has_unknown: bool,
}

/// SAML core 2.7.2.
#[derive(Clone, Debug)]
pub(crate) struct Authentication {
    pub(crate) instant: Timestamp,
    pub(crate) session_index: Option<String>,
    pub(crate) session_not_on_or_after: Option<Timestamp>,
    pub(crate) context: Option<String>,
}

/// SAML core 2.7.3.1.
#[derive(Clone)]
pub(crate) struct Attribute {
    pub(crate) name: String,
    pub(crate) values: Vec<Value>,
}

/// SAML core 2.7.3.1.1.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Text(String),
    /// `eduPersonTargetedID` has one (MACE-Dir SAML attribute profiles 3.1.1).
    Name(NameId),
    /// Elements that are not ours to flatten.
    Other,
}

impl Assertion {
    pub(crate) fn read(node: Node<'_, '_>) -> Result<Self, SchemaError> {
        let mut parts = Sequence::of(node, "Assertion")?;
        let issuer = IssuerName::read(parts.one(SAML, "Issuer")?)?;
        parts.optional(DS, "Signature");
        let subject = parts.optional(SAML, "Subject").map(Subject::read).transpose()?;
        let conditions = parts.optional(SAML, "Conditions").map(Conditions::read).transpose()?;
        // SAML core 2.6: may be ignored by who does not know it. The gate lets no assertion stand in it.
        parts.optional(SAML, "Advice");
        let (mut authentications, mut attributes) = (Vec::new(), Vec::new());
        while let Some(statement) = parts.any() {
            if is(statement, SAML, "AuthnStatement") {
                authentications.push(Authentication::read(statement)?);
            } else if is(statement, SAML, "AttributeStatement") {
                read_attributes(statement, &mut attributes)?;
            } else if !is(statement, SAML, "AuthzDecisionStatement") && !is(statement, SAML, "Statement") {
                return Err(SchemaError::Unexpected("Assertion"));
            }
        }
        Ok(Self {
            id: attribute(node, "ID")?.to_owned(),
            version: attribute(node, "Version")?.to_owned(),
            issue_instant: required_instant(node, "IssueInstant")?,
            issuer,
            subject,
            conditions,
            authentications,
            attributes,
        })
    }
}

impl Assertion {
    /// Reads the name of `node`, which this was read from, if it is encrypted by itself. Only once a signature is verified; what cannot be
    /// read counts as not released, as people may be named by an attribute.
    pub(crate) fn decrypt_name(&mut self, node: Node<'_, '_>, opener: Opener<'_>) {
        let Some(subject) = &mut self.subject else { return };
        let mut subjects = node.children().filter(|child| is(*child, SAML, "Subject"));
        let mut names = subjects.next().into_iter().flat_map(|subject| subject.children());
        if let Some(encrypted) = names.find(|name| is(*name, SAML, "EncryptedID")) {
            subject.name = NameId::decrypt(encrypted, opener).ok();
        }
    }
}

impl Subject {
    fn read(node: Node<'_, '_>) -> Result<Self, SchemaError> {
        let mut parts = Sequence::of(node, "Subject")?;
        let name = parts.optional(SAML, "NameID").map(NameId::read).transpose()?;
        if name.is_none() && parts.optional(SAML, "EncryptedID").is_none() {
            parts.optional(SAML, "BaseID");
        }
        let mut confirmations = Vec::new();
        while let Some(confirmation) = parts.optional(SAML, "SubjectConfirmation") {
            confirmations.push(Confirmation::read(confirmation)?);
        }
        parts.end()?;
        Ok(Self { name, confirmations })
    }
}

impl NameId {
    /// What is inside `encrypted`, a `saml:EncryptedID` (SAML core 2.2.4) in what a verified signature signed.
    pub(crate) fn decrypt(encrypted: Node<'_, '_>, opener: Opener<'_>) -> Result<Self, NotNamed> {
        let plaintext = opener.decrypt(encrypted, true)?;
        let passed = gate::pass(&plaintext, Root::NameId)?;
        Ok(Self::read(passed.document.root_element())?)
    }

    pub(crate) fn read(node: Node<'_, '_>) -> Result<Self, SchemaError> {
        let own = |name| node.attribute(name).map(str::to_owned);
        Ok(Self {
            value: plain_text(node).ok_or(SchemaError::NotPlain("NameID"))?.to_owned(),
            format: own("Format"),
            name_qualifier: own("NameQualifier"),
            sp_name_qualifier: own("SPNameQualifier"),
        })
    }
}

impl Confirmation {
    fn read(node: Node<'_, '_>) -> Result<Self, SchemaError> {
        let mut parts = Sequence::of(node, "SubjectConfirmation")?;
        if parts.optional(SAML, "NameID").is_none() && parts.optional(SAML, "EncryptedID").is_none() {
            parts.optional(SAML, "BaseID");
        }
        let data = parts.optional(SAML, "SubjectConfirmationData").map(ConfirmationData::read).transpose()?;
        parts.end()?;
        Ok(Self { method: attribute(node, "Method")?.to_owned(), data })
    }
}

impl ConfirmationData {
    fn read(node: Node<'_, '_>) -> Result<Self, SchemaError> {
        Ok(Self {
            not_before: time::instant(node, "NotBefore")?,
            not_on_or_after: time::instant(node, "NotOnOrAfter")?,
            recipient: node.attribute("Recipient").map(str::to_owned),
            in_response_to: node.attribute("InResponseTo").map(str::to_owned),
        })
    }
}

impl Conditions {
    fn read(node: Node<'_, '_>) -> Result<Self, SchemaError> {
        let mut parts = Sequence::of(node, "Conditions")?;
        let (mut audiences, mut has_unknown) = (Vec::new(), false);
        while let Some(condition) = parts.any() {
            if is(condition, SAML, "AudienceRestriction") {
                audiences.push(read_audiences(condition)?);
            } else if !is(condition, SAML, "OneTimeUse") && !is(condition, SAML, "ProxyRestriction") {
                // `OneTimeUse`: every assertion counts once here. `ProxyRestriction`: nothing is passed on as SAML.
                has_unknown = true;
            }
        }
        Ok(Self {
            not_before: time::instant(node, "NotBefore")?,
            not_on_or_after: time::instant(node, "NotOnOrAfter")?,
            audiences,
            has_unknown,
        })
    }
}

fn read_audiences(node: Node<'_, '_>) -> Result<Vec<String>, SchemaError> {
    let mut parts = Sequence::of(node, "AudienceRestriction")?;
    let mut audiences = vec![token(parts.one(SAML, "Audience")?, "Audience")?.to_owned()];
    while let Some(audience) = parts.optional(SAML, "Audience") {
        audiences.push(token(audience, "Audience")?.to_owned());
    }
    parts.end()?;
    Ok(audiences)
}

impl Authentication {
    fn read(node: Node<'_, '_>) -> Result<Self, SchemaError> {
        let mut parts = Sequence::of(node, "AuthnStatement")?;
        parts.optional(SAML, "SubjectLocality");
        let context = parts.one(SAML, "AuthnContext")?;
        parts.end()?;
        let mut context = Sequence::of(context, "AuthnContext")?;
        let class = context.optional(SAML, "AuthnContextClassRef");
        let class = class.map(|class| token(class, "AuthnContextClassRef")).transpose()?;
        Ok(Self {
            instant: required_instant(node, "AuthnInstant")?,
            session_index: node.attribute("SessionIndex").map(str::to_owned),
            session_not_on_or_after: time::instant(node, "SessionNotOnOrAfter")?,
            context: class.map(str::to_owned),
        })
    }
}

fn read_attributes(statement: Node<'_, '_>, attributes: &mut Vec<Attribute>) -> Result<(), SchemaError> {
    let mut parts = Sequence::of(statement, "AttributeStatement")?;
    while let Some(node) = parts.any() {
        // Encrypted by itself: like one that was not released.
        if is(node, SAML, "EncryptedAttribute") {
            continue;
        }
        if !is(node, SAML, "Attribute") {
            return Err(SchemaError::Unexpected("AttributeStatement"));
        }
        let name = attribute(node, "Name")?.to_owned();
        let mut values = Sequence::of(node, "Attribute")?;
        let mut read = Vec::new();
        while let Some(value) = values.optional(SAML, "AttributeValue") {
            read.push(read_value(value));
        }
        values.end()?;
        attributes.push(Attribute { name, values: read });
    }
    Ok(())
}

fn read_value(node: Node<'_, '_>) -> Value {
    if let Some(text) = plain_text(node) {
        return Value::Text(text.to_owned());
    }
    let Ok(mut parts) = Sequence::of(node, "AttributeValue") else { return Value::Other };
    let name = parts.optional(SAML, "NameID");
    match (name, parts.end()) {
        // One that is odd is a value that cannot be told, and no reason to let nobody in.
        (Some(name), Ok(())) => NameId::read(name).map_or(Value::Other, Value::Name),
        _ => Value::Other,
    }
}

fn required_instant(node: Node<'_, '_>, name: &'static str) -> Result<Timestamp, SchemaError> {
    time::instant(node, name)?.ok_or(SchemaError::NoAttribute(name))
}

/// Neither who nor what: an assertion is a bearer value.
impl fmt::Debug for Assertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Assertion").field("issue_instant", &self.issue_instant).finish_non_exhaustive()
    }
}
