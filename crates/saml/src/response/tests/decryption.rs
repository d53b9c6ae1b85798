//! What may be encrypted how, and that nothing is learnt from what cannot be decrypted.

use usher_lab::scripted::saml::{Digest, Encryption, SamlKey, encrypt, encrypt_name};

use super::*;
use crate::testing::OURS;

fn undecryptable(xml: &str) -> bool {
    matches!(read(xml), Err(ResponseError::Unproven(Unproven::Undecryptable)))
}

fn refused_by_its_algorithms(xml: &str) -> bool {
    matches!(read(xml), Err(ResponseError::Unproven(Unproven::Encryption)))
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
        assert!(refused_by_its_algorithms(&xml), "{bits}");
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
            Err(ResponseError::Unproven(Unproven::Encryption)) => {
                assert!(!expected, "{is_allowed} {is_signed}");
            }
            Err(error) => panic!("{error:?}"),
        }
    }
}

#[test]
fn algorithms_that_are_not_known_are_refused_by_their_names() {
    let encryption = encryption(Seal::Gcm(128), Transport::OaepMgf1p);
    let xml = honest().xml(&Protection { encryption, ..assertion_signed() }).expect("a response");
    for (name, from, to) in [
        ("3DES", "2009/xmlenc11#aes128-gcm", "2001/04/xmlenc#tripledes-cbc"),
        ("a key that is wrapped by a key", "2001/04/xmlenc#rsa-oaep-mgf1p", "2001/04/xmlenc#kw-aes128"),
    ] {
        assert!(xml.contains(from), "{name}");
        assert!(refused_by_its_algorithms(&xml.replacen(from, to, 1)), "{name}");
    }
}

/// XML Encryption 1.1, 5.5.2. Those that are not named are SHA-1, and so is the mask of version 1.0 whatever its digest.
#[test]
fn rsa_oaep_is_taken_with_every_digest_and_mask_that_it_names() {
    let digests = [Digest::Sha1, Digest::Sha256, Digest::Sha384, Digest::Sha512];
    let named: Vec<_> = [None].into_iter().chain(digests.map(Some)).collect();
    let first = digests.map(Transport::OaepMgf1pWith).into_iter().chain([Transport::OaepMgf1p]);
    let second = named
        .iter()
        .flat_map(|digest| named.iter().map(|mask| Transport::Oaep { digest: *digest, mask: *mask }));
    for transport in first.chain(second) {
        let encryption = encryption(Seal::Gcm(128), transport);
        let xml = honest().xml(&Protection { encryption, ..assertion_signed() }).expect("a response");
        assert_eq!(super::name(read(&xml)), Ok("alice-persistent".to_owned()), "{transport:?}");
    }
}

#[test]
fn rsa_oaep_is_as_it_says_and_has_no_label() {
    let sha_256 = Some(Digest::Sha256);
    let encryption = encryption(Seal::Gcm(128), Transport::Oaep { digest: sha_256, mask: sha_256 });
    let xml = honest().xml(&Protection { encryption, ..assertion_signed() }).expect("a response");
    let (method, mask) = ("xmlenc11#rsa-oaep\">", "xmlenc11#mgf1sha256");
    // Of the two digests that are named, the key's: the assertion has its own within.
    let digest = "<ds:DigestMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha256\">";
    let named = |name: &str| format!("<ds:DigestMethod Algorithm=\"{name}\">");
    let labelled = |label: &str| format!("{method}<xenc:OAEPparams>{label}</xenc:OAEPparams>");
    for (name, from, to, expected) in [
        ("another digest", digest, named("http://www.w3.org/2001/04/xmlenc#sha512"), Unproven::Undecryptable),
        ("another mask", mask, "xmlenc11#mgf1sha1".to_owned(), Unproven::Undecryptable),
        (
            "version 1.0, whose mask is SHA-1's",
            "2009/xmlenc11#rsa-oaep\"",
            "2001/04/xmlenc#rsa-oaep-mgf1p\"".to_owned(),
            Unproven::Undecryptable,
        ),
        ("MD5", digest, named("http://www.w3.org/2001/04/xmldsig-more#md5"), Unproven::Encryption),
        ("SHA-224", digest, named("http://www.w3.org/2001/04/xmldsig-more#sha224"), Unproven::Encryption),
        ("a mask of SHA-224", mask, "xmlenc11#mgf1sha224".to_owned(), Unproven::Encryption),
        ("another mask generation function", mask, "xmlenc11#mgf2".to_owned(), Unproven::Encryption),
        ("a digest without a name", digest, "<ds:DigestMethod>".to_owned(), Unproven::Encryption),
        ("a label", method, labelled("dXNoZXI="), Unproven::Encryption),
        ("an empty label", method, labelled(""), Unproven::Encryption),
    ] {
        let changed = xml.replacen(from, &to, 1);
        assert!(changed != xml, "{name}");
        let error = read(&changed).expect_err(name);
        assert!(matches!(error, ResponseError::Unproven(why) if why == expected), "{name}: {error:?}");
    }
}

