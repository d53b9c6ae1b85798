//! Requests whose `NameID` is encrypted: read after the signature is verified, and the identity provider is told of what cannot be.

use usher_lab::scripted::saml::{Encryption, SamlKey, Seal, Transport, encrypt, encrypt_name};

use super::{answers::taken, *};
use crate::{
    encryption::{Opener, Unreadable},
    names::SAML,
    response::assertion::NotNamed,
    testing::{STRANGER, encryption, our_keys, settings},
};

const ALGORITHMS: &str =
    "its NameID is encrypted by another algorithm than AES and RSA-OAEP, or by RSA 1.5, which is not allowed";
const ANOTHERS: &str = "its NameID is encrypted, and not to a key of ours";
const NO_NAME: &str = "its EncryptedID holds no NameID";

fn way(seal: Seal, transport: Transport) -> Encryption {
    encryption(seal, transport).expect("a way")
}

fn gcm() -> Encryption {
    way(Seal::Gcm(128), Transport::OaepMgf1p)
}

/// The `NameID` of Alice.
fn name() -> String {
    let Named::Clear(name) = asked().name else { panic!("a name in clear") };
    name.xml(Some(SAML))
}

fn sealed(plaintext: &str, how: &Encryption) -> String {
    encrypt_name(plaintext, Some(SAML), how).expect("encrypted")
}

/// Alice's first session is to end, and she is named so.
fn about(encrypted: &str) -> Asked {
    Asked { name: Named::Other(encrypted.to_owned()), ..asked() }
}

/// The sessions that are to end, or why it is not heeded.
fn heard(service: &Service, callback: &Callback) -> Result<Vec<EndedSession>, String> {
    match service.logout(callback, &known(&IDP), "_a", NOW, SKEW) {
        Ok(BrowserLogout::Notice { notice, .. }) => Ok(notice.sessions),
        Ok(BrowserLogout::Unheeded { reason, step }) => {
            assert_eq!(taken(&step).1.status, ["Responder", "RequestUnsupported"], "{reason}");
            Err(reason.to_owned())
        }
        Ok(BrowserLogout::SignedOut(_)) => panic!("it is a request"),
        Err(error) => Err(error.kind().to_owned()),
    }
}

fn allowing_rsa_1_5() -> Service {
    let mut settings = settings(our_keys());
    settings.policy.allows_rsa_1_5 = true;
    let endpoints = url::Url::parse(SLO).and_then(|slo| slo.join(".")).expect("a URL");
    Service::new(&endpoints, settings)
}

#[test]
fn a_name_that_was_encrypted_to_us_is_as_good_as_one_in_clear() {
    let (strict, lax) = (service(), allowing_rsa_1_5());
    let clear = heard(&strict, &honestly(&asked())[0].1).expect("a notice");
    // Declared around the data, as the plaintext of many encryptors needs it.
    let bare = name().replacen(&format!(" xmlns:saml=\"{SAML}\""), "", 1);
    let beside = Encryption { is_beside: true, ..gcm() };
    for (case, service, encrypted) in [
        ("AES-GCM", &strict, sealed(&name(), &gcm())),
        ("AES-GCM, the key beside", &strict, sealed(&name(), &beside)),
        ("AES-CBC", &strict, sealed(&name(), &way(Seal::Cbc(128), Transport::OaepMgf1p))),
        ("AES-CBC, RSA-OAEP of 1.1", &strict, sealed(&name(), &way(Seal::Cbc(256), Transport::Oaep256))),
        ("RSA 1.5 where it is allowed", &lax, sealed(&name(), &way(Seal::Cbc(128), Transport::Rsa15))),
        ("a prefix from around it", &strict, sealed(&bare, &gcm())),
        ("layout around it", &strict, sealed(&format!("\n  {}\n", name()), &gcm())),
    ] {
        for (binding, callback) in honestly(&about(&encrypted)) {
            assert_eq!(heard(service, &callback).as_ref(), Ok(&clear), "{case} by {binding}");
        }
    }
}

