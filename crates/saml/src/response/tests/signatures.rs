//! Whose signature it is, and what it was made with.

use usher_lab::scripted::saml::{Digest, SamlIdp, SamlKey};

use super::*;
use crate::{
    gate::ShapeError,
    testing::{ENTITY, STRANGER},
};

fn with(signing: Signing) -> Protection {
    Protection { assertion: Some(signing), ..Protection::default() }
}

#[test]
fn an_unsigned_response_proves_nobody() {
    let plain = honest().xml(&Protection::default()).expect("a response");
    let error = read(&plain).expect_err("nobody signed");
    assert!(matches!(error, ResponseError::Unproven(Unproven::Unsigned)), "{error:?}");
    let encrypted =
        Protection { encryption: encryption(Seal::Gcm(128), Transport::OaepMgf1p), ..Protection::default() };
    let encrypted = honest().xml(&encrypted).expect("a response");
    let error = read(&encrypted).expect_err("anybody can encrypt");
    assert!(matches!(error, ResponseError::Unproven(Unproven::Unsigned)), "{error:?}");
}

#[test]
fn a_signature_by_any_key_but_the_identity_providers_is_refused() {
    let (key, stranger) = (Signing::with(&IDP.keys[0]), Signing::with(&STRANGER));
    for (name, response, assertion) in [
        ("the assertion by a stranger", None, Some(&stranger)),
        ("the response by a stranger", Some(&stranger), None),
        ("both by a stranger", Some(&stranger), Some(&stranger)),
        ("the response by a stranger around an honest assertion", Some(&stranger), Some(&key)),
        ("an assertion by a stranger in an honest response", Some(&key), Some(&stranger)),
    ] {
        for encryption in [None, encryption(Seal::Gcm(128), Transport::OaepMgf1p)] {
            let case = format!("{name}, encrypted {}", encryption.is_some());
            let protection =
                Protection { response: response.cloned(), assertion: assertion.cloned(), encryption };
            let xml = honest().xml(&protection).expect("a response");
            let error = read(&xml).expect_err(&case);
            assert!(matches!(error, ResponseError::Unproven(Unproven::Signature)), "{case}: {error:?}");
        }
    }
}

#[test]
fn a_certificate_in_the_message_convinces_nobody() {
    let mut signing = Signing::with(&STRANGER);
    let genuine = IDP.keys[0].certificate_base64().expect("a certificate");
    signing.key_info =
        Some(format!("<ds:X509Data><ds:X509Certificate>{genuine}</ds:X509Certificate></ds:X509Data>"));
    let xml = honest().xml(&with(signing)).expect("a response");
    let error = read(&xml).expect_err("the key is what counts");
    assert!(matches!(error, ResponseError::Unproven(Unproven::Signature)), "{error:?}");
}

#[test]
fn one_changed_byte_of_what_was_signed_is_refused() {
    for protection in [assertion_signed(), response_signed()] {
        let xml = honest().xml(&protection).expect("a response");
        for (from, to) in
            [("alice-persistent", "alicf-persistent"), (">alice<", ">bob<"), ("_session-", "_sessioN-")]
        {
            let forged = xml.replacen(from, to, 1);
            assert_ne!(forged, xml);
            let error = read(&forged).expect_err(to);
            assert!(matches!(error, ResponseError::Unproven(Unproven::Signature)), "{to}: {error:?}");
        }
    }
}

#[test]
fn sha_2_counts_and_nothing_older() {
    let ec = [SamlKey::p256().expect("a key"), SamlKey::p384().expect("a key")];
    for key in [&IDP.keys[0], &ec[0], &ec[1]] {
        let idp = SamlIdp { keys: vec![key.clone()], ..IDP.clone() };
        for digest in [Digest::Sha256, Digest::Sha384, Digest::Sha512] {
            let xml = honest().xml(&with(Signing { digest, ..Signing::with(key) })).expect("a response");
            let answer = read_by(&xml, &known(&idp), &policy());
            assert!(answer.is_ok(), "{digest:?}: {:?}", answer.err());
        }
        let xml =
            honest().xml(&with(Signing { digest: Digest::Sha1, ..Signing::with(key) })).expect("a response");
        let error = read_by(&xml, &known(&idp), &policy()).expect_err("SHA-1");
        let expected = GateError::Signature(ShapeError::Algorithm);
        assert!(matches!(error, ResponseError::Gate(gate) if gate == expected), "{error:?}");
        let old = Digest::Sha1.uri().to_owned();
        let digest_alone = Signing { digest_method: Some(old), ..Signing::with(key) };
        let xml = honest().xml(&with(digest_alone)).expect("a response");
        let error = read_by(&xml, &known(&idp), &policy()).expect_err("a digest of SHA-1");
        let expected = GateError::Signature(ShapeError::Digest);
        assert!(matches!(error, ResponseError::Gate(gate) if gate == expected), "{error:?}");
    }
}

#[test]
fn any_of_several_keys_of_any_kind_counts_wherever_it_stands() {
    let others = [
        SamlKey::rsa(3072).expect("a key"),
        SamlKey::p256().expect("a key"),
        SamlKey::rsa(2048).expect("a key"),
        SamlKey::p384().expect("a key"),
    ];
    let keys: Vec<_> = others.iter().chain(&IDP.keys).cloned().collect();
    let idp = known(&SamlIdp { keys: keys.clone(), ..IDP.clone() });
    for (index, key) in keys.iter().enumerate() {
        for protection in [
            with(Signing::with(key)),
            Protection { response: Some(Signing::with(key)), ..Protection::default() },
            Protection { response: Some(Signing::with(key)), ..with(Signing::with(key)) },
        ] {
            let xml = honest().xml(&protection).expect("a response");
            let answer = read_by(&xml, &idp, &policy());
            assert!(answer.is_ok(), "key {index}: {:?}", answer.err());
        }
    }
    let xml = honest().xml(&with(Signing::with(&STRANGER))).expect("a response");
    assert!(read_by(&xml, &idp, &policy()).is_err(), "and no other");
}

#[test]
fn a_public_key_is_no_secret_of_an_hmac() {
    let hmac = "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256".to_owned();
    let secret = IDP.keys[0].public_pem().expect("a key");
    let rsa = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256".to_owned();
    for method in [hmac, rsa] {
        let signing = Signing {
            method: Some(method),
            hmac_secret: Some(secret.clone()),
            ..Signing::with(&IDP.keys[0])
        };
        let xml = honest().xml(&with(signing)).expect("a response");
        assert!(read(&xml).is_err());
    }
}

#[test]
fn a_weak_key_or_an_odd_curve_is_no_key_of_an_identity_provider() {
    for key in [SamlKey::rsa(1024).expect("a key"), SamlKey::secp256k1().expect("a key")] {
        let idp = SamlIdp { keys: vec![key], ..SamlIdp::new(ENTITY).expect("a key") };
        let read = Idp::read(idp.metadata().expect("metadata").as_bytes(), None);
        assert!(matches!(read, Err(crate::metadata::MetadataError::BadKeys(_))), "{read:?}");
    }
}
