//! xmlsec alone, without the gate: what it would have done, it cannot do any more.

use std::{
    io::ErrorKind,
    net::TcpListener,
    time::{Duration, Instant},
};

use samael::crypto::ReduceMode;
use usher_lab::scripted::saml::{Protection, Signing};

use super::*;
use crate::testing::{IDP, assertion_signed, honest};

/// What `SignedInfo` can name, and what xmlsec would do about it.
const UNKNOWN: [&CStr; 14] = [
    c"http://www.w3.org/TR/1999/REC-xslt-19991116",
    c"http://www.w3.org/TR/1999/REC-xpath-19991116",
    c"http://www.w3.org/2002/06/xmldsig-filter2",
    c"http://www.w3.org/2001/04/xmldsig-more/xptr",
    c"http://www.w3.org/2000/09/xmldsig#base64",
    c"http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
    c"http://www.w3.org/2000/09/xmldsig#sha1",
    c"http://www.w3.org/2001/04/xmldsig-more#md5",
    c"http://www.w3.org/2000/09/xmldsig#rsa-sha1",
    c"http://www.w3.org/2000/09/xmldsig#hmac-sha1",
    c"http://www.w3.org/2001/04/xmldsig-more#hmac-sha256",
    c"http://www.w3.org/2000/09/xmldsig#dsa-sha1",
    c"http://www.w3.org/2001/04/xmlenc#aes128-cbc",
    c"http://www.w3.org/2001/04/xmlenc#rsa-1_5",
];

#[test]
fn xmlsec_knows_what_saml_needs_and_nothing_else() {
    harden().expect("xmlsec can be used");
    for name in KEPT {
        assert!(knows(name), "{name:?}");
    }
    for name in UNKNOWN {
        assert!(!knows(name), "{name:?}");
    }
    harden().expect("once more");
}

/// Whether xmlsec verifies `xml`, shown to it as it is.
fn verifies(xml: &str) -> bool {
    harden().expect("xmlsec can be used");
    let key = CertificateDer::from(
        data_encoding::BASE64
            .decode(IDP.keys[0].certificate_base64().expect("a certificate").as_bytes())
            .expect("base64"),
    );
    Crypto::reduce_xml_to_signed(xml, &[key], ReduceMode::PreDigest).is_ok()
}

#[test]
fn an_honest_signature_is_verified_all_the_same() {
    assert!(verifies(&honest().xml(&assertion_signed()).expect("a response")));
}

#[test]
fn a_reference_to_a_place_is_not_followed() {
    let trap = TcpListener::bind("127.0.0.1:0").expect("a port");
    trap.set_nonblocking(true).expect("a socket");
    let address = trap.local_addr().expect("an address");
    let began = Instant::now();
    for place in [
        format!("http://{address}/assertion"),
        format!("ftp://{address}/assertion"),
        "file:///etc/hostname".to_owned(),
        // Opening it would be enough to hang.
        "file:///dev/zero".to_owned(),
        "/dev/zero".to_owned(),
        "zero.xml".to_owned(),
    ] {
        let signing = Signing { uri: Some(place.clone()), ..Signing::with(&IDP.keys[0]) };
        let protection = Protection { assertion: Some(signing), ..Protection::default() };
        assert!(!verifies(&honest().xml(&protection).expect("a response")), "{place}");
    }
    assert!(began.elapsed() < Duration::from_secs(5));
    let nobody = trap.accept().expect_err("nobody comes");
    assert_eq!(nobody.kind(), ErrorKind::WouldBlock);
}

#[test]
fn transforms_that_compute_are_unknown() {
    let loops = "<xsl:stylesheet xmlns:xsl=\"http://www.w3.org/1999/XSL/Transform\" version=\"1.0\"><xsl:template \
                 match=\"/\" name=\"l\"><xsl:call-template name=\"l\"/></xsl:template></xsl:stylesheet>";
    let xpath = "<ds:XPath>count(//*[count(//*[count(//*)])])</ds:XPath>";
    let began = Instant::now();
    for (algorithm, content) in [
        ("http://www.w3.org/TR/1999/REC-xslt-19991116", loops),
        ("http://www.w3.org/TR/1999/REC-xpath-19991116", xpath),
    ] {
        let transform = format!("<ds:Transform Algorithm=\"{algorithm}\">{content}</ds:Transform>");
        let signing = Signing { transforms: transform, ..Signing::with(&IDP.keys[0]) };
        let protection = Protection { assertion: Some(signing), ..Protection::default() };
        assert!(!verifies(&honest().xml(&protection).expect("a response")), "{algorithm}");
    }
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[test]
fn an_external_entity_is_not_loaded() {
    let trap = TcpListener::bind("127.0.0.1:0").expect("a port");
    trap.set_nonblocking(true).expect("a socket");
    let address = trap.local_addr().expect("an address");
    let xml = honest().xml(&assertion_signed()).expect("a response");
    let xml = format!("<!DOCTYPE a [<!ENTITY % b SYSTEM \"http://{address}/dtd\"> %b;]>{xml}");
    verifies(&xml);
    let nobody = trap.accept().expect_err("nobody comes");
    assert_eq!(nobody.kind(), ErrorKind::WouldBlock);
}