#[test]
fn the_identity_provider_is_told_of_a_name_that_cannot_be_read() {
    let other = Encryption { to: SamlKey::rsa(2048).expect("a key"), ..gcm() };
    let good = sealed(&name(), &gcm());
    let replaced = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        good.replacen(from, to, 1)
    };
    let value = good.rsplit("<xenc:CipherValue>").next().and_then(|rest| rest.split('<').next());
    let value = value.expect("the data");
    let of = |plaintext: &str| sealed(plaintext, &gcm());
    let assertion = "<saml:Assertion xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\" ID=\"_a\"/>";
    for (case, encrypted, expected) in [
        ("another key", sealed(&name(), &other), ANOTHERS),
        ("garbage", replaced(value, "AAAA"), ANOTHERS),
        ("half of it", replaced(value, &value[..value.len() / 8 * 4]), ANOTHERS),
        ("nothing", format!("<saml:EncryptedID xmlns:saml=\"{SAML}\"></saml:EncryptedID>"), ANOTHERS),
        ("RSA 1.5", sealed(&name(), &way(Seal::Gcm(128), Transport::Rsa15)), ALGORITHMS),
        ("3DES", replaced("2009/xmlenc11#aes128-gcm", "2001/04/xmlenc#tripledes-cbc"), ALGORITHMS),
        ("no XML", of("alice-persistent"), NO_NAME),
        ("two names", of(&name().repeat(2)), NO_NAME),
        ("a BaseID", of(&name().replace("NameID", "BaseID")), NO_NAME),
        ("a name of another namespace", of(&name().replace(SAML, "urn:x")), NO_NAME),
        ("an assertion", of(assertion), NO_NAME),
        ("a name with an element in it", of(&name().replacen("alice", "<x></x>alice", 1)), NO_NAME),
        ("a name with a comment in it", of(&name().replacen("alice", "al<!-- -->ice", 1)), NO_NAME),
        ("a CDATA section", of(&name().replacen("alice", "al<![CDATA[ice]]>", 1)), NO_NAME),
        ("an entity", of(&format!("<!DOCTYPE a [<!ENTITY b 'c'>]>{}", name())), NO_NAME),
        ("an encrypted name", of(&sealed(&name(), &gcm())), NO_NAME),
    ] {
        for (binding, callback) in honestly(&about(&encrypted)) {
            assert_eq!(heard(&service(), &callback), Err(expected.to_owned()), "{case} by {binding}");
        }
    }
}

#[test]
fn there_is_one_name_and_nothing_is_decrypted_that_is_not_signed() {
    let good = sealed(&name(), &gcm());
    let assertion = encrypt(&name(), &gcm()).expect("encrypted");
    for (case, request, expected) in [
        ("two encrypted names", about(&good.repeat(2)), "malformed"),
        ("one in clear before it", about(&format!("{}{good}", name())), "malformed"),
        ("one in clear behind it", about(&format!("{good}{}", name())), "malformed"),
        ("an encrypted assertion", about(&assertion), "malformed"),
    ] {
        for (binding, callback) in honestly(&request) {
            assert_eq!(heard(&service(), &callback), Err(expected.to_owned()), "{case} by {binding}");
        }
    }
    // What a stranger sends has one answer, whether it can be decrypted or not.
    let other = Encryption { to: STRANGER.clone(), ..gcm() };
    for how in [gcm(), way(Seal::Cbc(128), Transport::OaepMgf1p), other] {
        let request = about(&sealed(&name(), &how));
        let plain = request.xml(None).expect("a request");
        let query = |key: &SamlKey| Detached::with(key).query("SAMLRequest", &plain, None).expect("a query");
        let honest = query(&IDP.keys[0]);
        let unsigned = honest.split("&SigAlg").next().unwrap_or_default().to_owned();
        let posted = |key: &SamlKey| request.xml(Some(&Signing::with(key))).expect("a request");
        for (case, callback, expected) in [
            ("no signature in the query", by_query(&unsigned), "Unproven(Unsigned)"),
            ("a stranger's query", by_query(&query(&STRANGER)), "Unproven(Signature)"),
            ("no signature in the form", by_form(&plain, None), "Unproven(Unsigned)"),
            ("a stranger's form", by_form(&posted(&STRANGER), None), "Unproven(Signature)"),
        ] {
            assert_eq!(refusal(read(&callback)), expected, "{case}, {how:?}");
        }
    }
}

#[test]
fn without_keys_no_name_is_read() {
    let idp = known(&IDP);
    let expected = Expected { now: NOW, skew: SKEW, slo: SLO, idp: &idp };
    for (binding, callback) in honestly(&about(&sealed(&name(), &gcm()))) {
        let received = read(&callback).expect("it counts").0;
        let keyless = Opener { keys: &[], allows_rsa_1_5: true };
        let name = LogoutRequest::read(&received, &expected, keyless).expect("it counts").name.map(|_| ());
        assert_eq!(name, Err(NotNamed::Unreadable(Unreadable::Undecryptable)), "{binding}");
    }
}

#[test]
fn a_request_that_fails_a_check_is_not_decrypted() {
    let mut request = about(&sealed(&name(), &Encryption { to: STRANGER.clone(), ..gcm() }));
    request.destination = Some("https://other.example/slo".to_owned());
    for (binding, callback) in honestly(&request) {
        assert_eq!(refusal(read(&callback)), "Unproven(Destination)", "{binding}");
    }
}
