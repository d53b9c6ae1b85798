//! What we ask, how it travels, and whether whoever gets it could tell that it is from us.

use openssl::{hash::MessageDigest, sign::Verifier};
use percent_encoding::percent_decode_str;
use roxmltree::Document;
use samael::crypto::{CertificateDer, Crypto, CryptoProvider as _};
use url::Url;
use usher_core::testing::SeededEntropy;
use usher_lab::scripted::saml::{Asked, SamlIdp};

use super::*;
use crate::{
    hardening::harden,
    names::FORMAT_PERSISTENT,
    testing::{ACS, IDP, NOW, OURS, REQUEST, SP, known, our_keys},
};

/// Two parties that like to break URLs and XML.
const ODD_SP: &str = "https://sp.example/?a=b&c=<d>\"e'";

fn idp() -> Idp {
    known(&IDP)
}

fn request(idp: &Idp) -> Request<'_> {
    Request {
        id: REQUEST,
        now: NOW,
        entity_id: SP,
        acs: ACS,
        idp,
        binding: None,
        is_forced: false,
        is_passive: false,
        offered_idps: &[],
        name_id_format: Some(FORMAT_PERSISTENT),
        contexts: &[],
        key: None,
        relay_state: "AAAAAAAAAAAAAAAAAAAAAA",
    }
}

fn redirect(request: &Request<'_>) -> Url {
    match request.step().expect("a step") {
        BrowserStep::Redirect(url) => url,
        step @ (BrowserStep::PostForm { .. } | BrowserStep::Ask(_)) => panic!("{step:?}"),
    }
}

fn form(request: &Request<'_>) -> (Url, Vec<(String, String)>) {
    match request.step().expect("a step") {
        BrowserStep::PostForm { action, fields } => (action, fields),
        step @ (BrowserStep::Redirect(_) | BrowserStep::Ask(_)) => panic!("{step:?}"),
    }
}

#[test]
fn an_id_is_128_random_bits_and_an_nc_name() {
    let entropy = SeededEntropy::new(1);
    let ids: Vec<_> = (0..100).map(|_| new_id(&entropy)).collect();
    for id in &ids {
        assert_eq!(id.len(), 23, "{id}");
        assert!(
            id.starts_with('_') && id.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c)),
            "{id}"
        );
    }
    assert_eq!(ids.iter().collect::<std::collections::BTreeSet<_>>().len(), ids.len());
}

#[test]
fn a_request_says_who_asks_and_where_the_answer_goes() {
    let idp = idp();
    let contexts = ["https://refeds.org/profile/mfa".to_owned(), "urn:x".to_owned()];
    let plain = Asked::from_redirect(&redirect(&request(&idp))).expect("a request");
    assert_eq!((plain.id.as_str(), plain.acs.as_str(), plain.sp.as_str()), (REQUEST, ACS, SP));
    assert_eq!(plain.relay_state, "AAAAAAAAAAAAAAAAAAAAAA");
    assert!(!plain.is_forced);
    let document = Document::parse(&plain.xml).expect("XML");
    let root = document.root_element();
    assert!(root.has_tag_name((SAMLP, "AuthnRequest")));
    for (name, expected) in [
        ("Version", "2.0"),
        ("IssueInstant", "2026-01-01T00:00:00Z"),
        ("Destination", "https://idp.ac.cdl/idp/sso"),
        ("ProtocolBinding", BINDING_POST),
    ] {
        assert_eq!(root.attribute(name), Some(expected), "{name}");
    }
    assert_eq!(root.attribute("ForceAuthn"), None);
    let children: Vec<_> = root.children().map(|child| child.tag_name().name()).collect();
    assert_eq!(children, ["Issuer", "NameIDPolicy"]);
    let policy = root.last_element_child().expect("a policy");
    assert_eq!(policy.attribute("Format"), Some(FORMAT_PERSISTENT));
    assert_eq!(policy.attribute("AllowCreate"), Some("true"));

    let full = Request { is_forced: true, name_id_format: None, contexts: &contexts, ..request(&idp) };
    let full = Asked::from_redirect(&redirect(&full)).expect("a request");
    assert!(full.is_forced);
    let document = Document::parse(&full.xml).expect("XML");
    let wanted = document.root_element().last_element_child().expect("a context");
    assert_eq!(
        (wanted.tag_name().name(), wanted.attribute("Comparison")),
        ("RequestedAuthnContext", Some("exact"))
    );
    let classes: Vec<_> = wanted.children().filter_map(|class| class.text()).collect();
    assert_eq!(classes, contexts);
}

