//! What metadata says, and what is no metadata of an identity provider that could be trusted.

use usher_lab::scripted::saml::{SamlIdp, SamlKey};

use super::*;
use crate::testing::{ENTITY, IDP, NOW, STRANGER, known};

fn metadata() -> String {
    IDP.metadata().expect("metadata")
}

fn read(text: &str) -> Result<Idp, String> {
    read_wanted(text, None)
}

fn read_wanted(text: &str, wanted: Option<&str>) -> Result<Idp, String> {
    Idp::read(text.as_bytes(), wanted).map_err(|error| {
        let name = format!("{error:?}");
        name.split(['(', ' ']).next().unwrap_or_default().to_owned()
    })
}

#[test]
fn an_identity_provider_is_its_name_its_keys_and_its_addresses() {
    let idp = read(&metadata()).expect("metadata");
    assert_eq!(idp.entity_id.as_str(), ENTITY);
    assert_eq!(idp.keys.len(), 1);
    let written = "https://idp.ac.cdl/idp/sso".to_owned();
    let location = Location { url: Url::parse(&written).expect("a URL"), written };
    assert_eq!(idp.single_sign_on.redirect, Some(location));
    assert_eq!(idp.single_sign_on.post, idp.single_sign_on.redirect);
    assert!(!idp.wants_signed_requests);
    assert!(idp.scopes.is_none() && idp.valid_until.is_none());
    let wanting = SamlIdp { wants_signed_requests: true, ..IDP.clone() };
    assert!(known(&wanting).wants_signed_requests);
    let marked = format!("\u{FEFF}<?xml version=\"1.0\"?><!-- by hand -->{}", metadata());
    assert!(read(&marked).is_ok(), "editors leave marks, and people comments");
}

#[test]
fn keys_for_encryption_do_not_verify_and_keys_without_a_use_do() {
    let signing = "use=\"signing\"";
    for (name, text, expected) in [
        ("for signing", metadata(), Ok(1)),
        ("for anything", metadata().replacen(signing, "", 1), Ok(1)),
        ("for encryption", metadata().replacen(signing, "use=\"encryption\"", 1), Err("NoKeys".to_owned())),
        ("for something else", metadata().replacen(signing, "use=\"x\"", 1), Err("NoKeys".to_owned())),
        (
            "in another namespace",
            metadata().replacen("2000/09/xmldsig#", "2000/09/other#", 1),
            Err("NoKeys".to_owned()),
        ),
    ] {
        assert_eq!(read(&text).map(|idp| idp.keys.len()), expected, "{name}");
    }
}

#[test]
fn keys_that_cannot_be_used_are_passed_over_as_long_as_one_is_left() {
    let weak = SamlKey::rsa(1024).expect("a key");
    let with = |keys: &[&SamlKey]| {
        let keys = keys.iter().map(|key| (*key).clone()).collect();
        read(&SamlIdp { keys, ..IDP.clone() }.metadata().expect("metadata")).map(|idp| idp.keys.len())
    };
    assert_eq!(with(&[&weak, &IDP.keys[0]]), Ok(1));
    assert_eq!(with(&[&IDP.keys[0], &STRANGER]), Ok(2));
    assert_eq!(with(&[&IDP.keys[0], &IDP.keys[0]]), Ok(1), "the same key twice is one");
    assert_eq!(with(&[&weak]), Err("BadKeys".to_owned()));
    assert_eq!(with(&[]), Err("NoKeys".to_owned()));
    let certificate = IDP.keys[0].certificate_base64().expect("a certificate");
    for broken in ["", "!", "AAAA"] {
        let text = metadata().replacen(&certificate, broken, 1);
        assert_eq!(read(&text).err(), Some("BadKeys".to_owned()), "{broken:?}");
    }
    let many: Vec<_> = std::iter::repeat_n(&weak, 20).chain([&IDP.keys[0]]).collect();
    assert_eq!(with(&many), Ok(1));
}

