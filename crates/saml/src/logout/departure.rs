//! Signing out at the identity provider (SAML profiles 4.4.3.1): our signed `samlp:LogoutRequest` (SAML core 3.7.1), which names whose session
//! ends, and the check of its answer (3.7.2).
//!
//! Usher knows nobody's `NameID` once they are signed in. The browser keeps it, sealed ([`Memory`]), and what the answer has to name
//! while it is away ([`Awaited`]).

use std::fmt::Write as _;

use roxmltree::{Document, Node};
use serde::{Deserialize, Serialize};
use usher_core::{
    Timestamp,
    provider::{BrowserStep, EndedSession, Keepsake, OneTime, UpstreamSession},
};

use super::{
    LogoutFault,
    request::{Doubt, Expected, has_issuer_of, is_recent_at},
};
use crate::{
    keys::OwnKey,
    metadata::{Idp, Location, LogoutServices},
    names::{DS, SAML, SAMLP},
    person::session,
    response::{
        assertion::{Assertion, NameId},
        check::MAX_AGE,
        message::{IssuerName, Status},
    },
    sending::{self, Letter, SendError},
    time,
    xml::{SchemaError, Sequence, attribute, escape},
};

/// Whose session a browser has, as it was asserted.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Memory {
    /// The entity id of the identity provider.
    pub(crate) idp: String,
    /// `NameID`.
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    format: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name_qualifier: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sp_name_qualifier: Option<String>,
    /// `SessionIndex`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session: Option<String>,
}

/// What the answer is held against.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Awaited {
    /// The ID of our request.
    request: String,
    /// Whose sessions end then.
    pub(crate) idp: String,
    group: String,
    session: String,
}

/// A request, and what it takes to send it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Departure<'a> {
    /// Its ID.
    pub(crate) id: &'a str,
    pub(crate) now: Timestamp,
    /// Our entity id.
    pub(crate) entity_id: &'a str,
    pub(crate) key: &'a OwnKey,
    pub(crate) memory: &'a Memory,
    pub(crate) services: &'a LogoutServices,
}

impl Memory {
    /// Of a person who is proven; `None` if the identity provider gave them no name, or one that is too long to be kept.
    pub(crate) fn of(assertion: &Assertion, idp: &Idp) -> Option<Keepsake> {
        let name = assertion.subject.as_ref().and_then(|subject| subject.name.as_ref())?;
        let mut indexes = assertion.authentications.iter().filter_map(|own| own.session_index.clone());
        let memory = Self {
            idp: idp.entity_id.to_string(),
            name: name.value.clone(),
            format: name.format.clone(),
            name_qualifier: name.name_qualifier.clone(),
            sp_name_qualifier: name.sp_name_qualifier.clone(),
            session: indexes.next(),
        };
        Keepsake::new(serde_json::to_string(&memory).ok()?)
    }

    pub(crate) fn read(keepsake: &Keepsake) -> Option<Self> {
        serde_json::from_str(keepsake.as_str()).ok()
    }

    /// What the answer to the request `id` is held against.
    pub(crate) fn awaited(&self, id: &str, entity_id: &str) -> Option<Keepsake> {
        let name = NameId {
            value: self.name.clone(),
            format: self.format.clone(),
            name_qualifier: self.name_qualifier.clone(),
            sp_name_qualifier: self.sp_name_qualifier.clone(),
        };
        let awaited = Awaited {
            request: id.to_owned(),
            idp: self.idp.clone(),
            group: session::group(&name, &self.idp, entity_id),
            session: session::index(self.session.as_deref().unwrap_or_default()),
        };
        Keepsake::new(serde_json::to_string(&awaited).ok()?)
    }
}

