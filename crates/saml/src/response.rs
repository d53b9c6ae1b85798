//! A response (SAML profiles 4.1.4, SAML core 3.3.3), from the text that a browser brought to an assertion that counts.
//!
//! ```text
//! base64 -> gate -> signature of the response or its assertion (samael) -> decryption -> gate -> signature within
//!        -> read again from what was signed, and from nothing else -> checks
//! ```
//!
//! What is read is the text that xmlsec computed its digest of (samael's `PreDigest`), parsed anew. Whatever two XML parsers
//! may think of the same bytes, nothing is believed here that the identity provider's key did not sign.
//!
//! All of this is work for a processor: it belongs on a thread of its own, not on an event loop.

pub(crate) mod assertion;
pub(crate) mod check;
pub(crate) mod message;
pub(crate) mod verify;

use std::time::Duration;

use roxmltree::Node;
use usher_core::Timestamp;

use crate::{
    encryption::Opener,
    gate::{self, Content, GateError, Passed, Root},
    keys::OwnKey,
    metadata::Idp,
    names::SAML,
    xml::{self, SchemaError, is},
};
use assertion::Assertion;
use check::{Facts, Unproven};
use message::{Message, Status};

/// What an answer is held against. Nothing of it comes from the answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'a> {
    pub(crate) now: Timestamp,
    /// Permitted difference between the identity provider's clock and ours.
    pub(crate) skew: Duration,
    /// Our assertion consumer service.
    pub(crate) acs: &'a str,
    /// Our entity id.
    pub(crate) entity_id: &'a str,
    /// The ID of the request that this browser was sent with.
    pub(crate) request_id: &'a str,
    /// Whom it was sent to.
    pub(crate) idp: &'a Idp,
    pub(crate) policy: &'a Policy,
    /// What may have been encrypted to.
    pub(crate) keys: &'a [OwnKey],
}

impl<'a> Question<'a> {
    fn opener(&self) -> Opener<'a> {
        Opener { keys: self.keys, allows_rsa_1_5: self.policy.allows_rsa_1_5 }
    }
}

/// What the operator decided about answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    /// What must be signed.
    pub(crate) signed: Signed,
    /// Whether an assertion in clear is refused.
    pub(crate) needs_encryption: bool,
    /// Whether RSA 1.5 is taken, in signed responses.
    pub(crate) allows_rsa_1_5: bool,
    /// The classes of authentication that count; empty: any.
    pub(crate) contexts: Vec<String>,
}

/// What must be signed. Whatever else is signed must be signed well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum Signed {
    /// The response or the assertion.
    #[default]
    Either,
    /// The assertion.
    Assertion,
    /// The response.
    Response,
    /// Both.
    Both,
}