#[test]
fn browsers_are_sent_to_web_addresses_alone() {
    let (sso, binding) = ("https://idp.ac.cdl/idp/sso", "bindings:HTTP-");
    for (name, text, expected) in [
        ("http", metadata().replace(sso, "http://127.0.0.1:8080/sso"), Ok(())),
        ("a script", metadata().replace(sso, "javascript:alert(1)"), Err("NoEndpoint".to_owned())),
        ("data", metadata().replace(sso, "data:text/html,x"), Err("NoEndpoint".to_owned())),
        ("a password", metadata().replace(sso, "https://me:too@idp.ac.cdl/"), Err("NoEndpoint".to_owned())),
        ("a relative one", metadata().replace(sso, "/sso"), Err("NoEndpoint".to_owned())),
        ("other bindings", metadata().replace(binding, "bindings:X-"), Err("NoEndpoint".to_owned())),
        ("one of two", metadata().replacen(sso, "javascript:alert(1)", 1), Ok(())),
    ] {
        assert_eq!(read(&text).map(drop), expected, "{name}");
    }
}

#[test]
fn of_several_entities_the_named_one_counts() {
    let other = metadata().replace(ENTITY, "https://other.example/idp");
    let sp = "<md:EntityDescriptor xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\" entityID=\"https://sp.example\">\
              <md:SPSSODescriptor/></md:EntityDescriptor>";
    let old = metadata()
        .replace(ENTITY, "https://old.example/idp")
        .replace("SAML:2.0:protocol", "SAML:1.1:protocol");
    let aggregate = |entities: &[&str]| {
        format!(
            "<md:EntitiesDescriptor xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\"><md:EntitiesDescriptor>{}\
             </md:EntitiesDescriptor></md:EntitiesDescriptor>",
            entities.concat()
        )
    };
    let (own, both) = (metadata(), aggregate(&[sp, &old, &other, &metadata()]));
    let found = |text: &str, wanted| read_wanted(text, wanted).map(|idp| idp.entity_id.to_string());
    assert_eq!(found(&own, Some(ENTITY)), Ok(ENTITY.to_owned()));
    assert_eq!(found(&both, Some(ENTITY)), Ok(ENTITY.to_owned()));
    assert_eq!(found(&both, Some("https://other.example/idp")), Ok("https://other.example/idp".to_owned()));
    assert_eq!(found(&aggregate(&[sp, &old, &own]), None), Ok(ENTITY.to_owned()), "the only one of SAML 2.0");
    for (name, text, wanted, expected) in [
        ("two and no name", both.as_str(), None, "NotOne"),
        ("none", &aggregate(&[sp, &old]), None, "Nobody"),
        ("a service alone", sp, None, "ServiceProvider"),
        ("a service alone, and a name", sp, Some(ENTITY), "ServiceProvider"),
        ("another name", own.as_str(), Some("https://idp.ac.cdl/IDP"), "Another"),
        ("another name of several", both.as_str(), Some("https://third.example/idp"), "NoSuchEntity"),
        ("a name that nobody has", &aggregate(&[sp]), Some(ENTITY), "NoSuchEntity"),
        ("a service", &aggregate(&[sp, &own]), Some("https://sp.example"), "Another"),
        ("one of SAML 1.1", &aggregate(&[&old, &own]), Some("https://old.example/idp"), "Another"),
    ] {
        assert_eq!(found(text, wanted), Err(expected.to_owned()), "{name}");
    }
}

#[test]
fn a_name_that_is_nearly_right_is_told() {
    let several = format!(
        "<md:EntitiesDescriptor xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\">{}{}</md:EntitiesDescriptor>",
        metadata(),
        metadata().replace(ENTITY, "https://other.example/&#10;idp/")
    );
    for (name, text, wanted, told) in [
        ("a slash more", &several, "https://idp.ac.cdl/idp/", Some("`https://idp.ac.cdl/idp`")),
        ("a slash less", &several, "https://other.example/\nidp", Some("`https://other.example/idp/`")),
        ("another case", &several, "https://IDP.ac.cdl/idp", Some("`https://idp.ac.cdl/idp`")),
        ("quite another", &several, "https://idp.ac.cdl/sso", None),
        ("the only one", &metadata(), "https://idp.ac.cdl/sso", Some("`https://idp.ac.cdl/idp`")),
    ] {
        let said = Idp::read(text.as_bytes(), Some(wanted)).expect_err("another").to_string();
        assert!(said.contains(&format!("`{wanted}`")), "{name}: {said}");
        assert_eq!(said.contains(", but "), told.is_some(), "{name}: {said}");
        assert!(told.is_none_or(|told| said.contains(told)), "{name}: {said}");
    }
}

