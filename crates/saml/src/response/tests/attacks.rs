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

/// Why an answer does not count: the first of the checks that it fails.
fn refusal(answer: &Result<Assertion, ResponseError>) -> String {
    answer.as_ref().err().map_or_else(|| "it counts".to_owned(), |error| format!("{error:?}"))
}

const AROUND_ASSERTION: [(&str, &str); 25] = [
    ("XSW3: forged before signed", "Gate(SeveralAssertions)"),
    ("XSW3 turned: signed before forged", "Gate(SeveralAssertions)"),
    ("XSW4: signed within forged", "Gate(Misplaced)"),
    ("XSW4 turned: forged within signed", "Gate(Misplaced)"),
    ("XSW5: forged with the signature, original behind", "Gate(SeveralAssertions)"),
    ("XSW6: original within the signature of forged", "Gate(Misplaced)"),
    ("XSW8: original in an object of the signature", "Gate(Misplaced)"),
    ("XSW8 with the signed one in the object", "Gate(Misplaced)"),
    ("the same ID twice", "Gate(IdTwice)"),
    ("signed in the advice of forged", "Gate(Misplaced)"),
    ("signed in an attribute of forged", "Gate(Misplaced)"),
    ("signed in the confirmation of forged", "Gate(Misplaced)"),
    ("signature in the subject", "Gate(Misplaced)"),
    ("another namespace's assertion around signed", "Gate(Misplaced)"),
    ("an encrypted name for signed", "Gate(SeveralAssertions)"),
    ("the signature dropped", "Unproven(Unsigned)"),
    ("the signature emptied", "Gate(Signature(Parts(Missing(\"SignedInfo\"))))"),
    ("the signature kept, the person changed", "Unproven(Signature)"),
    ("signature in the response", "Gate(Signature(Reference))"),
    ("XSW7: forged in extensions", "Gate(Misplaced)"),
    ("XSW7 turned: signed in extensions", "Gate(Misplaced)"),
    ("the same ID in extensions", "Gate(IdTwice)"),
    ("signature in extensions", "Gate(Misplaced)"),
    ("forged in a response in extensions", "Gate(IdTwice)"),
    ("signed in a response in extensions", "Gate(IdTwice)"),
];
const AROUND_RESPONSE: [(&str, &str); 9] = [
    ("XSW1: original within the signature", "Gate(Misplaced)"),
    ("XSW2: original before the detached signature", "Gate(Misplaced)"),
    ("original in an object", "Gate(Misplaced)"),
    ("original in extensions", "Gate(Misplaced)"),
    ("signed in extensions", "Gate(Misplaced)"),
    ("signed behind the assertion", "Gate(Misplaced)"),
    ("original in extensions, of one ID", "Gate(IdTwice)"),
    ("the signature kept, the person changed", "Unproven(Signature)"),
    ("the signature dropped", "Unproven(Unsigned)"),
];
const IN_ENCRYPTION: [(&str, &str); 11] = [
    ("forged", "Unproven(Unsigned)"),
    ("forged around signed", "Gate(Misplaced)"),
    ("signed around forged", "Gate(Misplaced)"),
    ("forged with the signature", "Gate(Signature(Reference))"),
    ("forged with the signature and the same ID", "Unproven(Signature)"),
    ("original within the signature", "Gate(Misplaced)"),
    ("original in an object", "Gate(Misplaced)"),
    ("signed by a stranger", "Unproven(Signature)"),
    ("signed beside an encrypted forgery", "Gate(SeveralAssertions)"),
    ("an encrypted forgery in extensions", "Gate(Misplaced)"),
    ("signed in extensions of an encrypted forgery", "Gate(Misplaced)"),
];

