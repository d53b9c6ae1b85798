//! What passes, and for every rule a message that breaks it.

use usher_lab::scripted::saml::{Protection, Seal, Signing, Transport};

use super::*;
use crate::{
    testing::{IDP, assertion_signed, encryption, honest, response_signed},
    xml::SchemaError,
};

fn outcome(xml: &str) -> Result<(), GateError> {
    pass(xml, Root::Response).map(drop)
}

fn signed() -> String {
    honest().xml(&assertion_signed()).expect("a response")
}

fn signed_with(change: impl FnOnce(&mut Signing)) -> String {
    let mut signing = Signing::with(&IDP.keys[0]);
    change(&mut signing);
    honest().xml(&Protection { assertion: Some(signing), ..Protection::default() }).expect("a response")
}

#[test]
fn honest_messages_pass_and_are_told_apart() {
    let rsa = Some(Algorithm::RsaSha256);
    let both = Protection { response: response_signed().response, ..assertion_signed() };
    let sealed = encryption(Seal::Gcm(128), Transport::OaepMgf1p);
    for (name, protection, root, content) in [
        ("unsigned", Protection::default(), None, Content::Assertion(None)),
        ("the assertion signed", assertion_signed(), None, Content::Assertion(rsa)),
        ("the response signed", response_signed(), rsa, Content::Assertion(None)),
        ("both signed", both, rsa, Content::Assertion(rsa)),
        ("encrypted", Protection { encryption: sealed, ..assertion_signed() }, None, Content::Encrypted),
    ] {
        let xml = honest().xml(&protection).expect("a response");
        let passed = pass(&xml, Root::Response).expect(name);
        assert_eq!((passed.root_signature, passed.content), (root, Some(content)), "{name}");
    }
    let mut empty = honest();
    empty.assertion = None;
    let xml = empty.xml(&Protection::default()).expect("a response");
    assert_eq!(pass(&xml, Root::Response).expect("a refusal").content, None);
}