#[test]
fn what_is_no_metadata_is_said_to_be_none() {
    for (name, text, expected) in [
        ("nothing", String::new(), "NotXml"),
        ("no XML", "metadata".to_owned(), "NotXml"),
        ("a DOCTYPE", format!("<!DOCTYPE a>{}", metadata()), "NotXml"),
        ("a page", "<html/>".to_owned(), "NotMetadata"),
        ("another namespace", metadata().replace("SAML:2.0:metadata", "SAML:1.0:metadata"), "NotMetadata"),
        ("an empty name", metadata().replacen(ENTITY, "", 1), "EntityId"),
        ("no name", metadata().replacen(&format!(" entityID=\"{ENTITY}\""), "", 1), "Schema"),
        (
            "a wish that is none",
            metadata().replacen("WantAuthnRequestsSigned=\"false\"", "WantAuthnRequestsSigned=\"no\"", 1),
            "Schema",
        ),
        (
            "a time that is none",
            metadata().replacen("entityID", "validUntil=\"tomorrow\" entityID", 1),
            "Schema",
        ),
        ("too much", metadata() + &" ".repeat(MAX_BYTES), "TooLong"),
        (
            "too many elements",
            metadata().replacen("</md:Ent", &format!("{}</md:Ent", "<a/>".repeat(100_001)), 1),
            "TooComplex",
        ),
    ] {
        assert_eq!(read(&text).err(), Some(expected.to_owned()), "{name}");
    }
    assert!(matches!(Idp::read(&[0xFF, 0xFE], None), Err(MetadataError::NotUtf8)));
}

#[test]
fn the_earliest_end_of_validity_counts() {
    let until = |entity: &str, role: &str, around: &str| {
        let mark = |instant: &str| {
            if instant.is_empty() { String::new() } else { format!(" validUntil=\"{instant}\"") }
        };
        let entity = metadata().replacen(" entityID", &format!("{} entityID", mark(entity)), 1).replacen(
            " WantAuthn",
            &format!("{} WantAuthn", mark(role)),
            1,
        );
        format!(
            "<md:EntitiesDescriptor xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\"{}>{entity}</md:EntitiesDescriptor>",
            mark(around)
        )
    };
    let (past, now, future) = ("2025-12-31T23:59:59Z", "2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z");
    for (name, text, expected) in [
        ("none", until("", "", ""), true),
        ("all later", until(future, future, future), true),
        ("the entity's now", until(now, "", ""), false),
        ("the role's passed", until(future, past, future), false),
        ("the aggregate's passed", until(future, future, past), false),
    ] {
        assert_eq!(read(&text).expect(name).is_valid(NOW), expected, "{name}");
    }
}

#[test]
fn scopes_are_compared_whole_and_without_case() {
    let idp = known(&SamlIdp { scopes: vec!["ac.cdl".to_owned(), "eng.ac.cdl".to_owned()], ..IDP.clone() });
    for (scope, expected) in [
        ("ac.cdl", true),
        ("AC.CDL", true),
        ("eng.ac.cdl", true),
        ("hist.ac.cdl", false),
        ("evilac.cdl", false),
        ("ac.cdl.example", false),
        ("", false),
    ] {
        assert_eq!(idp.speaks_for(scope), expected, "{scope}");
    }
    assert!(known(&IDP).speaks_for("anything"), "metadata without scopes limits nobody");
}