/// Why an answer proves nobody, one variant per reaction.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResponseError {
    #[error("SAMLResponse is no base64 of UTF-8")]
    Encoding,
    #[error("the response is not let in")]
    Gate(#[from] GateError),
    #[error("the response is not what its schema says")]
    Schema(#[from] SchemaError),
    #[error("the identity provider did not sign the person in ({0})")]
    Denied(Status),
    /// The same in a response that it signed, and for a reason that lies with us or with it: no browser made it up.
    #[error("the identity provider does not answer this service ({0})")]
    Rejected(Status),
    #[error("the response does not prove what it says")]
    Unproven(#[from] Unproven),
}

/// Reads `encoded` as the answer to `question`.
pub(crate) fn read(encoded: &str, question: &Question<'_>) -> Result<Assertion, ResponseError> {
    // base64 is a third longer than what is in it, and may have line breaks.
    if encoded.len() > 2 * gate::MAX_BYTES {
        return Err(GateError::TooComplex.into());
    }
    let text = decode(encoded).ok_or(ResponseError::Encoding)?;
    let outer = gate::pass(&text, Root::Response)?;
    match (outer.root_signature, outer.content) {
        (Some(signature), content) => {
            let inner = match content {
                Some(Content::Assertion(inner)) => inner,
                Some(Content::Encrypted) | None => None,
            };
            let signed = verify::signed_part(&text, &[Some(signature), inner], &question.idp.keys)?;
            // The signature that was verified is not in what it signed; the assertion's own is.
            read_response(&gate::pass_signed(&signed, Root::Response)?, true, question)
        }
        (None, Some(Content::Assertion(Some(signature)))) => {
            let signed = verify::signed_part(&text, &[Some(signature)], &question.idp.keys)?;
            let signed = gate::pass_signed(&signed, Root::Assertion)?;
            let message = succeeded(&outer, false)?;
            let trust = Trust { response: false, assertion: true, is_encrypted: false };
            judge(&message, signed.document.root_element(), trust, question)
        }
        (None, _) => read_response(&outer, false, question),
    }
}

/// How the parts of an answer were protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trust {
    /// The response is signed, and everything in it.
    pub(crate) response: bool,
    /// The assertion itself is signed.
    pub(crate) assertion: bool,
    pub(crate) is_encrypted: bool,
}

/// `is_signed`: `passed` is the text that was signed.
fn read_response(
    passed: &Passed<'_>,
    is_signed: bool,
    question: &Question<'_>,
) -> Result<Assertion, ResponseError> {
    let message = succeeded(passed, is_signed)?;
    let is_content =
        |node: &Node<'_, '_>| is(*node, SAML, "Assertion") || is(*node, SAML, "EncryptedAssertion");
    let content = passed.document.root_element().children().find(is_content);
    match (content, passed.content) {
        (Some(node), Some(Content::Assertion(own))) => {
            let trust =
                Trust { response: is_signed, assertion: is_signed && own.is_some(), is_encrypted: false };
            judge(&message, node, trust, question)
        }
        (Some(node), Some(Content::Encrypted)) => {
            let plaintext = question.opener().decrypt(node, is_signed).map_err(Unproven::from)?;
            let inner = gate::pass(&plaintext, Root::Assertion)?;
            let mut trust = Trust { response: is_signed, assertion: false, is_encrypted: true };
            let Some(signature) = inner.root_signature else {
                return judge(&message, inner.document.root_element(), trust, question);
            };
            trust.assertion = true;
            let signed = verify::signed_part(&plaintext, &[Some(signature)], &question.idp.keys)?;
            let signed = gate::pass_signed(&signed, Root::Assertion)?;
            judge(&message, signed.document.root_element(), trust, question)
        }
        (None, _) | (_, None) => Err(Unproven::NoAssertion.into()),
    }
}

fn judge(
    message: &Message,
    node: Node<'_, '_>,
    trust: Trust,
    question: &Question<'_>,
) -> Result<Assertion, ResponseError> {
    let mut assertion = Assertion::read(node)?;
    check::all(&Facts { message, assertion: &assertion, trust, question })?;
    // It was signed, on its own or with the response, or it would not have come so far.
    if trust.response || trust.assertion {
        assertion.decrypt_name(node, question.opener());
    }
    Ok(assertion)
}

/// The message around the assertion, if its status is success (SAML core 3.2.2.2).
fn succeeded(passed: &Passed<'_>, is_signed: bool) -> Result<Message, ResponseError> {
    let message = Message::read(passed.document.root_element())?;
    match message.status {
        Status { is_success: true, .. } => Ok(message),
        status if is_signed && status.is_about_the_service() => Err(ResponseError::Rejected(status)),
        status => Err(ResponseError::Denied(status)),
    }
}

/// SAML bindings 3.5.4.
fn decode(encoded: &str) -> Option<String> {
    let text = String::from_utf8(xml::base64(encoded)?).ok()?;
    // Some begin on a line of its own. Nothing that comes after sees it.
    Some(text.trim_start_matches([' ', '\t', '\r', '\n']).to_owned())
}

#[cfg(test)]
pub(crate) mod tests;
