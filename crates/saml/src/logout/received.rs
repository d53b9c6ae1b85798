//! From what a browser brought to the text that the identity provider signed.

use usher_core::{
    Callback,
    provider::{Method, Parameters},
};

use super::{LogoutFault, MAX_MESSAGE, query, request::Doubt};
use crate::{
    gate::{self, GateError, Root},
    keys::IdpKey,
    names::SAML,
    response::verify,
    sending,
    xml::{self, SchemaError, is, token},
};

/// SAML bindings 3.4.3 and 3.5.3 allow 80 bytes. Some identity providers put an address there.
const MAX_RELAY_STATE: usize = 1024;

/// By which binding a message came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Binding {
    Redirect,
    Post,
}

/// A message of the identity provider's.
#[derive(Debug)]
pub(crate) struct Received {
    /// What was signed, and has passed the gate.
    pub(crate) text: String,
    pub(crate) binding: Binding,
    /// To be given back with the answer as it came.
    pub(crate) relay_state: Option<String>,
}

/// The message in `parameter`, if one of `keys` has signed it.
pub(crate) fn receive(
    callback: &Callback,
    parameter: &'static str,
    root: Root,
    keys: &[IdpKey],
) -> Result<Received, LogoutFault> {
    match callback.method {
        Method::Get => {
            let relay_state = beside(&callback.query)?;
            let text = query::open(callback, parameter, keys)?;
            // Bindings 3.4.4.1: what is signed by its query has no signature within, which nobody would have verified.
            if gate::pass(&text, root)?.root_signature.is_some() {
                return Err(Doubt::SignedTwice.into());
            }
            Ok(Received { text, binding: Binding::Redirect, relay_state })
        }
        Method::Post => {
            let relay_state = beside(&callback.form)?;
            let text = posted(&callback.form, parameter)?;
            let signature = gate::pass(&text, root)?.root_signature.ok_or(Doubt::Unsigned)?;
            let signed =
                verify::signed_part(&text, &[Some(signature)], keys).map_err(|_| Doubt::Signature)?;
            gate::pass_signed(&signed, root)?;
            Ok(Received { text: signed, binding: Binding::Post, relay_state })
        }
    }
}

/// Whom the message in `parameter` says that it is from, whoever signed it.
pub(super) fn issuer_of(
    callback: &Callback,
    parameter: &'static str,
    root: Root,
) -> Result<String, LogoutFault> {
    let text = match callback.method {
        Method::Get => query::unpack(&callback.query, parameter)?,
        Method::Post => posted(&callback.form, parameter)?,
    };
    let passed = gate::pass(&text, root)?;
    let issuer =
        passed.document.root_element().first_element_child().filter(|node| is(*node, SAML, "Issuer"));
    Ok(token(issuer.ok_or(SchemaError::Missing("Issuer"))?, "Issuer")?.to_owned())
}

fn posted(form: &Parameters, parameter: &'static str) -> Result<String, LogoutFault> {
    let encoded = form.one(parameter)?;
    // base64 is a third longer than what is in it, and may have line breaks.
    if encoded.len() > 2 * MAX_MESSAGE {
        return Err(GateError::TooComplex.into());
    }
    let text = xml::base64(encoded).and_then(|bytes| String::from_utf8(bytes).ok());
    let text = text.ok_or(LogoutFault::Encoding)?;
    if text.len() > MAX_MESSAGE {
        return Err(GateError::TooComplex.into());
    }
    Ok(text.trim_start_matches([' ', '\t', '\r', '\n']).to_owned())
}

/// The state beside the message, of which there is one.
fn beside(parameters: &Parameters) -> Result<Option<String>, LogoutFault> {
    let (request, response) =
        (parameters.at_most_one(sending::REQUEST)?, parameters.at_most_one(sending::RESPONSE)?);
    if request.is_some() && response.is_some() {
        return Err(LogoutFault::Both);
    }
    let relay_state = parameters.at_most_one("RelayState")?;
    // What was no UTF-8 could not be given back as it came.
    if relay_state.is_some_and(|state| state.len() > MAX_RELAY_STATE || state.contains('\u{FFFD}')) {
        return Err(LogoutFault::RelayState);
    }
    Ok(relay_state.map(str::to_owned))
}
