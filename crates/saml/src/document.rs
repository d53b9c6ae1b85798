//! What an identity provider's operator needs to know of us: our metadata (SAML metadata 2.4.4).
//!
//! It has no `validUntil`: it changes when the config does, and those who keep copies of it decide how long.

use std::fmt::Write as _;

use data_encoding::BASE64;
use url::Url;
use usher_core::provider::Document;

use crate::{
    keys::OwnKey,
    names::{BINDING_POST, BINDING_REDIRECT, DS, IDPDISC, MD, PROTOCOL},
    xml::escape,
};

/// The media type (SAML metadata, appendix A).
const CONTENT_TYPE: &str = "application/samlmetadata+xml";
/// What we decrypt, best first.
const CIPHERS: [&str; 5] = [
    "http://www.w3.org/2009/xmlenc11#aes256-gcm",
    "http://www.w3.org/2009/xmlenc11#aes128-gcm",
    "http://www.w3.org/2001/04/xmlenc#aes256-cbc",
    "http://www.w3.org/2001/04/xmlenc#aes128-cbc",
    "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p",
];

/// A service provider, as its metadata shows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServiceProvider<'a> {
    pub(crate) entity_id: &'a str,
    pub(crate) acs: &'a str,
    /// Where a discovery service sends people back to, if there may be one.
    pub(crate) disco: Option<&'a Url>,
    /// Our single logout service, if we have one.
    pub(crate) slo: Option<&'a str>,
    pub(crate) keys: &'a [OwnKey],
    pub(crate) signs_requests: bool,
    /// Whether assertions must be signed themselves.
    pub(crate) wants_signed_assertions: bool,
    pub(crate) name_id_format: Option<&'a str>,
}

impl ServiceProvider<'_> {
    /// The document.
    pub(crate) fn metadata(&self) -> Document {
        let mut xml = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <md:EntityDescriptor xmlns:md=\"{MD}\" entityID=\"{entity_id}\">\n  \
             <md:SPSSODescriptor AuthnRequestsSigned=\"{signs}\" WantAssertionsSigned=\"{wants}\" \
             protocolSupportEnumeration=\"{PROTOCOL}\">\n",
            entity_id = escape(self.entity_id),
            signs = self.signs_requests,
            wants = self.wants_signed_assertions,
        );
        if let Some(disco) = self.disco {
            let _ = writeln!(
                xml,
                "    <md:Extensions>\n      <idpdisc:DiscoveryResponse xmlns:idpdisc=\"{IDPDISC}\" Binding=\"{IDPDISC}\" \
                 Location=\"{}\" index=\"0\"/>\n    </md:Extensions>",
                escape(disco.as_str()),
            );
        }
        for key in self.keys {
            push_key(&mut xml, key, "signing", &[]);
        }
        for key in self.keys {
            push_key(&mut xml, key, "encryption", &CIPHERS);
        }
        // By HTTP-Redirect first: it works in frames everywhere.
        if let Some(slo) = self.slo.map(escape) {
            for binding in [BINDING_REDIRECT, BINDING_POST] {
                let _ =
                    writeln!(xml, "    <md:SingleLogoutService Binding=\"{binding}\" Location=\"{slo}\"/>");
            }
        }
        if let Some(format) = self.name_id_format {
            let _ = writeln!(xml, "    <md:NameIDFormat>{}</md:NameIDFormat>", escape(format));
        }
        let _ = write!(
            xml,
            "    <md:AssertionConsumerService Binding=\"{BINDING_POST}\" Location=\"{acs}\" index=\"0\" \
             isDefault=\"true\"/>\n  </md:SPSSODescriptor>\n</md:EntityDescriptor>\n",
            acs = escape(self.acs),
        );
        Document { content_type: CONTENT_TYPE.to_owned(), body: xml.into_bytes() }
    }
}

fn push_key(xml: &mut String, key: &OwnKey, usage: &str, methods: &[&str]) {
    let certificate = BASE64.encode(&key.certificate);
    let _ = write!(
        xml,
        "    <md:KeyDescriptor use=\"{usage}\">\n      <ds:KeyInfo xmlns:ds=\"{DS}\">\n        <ds:X509Data>\n          \
         <ds:X509Certificate>{certificate}</ds:X509Certificate>\n        </ds:X509Data>\n      </ds:KeyInfo>\n",
    );
    for method in methods {
        let _ = writeln!(xml, "      <md:EncryptionMethod Algorithm=\"{method}\"/>");
    }
    xml.push_str("    </md:KeyDescriptor>\n");
}

#[cfg(test)]
mod tests;