#[test]
fn an_assertion_may_use_the_prefixes_of_the_response_around_it() {
    let how = encryption(Seal::Gcm(128), Transport::OaepMgf1p).expect("a way");
    let declaration = " xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\"";
    let key = Signing::with(&IDP.keys[0]);
    for (name, is_outer, more) in [
        ("signed around it", true, ""),
        ("signed within", false, ""),
        ("where the encrypted data uses them for something else", false, " xmlns:saml=\"urn:x\""),
    ] {
        let assertion = honest().assertion.expect("an assertion");
        let assertion = assertion.xml(Some(&key).filter(|_| !is_outer)).expect("an assertion");
        assert!(assertion.contains(declaration), "{name}");
        let encrypted = encrypt(&assertion.replacen(declaration, "", 1), &how).expect("encrypted");
        // Declared by the element that holds the encrypted data.
        assert!(encrypted.starts_with(&format!("<saml:EncryptedAssertion{declaration}>")), "{name}");
        let encrypted = encrypted.replacen("<xenc:EncryptedData", &format!("<xenc:EncryptedData{more}"), 1);
        let xml = honest().xml_around(&encrypted, Some(&key).filter(|_| is_outer)).expect("a response");
        assert_eq!(super::name(read(&xml)), Ok("alice-persistent".to_owned()), "{name}");
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

/// Inside a response whose signature is good, AES-CBC is decrypted: its own rules are all there is.
#[test]
fn garbage_that_was_signed_has_the_same_answer() {
    let how = encryption(Seal::Cbc(128), Transport::OaepMgf1p).expect("a way");
    let assertion = honest().assertion.expect("an assertion").xml(None).expect("an assertion");
    let encrypted = encrypt(&assertion, &how).expect("encrypted");
    let (start, end) = cipher_values(&encrypted)[1];
    let bytes = data_encoding::BASE64.decode(&encrypted.as_bytes()[start..end]).expect("base64");
    let signed = |bytes: &[u8]| {
        let text = data_encoding::BASE64.encode(bytes);
        let encrypted = format!("{}{text}{}", &encrypted[..start], &encrypted[end..]);
        honest().xml_around(&encrypted, Some(&Signing::with(&IDP.keys[0]))).expect("a response")
    };
    assert!(read(&signed(&bytes)).is_ok(), "as it is");
    // The last block's text is exclusive-ored with the block before it, and its last byte is the length of the padding.
    let last = bytes.len() - 17;
    let padding = u8::try_from(16 - assertion.len() % 16).expect("a block");
    let padded_by = |number: u8| {
        let mut changed = bytes.clone();
        changed[last] ^= padding ^ number;
        changed
    };
    for (name, garbage) in [
        ("nothing", Vec::new()),
        ("an IV alone", bytes[..16].to_vec()),
        ("half a block", bytes[..bytes.len() - 8].to_vec()),
        ("no padding", padded_by(0)),
        ("more padding than a block", padded_by(17)),
        ("the most", padded_by(255)),
    ] {
        assert!(undecryptable(&signed(&garbage)), "{name}");
    }
}

#[test]
fn a_plaintext_that_is_no_assertion_does_not_pass_the_gate() {
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

#[test]
fn either_of_two_keys_of_ours_may_have_been_encrypted_to() {
    let next = SamlKey::rsa(2048).expect("a key");
    let pair = |key: &SamlKey| {
        let (key, certificate) =
            (key.private_pem().expect("a key"), key.certificate_pem().expect("a certificate"));
        crate::keys::OwnKey::read(key.as_bytes(), certificate.as_bytes()).expect("a pair")
    };
    let (idp, policy) = (known(&IDP), policy());
    for to in [&*OURS, &next] {
        let encryption = Some(Encryption {
            to: to.clone(),
            seal: Seal::Gcm(256),
            transport: Transport::OaepMgf1p,
            is_beside: false,
        });
        let xml = honest().xml(&Protection { encryption, ..assertion_signed() }).expect("a response");
        let encoded = data_encoding::BASE64.encode(xml.as_bytes());
        for (keys, expected) in [
            (vec![pair(&OURS), pair(&next)], true),
            (vec![pair(&next), pair(&OURS)], true),
            (vec![pair(&SamlKey::rsa(2048).expect("a key"))], false),
        ] {
            let question = Question { keys: &keys, ..question(&idp, &policy) };
            assert_eq!(
                crate::response::read(&encoded, &question).is_ok(),
                expected,
                "of {} keys",
                keys.len()
            );
        }
    }
}

/// SAML core 2.2.4. Whatever signs it, nobody but the identity provider can have chosen it, so that AES-CBC is taken, too.
#[test]
fn a_name_that_is_encrypted_by_itself_is_read_in_what_is_signed() {
    let ours = |seal| encryption(seal, Transport::OaepMgf1p);
    let to_other =
        Encryption { to: SamlKey::rsa(2048).expect("a key"), ..ours(Seal::Gcm(128)).expect("a way") };
    let within = Protection { encryption: ours(Seal::Gcm(256)), ..assertion_signed() };
    let named = |plaintext: fn(&str) -> String, how: &Encryption| {
        let mut response = honest();
        let assertion = response.assertion.as_mut().expect("an assertion");
        let subject = assertion.subject.as_mut().expect("a subject");
        let name = subject.name.take().expect("a name").xml(None);
        subject.encrypted_name = Some(encrypt_name(&plaintext(&name), None, how).expect("encrypted"));
        response
    };
    let plain = |name: &str| name.to_owned();
    let (gcm, cbc) = (ours(Seal::Gcm(128)).expect("a way"), ours(Seal::Cbc(128)).expect("a way"));
    for (name, response, protection, expected) in [
        ("the assertion signed", named(plain, &gcm), assertion_signed(), Ok("alice-persistent")),
        ("AES-CBC in a signed assertion", named(plain, &cbc), assertion_signed(), Ok("alice-persistent")),
        ("AES-CBC in a signed response", named(plain, &cbc), response_signed(), Ok("alice-persistent")),
        ("encrypted twice", named(plain, &gcm), within, Ok("alice-persistent")),
        ("nothing signed", named(plain, &gcm), Protection::default(), Err("Unproven(Unsigned)")),
        ("to another", named(plain, &to_other), assertion_signed(), Err("nobody")),
        (
            "no NameID",
            named(|name| name.replace("NameID", "BaseID"), &gcm),
            assertion_signed(),
            Err("nobody"),
        ),
        ("two of them", named(|name| name.repeat(2), &gcm), assertion_signed(), Err("nobody")),
    ] {
        let xml = response.xml(&protection).expect("a response");
        let expected = expected.map(str::to_owned).map_err(str::to_owned);
        assert_eq!(super::name(read(&xml)), expected, "{name}");
    }
}
