//! Ways in for the fuzz targets (`crates/saml/fuzz`), which nobody else has: off unless the feature `fuzzing` is on.

use std::{collections::BTreeMap, time::Duration};

use usher_core::Timestamp;

use crate::{
    federation,
    gate::{self, Root},
    hardening,
    keys::OwnKey,
    metadata::Idp,
    names::{FORMAT_PERSISTENT, SAML},
    person::{self, Naming, ScopeCheck, SubjectSource},
    response::{self, Policy, Question, Signed, assertion::Assertion, message::Message},
    xml::is,
};

/// A service and the one identity provider it knows. It takes whatever is signed at all, and RSA 1.5.
#[derive(Debug)]
pub struct Service {
    idp: Idp,
    keys: Vec<OwnKey>,
    policy: Policy,
    naming: Naming,
}

/// What an answer is held against.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// In seconds since 1970.
    pub now: i64,
    /// Our assertion consumer service.
    pub acs: &'a str,
    /// Our entity id.
    pub entity_id: &'a str,
    /// The ID of the request.
    pub request_id: &'a str,
}

/// Who an answer proves somebody to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Their persistent name.
    pub subject: String,
    /// Their attributes, under each of their names.
    pub attributes: BTreeMap<String, Vec<String>>,
}

/// What was read of an identity provider's metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// Its entity id.
    pub entity_id: String,
    /// How many keys it signs with.
    pub keys: usize,
    /// Where people are sent.
    pub places: Vec<String>,
}

/// The same hardening as in the server; panics if it fails.
pub fn harden() {
    hardening::harden().expect("xmlsec can be used");
}

impl Service {
    /// One that knows the identity provider of `metadata`, and has a key; `None` if any of it cannot be used.
    #[must_use]
    pub fn new(metadata: &str, private_pem: &str, certificate_pem: &str) -> Option<Self> {
        let policy = Policy {
            signed: Signed::Either,
            needs_encryption: false,
            allows_rsa_1_5: true,
            contexts: Vec::new(),
        };
        let naming = Naming {
            subject: SubjectSource::NameId { format: FORMAT_PERSISTENT.to_owned() },
            attributes: BTreeMap::new(),
            scopes: ScopeCheck::AsMetadataSays,
        };
        let key = OwnKey::read(private_pem.as_bytes(), certificate_pem.as_bytes()).ok()?;
        Some(Self { idp: Idp::read(metadata.as_bytes(), None).ok()?, keys: vec![key], policy, naming })
    }

    /// Whoever `encoded`, a `SAMLResponse`, proves somebody to be.
    pub fn prove(&self, encoded: &str, asked: &Asked<'_>) -> Result<Person, String> {
        let question = Question {
            now: Timestamp::from_secs(asked.now),
            skew: Duration::from_mins(1),
            acs: asked.acs,
            entity_id: asked.entity_id,
            request_id: asked.request_id,
            idp: &self.idp,
            policy: &self.policy,
            keys: &self.keys,
        };
        let assertion = response::read(encoded, &question).map_err(|error| format!("{error:?}"))?;
        let attributes = person::attributes(&assertion, &self.naming, &self.idp);
        let subject = person::subject(&assertion, &attributes, &self.naming, &question);
        let subject = subject.map_err(|error| format!("{error:?}"))?.as_str().to_owned();
        Ok(Person { subject, attributes })
    }
}

/// Whether `text` passes the gate as a response, and as an assertion. What passes is read as far as it can be.
#[must_use]
pub fn pass(text: &str) -> (bool, bool) {
    let response = gate::pass(text, Root::Response);
    let assertion = gate::pass(text, Root::Assertion);
    if let Ok(passed) = &response {
        let root = passed.document.root_element();
        let _ = Message::read(root);
        for child in root.children().filter(|child| is(*child, SAML, "Assertion")) {
            let _ = Assertion::read(child);
        }
    }
    if let Ok(passed) = &assertion {
        let _ = Assertion::read(passed.document.root_element());
    }
    (response.is_ok(), assertion.is_ok())
}

/// Reads a federation's metadata that nobody has to have signed, and searches it for `typed`: how many identity providers fit. The
/// first of them is read.
#[must_use]
pub fn read_federation(document: &[u8], typed: &str) -> Option<usize> {
    let (job, mut index) = (federation::anything(), tempfile::tempfile().ok()?);
    let report = federation::read_into(document, &job, &mut index).ok()?;
    let federation =
        federation::Federation::open(index, report).expect("an index that was just written is one");
    let (found, total) = federation.search(typed, 20).expect("what was written can be read");
    assert!(found.len() <= total && total <= federation.len());
    for member in &found {
        let again = federation.find_named(&member.entity_id).expect("an index").expect("it was found");
        assert_eq!(again.shown, member.shown);
    }
    Some(total)
}

/// Reads the identity provider `wanted`, or the only one, and asks whether it speaks for `scope`.
#[must_use]
pub fn read_metadata(document: &[u8], wanted: Option<&str>, scope: &str) -> Option<Metadata> {
    let idp = Idp::read(document, wanted).ok()?;
    let _ = (idp.is_valid(Timestamp::from_secs(0)), idp.speaks_for(scope));
    let places = [&idp.single_sign_on.redirect, &idp.single_sign_on.post];
    let places = places.into_iter().flatten().map(|place| place.url.as_str().to_owned()).collect();
    Some(Metadata { entity_id: idp.entity_id.as_str().to_owned(), keys: idp.keys.len(), places })
}
