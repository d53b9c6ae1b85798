//! What may be encrypted how, and that nothing is learnt from what cannot be decrypted.

use usher_lab::scripted::saml::{Encryption, SamlKey};

use super::*;
use crate::testing::OURS;

fn undecryptable(xml: &str) -> bool {
    matches!(read(xml), Err(ResponseError::Unproven(Unproven::Undecryptable)))
}

#[test]
fn a_clear_assertion_is_refused_where_encryption_is_required() {
    let strict = Policy { needs_encryption: true, ..policy() };
    for (encryption, expected) in [(None, false), (encryption(Seal::Gcm(256), Transport::Oaep256), true)] {
        let xml = honest().xml(&Protection { encryption, ..assertion_signed() }).expect("a response");
        match read_by(&xml, &known(&IDP), &strict) {
            Ok(_) => assert!(expected),
            Err(ResponseError::Unproven(Unproven::NotEncrypted)) => assert!(!expected),
            Err(error) => panic!("{error:?}"),
        }
    }
}

#[test]
fn a_key_beside_the_data_is_found_too() {
    for transport in [Transport::OaepMgf1p, Transport::Oaep256] {
        for is_signed in [true, false] {
            let encryption =
                Some(Encryption { to: OURS.clone(), seal: Seal::Gcm(128), transport, is_beside: true });
            let around = if is_signed { response_signed() } else { assertion_signed() };
            let xml = honest().xml(&Protection { encryption, ..around }).expect("a response");
            let answer = read(&xml);
            assert!(answer.is_ok(), "{transport:?}, {is_signed}: {:?}", answer.err());
        }
    }
}

#[test]
fn aes_cbc_is_refused_outside_a_signed_response() {
    for bits in [128, 192, 256] {
        let encryption = encryption(Seal::Cbc(bits), Transport::OaepMgf1p);
        let xml = honest().xml(&Protection { encryption, ..assertion_signed() }).expect("a response");
        assert!(undecryptable(&xml), "{bits}");
    }
}

#[test]
fn rsa_1_5_is_refused_unless_allowed_and_signed() {
    for (is_allowed, is_signed, expected) in
        [(false, true, false), (true, true, true), (true, false, false), (false, false, false)]
    {
        let around = if is_signed { response_signed() } else { assertion_signed() };
        let encryption = encryption(Seal::Gcm(128), Transport::Rsa15);
        let xml = honest().xml(&Protection { encryption, ..around }).expect("a response");
        let answer = read_by(&xml, &known(&IDP), &Policy { allows_rsa_1_5: is_allowed, ..policy() });
        match answer {
            Ok(_) => assert!(expected, "{is_allowed} {is_signed}"),
            Err(ResponseError::Unproven(Unproven::Undecryptable)) => {
                assert!(!expected, "{is_allowed} {is_signed}");
            }
            Err(error) => panic!("{error:?}"),
        }
    }
}

#[test]
fn what_was_encrypted_to_another_is_refused() {
    let other = SamlKey::rsa(2048).expect("a key");
    let encryption = Some(Encryption {
        to: other,
        seal: Seal::Gcm(128),
        transport: Transport::OaepMgf1p,
        is_beside: false,
    });
    let xml = honest().xml(&Protection { encryption, ..assertion_signed() }).expect("a response");
    assert!(undecryptable(&xml));
}

/// The texts of all `CipherValue`s: the key's, then the data's.
fn cipher_values(xml: &str) -> Vec<(usize, usize)> {
    let (open, close) = ("<xenc:CipherValue>", "</xenc:CipherValue>");
    xml.match_indices(open)
        .map(|(at, _)| (at + open.len(), at + xml[at..].find(close).expect("it is closed")))
        .collect()
}

#[test]
fn garbage_in_place_of_ciphertext_has_one_answer() {
    let encryption = encryption(Seal::Gcm(128), Transport::OaepMgf1p);
    let xml = honest().xml(&Protection { encryption, ..assertion_signed() }).expect("a response");
    let values = cipher_values(&xml);
    assert_eq!(values.len(), 2);
    for (start, end) in values {
        let bytes = data_encoding::BASE64.decode(&xml.as_bytes()[start..end]).expect("base64");
        let mut flipped = bytes.clone();
        flipped[bytes.len() / 2] ^= 1;
        let mut last = bytes.clone();
        *last.last_mut().expect("there are bytes") ^= 1;
        for garbage in [
            Vec::new(),
            vec![0],
            vec![0xFF; 12],
            vec![0xFF; 27],
            vec![0xFF; 28],
            bytes[..bytes.len() - 1].to_vec(),
            [&bytes[..], &[0]].concat(),
            flipped,
            last,
            vec![0x80; 100_000],
        ] {
            let text = data_encoding::BASE64.encode(&garbage);
            let forged = format!("{}{text}{}", &xml[..start], &xml[end..]);
            assert!(undecryptable(&forged), "{} bytes", garbage.len());
        }
        for text in ["no base64!", "===="] {
            let forged = format!("{}{text}{}", &xml[..start], &xml[end..]);
            assert!(undecryptable(&forged), "{text}");
        }
    }
}

#[test]
fn a_plaintext_that_is_no_assertion_does_not_pass_the_gate() {
    use usher_lab::scripted::saml::encrypt;
    let how = encryption(Seal::Gcm(128), Transport::OaepMgf1p).expect("a way");
    let assertion = honest().assertion.expect("an assertion").xml(None).expect("an assertion");
    let whole = honest().xml(&assertion_signed()).expect("a response");
    for (name, plaintext) in [
        ("nothing", ""),
        ("no XML", "alice"),
        ("a response", whole.as_str()),
        ("two assertions", &format!("{assertion}{assertion}")),
        ("a DOCTYPE", &format!("<!DOCTYPE a [<!ENTITY b 'c'>]>{assertion}")),
        ("a comment", &assertion.replacen("alice", "al<!-- -->ice", 1)),
        ("an encrypted assertion", &encrypt(&assertion, &how).expect("encrypted")),
    ] {
        let encrypted = encrypt(plaintext, &how).expect("encrypted");
        let xml = honest().xml_around(&encrypted, Some(&Signing::with(&IDP.keys[0]))).expect("a response");
        let error = read(&xml).expect_err(name);
        assert!(matches!(error, ResponseError::Gate(_)), "{name}: {error:?}");
    }
}
