//! Known attacks on SAML service providers. Mallory has an honest response about herself or Alice, signed by the identity
//! provider, and her own keys; she wants to be somebody else.
//!
//! Each message is refused as a whole. And since the gate alone should not be what stands between her and that: what
//! samael makes of the same message, shown to it unguarded, never names the person she wants to be.

use std::{
    io::ErrorKind,
    net::TcpListener,
    time::{Duration, Instant},
};

use usher_lab::scripted::saml::wrapping::Pieces;

use super::*;
use crate::{hardening::harden, testing::STRANGER};

/// The person she wants to be.
const VICTIM: &str = "victim-persistent";

/// Longer than any refusal should take, and far shorter than one that hangs.
const AT_ONCE: Duration = Duration::from_secs(2);

#[test]
fn no_wrapping_makes_mallory_somebody_else() {
    harden().expect("xmlsec can be used");
    let signing = Signing::with(&IDP.keys[0]);
    let pieces = Pieces::new(&honest(), &signing, VICTIM).expect("an answer to wrap");
    let around_assertion = pieces.around_assertion().expect("wrapped assertions");
    let around_response = pieces.around_response(&signing).expect("wrapped responses");
    for (name, xml) in around_assertion.into_iter().chain(around_response) {
        let began = Instant::now();
        let answer = read(&xml);
        assert!(answer.is_err(), "{name}: it counts");
        assert!(began.elapsed() < AT_ONCE, "{name}: {:?}", began.elapsed());
        let unguarded = verify::signed_part(&xml, &[Some(gate::Algorithm::RsaSha256)], &known(&IDP).keys);
        assert!(!unguarded.is_ok_and(|text| text.contains(VICTIM)), "{name}: samael alone is fooled");
    }
    let how = encryption(Seal::Gcm(128), Transport::OaepMgf1p).expect("a way");
    let in_encryption = pieces.in_encryption(&how, &Signing::with(&STRANGER));
    for (name, xml) in in_encryption.expect("wrapped and encrypted ones") {
        assert!(read(&xml).is_err(), "{name}: it counts");
    }
}

#[test]
fn a_name_is_read_whole_or_not_at_all() {
    // Mallory is honestly called "alice-persistent.mallory". A signature does not cover comments.
    let mut response = honest();
    let name = response.assertion.as_mut().and_then(|own| own.subject.as_mut()?.name.as_mut());
    "alice-persistent.mallory".clone_into(&mut name.expect("a name").value);
    let xml = response.xml(&assertion_signed()).expect("a response");
    assert_eq!(super::name(read(&xml)), Ok("alice-persistent.mallory".to_owned()));
    for (case, cut) in [
        ("a comment", "alice-persistent<!-- -->.mallory"),
        ("an empty comment", "alice-persistent<!---->.mallory"),
        ("a CDATA section", "alice-persistent<![CDATA[.mallory]]>"),
        ("a CDATA section at the beginning", "<![CDATA[alice-persistent]]>.mallory"),
        ("a processing instruction", "alice-persistent<?x?>.mallory"),
        ("an element", "alice-persistent<x/>.mallory"),
        ("an entity", "alice-persistent&x;.mallory"),
    ] {
        let cut = xml.replacen("alice-persistent.mallory", cut, 1);
        assert!(read(&cut).is_err(), "{case}");
    }
    // A reference to a character is a character; the signature covers it as such.
    let spelled = xml.replacen("alice-persistent.mallory", "alice-persistent&#46;mallory", 1);
    assert_eq!(super::name(read(&spelled)), Ok("alice-persistent.mallory".to_owned()));
}

#[test]
fn no_encoding_but_utf_8_is_read() {
    let xml = honest().xml(&assertion_signed()).expect("a response");
    let read_bytes = |bytes: &[u8]| {
        let idp = known(&IDP);
        let policy = policy();
        let question = question(&idp, &policy);
        super::super::read(&data_encoding::BASE64.encode(bytes), &question)
    };
    let utf_16 = |mark: &[u8], bytes: fn(u16) -> [u8; 2]| {
        let declared = format!("<?xml version=\"1.0\" encoding=\"UTF-16\"?>{xml}");
        let units = declared.encode_utf16().flat_map(bytes);
        mark.iter().copied().chain(units).collect::<Vec<u8>>()
    };
    let utf_7 = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-7\"?>{}",
        xml.replacen("<saml:Assertion", "+ADw-saml:Assertion", 1)
    );
    for (name, bytes) in [
        ("UTF-16, little end first", utf_16(&[0xFF, 0xFE], u16::to_le_bytes)),
        ("UTF-16, big end first", utf_16(&[0xFE, 0xFF], u16::to_be_bytes)),
        ("UTF-16 without a mark", utf_16(&[], u16::to_le_bytes)),
        ("UTF-7", utf_7.into_bytes()),
        ("a byte order mark", ["\u{FEFF}", &xml].concat().into_bytes()),
        ("Latin-1", xml.chars().filter_map(|c| u8::try_from(u32::from(c)).ok()).collect()),
        ("an overlong character", [xml.as_bytes(), &[0xC0, 0xBC]].concat()),
    ] {
        assert!(read_bytes(&bytes).is_err(), "{name}");
    }
    assert!(read_bytes(xml.as_bytes()).is_ok());
}

