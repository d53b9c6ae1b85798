//! Our question to the identity provider: the `AuthnRequest` (SAML core 3.4.1, profiles 4.1.4.1), and how a browser carries
//! it there (SAML bindings 3.4 and 3.5).
//!
//! Written here and not by samael, whose IDs are 32 bits of a random number that is not ours to seed, and whose forms do not
//! escape the `RelayState`.

use std::fmt::Write as _;

use usher_core::{Entropy, Timestamp, provider::BrowserStep};

use crate::{
    config::RequestBinding,
    keys::OwnKey,
    metadata::{Idp, Location},
    names::{BINDING_POST, SAML, SAMLP},
    sending::{self, Letter, SendError},
    time,
    xml::escape,
};

/// A request, and what it takes to send it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    /// Its ID, which the answer has to name.
    pub(crate) id: &'a str,
    pub(crate) now: Timestamp,
    /// Our entity id.
    pub(crate) entity_id: &'a str,
    /// Our assertion consumer service.
    pub(crate) acs: &'a str,
    pub(crate) idp: &'a Idp,
    /// The operator's choice; `None`: HTTP-Redirect, if the identity provider takes it.
    pub(crate) binding: Option<RequestBinding>,
    /// `ForceAuthn`: the person is to show credentials anew.
    pub(crate) is_forced: bool,
    /// `IsPassive`: the identity provider shows nothing. Never together with `is_forced`.
    pub(crate) is_passive: bool,
    pub(crate) name_id_format: Option<&'a str>,
    /// The classes of authentication that count.
    pub(crate) contexts: &'a [String],
    /// Whom the identity provider may ask in turn (`IDPList`, SAML core 3.4.1.3); empty: whomever it likes.
    pub(crate) offered_idps: &'a [String],
    /// What signs it.
    pub(crate) key: Option<&'a OwnKey>,
    /// What comes back with the answer.
    pub(crate) relay_state: &'a str,
}

/// Why a request cannot be sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    #[error("the identity provider takes no requests by the configured binding")]
    NoEndpoint,
    #[error("the identity provider wants signed requests, and there is no key to sign with")]
    NoKey,
    #[error("the request could not be sent")]
    Send(#[from] SendError),
    #[error("the address of the identity provider does not take a query")]
    Address(#[from] url::ParseError),
}

/// A new ID: 128 random bits (SAML core 1.3.4 asks for no less), and a letter's place taken by `_`, since no `NCName` begins
/// with a digit.
pub(crate) fn new_id(entropy: &dyn Entropy) -> String {
    format!("_{}", entropy.base64url::<16>())
}

impl Request<'_> {
    /// What the browser has to do.
    pub(crate) fn step(&self) -> Result<BrowserStep, RequestError> {
        if self.idp.wants_signed_requests && self.key.is_none() {
            return Err(RequestError::NoKey);
        }
        let endpoints = &self.idp.single_sign_on;
        let (redirect, post) = match self.binding {
            None => (endpoints.redirect.as_ref(), endpoints.post.as_ref()),
            Some(RequestBinding::Redirect) => (endpoints.redirect.as_ref(), None),
            Some(RequestBinding::Post) => (None, endpoints.post.as_ref()),
        };
        let letter = Letter {
            parameter: sending::REQUEST,
            id: self.id,
            xml: &|destination, signature| self.xml(destination, signature),
            relay_state: Some(self.relay_state),
            key: self.key,
        };
        match (redirect, post) {
            (Some(location), _) => Ok(letter.by_redirect(location)?),
            (None, Some(location)) => Ok(letter.by_post(location)?),
            (None, None) => Err(RequestError::NoEndpoint),
        }
    }

    /// The request itself, with `signature` where one belongs.
    fn xml(&self, location: &Location, signature: &str) -> String {
        let mut xml = format!(
            "<samlp:AuthnRequest xmlns:samlp=\"{SAMLP}\" ID=\"{id}\" Version=\"2.0\" IssueInstant=\"{now}\" \
             Destination=\"{destination}\"{force}{passive} ProtocolBinding=\"{BINDING_POST}\" \
             AssertionConsumerServiceURL=\"{acs}\"><saml:Issuer xmlns:saml=\"{SAML}\">{issuer}</saml:Issuer>{signature}",
            id = escape(self.id),
            now = time::format(self.now),
            destination = escape(&location.written),
            force = if self.is_forced { " ForceAuthn=\"true\"" } else { "" },
            passive = if self.is_passive { " IsPassive=\"true\"" } else { "" },
            acs = escape(self.acs),
            issuer = escape(self.entity_id),
        );
        if let Some(format) = self.name_id_format {
            let format = escape(format);
            let _ = write!(
                xml,
                "<samlp:NameIDPolicy Format=\"{format}\" AllowCreate=\"true\"></samlp:NameIDPolicy>"
            );
        }
        if !self.contexts.is_empty() {
            let classes = self.contexts.iter().fold(String::new(), |mut classes, class| {
                let class = escape(class);
                let _ = write!(
                    classes,
                    "<saml:AuthnContextClassRef xmlns:saml=\"{SAML}\">{class}</saml:AuthnContextClassRef>"
                );
                classes
            });
            let _ = write!(
                xml,
                "<samlp:RequestedAuthnContext Comparison=\"exact\">{classes}</samlp:RequestedAuthnContext>"
            );
        }
        if !self.offered_idps.is_empty() {
            let entries = self.offered_idps.iter().fold(String::new(), |mut entries, idp| {
                let _ = write!(entries, "<samlp:IDPEntry ProviderID=\"{}\"></samlp:IDPEntry>", escape(idp));
                entries
            });
            let _ = write!(xml, "<samlp:Scoping><samlp:IDPList>{entries}</samlp:IDPList></samlp:Scoping>");
        }
        xml.push_str("</samlp:AuthnRequest>");
        xml
    }
}

#[cfg(test)]
mod tests;
