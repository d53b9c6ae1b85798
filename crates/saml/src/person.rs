//! From an assertion that counts to a person: their name, their attributes, and when they authenticated.

pub(crate) mod known;
pub(crate) mod session;

use std::collections::BTreeMap;

use usher_core::{
    Evidence, Subject,
    provider::{OneTime, UpstreamSession},
};

use crate::{
    metadata::Idp,
    names::{FORMAT_PERSISTENT, FORMAT_UNSPECIFIED},
    response::{
        Question,
        assertion::{Assertion, NameId, Value},
        check::MAX_AGE,
    },
};

/// How people are named, as the operator decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Naming {
    /// What names a person for good.
    pub(crate) subject: SubjectSource,
    /// Further names of attributes: the formal name, and what it is called here.
    pub(crate) attributes: BTreeMap<String, String>,
    /// What may stand behind an `@`.
    pub(crate) scopes: ScopeCheck,
}

/// What may stand behind the `@` of a scoped attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScopeCheck {
    /// Anything.
    Off,
    /// A scope of the identity provider's metadata, if that has any.
    AsMetadataSays,
    /// A scope of the identity provider's metadata.
    Strict,
}

/// What names a person for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SubjectSource {
    /// The `NameID`, which must have this format.
    NameId {
        /// One of SAML core 8.3, such as persistent.
        format: String,
    },
    /// An attribute, by its formal name or by what it is called here.
    Attribute(String),
}

impl Naming {
    /// What the attribute `formal` is called here.
    fn name_of(&self, formal: &str) -> Option<&str> {
        self.attributes.get(formal).map(String::as_str).or_else(|| known::name_of(formal))
    }

    /// Whether what stands under this name is scoped, whichever attribute it comes from: by a name of the operator's, a scoped one
    /// is looked at, and an identity provider may formally use that name itself.
    pub(crate) fn is_scoped(&self, name: &str) -> bool {
        let is_own = |(formal, called): (&String, &String)| called == name && known::is_scoped(formal);
        known::is_scoped(name) || self.attributes.iter().any(is_own)
    }
}

/// Why a proven answer names nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unnamed {
    #[error("the assertion has no NameID, or one that is encrypted and not to a key of ours")]
    NoNameId,
    #[error("the NameID is of another format than the one that names people here")]
    Format,
    #[error("the NameID is one of another identity provider or service")]
    Qualifier,
    #[error("the attribute that names people has no value")]
    NoSubject,
    #[error("the attribute that names people has several values")]
    SeveralSubjects,
    #[error("the name of the person is too long, or has control characters or blanks at its ends")]
    BadSubject,
    #[error("the name of the person is no subject-id")]
    SubjectId,
}

/// Every value of every attribute, under each of its names.
pub(crate) type Attributes = BTreeMap<String, Vec<String>>;

/// The attributes of `assertion`, under their formal names and under what they are called here. Where an identity provider
/// formally uses such a name itself, its own attribute keeps it.
///
/// `FriendlyName` is not looked at: it is for people to read and must not name an attribute (SAML core 2.7.3.1).
pub(crate) fn attributes(assertion: &Assertion, naming: &Naming, idp: &Idp) -> Attributes {
    let mut formal: BTreeMap<&str, Option<Vec<String>>> = BTreeMap::new();
    for attribute in &assertion.attributes {
        let values = formal.entry(&attribute.name).or_insert_with(|| Some(Vec::new()));
        let is_scoped = naming.scopes != ScopeCheck::Off
            && (naming.is_scoped(&attribute.name)
                || naming.name_of(&attribute.name).is_some_and(|called| naming.is_scoped(called)));
        for value in &attribute.values {
            let text = match value {
                Value::Text(text) => Some(without_layout(text).to_owned()),
                Value::Name(name) => Some(joined(name)),
                Value::Other => None,
            };
            match (values.as_mut(), text) {
                // Of another's scope: as if it had not been released.
                (Some(_), Some(text)) if is_scoped && !is_in_scope(&text, idp, naming.scopes) => {}
                (Some(values), Some(text)) => values.push(text),
                // A value that cannot be told makes its neighbours half the truth.
                _ => *values = None,
            }
        }
    }
    let formal = formal.into_iter().filter_map(|(name, values)| Some((name, without_empty(values?)?)));
    let mut attributes = Attributes::new();
    let mut called = Vec::new();
    for (name, values) in formal {
        let is_old = known::is_old(name);
        called.extend(naming.name_of(name).map(|own| (is_old, own.to_owned(), values.clone())));
        attributes.insert(name.to_owned(), values);
    }
    // Hubs send both; the newer name has eduPersonTargetedID whole.
    called.sort_by_key(|(is_old, ..)| *is_old);
    for (_, name, values) in called {
        attributes.entry(name).or_insert(values);
    }
    attributes
}