impl Departure<'_> {
    /// What the browser does; `None` if the identity provider has no place for it.
    pub(crate) fn step(&self) -> Result<Option<BrowserStep>, SendError> {
        let letter = Letter {
            parameter: sending::REQUEST,
            id: self.id,
            xml: &|destination, signature| self.xml(destination, signature),
            relay_state: None,
            key: Some(self.key),
        };
        match (&self.services.redirect, &self.services.post) {
            (Some(redirect), _) => letter.by_redirect(&redirect.requests).map(Some),
            (None, Some(post)) => letter.by_post(&post.requests).map(Some),
            (None, None) => Ok(None),
        }
    }

    fn xml(&self, destination: &Location, signature: &str) -> String {
        let Memory { name, format, name_qualifier, sp_name_qualifier, session, .. } = self.memory;
        let mut attributes = String::new();
        for (key, value) in
            [("Format", format), ("NameQualifier", name_qualifier), ("SPNameQualifier", sp_name_qualifier)]
        {
            if let Some(value) = value {
                let _ = write!(attributes, " {key}=\"{}\"", escape(value));
            }
        }
        let session = session.as_ref().map_or_else(String::new, |session| {
            format!("<samlp:SessionIndex>{}</samlp:SessionIndex>", escape(session))
        });
        format!(
            "<samlp:LogoutRequest xmlns:samlp=\"{SAMLP}\" ID=\"{id}\" Version=\"2.0\" IssueInstant=\"{now}\" \
             Destination=\"{destination}\"><saml:Issuer xmlns:saml=\"{SAML}\">{issuer}</saml:Issuer>{signature}\
             <saml:NameID xmlns:saml=\"{SAML}\"{attributes}>{name}</saml:NameID>{session}</samlp:LogoutRequest>",
            id = escape(self.id),
            now = time::format(self.now),
            destination = escape(&destination.written),
            issuer = escape(self.entity_id),
            name = escape(name),
        )
    }
}

impl Awaited {
    pub(crate) fn read(keepsake: &Keepsake) -> Option<Self> {
        serde_json::from_str(keepsake.as_str()).ok()
    }

    /// The session that is over.
    pub(crate) fn ended(&self) -> EndedSession {
        let (group, session) = (self.group.clone(), self.session.clone());
        EndedSession::One(UpstreamSession::OfGroup { group, session })
    }

    /// The answer counts once. It is refused as too old before it is forgotten.
    pub(crate) fn one_time(&self, expected: &Expected<'_>) -> OneTime {
        OneTime {
            key: format!("logout answer {} {}", self.idp, self.request),
            until: expected.now.plus(2 * MAX_AGE).plus(3 * expected.skew),
        }
    }

    /// Whether `text`, which was signed, is the answer, and says that the session is over. Whether those at other services are, too
    /// (`PartialLogout`), makes no difference here.
    pub(crate) fn check(&self, text: &str, expected: &Expected<'_>) -> Result<(), LogoutFault> {
        // It has passed the gate, which has bounds for it.
        let document = Document::parse(text).map_err(|_| SchemaError::Missing("LogoutResponse"))?;
        let node = document.root_element();
        let (issuer, status) = Self::parts(node)?;
        let instant = time::instant(node, "IssueInstant")?.ok_or(SchemaError::NoAttribute("IssueInstant"))?;
        let must = |holds: bool, otherwise: Doubt| if holds { Ok(()) } else { Err(otherwise) };
        must(attribute(node, "Version")? == "2.0", Doubt::Version)?;
        is_recent_at(instant, expected)?;
        must(node.attribute("Destination") == Some(expected.slo), Doubt::Destination)?;
        has_issuer_of(issuer.as_ref(), expected)?;
        must(node.attribute("InResponseTo") == Some(self.request.as_str()), Doubt::Unasked)?;
        if status.is_logged_out() { Ok(()) } else { Err(LogoutFault::Denied(status)) }
    }

    fn parts(node: Node<'_, '_>) -> Result<(Option<IssuerName>, Status), SchemaError> {
        let mut parts = Sequence::of(node, "LogoutResponse")?;
        let issuer = parts.optional(SAML, "Issuer").map(IssuerName::read).transpose()?;
        parts.optional(DS, "Signature");
        parts.optional(SAMLP, "Extensions");
        let status = Status::read(parts.one(SAMLP, "Status")?)?;
        parts.end()?;
        Ok((issuer, status))
    }
}
