//! xmlsec alone, without the gate: what it would have done, it cannot do any more.

use std::{
    ffi::CString,
    io::{ErrorKind, Write as _},
    net::TcpListener,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use samael::crypto::ReduceMode;
use usher_lab::scripted::saml::{Protection, Signing, sign};

use super::*;
use crate::testing::{IDP, assertion_signed, honest};

const XSLT: &str = "http://www.w3.org/TR/1999/REC-xslt-19991116";
const XPATH: &str = "http://www.w3.org/TR/1999/REC-xpath-19991116";

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

fn transform(algorithm: &str, content: &str) -> String {
    format!("<ds:Transform Algorithm=\"{algorithm}\">{content}</ds:Transform>")
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
    for (algorithm, content) in [(XSLT, loops), (XPATH, xpath)] {
        let signing = Signing { transforms: transform(algorithm, content), ..Signing::with(&IDP.keys[0]) };
        let protection = Protection { assertion: Some(signing), ..Protection::default() };
        assert!(!verifies(&honest().xml(&protection).expect("a response")), "{algorithm}");
    }
    assert!(began.elapsed() < Duration::from_secs(5));
}

/// samael parses without loading DTDs and without the network, and xmlsec takes libxml2's loader away at its own start, so
/// that this would hold without hardening: it is for versions of them that do not.
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

/// One signature for each thing that hardening takes away, good in the eyes of whoever does that thing: what is digested is
/// what comes of doing it.
fn temptations(file: &Path) -> Vec<(&'static str, String)> {
    let stylesheet = "<xsl:stylesheet xmlns:xsl=\"http://www.w3.org/1999/XSL/Transform\" version=\"1.0\">\
                      <xsl:output method=\"text\"></xsl:output><xsl:template match=\"/\">computed</xsl:template>\
                      </xsl:stylesheet>";
    let enveloped = Signing::transform(Signing::ENVELOPED);
    let exclusive = Signing::transform(Signing::EXCLUSIVE);
    let bare = "<a ID=\"_a\"></a>";
    let xslt = transform(XSLT, stylesheet);
    let xpath = transform(XPATH, "<ds:XPath>true()</ds:XPath>");
    let place = Some(format!("file://{}", file.display()));
    [
        ("a reference that is followed", place, String::new(), FILE),
        ("XSLT that is run", None, [&*enveloped, &*exclusive, &*xslt].concat(), "computed"),
        ("XPath that is evaluated", None, [&*enveloped, &*xpath, &*exclusive].concat(), bare),
    ]
    .into_iter()
    .map(|(name, uri, transforms, digested)| {
        let signing = Signing { uri, transforms, ..Signing::with(&IDP.keys[0]) };
        let signature = sign(digested, "_a", &signing).expect("a signature");
        (name, format!("<a ID=\"_a\">{signature}</a>"))
    })
    .collect()
}

/// Of the file that a reference leads to.
const FILE: &str = "<there/>";

/// In a process of its own, which has not been hardened: what the other tests find missing is there before, is done, and is
/// gone after. The program that runs the tests is started again for it.
#[test]
fn what_is_taken_away_was_there() {
    const MARK: &str = "USHER_SAML_UNHARDENED";
    if std::env::var_os(MARK).is_none() {
        let child = Command::new(std::env::current_exe().expect("this program has a path"))
            .args(["--exact", "hardening::tests::what_is_taken_away_was_there", "--nocapture"])
            .env(MARK, "")
            .output()
            .expect("this program runs");
        let told = String::from_utf8_lossy(&child.stdout) + String::from_utf8_lossy(&child.stderr);
        assert!(child.status.success() && told.contains("1 passed"), "{told}");
        return;
    }
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(FILE.as_bytes()).expect("it is written");
    let place = CString::new(file.path().to_str().expect("a path")).expect("a path");
    let signed = temptations(file.path());
    let is_good = |xml: &str| {
        let der = IDP.keys[0].certificate_base64().expect("a certificate");
        let der = data_encoding::BASE64.decode(der.as_bytes()).expect("base64");
        Crypto::verify_signed_xml(xml, &CertificateDer::from(der), Some("ID")).is_ok()
    };
    // xmlsec's own start takes this away as well, so that it cannot be seen who did; hardening does not rely on that.
    assert!(loads(&place), "an external entity");
    start().expect("xmlsec starts");
    for is_hardened in [false, true] {
        if is_hardened {
            harden().expect("xmlsec can be used");
        }
        for name in UNKNOWN {
            assert_eq!(knows(name), !is_hardened, "{name:?}, hardened: {is_hardened}");
        }
        for (name, xml) in &signed {
            assert_eq!(is_good(xml), !is_hardened, "{name}, hardened: {is_hardened}");
        }
    }
    assert!(!loads(&place), "an external entity, hardened");
}