#[test]
fn nothing_that_a_signature_names_is_fetched_run_or_expanded() {
    let trap = TcpListener::bind("127.0.0.1:0").expect("a port");
    trap.set_nonblocking(true).expect("a socket");
    let place = format!("http://{}/", trap.local_addr().expect("an address"));
    let xml = honest().xml(&assertion_signed()).expect("a response");
    let with = |change: &dyn Fn(&mut Signing)| {
        let mut signing = Signing::with(&IDP.keys[0]);
        change(&mut signing);
        honest().xml(&Protection { assertion: Some(signing), ..Protection::default() }).expect("a response")
    };
    let transform = |algorithm: &str, content: &str| {
        format!("<ds:Transform Algorithm=\"{algorithm}\">{content}</ds:Transform>")
    };
    let document = "<xsl:stylesheet xmlns:xsl=\"http://www.w3.org/1999/XSL/Transform\" version=\"1.0\"><xsl:template match=\"/\">\
                    <xsl:copy-of select=\"document('PLACE')\"/></xsl:template></xsl:stylesheet>";
    let document = document.replace("PLACE", &place);
    let reference = format!(
        "<ds:Reference URI=\"{place}\"><ds:DigestMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha256\"/><ds:DigestValue>AA==</ds:DigestValue></ds:Reference>"
    );
    let laughs = (1..10).fold(String::new(), |laughs, n| {
        format!("{laughs}<!ENTITY l{n} \"{}\">", format!("&l{};", n - 1).repeat(10))
    });
    let began = Instant::now();
    for (name, xml) in [
        ("a reference to a place", with(&|s| s.uri = Some(place.clone()))),
        ("a reference to a file", with(&|s| s.uri = Some("file:///dev/zero".to_owned()))),
        ("a second reference", with(&|s| s.more_in_signed_info.clone_from(&reference))),
        ("a thousand references", with(&|s| s.more_in_signed_info = reference.repeat(300))),
        ("a manifest", with(&|s| s.more_in_signature = format!("<ds:Object><ds:Manifest>{reference}</ds:Manifest></ds:Object>"))),
        ("a key elsewhere", with(&|s| s.key_info = Some(format!("<ds:RetrievalMethod URI=\"{place}\"/>")))),
        ("XSLT", with(&|s| s.transforms = transform("http://www.w3.org/TR/1999/REC-xslt-19991116", &document))),
        ("XPath", with(&|s| s.transforms = transform("http://www.w3.org/TR/1999/REC-xpath-19991116", "<ds:XPath>count(//*[count(//*)])</ds:XPath>"))),
        ("a thousand transforms", with(&|s| s.transforms = s.transforms.repeat(500))),
        ("an external entity", format!("<!DOCTYPE a [<!ENTITY x SYSTEM \"{place}\">]>{}", xml.replacen("alice-persistent", "&x;", 1))),
        ("an external subset", format!("<!DOCTYPE a SYSTEM \"{place}\">{xml}")),
        ("a billion laughs", format!("<!DOCTYPE a [<!ENTITY l0 \"ha\">{laughs}]>{}", xml.replacen("alice-persistent", "&l9;", 1))),
        ("a style sheet", format!("<?xml-stylesheet type=\"text/xsl\" href=\"{place}\"?>{xml}")),
        ("an included part", xml.replacen("<samlp:Status>", &format!("<samlp:Extensions><xi:include xmlns:xi=\"http://www.w3.org/2001/XInclude\" href=\"{place}\"/></samlp:Extensions><samlp:Status>"), 1).replacen(">alice<", ">mallory<", 1)),
        ("a schema elsewhere", xml.replacen("<samlp:Status>", &format!("<samlp:Status xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:schemaLocation=\"urn:x {place}\">"), 1).replacen(">alice<", ">mallory<", 1)),
    ] {
        assert!(read(&xml).is_err(), "{name}: it counts");
    }
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
    let nobody = trap.accept().expect_err("nobody comes");
    assert_eq!(nobody.kind(), ErrorKind::WouldBlock);
}