#[test]
fn each_rule_about_the_text_is_kept() {
    let xml = signed();
    let declared = |declaration: &str| format!("{declaration}{xml}");
    let deep = format!("<samlp:Extensions>{}{}</samlp:Extensions>", "<a>".repeat(30), "</a>".repeat(30));
    let within = |content: &str| xml.replacen("<samlp:Status>", &format!("{content}<samlp:Status>"), 1);
    let attributes = (0..33).fold(String::new(), |attributes, number| format!("{attributes} a{number}=\"\""));
    let named = |length: usize| format!("<x xmlns:y=\"{}\"/>", "n".repeat(length));
    let prefixes = (0..40).fold(String::new(), |text, number| format!("{text}<a xmlns:n{number}='b'/>"));
    for (name, text, expected) in [
        ("a declaration", declared("<?xml version='1.0'?>"), Ok(())),
        ("UTF-8 in capitals", declared("<?xml version=\"1.0\" encoding=\"UTF-8\"?>"), Ok(())),
        (
            "UTF-16 declared",
            declared("<?xml version=\"1.0\" encoding=\"UTF-16\"?>"),
            Err(GateError::Declaration),
        ),
        (
            "UTF-7 declared",
            declared("<?xml version=\"1.0\" encoding=\"UTF-7\"?>"),
            Err(GateError::Declaration),
        ),
        (
            "Latin-1 declared",
            declared("<?xml version=\"1.0\" encoding=\"iso-8859-1\"?>"),
            Err(GateError::Declaration),
        ),
        ("version 1.1", declared("<?xml version=\"1.1\"?>"), Err(GateError::Declaration)),
        (
            "an encoding without a version",
            declared("<?xml encoding=\"utf-8\"?>"),
            Err(GateError::Declaration),
        ),
        (
            "two encodings",
            declared("<?xml version=\"1.0\" encoding=\"utf-8\" encoding=\"utf-16\"?>"),
            Err(GateError::Declaration),
        ),
        ("a declaration that never ends", "<?xml version=\"1.0\"".to_owned(), Err(GateError::Declaration)),
        ("a byte order mark", declared("\u{FEFF}"), Err(GateError::Declaration)),
        ("text before", declared("x"), Err(GateError::Declaration)),
        ("lines that end as they do on Windows", within("\r\n"), Ok(())),
        ("a carriage return by reference", xml.replacen(">alice<", ">alice&#13;\n<", 1), Ok(())),
        ("a carriage return alone", within("\r"), Err(GateError::LineEnd)),
        ("one before a reference", xml.replacen(">alice<", ">alice\r&#x41;<", 1), Err(GateError::LineEnd)),
        ("a comment", within("<!-- x -->"), Err(GateError::Markup)),
        ("a comment before", declared("<!-- x -->"), Err(GateError::Markup)),
        ("a comment after", format!("{xml}<!-- x -->"), Err(GateError::Markup)),
        (
            "a comment in a name",
            xml.replacen("alice-persistent", "alice<!-- -->-persistent", 1),
            Err(GateError::Markup),
        ),
        (
            "a CDATA section",
            xml.replacen("alice-persistent", "<![CDATA[alice]]>-persistent", 1),
            Err(GateError::Markup),
        ),
        ("a DOCTYPE", declared("<!DOCTYPE a>"), Err(GateError::Markup)),
        ("an entity", declared("<!DOCTYPE a [<!ENTITY b 'c'>]>"), Err(GateError::Markup)),
        ("a processing instruction", within("<?php x ?>"), Err(GateError::Markup)),
        (
            "a second declaration",
            declared("<?xml version='1.0'?><?xml version='1.0'?>"),
            Err(GateError::Markup),
        ),
        ("an undeclared entity", xml.replacen("alice-persistent", "&alice;", 1), Err(GateError::NotXml)),
        ("a null by reference", xml.replacen("alice-persistent", "alice&#0;", 1), Err(GateError::Character)),
        ("a null", xml.replacen("alice-persistent", "alice\0", 1), Err(GateError::Character)),
        (
            "an escape character",
            xml.replacen("alice-persistent", "alice\u{1B}", 1),
            Err(GateError::Character),
        ),
        (
            "no character at all",
            xml.replacen("alice-persistent", "alice\u{FFFF}", 1),
            Err(GateError::Character),
        ),
        ("an unclosed tag", xml.replacen("</saml:Subject>", "", 1), Err(GateError::NotXml)),
        ("two roots", format!("{xml}{xml}"), Err(GateError::NotXml)),
        ("nothing", String::new(), Err(GateError::Declaration)),
        ("an undeclared prefix", within("<x:y/>"), Err(GateError::NotXml)),
        ("many levels", within(&deep), Err(GateError::TooComplex)),
        ("many attributes", within(&format!("<a{attributes}/>")), Err(GateError::TooComplex)),
        ("many elements", within(&"<a/>".repeat(20_001)), Err(GateError::TooComplex)),
        ("many namespaces", within(&"<a xmlns='b'/>".repeat(2_049)), Err(GateError::TooComplex)),
        ("many prefixes", within(&prefixes), Err(GateError::TooComplex)),
        ("the longest name of a namespace", within(&named(MAX_NAMESPACE_NAME)), Ok(())),
        ("a longer one", within(&named(MAX_NAMESPACE_NAME + 1)), Err(GateError::TooComplex)),
        (
            "a longer one in apostrophes, and blanks",
            within(&format!("<x xmlns:y\n= '{}'/>", "n".repeat(MAX_NAMESPACE_NAME + 1))),
            Err(GateError::TooComplex),
        ),
        ("much text", within(&"x".repeat(192 * 1024)), Err(GateError::TooComplex)),
    ] {
        assert_eq!(outcome(&text), expected, "{name}");
    }
}

/// `count` attributes with that value, quotes included.
fn attributes(count: usize, value: &str) -> String {
    (0..count).fold(String::new(), |text, number| format!("{text} a{number}={value}"))
}