#[test]
fn a_pattern_of_scopes_is_anchored_and_bounded() {
    let with = |pattern: &str| {
        let idp = SamlIdp { scopes: vec![pattern.to_owned()], ..IDP.clone() };
        read(&idp.metadata().expect("metadata").replacen("regexp=\"false\"", "regexp=\"true\"", 1))
    };
    for (pattern, scope, expected) in [
        (r"[a-z]+\.ac\.cdl", "eng.ac.cdl", true),
        (r"[a-z]+\.ac\.cdl", "eng.ac.cdl.example", false),
        (r"[a-z]+\.ac\.cdl", "x@eng.ac.cdl", false),
        (r"ac|eng", "ac.example", false),
        (r"ac|eng", "eng", true),
        (r"(?m)^ac$", "evil\nac", false),
    ] {
        assert_eq!(with(pattern).expect(pattern).speaks_for(scope), expected, "{pattern} {scope}");
    }
    for pattern in ["(", "a)|(b", "(a{1000}){1000}", &"a".repeat(257)] {
        assert_eq!(with(pattern).err(), Some("Scope".to_owned()), "{pattern}");
    }
    for (count, expected) in [(16, None), (17, Some("Scope".to_owned()))] {
        let idp = SamlIdp { scopes: vec!["a".to_owned(); count], ..IDP.clone() };
        let read = read(&idp.metadata().expect("metadata").replace("regexp=\"false\"", "regexp=\"true\""));
        assert_eq!(read.err(), expected, "{count} patterns");
    }
}

#[test]
fn what_would_take_a_parser_minutes_is_refused_before_one_sees_it() {
    let began = std::time::Instant::now();
    let many =
        |count: usize, attribute: &dyn Fn(usize) -> String| (0..count).map(attribute).collect::<String>();
    let namespaces = many(5000, &|number| format!(" xmlns:b{number}='urn:b'"));
    let attributes = many(50_000, &|number| format!(" b{number}=''"));
    let spread = many(1000, &|number| format!("<x xmlns:b{number}='urn:b'>"));
    for (name, text) in [
        ("namespaces", format!("<a{namespaces}>{}</a>", "<b xmlns='u'/>".repeat(10_000))),
        ("attributes", format!("<a{attributes}/>")),
        ("namespaces all over", format!("<a>{spread}")),
        ("a long namespace", format!("<a xmlns='{}'/>", "u".repeat(300))),
    ] {
        for signers in [&[][..], &known(&IDP).keys] {
            let read = Idp::read_signed(text.as_bytes(), None, signers);
            assert!(matches!(read, Err(MetadataError::TooComplex)), "{name}: {read:?}");
        }
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn equations_in_a_description_are_no_attributes() {
    let quoted = "x = 'y', z = \"q\" ".repeat(1000);
    let description = format!("<md:Extensions><d xmlns=\"urn:d\" e=\"a=b\">{quoted}</d></md:Extensions>");
    let described = |more: &str| {
        let metadata = metadata().replacen(
            "<md:IDPSSODescriptor",
            &format!("{description}{more}<md:IDPSSODescriptor"),
            1,
        );
        read(&metadata).map(drop)
    };
    let comment = format!("<!-- {quoted} -->");
    let attributes = (0..513).fold(String::new(), |text, number| format!("{text} b{number}='>'"));
    for (name, more, expected) in [
        ("a description", "", Ok(())),
        ("a comment", &*comment, Ok(())),
        ("attributes", &*format!("<b{attributes}/>"), Err("TooComplex")),
        ("attributes after a comment", &*format!("{comment}<b{attributes}/>"), Err("TooComplex")),
    ] {
        assert_eq!(described(more), expected.map_err(str::to_owned), "{name}");
    }
}

#[test]
fn an_identity_provider_that_stands_there_twice_is_none() {
    let twice = format!(
        "<md:EntitiesDescriptor xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\">{0}{0}</md:EntitiesDescriptor>",
        IDP.member("").expect("an entity")
    );
    let read = Idp::read_signed(twice.as_bytes(), Some(crate::testing::ENTITY), &[]);
    assert!(matches!(read, Err(MetadataError::Twice(_))), "{read:?}");
}
