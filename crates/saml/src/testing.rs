//! What the tests of this crate share: one identity provider, one service, one moment.

use std::{collections::BTreeMap, sync::LazyLock, time::Duration};

use data_encoding::BASE64;
use url::Url;
use usher_core::Timestamp;
use usher_lab::scripted::saml::{
    Asked, Attribute, Encryption, Protection, Response, SamlIdp, SamlKey, Seal, Signing, Transport,
};

use crate::{
    config::Settings,
    hardening::harden,
    keys::OwnKey,
    metadata::Idp,
    names::FORMAT_PERSISTENT,
    person::{Naming, ScopeCheck, SubjectSource},
    response::{self, Policy, Question, ResponseError, Signed, assertion::Assertion},
    service::Service,
};

pub(crate) const SECONDS: u64 = 1_767_225_600;
pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_767_225_600);
pub(crate) const SKEW: Duration = Duration::from_mins(1);
pub(crate) const ACS: &str = "https://matrix.ac.cdl/_usher/saml/corp/acs";
pub(crate) const SLO: &str = "https://matrix.ac.cdl/_usher/saml/corp/slo";
pub(crate) const SP: &str = "https://matrix.ac.cdl/_usher/saml/corp/metadata";
pub(crate) const REQUEST: &str = "_AAAAAAAAAAAAAAAAAAAAAA";
pub(crate) const ENTITY: &str = "https://idp.ac.cdl/idp";

/// The identity provider.
pub(crate) static IDP: LazyLock<SamlIdp> =
    LazyLock::new(|| SamlIdp::new(ENTITY).expect("a key").with_single_logout());
/// An attacker's key, with a certificate like the identity provider's.
pub(crate) static STRANGER: LazyLock<SamlKey> = LazyLock::new(|| SamlKey::rsa(2048).expect("a key"));
/// Ours.
pub(crate) static OURS: LazyLock<SamlKey> = LazyLock::new(|| SamlKey::rsa(2048).expect("a key"));

/// The request that is answered.
pub(crate) fn asked() -> Asked {
    Asked {
        id: REQUEST.to_owned(),
        acs: ACS.to_owned(),
        sp: SP.to_owned(),
        is_forced: false,
        xml: String::new(),
        relay_state: String::new(),
    }
}

/// An honest response about Alice.
pub(crate) fn honest() -> Response {
    let attributes = [
        Attribute::new("urn:oid:0.9.2342.19200300.100.1.1", &["alice"]),
        Attribute::new("urn:oid:2.16.840.1.113730.3.1.241", &["Alice Liddell <Å & Co>"]),
        Attribute::new("urn:oid:1.3.6.1.4.1.5923.1.5.1.1", &["engineering-staff", "chess-players"]),
    ];
    IDP.answer(&asked(), "alice-persistent", &attributes, SECONDS)
}

/// Signed by the identity provider: the assertion.
pub(crate) fn assertion_signed() -> Protection {
    Protection { assertion: Some(Signing::with(&IDP.keys[0])), ..Protection::default() }
}

/// Signed by the identity provider: the response.
pub(crate) fn response_signed() -> Protection {
    Protection { response: Some(Signing::with(&IDP.keys[0])), ..Protection::default() }
}

/// Encrypted to us.
#[expect(clippy::unnecessary_wraps, reason = "as `Protection` takes it")]
pub(crate) fn encryption(seal: Seal, transport: Transport) -> Option<Encryption> {
    Some(Encryption { to: OURS.clone(), seal, transport, is_beside: false })
}

/// What `idp` is to us.
pub(crate) fn known(idp: &SamlIdp) -> Idp {
    Idp::read(idp.metadata().expect("metadata").as_bytes(), None).expect("metadata that can be read")
}

pub(crate) fn our_keys() -> Vec<OwnKey> {
    let (key, certificate) =
        (OURS.private_pem().expect("a key"), OURS.certificate_pem().expect("a certificate"));
    vec![OwnKey::read(key.as_bytes(), certificate.as_bytes()).expect("a pair")]
}

/// Takes whatever is signed at all.
pub(crate) fn policy() -> Policy {
    Policy { signed: Signed::Either, needs_encryption: false, allows_rsa_1_5: false, contexts: Vec::new() }
}

/// What an answer to [`asked`] is held against, by somebody without keys.
pub(crate) fn question<'a>(idp: &'a Idp, policy: &'a Policy) -> Question<'a> {
    Question { now: NOW, skew: SKEW, acs: ACS, entity_id: SP, request_id: REQUEST, idp, policy, keys: &[] }
}

/// Reads `xml` as an answer to [`asked`].
pub(crate) fn read(xml: &str) -> Result<Assertion, ResponseError> {
    read_by(xml, &known(&IDP), &policy())
}

/// The same of another identity provider, by another policy.
pub(crate) fn read_by(xml: &str, idp: &Idp, policy: &Policy) -> Result<Assertion, ResponseError> {
    harden().expect("xmlsec can be used");
    let keys = our_keys();
    let question = Question { keys: &keys, ..question(idp, policy) };
    response::read(&BASE64.encode(xml.as_bytes()), &question)
}

/// Us, as the identity provider knows us, with keys.
pub(crate) fn service() -> Service {
    service_with(our_keys())
}

/// The same without.
pub(crate) fn service_without_keys() -> Service {
    service_with(Vec::new())
}

fn service_with(keys: Vec<OwnKey>) -> Service {
    harden().expect("xmlsec can be used");
    let endpoints = Url::parse("https://matrix.ac.cdl/_usher/saml/corp/").expect("a URL");
    Service::new(&endpoints, settings(keys))
}

/// What an operator decided who wants persistent names.
pub(crate) fn settings(keys: Vec<OwnKey>) -> Settings {
    Settings {
        entity_id: None,
        signs_requests: !keys.is_empty(),
        keys,
        open_keys: Vec::new(),
        request_binding: None,
        name_id_format: Some(FORMAT_PERSISTENT.to_owned()),
        policy: policy(),
        naming: Naming {
            subject: SubjectSource::NameId { format: FORMAT_PERSISTENT.to_owned() },
            attributes: BTreeMap::new(),
            scopes: ScopeCheck::AsMetadataSays,
        },
        offered_idps: Vec::new(),
        is_passive: false,
        is_federation: false,
        discovery_service: None,
    }
}