#[test]
fn what_people_are_called_is_no_attribute_and_an_attribute_is_one_however_it_is_written() {
    const MORE: usize = MAX_ATTRIBUTES + 1;
    let xml = signed();
    let named = |text: &str| xml.replacen(">alice<", &format!(">{text}<"), 1);
    let within = |content: &str| xml.replacen("<samlp:Status>", &format!("{content}<samlp:Status>"), 1);
    let tag = |attributes: &str| within(&format!("<a{attributes}/>"));
    let groups = "CN=staff,OU=Groups,DC=ac,DC=cdl;".repeat(100);
    let markup = "&lt;a href=\"https://ac.cdl/\" title='x'>".repeat(100);
    for (name, text, expected) in [
        ("a hundred groups", named(&groups), Ok(())),
        ("a hundred links", named(&markup), Ok(())),
        ("equations in one attribute", tag(&format!(" b='{groups}'")), Ok(())),
        (
            "a text behind attributes",
            within(&format!("<a{}>{markup}</a>", attributes(MORE - 1, "''"))),
            Ok(()),
        ),
        ("as many as may be", tag(&attributes(MORE - 1, "''")), Ok(())),
        ("one more", tag(&attributes(MORE, "''")), Err(GateError::TooComplex)),
        ("one more in other quotes", tag(&attributes(MORE, "\"\"")), Err(GateError::TooComplex)),
        ("with `>` in each", tag(&attributes(MORE, "'>'")), Err(GateError::TooComplex)),
        ("with `>` in other quotes", tag(&attributes(MORE, "\"'>\"")), Err(GateError::TooComplex)),
        ("with blanks", tag(&attributes(MORE, "\r\n\t ''")), Err(GateError::TooComplex)),
        ("without blanks", tag(&attributes(MORE, "''").replace(' ', "")), Err(GateError::TooComplex)),
        (
            "with `/>` in one",
            tag(&format!(" b='/>'{}", attributes(MORE - 1, "''"))),
            Err(GateError::TooComplex),
        ),
        ("with `<` in one", tag(&format!(" b='<'{}", attributes(MORE, "''"))), Err(GateError::TooComplex)),
        ("with `<` in each", tag(&attributes(MORE, "'<'")), Err(GateError::NotXml)),
        ("of an unclosed tag", format!("{xml}<a{}", attributes(MORE, "''")), Err(GateError::TooComplex)),
        ("an unclosed quote", tag(&format!(" b='{}", attributes(MORE, "\"\""))), Err(GateError::NotXml)),
        ("no quotes at all", tag(&attributes(MORE, "b")), Err(GateError::NotXml)),
        ("a quote too many", tag(&format!(" b=''>'{}", attributes(MORE, "''"))), Err(GateError::NotXml)),
    ] {
        assert_eq!(outcome(&text), expected, "{name}");
    }
}

#[test]
fn names_that_parsers_read_differently_are_refused() {
    let xml = signed();
    let within = |content: &str| xml.replacen("<samlp:Status>", &format!("{content}<samlp:Status>"), 1);
    for (name, text, expected) in [
        ("the last character by reference", within("&#x10FFFF;"), Ok(())),
        ("one beyond it", within("&#x11FFFF;"), Err(GateError::Character)),
        ("half of one", within("&#xD800;"), Err(GateError::Character)),
        ("a name with a colon before it", within("<:x/>"), Err(GateError::Name)),
        ("one at its end alone", within("<x></:x>"), Err(GateError::Name)),
        ("an attribute with a colon before it", within("<x :y=''/>"), Err(GateError::Name)),
        ("a colon before a text", within("<x> :y='' </x>"), Ok(())),
        ("a prefix of no namespace", within("<x xmlns:y=''/>"), Err(GateError::Namespace)),
        ("no namespace", within("<x xmlns=''/>"), Ok(())),
        ("a namespace twice", within("<x xmlns='urn:a' xmlns=''/>"), Err(GateError::Namespace)),
        ("none twice", within("<x xmlns='' xmlns=\"\"/>"), Err(GateError::Namespace)),
        ("several namespaces", within("<x xmlns='urn:a' xmlns:b='urn:a' c='xmlns=>xmlns='/>"), Ok(())),
        ("declarations in a text", within("<x xmlns='urn:a'>xmlns='' xmlns=''</x>"), Ok(())),
        ("a namespace with `&`", within("<x xmlns:y='urn:a&amp;b'/>"), Err(GateError::Namespace)),
        ("a namespace with a blank", within("<x xmlns='urn:a b'/>"), Err(GateError::Namespace)),
        (
            "a namespace with a letter that no URI has",
            within("<x xmlns='urn:å'/>"),
            Err(GateError::Namespace),
        ),
    ] {
        assert_eq!(outcome(&text), expected, "{name}");
    }
}

