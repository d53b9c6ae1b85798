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

use usher_lab::scripted::saml::{DS, Response};

use super::*;
use crate::{hardening::harden, testing::STRANGER};

/// The person she wants to be.
const VICTIM: &str = "victim-persistent";

/// Longer than any refusal should take, and far shorter than one that hangs.
const AT_ONCE: Duration = Duration::from_secs(2);

/// The pieces of a signed assertion, and of one that she would have liked to be signed.
struct Pieces {
    response: Response,
    /// The signed assertion, with its signature.
    signed: String,
    /// The same without.
    bare: String,
    signature: String,
    /// Unsigned, about the victim, with an ID of its own.
    forged: String,
    /// Unsigned, about the victim, with the ID of the signed one.
    forged_same_id: String,
}

impl Pieces {
    fn new() -> Self {
        let response = honest();
        let assertion = response.assertion.clone().expect("an assertion");
        let signed = assertion.xml(Some(&Signing::with(&IDP.keys[0]))).expect("an assertion");
        let bare = assertion.xml(None).expect("an assertion");
        let start = signed.find("<ds:Signature").expect("a signature");
        let end = signed.find("</ds:Signature>").expect("it ends") + "</ds:Signature>".len();
        let mut other = assertion.clone();
        let subject = other.subject.as_mut().and_then(|subject| subject.name.as_mut());
        VICTIM.clone_into(&mut subject.expect("a name").value);
        let forged_same_id = other.xml(None).expect("an assertion");
        other.id = "_forged".to_owned();
        let forged = other.xml(None).expect("an assertion");
        let signature = signed[start..end].to_owned();
        Self { response, signed, bare, signature, forged, forged_same_id }
    }

    /// A response that holds `content` where its assertion belongs.
    fn holding(&self, content: &str) -> String {
        self.response.xml_around(content, None).expect("a response")
    }

    fn extended(&self, extensions: &str, content: &str) -> String {
        let response = Response { extensions: Some(extensions.to_owned()), ..self.response.clone() };
        response.xml_around(content, None).expect("a response")
    }

    /// `forged` with `child` as its last child.
    fn around(forged: &str, child: &str) -> String {
        forged.replacen("</saml:Assertion>", &format!("{child}</saml:Assertion>"), 1)
    }

    /// `forged` with the signature of the signed one where its own would stand, and `more` in it.
    fn with_signature(&self, forged: &str, more: &str) -> String {
        let signature = self.signature.replacen("</ds:Signature>", &format!("{more}</ds:Signature>"), 1);
        forged.replacen("</saml:Issuer>", &format!("</saml:Issuer>{signature}"), 1)
    }
}

/// Signature wrapping around a signed assertion: <https://www.usenix.org/system/files/conference/usenixsecurity12/sec12-final91.pdf>,
/// numbered as SAML Raider does, and relatives.
fn wrapped_assertions() -> Vec<(&'static str, String)> {
    let pieces = Pieces::new();
    let object = |content: &str| format!("<ds:Object>{content}</ds:Object>");
    let Pieces { signed, bare, signature, forged, forged_same_id, .. } = &pieces;
    let value = |inner: &str| forged.replacen(">alice<", &format!(">{inner}<"), 1);
    vec![
        ("XSW3: forged before signed", pieces.holding(&format!("{forged}{signed}"))),
        ("XSW3 turned: signed before forged", pieces.holding(&format!("{signed}{forged}"))),
        ("XSW4: signed within forged", pieces.holding(&Pieces::around(forged, signed))),
        ("XSW4 turned: forged within signed", pieces.holding(&Pieces::around(signed, forged))),
        ("XSW5: forged with the signature, original behind", pieces.holding(&format!("{}{bare}", pieces.with_signature(forged, "")))),
        ("XSW6: original within the signature of forged", pieces.holding(&pieces.with_signature(forged, bare))),
        ("XSW7: forged in extensions", pieces.extended(forged, signed)),
        ("XSW7 turned: signed in extensions", pieces.extended(signed, forged)),
        ("XSW8: original in an object of the signature", pieces.holding(&pieces.with_signature(forged, &object(bare)))),
        ("XSW8 with the signed one in the object", pieces.holding(&pieces.with_signature(forged, &object(signed)))),
        ("the same ID twice", pieces.holding(&format!("{}{bare}", pieces.with_signature(forged_same_id, "")))),
        ("the same ID in extensions", pieces.extended(bare, &pieces.with_signature(forged_same_id, ""))),
        ("signed in the advice of forged", pieces.holding(&forged.replacen("<saml:AuthnStatement", &format!("<saml:Advice>{signed}</saml:Advice><saml:AuthnStatement"), 1))),
        ("signed in an attribute of forged", pieces.holding(&value(signed))),
        ("signed in the confirmation of forged", pieces.holding(&forged.replacen("</saml:SubjectConfirmation>", &format!("{signed}</saml:SubjectConfirmation>"), 1))),
        ("signature in the response", pieces.holding(forged).replacen("</saml:Issuer>", &format!("</saml:Issuer>{signature}"), 1)),
        ("signature in extensions", pieces.extended(signature, forged)),
        ("signature in the subject", pieces.holding(&forged.replacen("<saml:Subject>", &format!("<saml:Subject>{signature}"), 1))),
        ("forged in a response in extensions", pieces.extended(&pieces.holding(forged), signed)),
        ("signed in a response in extensions", pieces.extended(&pieces.holding(signed), forged)),
        ("another namespace's assertion around signed", pieces.holding(&format!("<x:Assertion xmlns:x=\"urn:x\">{signed}</x:Assertion>{forged}"))),
        ("an encrypted name for signed", pieces.holding(&format!("<saml:EncryptedAssertion xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\">{signed}</saml:EncryptedAssertion>{forged}"))),
        ("the signature dropped", pieces.holding(forged)),
        ("the signature emptied", pieces.holding(&forged.replacen("</saml:Issuer>", &format!("</saml:Issuer><ds:Signature xmlns:ds=\"{DS}\"/>"), 1))),
        ("the signature kept, the person changed", pieces.holding(&pieces.with_signature(forged_same_id, ""))),
    ]
}