/// Who it is, by the source that the operator chose.
pub(crate) fn subject(
    assertion: &Assertion,
    attributes: &Attributes,
    naming: &Naming,
    question: &Question<'_>,
) -> Result<Subject, Unnamed> {
    let name = match &naming.subject {
        SubjectSource::NameId { format } => name_id(assertion, format, question)?,
        SubjectSource::Attribute(name) => match attributes.get(name).map(Vec::as_slice) {
            None | Some([]) => return Err(Unnamed::NoSubject),
            Some([value]) => named_by(name, value)?,
            Some(_) => return Err(Unnamed::SeveralSubjects),
        },
    };
    // `alice ` and `alice` may be two people there, and look like one here.
    if name.trim() != name {
        return Err(Unnamed::BadSubject);
    }
    Subject::parse(name).map_err(|_| Unnamed::BadSubject)
}

fn name_id(assertion: &Assertion, wanted: &str, question: &Question<'_>) -> Result<String, Unnamed> {
    let name =
        assertion.subject.as_ref().and_then(|subject| subject.name.as_ref()).ok_or(Unnamed::NoNameId)?;
    if name.format.as_deref().unwrap_or(FORMAT_UNSPECIFIED) != wanted {
        return Err(Unnamed::Format);
    }
    // SAML core 8.3.7: without qualifiers, a persistent name is of the issuer and for us. Another's namespace is
    // another's people. Some write an empty one for none.
    let is_ours = |qualifier: &Option<String>, own: &str| {
        qualifier.as_deref().is_none_or(|name| name.is_empty() || name == own)
    };
    if wanted == FORMAT_PERSISTENT
        && !(is_ours(&name.name_qualifier, question.idp.entity_id.as_str())
            && is_ours(&name.sp_name_qualifier, question.entity_id))
    {
        return Err(Unnamed::Qualifier);
    }
    Ok(without_layout(&name.value).to_owned())
}

/// `subject-id` and `pairwise-id` have a syntax, and their case means nothing
/// (<https://docs.oasis-open.org/security/saml-subject-id-attr/v1.0/>, 3.3.1, 3.4.1): one spelling of them counts here.
fn named_by(attribute: &str, value: &str) -> Result<String, Unnamed> {
    if !known::is_subject_id(attribute) {
        return Ok(value.to_owned());
    }
    let is_part = |part: &str, more: &[char]| {
        part.len() <= 127
            && part.starts_with(|c: char| c.is_ascii_alphanumeric())
            && part.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(&c))
    };
    match value.split_once('@') {
        Some((id, scope)) if is_part(id, &['=', '-']) && is_part(scope, &['-', '.']) => {
            Ok(value.to_ascii_lowercase())
        }
        _ => Err(Unnamed::SubjectId),
    }
}

/// When they authenticated: the earliest of the statements, if there are several.
pub(crate) fn evidence(assertion: &Assertion) -> Evidence {
    let instants = assertion.authentications.iter().map(|authentication| authentication.instant);
    instants.min().map_or(Evidence::Unstated, Evidence::AuthenticatedAt)
}

/// By which name the identity provider will end their session; `None` if it has no name for them.
pub(crate) fn session(assertion: &Assertion, question: &Question<'_>) -> Option<UpstreamSession> {
    let name = assertion.subject.as_ref().and_then(|subject| subject.name.as_ref())?;
    let mut indexes = assertion.authentications.iter().filter_map(|own| own.session_index.as_deref());
    let group = session::group(name, question.idp.entity_id.as_str(), question.entity_id);
    Some(UpstreamSession::OfGroup { group, session: session::index(indexes.next().unwrap_or_default()) })
}

/// The assertion counts once, by its ID (SAML profiles 4.1.4.5). It is refused as too old before it is forgotten.
pub(crate) fn one_time(assertion: &Assertion, question: &Question<'_>) -> OneTime {
    OneTime {
        key: format!("{} {}", assertion.issuer.value, assertion.id),
        until: assertion.issue_instant.plus(MAX_AGE).plus(2 * question.skew),
    }
}

fn is_in_scope(value: &str, idp: &Idp, check: ScopeCheck) -> bool {
    let is_limited = idp.scopes.is_some() || check != ScopeCheck::Strict;
    is_limited && value.rsplit_once('@').is_some_and(|(_, scope)| idp.speaks_for(scope))
}

/// As Shibboleth writes them: `https://idp!https://sp!name`. Without any qualifier, the name alone.
fn joined(name: &NameId) -> String {
    let value = without_layout(&name.value);
    match (&name.name_qualifier, &name.sp_name_qualifier) {
        (None, None) => value.to_owned(),
        (idp, sp) => {
            format!("{}!{}!{value}", idp.as_deref().unwrap_or_default(), sp.as_deref().unwrap_or_default())
        }
    }
}

/// Where a value stands on lines of its own, the blanks around it are layout; else they are part of it.
pub(crate) fn without_layout(text: &str) -> &str {
    let content = text.trim_matches([' ', '\t', '\n', '\r']);
    let before = text.len() - text.trim_start_matches([' ', '\t', '\n', '\r']).len();
    let (before, after) = (&text[..before], &text[before..]);
    let has_line = |blanks: Option<&str>| blanks.is_some_and(|blanks| blanks.contains(['\n', '\r']));
    let is_alone = has_line(Some(before)) && has_line(after.get(content.len()..));
    if is_alone { content } else { text }
}

fn without_empty(mut values: Vec<String>) -> Option<Vec<String>> {
    values.retain(|value| !value.is_empty());
    if values.is_empty() { None } else { Some(values) }
}

#[cfg(test)]
mod tests;