#[test]
fn each_rule_about_places_is_kept() {
    let xml = signed();
    let assertion =
        &xml[xml.find("<saml:Assertion").expect("an assertion")..xml.len() - "</samlp:Response>".len()];
    let start = xml.find("<ds:Signature").expect("a signature");
    let end = xml.find("</ds:Signature>").expect("it ends") + "</ds:Signature>".len();
    let signature = &xml[start..end];
    let fresh = |text: &str, tag: &str| {
        text.replace("ID=\"_", &format!("ID=\"_{tag}")).replace("#_", &format!("#_{tag}"))
    };
    let second = fresh(assertion, "second");
    let within = |content: &str| xml.replacen("<samlp:Status>", &format!("{content}<samlp:Status>"), 1);
    let extension = |content: &str| within(&format!("<samlp:Extensions>{content}</samlp:Extensions>"));
    let other_root = xml.replace("samlp:Response", "samlp:LogoutResponse");
    let id_of = |attribute: &str| xml.replacen("<samlp:Status>", &format!("<samlp:Status {attribute}>"), 1);
    let value = |inner: &str| xml.replacen(">alice<", &format!(">{inner}<"), 1);
    for (name, text, expected) in [
        ("another root", other_root, Err(GateError::Root)),
        (
            "a root in another namespace",
            xml.replacen("SAML:2.0:protocol", "SAML:1.0:protocol", 1),
            Err(GateError::Root),
        ),
        ("an assertion for a root", assertion.to_owned(), Err(GateError::Root)),
        ("two assertions", within(&second), Err(GateError::SeveralAssertions)),
        (
            "a second one encrypted",
            within("<saml:EncryptedAssertion xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\"/>"),
            Err(GateError::SeveralAssertions),
        ),
        ("an assertion in extensions", extension(&second), Err(GateError::Misplaced)),
        ("an assertion in an attribute", value(&second), Err(GateError::Misplaced)),
        ("one by another namespace", extension("<Assertion xmlns=\"urn:x\"/>"), Err(GateError::Misplaced)),
        ("one in another case", extension("<x:ASSERTION xmlns:x=\"urn:x\"/>"), Err(GateError::Misplaced)),
        (
            "an encrypted assertion in extensions",
            extension("<x:EncryptedAssertion xmlns:x=\"urn:x\"/>"),
            Err(GateError::Misplaced),
        ),
        ("a response in a response", extension("<samlp:Response ID=\"_r\"/>"), Err(GateError::Misplaced)),
        ("a signature in extensions", extension(&fresh(signature, "x")), Err(GateError::Misplaced)),
        ("a signature in an attribute", value(&fresh(signature, "x")), Err(GateError::Misplaced)),
        (
            "a signature by another namespace",
            extension("<x:Signature xmlns:x=\"urn:x\"/>"),
            Err(GateError::Misplaced),
        ),
        (
            "two signatures",
            xml.replacen(signature, &format!("{signature}{signature}"), 1),
            Err(GateError::Misplaced),
        ),
        ("an ID twice", id_of("ID=\"_twice\" Id=\"_twice\""), Err(GateError::IdTwice)),
        ("the response's ID again", extension(&format!("<x ID=\"{}\"/>", id(&xml))), Err(GateError::IdTwice)),
        ("xml:id", id_of("xml:id=\"_x\""), Err(GateError::ForeignId)),
        ("wsu:Id", id_of("xmlns:wsu=\"urn:w\" wsu:Id=\"_x\""), Err(GateError::ForeignId)),
        ("an ID that begins with a digit", id_of("ID=\"1x\""), Err(GateError::IdSyntax)),
        ("an ID with a quotation mark", id_of("ID=\"a'b\""), Err(GateError::IdSyntax)),
        ("an empty ID", id_of("ID=\"\""), Err(GateError::IdSyntax)),
        ("a colon in an ID", id_of("id=\"a:b\""), Err(GateError::IdSyntax)),
    ] {
        assert_eq!(outcome(&text), expected, "{name}");
    }
    let nameless = xml.replacen(&format!(" ID=\"{}\"", id(&xml)), "", 1);
    assert_eq!(outcome(&nameless), Err(GateError::NoId));
}