/// The same around a signed response.
fn wrapped_responses() -> Vec<(&'static str, String)> {
    let response = honest();
    let signed = response.xml(&response_signed()).expect("a response");
    let start = signed.find("<ds:Signature").expect("a signature");
    let end = signed.find("</ds:Signature>").expect("it ends") + "</ds:Signature>".len();
    let (signature, bare) = (&signed[start..end], format!("{}{}", &signed[..start], &signed[end..]));
    let mut forged = response.clone();
    let name = forged.assertion.as_mut().and_then(|own| own.subject.as_mut()?.name.as_mut());
    VICTIM.clone_into(&mut name.expect("a name").value);
    let same_id = forged.xml(&Protection::default()).expect("a response");
    forged.id = "_forged".to_owned();
    let forged = forged.xml(&Protection::default()).expect("a response");
    let signed_by = |response: &str, more: &str| {
        let signature = signature.replacen("</ds:Signature>", &format!("{more}</ds:Signature>"), 1);
        response.replacen("</saml:Issuer>", &format!("</saml:Issuer>{signature}"), 1)
    };
    let within = |content: &str| {
        forged.replacen(
            "<samlp:Status>",
            &format!("<samlp:Extensions>{content}</samlp:Extensions><samlp:Status>"),
            1,
        )
    };
    vec![
        ("XSW1: original within the signature", signed_by(&forged, &bare)),
        (
            "XSW2: original before the detached signature",
            forged.replacen("</saml:Issuer>", &format!("</saml:Issuer>{bare}{signature}"), 1),
        ),
        ("original in an object", signed_by(&forged, &format!("<ds:Object>{bare}</ds:Object>"))),
        ("original in extensions", signed_by(&within(&bare), "")),
        ("signed in extensions", within(&signed)),
        (
            "signed behind the assertion",
            forged.replacen("</samlp:Response>", &format!("{signed}</samlp:Response>"), 1),
        ),
        ("the signature kept, the person changed", signed_by(&same_id, "")),
        ("the signature dropped", forged.clone()),
    ]
}

/// Around what is decrypted, where nobody looked before.
fn wrapped_in_encryption() -> Vec<(&'static str, String)> {
    let pieces = Pieces::new();
    let how = encryption(Seal::Gcm(128), Transport::OaepMgf1p).expect("a way");
    let encrypted = |plaintext: &str| {
        usher_lab::scripted::saml::encrypt(plaintext, &how).expect("anybody can encrypt to us")
    };
    let Pieces { signed, bare, forged, forged_same_id, .. } = &pieces;
    let object = format!("<ds:Object>{bare}</ds:Object>");
    [
        ("forged", forged.clone()),
        ("forged around signed", Pieces::around(forged, signed)),
        ("signed around forged", Pieces::around(signed, forged)),
        ("forged with the signature", pieces.with_signature(forged, "")),
        ("forged with the signature and the same ID", pieces.with_signature(forged_same_id, "")),
        ("original within the signature", pieces.with_signature(forged, bare)),
        ("original in an object", pieces.with_signature(forged, &object)),
        ("signed by a stranger", {
            let mut assertion = pieces.response.assertion.clone().expect("an assertion");
            let name = assertion.subject.as_mut().and_then(|subject| subject.name.as_mut());
            VICTIM.clone_into(&mut name.expect("a name").value);
            assertion.xml(Some(&Signing::with(&STRANGER))).expect("an assertion")
        }),
    ]
    .into_iter()
    .map(|(name, plaintext)| (name, pieces.holding(&encrypted(&plaintext))))
    .chain([
        ("signed beside an encrypted forgery", pieces.holding(&format!("{}{signed}", encrypted(forged)))),
        ("an encrypted forgery in extensions", pieces.extended(&encrypted(forged), signed)),
        ("signed in extensions of an encrypted forgery", pieces.extended(signed, &encrypted(forged))),
    ])
    .collect()
}

#[test]
fn no_wrapping_makes_mallory_somebody_else() {
    harden().expect("xmlsec can be used");
    for (name, xml) in wrapped_assertions().into_iter().chain(wrapped_responses()) {
        let began = Instant::now();
        let answer = read(&xml);
        assert!(answer.is_err(), "{name}: it counts");
        assert!(began.elapsed() < AT_ONCE, "{name}: {:?}", began.elapsed());
        let unguarded = verify::signed_part(&xml, &[Some(gate::Algorithm::RsaSha256)], &known(&IDP).keys);
        assert!(!unguarded.is_ok_and(|text| text.contains(VICTIM)), "{name}: samael alone is fooled");
    }
    for (name, xml) in wrapped_in_encryption() {
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