#[test]
fn a_hub_is_told_whom_it_may_offer_and_what_it_must_not_show() {
    let (idp, offered) = (idp(), ["https://a.example/idp?x=1&y".to_owned(), "urn:b".to_owned()]);
    let asked = |request: &Request<'_>| Asked::from_redirect(&redirect(request)).expect("a request").xml;
    let plain = asked(&request(&idp));
    assert!(!plain.contains("IsPassive") && !plain.contains("Scoping"), "{plain}");
    let xml =
        asked(&Request { is_passive: true, offered_idps: &offered, contexts: &offered, ..request(&idp) });
    let document = Document::parse(&xml).expect("XML");
    let root = document.root_element();
    assert_eq!(root.attribute("IsPassive"), Some("true"));
    let children: Vec<_> = root.children().map(|child| child.tag_name().name()).collect();
    assert_eq!(
        children,
        ["Issuer", "NameIDPolicy", "RequestedAuthnContext", "Scoping"],
        "in the order of the schema"
    );
    let entries = root.descendants().filter(|node| node.has_tag_name((SAMLP, "IDPEntry")));
    let entries: Vec<_> = entries.filter_map(|entry| entry.attribute("ProviderID")).collect();
    assert_eq!(entries, offered);
}

#[test]
fn odd_characters_survive_every_binding() {
    let idp = idp();
    for binding in [RequestBinding::Redirect, RequestBinding::Post] {
        let request = Request { entity_id: ODD_SP, binding: Some(binding), ..request(&idp) };
        let asked = match binding {
            RequestBinding::Redirect => Asked::from_redirect(&redirect(&request)),
            RequestBinding::Post => Asked::from_form(&form(&request).1),
        };
        assert_eq!(asked.expect("a request").sp, ODD_SP);
    }
}

#[test]
fn the_binding_is_the_operators_or_the_first_that_the_identity_provider_takes() {
    let (both, mut none) = (idp(), idp());
    none.single_sign_on = crate::metadata::Endpoints::default();
    let only_post = |idp: &Idp| {
        let mut idp = idp.clone();
        idp.single_sign_on.redirect = None;
        idp
    };
    let only_post = only_post(&both);
    for (name, idp, binding, expected) in [
        ("redirect is preferred", &both, None, "redirect"),
        ("redirect", &both, Some(RequestBinding::Redirect), "redirect"),
        ("post", &both, Some(RequestBinding::Post), "post"),
        ("post is all there is", &only_post, None, "post"),
        ("redirect is not there", &only_post, Some(RequestBinding::Redirect), "error"),
        ("nothing is there", &none, None, "error"),
    ] {
        let step = match (Request { binding, ..request(idp) }).step() {
            Ok(BrowserStep::Redirect(_)) => "redirect",
            Ok(BrowserStep::PostForm { .. }) => "post",
            Ok(BrowserStep::Ask(_)) => "ask",
            Err(_) => "error",
        };
        assert_eq!(step, expected, "{name}");
    }
}

#[test]
fn a_redirect_is_signed_over_the_bytes_of_its_query() {
    let (idp, keys) = (idp(), our_keys());
    let url = redirect(&Request { key: keys.first(), ..request(&idp) });
    let query = url.query().expect("a query");
    let names: Vec<_> =
        query.split('&').filter_map(|pair| pair.split_once('=')).map(|(name, _)| name).collect();
    assert_eq!(names, ["SAMLRequest", "RelayState", "SigAlg", "Signature"]);
    let (signed, signature) = query.split_once("&Signature=").expect("a signature");
    let algorithm = signed.split_once("&SigAlg=").expect("an algorithm").1;
    let algorithm = percent_decode_str(algorithm).decode_utf8().expect("UTF-8");
    assert_eq!(algorithm, "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256");
    let signature = percent_decode_str(signature).decode_utf8().expect("UTF-8");
    let signature = data_encoding::BASE64.decode(signature.as_bytes()).expect("base64");
    let mut verifier = Verifier::new(MessageDigest::sha256(), &keys[0].private).expect("a verifier");
    verifier.update(signed.as_bytes()).expect("it is read");
    assert!(verifier.verify(&signature).expect("it is compared"));
    let asked = Asked::from_redirect(&url).expect("a request");
    assert!(!asked.xml.contains("Signature"), "not twice");
}