/// The first ID: the response's.
fn id(xml: &str) -> &str {
    let start = xml.find(" ID=\"").expect("an ID") + 5;
    &xml[start..start + xml[start..].find('"').expect("it ends")]
}

type Row = (&'static str, fn(&mut Signing), Result<(), GateError>);

const fn shape(error: ShapeError) -> Result<(), GateError> {
    Err(GateError::Signature(error))
}

const fn parts(error: SchemaError) -> Result<(), GateError> {
    shape(ShapeError::Parts(error))
}

const INCLUSIVE: &str = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315";
const XSLT: &str = "http://www.w3.org/TR/1999/REC-xslt-19991116";

/// `algorithms` as transforms.
fn transforms(signing: &mut Signing, algorithms: &[&str]) {
    signing.transforms = algorithms.iter().map(|algorithm| Signing::transform(algorithm)).collect();
}

#[expect(clippy::unnecessary_wraps, reason = "as `Signing` takes it")]
fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// As OpenSAML does, with this list.
fn list_prefixes(signing: &mut Signing, list: &str) {
    let namespace = Signing::EXCLUSIVE;
    let prefixes = format!("<ec:InclusiveNamespaces xmlns:ec=\"{namespace}\" PrefixList=\"{list}\"/>");
    let bare = Signing::transform(namespace);
    let with_prefixes = bare.replacen("></", &format!(">{prefixes}</"), 1);
    signing.transforms = signing.transforms.replacen(&bare, &with_prefixes, 1);
}

#[test]
fn each_rule_about_transforms_is_kept() {
    const ROWS: &[Row] = &[
        ("as it should be", |_| {}, Ok(())),
        ("comments kept", |s| s.canonicalization.push_str("WithComments"), Ok(())),
        (
            "inclusive canonicalization",
            |s| s.canonicalization = INCLUSIVE.to_owned(),
            shape(ShapeError::Canonicalization),
        ),
        ("prefixes listed", |s| list_prefixes(s, "xsd xs"), Ok(())),
        ("as many as may be", |s| list_prefixes(s, &"a ".repeat(MAX_LISTED_PREFIXES)), Ok(())),
        (
            "one more",
            |s| list_prefixes(s, &"a ".repeat(MAX_LISTED_PREFIXES + 1)),
            shape(ShapeError::Prefixes),
        ),
        ("a long one", |s| list_prefixes(s, &"a".repeat(257)), shape(ShapeError::Prefixes)),
        (
            "inclusive canonicalization of the content",
            |s| transforms(s, &[Signing::ENVELOPED, INCLUSIVE]),
            shape(ShapeError::Transforms),
        ),
        ("one transform", |s| transforms(s, &[Signing::ENVELOPED]), parts(SchemaError::Missing("Transform"))),
        ("no transform", |s| transforms(s, &[]), parts(SchemaError::Missing("Transform"))),
        (
            "the wrong way round",
            |s| transforms(s, &[Signing::EXCLUSIVE, Signing::ENVELOPED]),
            shape(ShapeError::Transforms),
        ),
        (
            "three",
            |s| transforms(s, &[Signing::ENVELOPED, Signing::EXCLUSIVE, Signing::EXCLUSIVE]),
            parts(SchemaError::Unexpected("Transforms")),
        ),
        ("XSLT", |s| transforms(s, &[XSLT, Signing::EXCLUSIVE]), shape(ShapeError::Transforms)),
        ("XSLT at the end", |s| transforms(s, &[Signing::ENVELOPED, XSLT]), shape(ShapeError::Transforms)),
        (
            "a parameter of enveloped-signature",
            |s| s.transforms = s.transforms.replacen("></", "><ds:XPath>1</ds:XPath></", 1),
            parts(SchemaError::Unexpected("Transform")),
        ),
    ];
    for (name, change, expected) in ROWS {
        assert_eq!(outcome(&signed_with(change)), *expected, "{name}");
    }
}

#[test]
fn each_rule_about_references_algorithms_and_keys_is_kept() {
    const ROWS: &[Row] = &[
        ("no URI", |s| s.uri = some(""), shape(ShapeError::Reference)),
        ("no ID", |s| s.uri = some("#"), shape(ShapeError::Reference)),
        ("another element", |s| s.uri = some("#_response-1"), shape(ShapeError::Reference)),
        ("an XPointer", |s| s.uri = some("#xpointer(/)"), shape(ShapeError::Reference)),
        ("a place", |s| s.uri = some("http://127.0.0.1:9/"), shape(ShapeError::Reference)),
        ("a file", |s| s.uri = some("file:///dev/zero"), shape(ShapeError::Reference)),
        (
            "HMAC",
            |s| s.method = some("http://www.w3.org/2000/09/xmldsig#hmac-sha1"),
            shape(ShapeError::Algorithm),
        ),
        ("no algorithm", |s| s.method = some(""), shape(ShapeError::Algorithm)),
        (
            "MD5",
            |s| s.digest_method = some("http://www.w3.org/2001/04/xmldsig-more#md5"),
            shape(ShapeError::Digest),
        ),
        (
            "a second reference",
            |s| s.more_in_signed_info = "<ds:Reference URI=\"\"/>".to_owned(),
            parts(SchemaError::Unexpected("SignedInfo")),
        ),
        (
            "an object",
            |s| s.more_in_signature = "<ds:Object>x</ds:Object>".to_owned(),
            parts(SchemaError::Unexpected("Signature")),
        ),
        (
            "a key to be fetched",
            |s| s.key_info = some("<ds:RetrievalMethod URI=\"http://127.0.0.1:9/\"/>"),
            shape(ShapeError::KeyInfo),
        ),
        (
            "a transform in the key info",
            |s| s.key_info = some("<ds:X509Data><ds:Transforms/></ds:X509Data>"),
            shape(ShapeError::KeyInfo),
        ),
        ("a key's name", |s| s.key_info = some("<ds:KeyName>mine</ds:KeyName>"), Ok(())),
    ];
    for (name, change, expected) in ROWS {
        assert_eq!(outcome(&signed_with(change)), *expected, "{name}");
    }
}

#[test]
fn each_rule_about_the_parts_of_a_signature_is_kept() {
    let xml = signed();
    let (value, digest) =
        (["<ds:SignatureValue>", "</ds:SignatureValue>"], ["<ds:DigestValue>", "</ds:DigestValue>"]);
    let replaced = |[from, to]: [&str; 2], with: &str| xml.replacen(between(&xml, from, to), with, 1);
    let info = |with: &str| xml.replacen("<ds:SignedInfo>", with, 1);
    for (name, text, expected) in [
        ("an attribute of SignedInfo", info("<ds:SignedInfo a=\"b\">"), shape(ShapeError::Attribute)),
        ("text in SignedInfo", info("<ds:SignedInfo>x"), parts(SchemaError::Text("SignedInfo"))),
        ("no key info", without(&xml, "<ds:KeyInfo>", "</ds:KeyInfo>"), Ok(())),
        ("no value", without(&xml, value[0], value[1]), parts(SchemaError::Missing("SignatureValue"))),
        ("an empty value", replaced(value, ""), parts(SchemaError::Base64("SignatureValue"))),
        ("a digest that is none", replaced(digest, "!"), parts(SchemaError::Base64("DigestValue"))),
        (
            "no SignedInfo",
            without(&xml, "<ds:SignedInfo>", "</ds:SignedInfo>"),
            parts(SchemaError::Missing("SignedInfo")),
        ),
    ] {
        assert_eq!(outcome(&text), expected, "{name}");
    }
}

fn between<'a>(xml: &'a str, from: &str, to: &str) -> &'a str {
    let start = xml.find(from).expect("it begins") + from.len();
    &xml[start..start + xml[start..].find(to).expect("it ends")]
}

fn without(xml: &str, from: &str, to: &str) -> String {
    let part = format!("{from}{}{to}", between(xml, from, to));
    xml.replacen(&part, "", 1)
}
