//! HTTP-POST (SAML bindings 3.5.4): the request in a form that the browser posts, the signature within it (SAML core 5.4).

use data_encoding::BASE64;
use samael::crypto::{Crypto, CryptoProvider as _};
use usher_core::provider::BrowserStep;

use super::{Request, RequestError};
use crate::{
    keys::OwnKey,
    metadata::Location,
    names::{DS, ENVELOPED, EXC_C14N},
};

pub(super) fn step(request: &Request<'_>, location: &Location) -> Result<BrowserStep, RequestError> {
    let xml = match request.key {
        None => request.xml(location, ""),
        Some(key) => signed(&request.xml(location, &template(request.id, key)), key)?,
    };
    let fields = vec![
        ("SAMLRequest".to_owned(), BASE64.encode(xml.as_bytes())),
        ("RelayState".to_owned(), request.relay_state.to_owned()),
    ];
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

fn signed(xml: &str, key: &OwnKey) -> Result<String, RequestError> {
    let der = key.private.private_key_to_der()?;
    Ok(Crypto::sign_xml(xml, &der)?)
}
