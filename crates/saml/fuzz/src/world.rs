//! One identity provider, one service, one moment, one person.

use std::sync::LazyLock;

use data_encoding::BASE64;
use samael::crypto::{Crypto, CryptoProvider as _};
use usher_lab::scripted::saml::{
    Asked, Attribute, Encryption, Protection, Response, SamlIdp, SamlKey, Seal, Signing, Transport, encrypt,
};
use usher_saml::fuzzing::{self, Person, Service};

const SECONDS: u64 = 1_767_225_600;
const NOW: i64 = 1_767_225_600;
const ACS: &str = "https://matrix.ac.cdl/_usher/saml/corp/acs";
const SP: &str = "https://matrix.ac.cdl/_usher/saml/corp/metadata";
const REQUEST: &str = "_AAAAAAAAAAAAAAAAAAAAAA";
/// The identity provider.
pub const ENTITY: &str = "https://idp.ac.cdl/idp";
/// Whom it signs in.
pub const ALICE: &str = "alice-persistent";
/// Whom it never heard of.
pub const VICTIM: &str = "victim-persistent";

static IDP: LazyLock<SamlIdp> = LazyLock::new(|| SamlIdp {
    entity_id: ENTITY.to_owned(),
    keys: vec![key(include_str!("../keys/idp-rsa.pem")), key(EC_PEM)],
    wants_signed_requests: false,
    scopes: vec!["ac.cdl".to_owned()],
    single_logout: Vec::new(),
});
const EC_PEM: &str = include_str!("../keys/idp-ec.pem");
static EC_DER: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let base64: String = EC_PEM.lines().filter(|line| !line.starts_with('-')).collect();
    BASE64.decode(base64.as_bytes()).expect("PEM")
});
static OURS: LazyLock<SamlKey> = LazyLock::new(|| key(include_str!("../keys/sp-rsa.pem")));
static STRANGER: LazyLock<SamlKey> = LazyLock::new(|| key(include_str!("../keys/stranger-rsa.pem")));
static SERVICE: LazyLock<Service> = LazyLock::new(|| {
    fuzzing::harden();
    let (private, certificate) = (OURS.private_pem(), OURS.certificate_pem());
    Service::new(
        &IDP.metadata().expect("metadata"),
        &private.expect("a key"),
        &certificate.expect("a certificate"),
    )
    .expect("a service")
});
static ASSERTED: LazyLock<Vec<Person>> = LazyLock::new(|| {
    let read = |response: Response| {
        let xml = response.xml(&Protection { assertion: Some(rsa()), ..Protection::default() });
        prove(xml.expect("a response").as_bytes()).expect("an honest answer counts")
    };
    vec![read(honest()), read(rich())]
});

fn key(pem: &str) -> SamlKey {
    SamlKey::from_private_pem(pem).expect("a key")
}

/// Makes everything that is made once.
pub fn prepare() {
    assert!(ASSERTED.iter().all(|person| person.subject == ALICE));
    LazyLock::force(&EC_DER);
    LazyLock::force(&STRANGER);
}

/// Whether the identity provider has said just this, in what the seeds hold: it is about Alice.
#[must_use]
pub fn was_asserted(person: &Person) -> bool {
    ASSERTED.contains(person)
}

/// The identity provider's metadata.
pub fn metadata() -> anyhow::Result<String> {
    IDP.metadata()
}

/// Signed with the identity provider's RSA key.
#[must_use]
pub fn rsa() -> Signing {
    Signing::with(&IDP.keys[0])
}

/// Signed with its other key.
#[must_use]
pub fn ec() -> Signing {
    Signing::with(&IDP.keys[1])
}

/// Signed with nobody's key.
#[must_use]
pub fn stranger() -> Signing {
    Signing::with(&STRANGER)
}

/// Encrypted to the service.
#[must_use]
pub fn to_us(seal: Seal, transport: Transport) -> Encryption {
    Encryption { to: OURS.clone(), seal, transport, is_beside: false }
}

/// An honest answer about Alice.
#[must_use]
pub fn honest() -> Response {
    let attributes = [
        Attribute::new("urn:oid:0.9.2342.19200300.100.1.1", &["alice"]),
        Attribute::new("urn:oid:1.3.6.1.4.1.5923.1.1.1.6", &["alice@ac.cdl"]),
        Attribute::new("urn:oid:2.16.840.1.113730.3.1.241", &["Alice Liddell <Å & Co>"]),
        Attribute::new("urn:oid:1.3.6.1.4.1.5923.1.5.1.1", &["engineering-staff", "chess-players"]),
    ];
    let asked = Asked {
        id: REQUEST.to_owned(),
        acs: ACS.to_owned(),
        sp: SP.to_owned(),
        is_forced: false,
        xml: String::new(),
        relay_state: String::new(),
    };
    IDP.answer(&asked, ALICE, &attributes, SECONDS)
}

/// An answer with everything that may be left out.
#[must_use]
pub fn rich() -> Response {
    let mut response = honest();
    response.extensions = Some("<x:y xmlns:x=\"urn:x\">text</x:y>".to_owned());
    if let Some(assertion) = &mut response.assertion {
        assertion.advice = Some("<saml:AssertionIDRef>_other</saml:AssertionIDRef>".to_owned());
        if let Some(conditions) = &mut assertion.conditions {
            conditions.more =
                "<saml:OneTimeUse></saml:OneTimeUse><saml:ProxyRestriction Count=\"0\"></saml:ProxyRestriction>".to_owned();
        }
        if let Some(attribute) = assertion.attributes.first_mut() {
            attribute.friendly_name = Some("uid".to_owned());
            attribute.values.push(
                "<saml:NameID NameQualifier=\"a\" SPNameQualifier=\"b\">nested</saml:NameID>".to_owned(),
            );
        }
        let second = assertion.authentications.first().cloned();
        assertion.authentications.extend(second);
    }
    response
}

/// Whoever a response proves somebody to be, as a browser brings it.
pub fn prove(response: &[u8]) -> Result<Person, String> {
    let asked = fuzzing::Asked { now: NOW, acs: ACS, entity_id: SP, request_id: REQUEST };
    SERVICE.prove(&BASE64.encode(response), &asked)
}

/// The response in which the first signature of `text` is one that the identity provider made.
pub fn sign_anew(text: &str) -> Option<String> {
    Crypto::sign_xml(text, &EC_DER).ok()
}

/// An unsigned response with `plaintext` encrypted as anybody can.
pub fn encrypted_by_anybody(plaintext: &str) -> anyhow::Result<String> {
    honest().xml_around(&encrypt(plaintext, &to_us(Seal::Gcm(128), Transport::OaepMgf1p))?, None)
}

/// A response of the identity provider with `plaintext` encrypted.
pub fn encrypted_and_signed(plaintext: &str) -> anyhow::Result<String> {
    let encrypted = encrypt(plaintext, &to_us(Seal::Cbc(128), Transport::OaepMgf1p))?;
    honest().xml_around(&encrypted, Some(&ec()))
}