#[test]
fn a_query_that_is_there_already_is_kept() {
    let mut idp = idp();
    let written = "https://idp.ac.cdl/sso?tenant=a%26b#fragment".to_owned();
    let location = Location { url: Url::parse(&written).expect("a URL"), written };
    idp.single_sign_on.redirect = Some(location);
    let url = redirect(&request(&idp));
    assert!(url.as_str().starts_with("https://idp.ac.cdl/sso?tenant=a%26b&SAMLRequest="), "{url}");
    assert_eq!(url.fragment(), None);
}

/// As SimpleSAMLphp and the Shibboleth SP write it.
#[test]
fn a_destination_is_the_location_letter_by_letter() {
    harden().expect("xmlsec can be used");
    for (written, address) in [
        ("https://idp.ac.cdl:443/sso", "https://idp.ac.cdl/sso"),
        ("https://IDP.ac.cdl/sso", "https://idp.ac.cdl/sso"),
        ("https://idp.ac.cdl", "https://idp.ac.cdl/"),
        ("HTTPS://idp.ac.cdl/a/../sso", "https://idp.ac.cdl/sso"),
        ("https://idp.ac.cdl/sign in?tenant=a&b='c'", "https://idp.ac.cdl/sign%20in?tenant=a&b=%27c%27"),
        ("https://idp.ac.cdl/é", "https://idp.ac.cdl/%C3%A9"),
    ] {
        let metadata = IDP.metadata().expect("metadata");
        let metadata = metadata.replace(&IDP.single_sign_on(), &format!(" {} ", escape(written)));
        let idp = Idp::read(metadata.as_bytes(), None).expect("metadata that can be read");
        let keys = our_keys();
        for key in [None, keys.first()] {
            let request = Request { key, ..request(&idp) };
            let url = redirect(&request);
            let (action, fields) = form(&Request { binding: Some(RequestBinding::Post), ..request });
            assert_eq!(action.as_str(), address, "{written}");
            assert!(url.as_str().starts_with(address), "{written}: {url}");
            for asked in [Asked::from_redirect(&url), Asked::from_form(&fields)] {
                let asked = asked.expect("a request");
                let document = Document::parse(&asked.xml).expect("XML");
                assert_eq!(document.root_element().attribute("Destination"), Some(written));
            }
        }
    }
}

#[test]
fn a_posted_request_is_signed_within() {
    harden().expect("xmlsec can be used");
    let (idp, keys) = (idp(), our_keys());
    let request = Request { key: keys.first(), binding: Some(RequestBinding::Post), ..request(&idp) };
    let (action, fields) = form(&request);
    assert_eq!(action.as_str(), "https://idp.ac.cdl/idp/sso");
    let names: Vec<_> = fields.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["SAMLRequest", "RelayState"]);
    let asked = Asked::from_form(&fields).expect("a request");
    let ours = CertificateDer::from(keys[0].certificate.clone());
    Crypto::verify_signed_xml(&asked.xml, &ours, Some("ID")).expect("our signature");
    let forged = asked.xml.replacen(ACS, "https://evil.example/acs", 1);
    Crypto::verify_signed_xml(&forged, &ours, Some("ID")).expect_err("the signature covers it");
    let document = Document::parse(&asked.xml).expect("XML");
    let order: Vec<_> = document.root_element().children().map(|child| child.tag_name().name()).collect();
    assert_eq!(order, ["Issuer", "Signature", "NameIDPolicy"]);
    assert!(asked.xml.contains(&OURS.certificate_base64().expect("a certificate")));
}

#[test]
fn an_identity_provider_that_wants_signatures_gets_none_without() {
    let idp = known(&SamlIdp { wants_signed_requests: true, ..IDP.clone() });
    assert!(matches!(request(&idp).step(), Err(RequestError::NoKey)));
    let keys = our_keys();
    assert!(Request { key: keys.first(), ..request(&idp) }.step().is_ok());
}
