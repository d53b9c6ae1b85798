//! HTTP-POST (SAML bindings 3.5.4): the message in a form that the browser posts, the signature within it (SAML core 5.4).

use data_encoding::BASE64;
use samael::crypto::{Crypto, CryptoProvider as _};
use usher_core::provider::BrowserStep;

use super::{Letter, SendError};
use crate::{
    keys::OwnKey,
    metadata::Location,
    names::{DS, ENVELOPED, EXC_C14N},
};

pub(super) fn step(letter: &Letter<'_>, location: &Location) -> Result<BrowserStep, SendError> {
    let xml = match letter.key {
        None => (letter.xml)(location, ""),
        Some(key) => signed(&(letter.xml)(location, &template(letter.id, key)), key)?,
    };
    let mut fields = vec![(letter.parameter.to_owned(), BASE64.encode(xml.as_bytes()))];
    fields.extend(letter.relay_state.map(|state| ("RelayState".to_owned(), state.to_owned())));
    Ok(BrowserStep::PostForm { action: location.url.clone(), fields })
}

/// A signature whose values xmlsec fills in.
fn template(id: &str, key: &OwnKey) -> String {
    format!(
        "<ds:Signature xmlns:ds=\"{DS}\"><ds:SignedInfo><ds:CanonicalizationMethod Algorithm=\"{EXC_C14N}\"/>\
         <ds:SignatureMethod Algorithm=\"http://www.w3.org/2001/04/xmldsig-more#rsa-sha256\"/>\
         <ds:Reference URI=\"#{id}\"><ds:Transforms><ds:Transform Algorithm=\"{ENVELOPED}\"/>\
         <ds:Transform Algorithm=\"{EXC_C14N}\"/></ds:Transforms>\
         <ds:DigestMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha256\"/><ds:DigestValue/></ds:Reference>\
         </ds:SignedInfo><ds:SignatureValue/><ds:KeyInfo><ds:X509Data><ds:X509Certificate>{certificate}\
         </ds:X509Certificate></ds:X509Data></ds:KeyInfo></ds:Signature>",
        certificate = BASE64.encode(&key.certificate),
    )
}

fn signed(xml: &str, key: &OwnKey) -> Result<String, SendError> {
    let der = key.private.private_key_to_der()?;
    Ok(Crypto::sign_xml(xml, &der)?)
}