#[test]
fn no_wrapping_makes_mallory_somebody_else() {
    harden().expect("xmlsec can be used");
    let signing = Signing::with(&IDP.keys[0]);
    let pieces = Pieces::new(&honest(), &signing, VICTIM).expect("an answer to wrap");
    let how = encryption(Seal::Gcm(128), Transport::OaepMgf1p).expect("a way");
    let in_encryption = pieces.in_encryption(&how, &Signing::with(&STRANGER));
    for (messages, expected) in [
        (pieces.around_assertion(), &AROUND_ASSERTION[..]),
        (pieces.around_response(&signing), &AROUND_RESPONSE),
        (in_encryption, &IN_ENCRYPTION),
    ] {
        let mut refused = Vec::new();
        for (name, xml) in messages.expect("wrapped ones") {
            let began = Instant::now();
            refused.push((name, refusal(&read(&xml))));
            assert!(began.elapsed() < AT_ONCE, "{name}: {:?}", began.elapsed());
            let unguarded = verify::signed_part(&xml, &[Some(gate::Algorithm::RsaSha256)], &known(&IDP).keys);
            assert!(!unguarded.is_ok_and(|text| text.contains(VICTIM)), "{name}: samael alone is fooled");
        }
        let expected: Vec<_> = expected.iter().map(|(name, why)| (*name, (*why).to_owned())).collect();
        assert_eq!(refused, expected);
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
    for (case, cut, expected) in [
        ("a comment", "alice-persistent<!-- -->.mallory", "Gate(Markup)"),
        ("an empty comment", "alice-persistent<!---->.mallory", "Gate(Markup)"),
        ("a CDATA section", "alice-persistent<![CDATA[.mallory]]>", "Gate(Markup)"),
        ("a CDATA section at the beginning", "<![CDATA[alice-persistent]]>.mallory", "Gate(Markup)"),
        ("a processing instruction", "alice-persistent<?x?>.mallory", "Gate(Markup)"),
        ("an element", "alice-persistent<x/>.mallory", "Unproven(Signature)"),
        ("an entity", "alice-persistent&x;.mallory", "Gate(NotXml)"),
    ] {
        let cut = xml.replacen("alice-persistent.mallory", cut, 1);
        assert_eq!(refusal(&read(&cut)), expected, "{case}");
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
    let latin_1 = xml.chars().filter_map(|c| u8::try_from(u32::from(c)).ok());
    for (name, bytes, expected) in [
        ("UTF-16, little end first", utf_16(&[0xFF, 0xFE], u16::to_le_bytes), "Encoding"),
        ("UTF-16, big end first", utf_16(&[0xFE, 0xFF], u16::to_be_bytes), "Encoding"),
        ("UTF-16 without a mark", utf_16(&[], u16::to_le_bytes), "Encoding"),
        ("UTF-7", utf_7.into_bytes(), "Gate(Declaration)"),
        ("a byte order mark", ["\u{FEFF}", &xml].concat().into_bytes(), "Gate(Declaration)"),
        ("Latin-1", latin_1.collect(), "Encoding"),
        ("an overlong character", [xml.as_bytes(), &[0xC0, 0xBC]].concat(), "Encoding"),
    ] {
        assert_eq!(refusal(&read_bytes(&bytes)), expected, "{name}");
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
        let enveloped = Signing::transform(Signing::ENVELOPED);
        format!("{enveloped}<ds:Transform Algorithm=\"{algorithm}\">{content}</ds:Transform>")
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
    for (name, xml, expected) in [
        ("a reference to a place", with(&|s| s.uri = Some(place.clone())), "Gate(Signature(Reference))"),
        ("a reference to a file", with(&|s| s.uri = Some("file:///dev/zero".to_owned())), "Gate(Signature(Reference))"),
        ("a second reference", with(&|s| s.more_in_signed_info.clone_from(&reference)), "Gate(Signature(Parts(Unexpected(\"SignedInfo\"))))"),
        ("a thousand references", with(&|s| s.more_in_signed_info = reference.repeat(300)), "Gate(Signature(Parts(Unexpected(\"SignedInfo\"))))"),
        ("a manifest", with(&|s| s.more_in_signature = format!("<ds:Object><ds:Manifest>{reference}</ds:Manifest></ds:Object>")), "Gate(Signature(Parts(Unexpected(\"Signature\"))))"),
        ("a key elsewhere", with(&|s| s.key_info = Some(format!("<ds:RetrievalMethod URI=\"{place}\"/>"))), "Gate(Signature(KeyInfo))"),
        ("XSLT", with(&|s| s.transforms = transform("http://www.w3.org/TR/1999/REC-xslt-19991116", &document)), "Gate(Signature(Transforms))"),
        ("XPath", with(&|s| s.transforms = transform("http://www.w3.org/TR/1999/REC-xpath-19991116", "<ds:XPath>count(//*[count(//*)])</ds:XPath>")), "Gate(Signature(Transforms))"),
        ("a thousand transforms", with(&|s| s.transforms = s.transforms.repeat(500)), "Gate(Signature(Parts(Unexpected(\"Transforms\"))))"),
        ("an external entity", format!("<!DOCTYPE a [<!ENTITY x SYSTEM \"{place}\">]>{}", xml.replacen("alice-persistent", "&x;", 1)), "Gate(Markup)"),
        ("an external subset", format!("<!DOCTYPE a SYSTEM \"{place}\">{xml}"), "Gate(Markup)"),
        ("a billion laughs", format!("<!DOCTYPE a [<!ENTITY l0 \"ha\">{laughs}]>{}", xml.replacen("alice-persistent", "&l9;", 1)), "Gate(Markup)"),
        ("a style sheet", format!("<?xml-stylesheet type=\"text/xsl\" href=\"{place}\"?>{xml}"), "Gate(Declaration)"),
        ("an included part", xml.replacen("<samlp:Status>", &format!("<samlp:Extensions><xi:include xmlns:xi=\"http://www.w3.org/2001/XInclude\" href=\"{place}\"/></samlp:Extensions><samlp:Status>"), 1).replacen(">alice<", ">mallory<", 1), "Unproven(Signature)"),
        ("a schema elsewhere", xml.replacen("<samlp:Status>", &format!("<samlp:Status xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:schemaLocation=\"urn:x {place}\">"), 1).replacen(">alice<", ">mallory<", 1), "Unproven(Signature)"),
    ] {
        assert_eq!(refusal(&read(&xml)), expected, "{name}");
    }
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
    let nobody = trap.accept().expect_err("nobody comes");
    assert_eq!(nobody.kind(), ErrorKind::WouldBlock);
}
