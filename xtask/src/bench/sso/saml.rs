//! An identity provider of SAML.

use std::{
    collections::BTreeMap,
    fs,
    sync::{Mutex, PoisonError},
};

use anyhow::Context as _;
use serde_json::{Value, json};
use url::Url;
use usher_lab::scripted::saml::{
    Asked, Attribute, Detached, Protection, Response, SamlIdp, SamlKey, Signing,
};

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
        let mut idp = SamlIdp::new(ENTITY_ID)?.with_single_logout();
        idp.scopes.push("bench.localhost".to_owned());
        let directory = tempfile::tempdir().context("no temporary directory can be made")?;
        fs::write(directory.path().join("idp.xml"), idp.metadata()?)?;
        let own = SamlKey::rsa(2048)?;
        fs::write(directory.path().join("sp.key"), own.private_pem()?)?;
        fs::write(directory.path().join("sp.crt"), own.certificate_pem()?)?;
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
        let file = |name: &str| self.directory.path().join(name);
        let key = json!({ "key_file": file("sp.key"), "certificate_file": file("sp.crt") });
        // With a key for single logout; requests are not signed, as most identity providers do not ask for it.
        json!({ "metadata_file": file("idp.xml"), "keys": [key], "sign_requests": false })
    }

    /// What it answers to the request at `path`.
    pub(super) fn answer(&self, path: &str, user: &str, portal: &str) -> anyhow::Result<Back> {
        self.answer_signed(path, user, portal, &self.scripted.keys[0], None)
    }

    /// The same, signed by somebody else, with this in its extensions.
    pub(in crate::bench) fn forgery(
        &self,
        path: &str,
        user: &str,
        portal: &str,
        extensions: Option<String>,
    ) -> anyhow::Result<Back> {
        self.answer_signed(path, user, portal, &self.stranger, extensions)
    }

    /// The wish that somebody is signed out, by both bindings, as long as it may be, and signed by somebody else.
    pub(in crate::bench) fn logout_forgeries(&self, portal: &str) -> anyhow::Result<Vec<Back>> {
        let path = "/_usher/saml/corp/slo";
        let sessions = vec!["a-session-that-nobody-has"; 180];
        let wish = self.scripted.log_out(portal, &format!("{portal}{path}"), "person-1", &sessions, 0);
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(wish.form(&Signing::with(&self.stranger), None)?);
        let query = Detached::with(&self.stranger).query("SAMLRequest", &wish.xml(None)?, None)?;
        Ok(vec![
            Back { path: path.to_owned(), form: Some(form.finish()) },
            Back { path: format!("{path}?{query}"), form: None },
        ])
    }

    fn answer_signed(
        &self,
        path: &str,
        user: &str,
        portal: &str,
        key: &SamlKey,
        extensions: Option<String>,
    ) -> anyhow::Result<Back> {
        let asked = Asked::from_redirect(&Url::parse(&format!("{ORIGIN}{path}"))?)?;
        let response = self.scripted.answer_now(&asked, user, &self.attributes(user));
        let response = Response { extensions, ..response };
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
