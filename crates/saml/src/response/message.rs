//! What a `samlp:Response` says around its assertion (SAML core 3.2.2, 3.3.3).

use std::fmt;

use roxmltree::Node;
use usher_core::Timestamp;

use crate::{
    names::{DS, SAML, SAMLP, STATUS_SUCCESS},
    time,
    xml::{SchemaError, Sequence, attribute, token},
};

/// The response without its assertion.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) version: String,
    pub(crate) issue_instant: Timestamp,
    pub(crate) destination: Option<String>,
    pub(crate) in_response_to: Option<String>,
    pub(crate) issuer: Option<IssuerName>,
    pub(crate) status: Status,
}

/// A `saml:Issuer` (SAML core 2.2.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IssuerName {
    pub(crate) value: String,
    pub(crate) format: Option<String>,
}

/// What became of the request (SAML core 3.2.2.2). Codes of the specification alone are kept: others are a stranger's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) is_success: bool,
    top: Option<&'static str>,
    detail: Option<&'static str>,
}

const PREFIX: &str = "urn:oasis:names:tc:SAML:2.0:status:";
const TOP: [&str; 3] = ["Requester", "Responder", "VersionMismatch"];
const DETAIL: [&str; 20] = [
    "AuthnFailed",
    "InvalidAttrNameOrValue",
    "InvalidNameIDPolicy",
    "NoAuthnContext",
    "NoAvailableIDP",
    "NoPassive",
    "NoSupportedIDP",
    "PartialLogout",
    "ProxyCountExceeded",
    "RequestDenied",
    "RequestUnsupported",
    "RequestVersionDeprecated",
    "RequestVersionTooHigh",
    "RequestVersionTooLow",
    "ResourceNotRecognized",
    "TooManyResponses",
    "UnknownAttrProfile",
    "UnknownPrincipal",
    "UnsupportedBinding",
    "Success",
];
/// The person's own doing, or a decision about them.
const ABOUT_THE_PERSON: [&str; 4] = ["AuthnFailed", "NoPassive", "RequestDenied", "UnknownPrincipal"];

impl Message {
    /// Reads a `samlp:Response`. Its assertion is left to the caller.
    pub(crate) fn read(response: Node<'_, '_>) -> Result<Self, SchemaError> {
        let mut parts = Sequence::of(response, "Response")?;
        let issuer = parts.optional(SAML, "Issuer");
        parts.optional(DS, "Signature");
        parts.optional(SAMLP, "Extensions");
        let status = parts.one(SAMLP, "Status")?;
        // At most one, says the gate.
        if parts.optional(SAML, "Assertion").is_none() {
            parts.optional(SAML, "EncryptedAssertion");
        }
        parts.end()?;
        Ok(Self {
            version: attribute(response, "Version")?.to_owned(),
            issue_instant: time::instant(response, "IssueInstant")?
                .ok_or(SchemaError::NoAttribute("IssueInstant"))?,
            destination: response.attribute("Destination").map(str::to_owned),
            in_response_to: response.attribute("InResponseTo").map(str::to_owned),
            issuer: issuer.map(IssuerName::read).transpose()?,
            status: Status::read(status)?,
        })
    }
}

impl IssuerName {
    pub(crate) fn read(node: Node<'_, '_>) -> Result<Self, SchemaError> {
        let value = token(node, "Issuer")?.to_owned();
        Ok(Self { value, format: node.attribute("Format").map(str::to_owned) })
    }
}

impl Status {
    pub(crate) fn read(node: Node<'_, '_>) -> Result<Self, SchemaError> {
        let mut parts = Sequence::of(node, "Status")?;
        let code = parts.one(SAMLP, "StatusCode")?;
        parts.optional(SAMLP, "StatusMessage");
        parts.optional(SAMLP, "StatusDetail");
        parts.end()?;
        let value = attribute(code, "Value")?;
        let mut below = Sequence::of(code, "StatusCode")?;
        let second = below.optional(SAMLP, "StatusCode");
        below.end()?;
        let second = second.and_then(|second| second.attribute("Value"));
        let known = |value: &str, known: &'static [&'static str]| {
            let name = value.strip_prefix(PREFIX)?;
            known.iter().copied().find(|code| *code == name)
        };
        Ok(Self {
            is_success: value == STATUS_SUCCESS,
            top: known(value, &TOP),
            detail: second.and_then(|second| known(second, &DETAIL)),
        })
    }

    /// Whether the session is over there, if not everywhere (core 3.7.3.2: `PartialLogout` stands below another code).
    pub(crate) fn is_logged_out(self) -> bool {
        self.is_success || self.detail == Some("PartialLogout")
    }

    /// Whether the identity provider found fault with our request, rather than with the person.
    pub(super) fn is_about_the_service(self) -> bool {
        let is_ours = matches!(self.top, Some("Requester" | "VersionMismatch"));
        is_ours && !self.detail.is_some_and(|detail| ABOUT_THE_PERSON.contains(&detail))
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.top.unwrap_or("a status of its own"))?;
        self.detail.map_or(Ok(()), |detail| write!(f, ", {detail}"))
    }
}
