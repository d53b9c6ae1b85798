//! An identity provider of SAML.

use std::{
    collections::BTreeMap,
    fs,
    sync::{Mutex, PoisonError},
};

use anyhow::Context as _;
use serde_json::{Value, json};
use url::Url;
use usher_lab::scripted::saml::{Asked, Attribute, Protection, SamlIdp, SamlKey, Signing};

use super::Back;

/// Where nobody is.
pub(super) const ORIGIN: &str = "https://idp.bench.localhost";
const ENTITY_ID: &str = "https://idp.bench.localhost/idp";

/// The identity provider, and what Usher reads of it.
#[derive(Debug)]
pub(in crate::bench) struct Idp {
    scripted: SamlIdp,
    stranger: SamlKey,
    directory: tempfile::TempDir,
    /// By person.
    departments: Mutex<BTreeMap<String, String>>,
}

impl Idp {
    pub(super) fn new() -> anyhow::Result<Self> {
        let mut idp = SamlIdp::new(ENTITY_ID)?;
        idp.scopes.push("bench.localhost".to_owned());
        let directory = tempfile::tempdir().context("no temporary directory can be made")?;
        fs::write(directory.path().join("idp.xml"), idp.metadata()?)?;
        Ok(Self { scripted: idp, stranger: SamlKey::rsa(2048)?, directory, departments: Mutex::default() })
    }

    pub(super) fn entity_id(&self) -> &str {
        &self.scripted.entity_id
    }

    pub(super) fn add_person(&self, user: &str, department: &str) {
        let mut departments = self.departments.lock().unwrap_or_else(PoisonError::into_inner);
        departments.insert(user.to_owned(), department.to_owned());
    }

    pub(super) fn section(&self) -> Value {
        json!({ "metadata_file": self.directory.path().join("idp.xml") })
    }

    /// What it answers to the request at `path`.
    pub(super) fn answer(&self, path: &str, user: &str, portal: &str) -> anyhow::Result<Back> {
        self.answer_signed(path, user, portal, &self.scripted.keys[0])
    }

    /// The same, signed by somebody else.
    pub(super) fn forgery(&self, path: &str, user: &str, portal: &str) -> anyhow::Result<Back> {
        self.answer_signed(path, user, portal, &self.stranger)
    }

    fn answer_signed(&self, path: &str, user: &str, portal: &str, key: &SamlKey) -> anyhow::Result<Back> {
        let asked = Asked::from_redirect(&Url::parse(&format!("{ORIGIN}{path}"))?)?;
        let response = self.scripted.answer_now(&asked, user, &self.attributes(user));
        let protection = Protection { response: Some(Signing::with(key)), ..Protection::default() };
        let path = asked.acs.strip_prefix(portal).context("the answer goes somewhere else")?.to_owned();
        Ok(Back { path, form: Some(asked.form(&response.xml(&protection)?)) })
    }

    /// Ten, as a university releases them.
    fn attributes(&self, user: &str) -> Vec<Attribute> {
        let departments = self.departments.lock().unwrap_or_else(PoisonError::into_inner);
        let department = departments.get(user).map_or("", String::as_str);
        let scoped = |value: &str| format!("{value}@bench.localhost");
        let all: [(&str, &[&str]); 10] = [
            ("department", &[department]),
            ("urn:oid:0.9.2342.19200300.100.1.1", &[user]),
            ("urn:oid:0.9.2342.19200300.100.1.3", &["person@bench.localhost"]),
            ("urn:oid:2.5.4.42", &["A"]),
            ("urn:oid:2.5.4.4", &["Person"]),
            ("urn:oid:2.16.840.1.113730.3.1.241", &["A Person"]),
            ("urn:oid:1.3.6.1.4.1.5923.1.1.1.6", &[&scoped(user)]),
            ("urn:oid:1.3.6.1.4.1.5923.1.1.1.1", &["member", "staff", "employee"]),
            ("urn:oid:1.3.6.1.4.1.5923.1.1.1.9", &[&scoped("member"), &scoped("staff")]),
            ("urn:oid:1.3.6.1.4.1.5923.1.5.1.1", &["engineering-staff", "chess-players"]),
        ];
        all.iter().map(|(name, values)| Attribute::new(name, values)).collect()
    }
}
