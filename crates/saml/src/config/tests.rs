//! What a section may say, and what is told about one that says something else.

use std::{fs, os::unix::fs::PermissionsExt as _};

use tempfile::TempDir;
use usher_lab::scripted::saml::{SamlIdp, SamlKey, Signing, federation::Issue, instant};

use super::*;
use crate::testing::{ENTITY, IDP, NOW, OURS, SECONDS, STRANGER};

/// A directory with what a section can name.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        let files = Self(tempfile::tempdir().expect("a directory"));
        files.write("idp.xml", &IDP.metadata().expect("metadata"));
        files.write("key.pem", &OURS.private_pem().expect("a key"));
        files.mode("key.pem", 0o600);
        files.write("cert.pem", &OURS.certificate_pem().expect("a certificate"));
        files
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.0.path().join(name), content).expect("a file");
    }

    fn mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.0.path().join(name), fs::Permissions::from_mode(mode)).expect("a mode");
    }

    fn path(&self, name: &str) -> Value {
        json!(self.0.path().join(name))
    }

    fn pair(&self) -> Value {
        json!({ "key_file": self.path("key.pem"), "certificate_file": self.path("cert.pem") })
    }

    /// A good section and more.
    fn section(&self, more: &Value) -> Value {
        let mut section = json!({ "metadata_file": self.path("idp.xml") });
        for (key, value) in more.as_object().into_iter().flatten() {
            section[key] = value.clone();
        }
        section
    }

    fn read(&self, more: &Value) -> Settings {
        Settings::read(self.section(more)).expect("a valid section").0
    }

    fn source(&self, more: &Value) -> Source {
        Settings::read(self.section(more)).expect("a valid section").1
    }

    fn problems(&self, more: &Value) -> Vec<String> {
        problems(self.section(more))
    }
}

fn problems(config: Value) -> Vec<String> {
    match Settings::read(config) {
        Ok(_) => Vec::new(),
        Err(error) => error.problems.into_iter().map(|problem| problem.path).collect(),
    }
}

#[test]
fn metadata_alone_is_enough() {
    let files = Files::new();
    let read = files.read(&json!({}));
    assert_eq!(files.source(&json!({})).whose.to_string(), ENTITY);
    assert!(read.keys.is_empty() && !read.signs_requests);
    assert_eq!(read.name_id_format.as_deref(), Some(FORMAT_PERSISTENT));
    assert_eq!(read.naming.subject, SubjectSource::NameId { format: FORMAT_PERSISTENT.to_owned() });
    assert_eq!(read.policy.signed, Signed::Either);
    assert_eq!(read.naming.scopes, ScopeCheck::AsMetadataSays);
    assert_eq!((read.entity_id, read.request_binding), (None, None));
    assert!(!read.policy.needs_encryption && !read.policy.allows_rsa_1_5 && read.policy.contexts.is_empty());
}

#[test]
fn requests_are_signed_if_there_is_a_key_unless_told_otherwise() {
    let files = Files::new();
    let keys = json!([files.pair()]);
    for (section, expected) in [
        (json!({ "keys": keys }), true),
        (json!({ "keys": keys, "sign_requests": true }), true),
        (json!({ "keys": keys, "sign_requests": false }), false),
        (json!({ "keys": keys, "sign_requests": "false" }), false),
    ] {
        assert_eq!(files.read(&section).signs_requests, expected, "{section}");
    }
}

#[test]
fn each_mistake_is_told_at_its_key() {
    let files = Files::new();
    files.write("large.xml", &" ".repeat(crate::metadata::MAX_BYTES + 1));
    files.write("stranger.pem", &STRANGER.certificate_pem().expect("a certificate"));
    let weak = SamlKey::rsa(1024).expect("a key");
    files.write("weak.pem", &weak.private_pem().expect("a key"));
    files.write("weak-cert.pem", &weak.certificate_pem().expect("a certificate"));
    let ec = SamlKey::p256().expect("a key");
    files.write("ec.pem", &ec.private_pem().expect("a key"));
    files.write("not.pem", "not PEM");
    let wanting = SamlIdp { wants_signed_requests: true, ..IDP.clone() };
    files.write("wanting.xml", &wanting.metadata().expect("metadata"));
    let unsigned = SamlIdp { keys: Vec::new(), ..IDP.clone() };
    files.write("unsigned.xml", &unsigned.metadata().expect("metadata"));
    files.write("post.xml", &IDP.metadata().expect("metadata").replace("HTTP-Redirect", "HTTP-Other"));
    let ours = crate::testing::service().metadata().body;
    files.write("ours.xml", &String::from_utf8(ours).expect("text"));
    let key = |key: &str, certificate: &str| json!([{ "key_file": files.path(key), "certificate_file": files.path(certificate) }]);
    let good = files.pair();
    for (name, section, path) in [
        ("no string", json!({ "metadata_file": 7 }), "metadata_file"),
        ("no file", json!({ "metadata_file": files.path("none.xml") }), "metadata_file"),
        ("no metadata", json!({ "metadata_file": files.path("key.pem") }), "metadata_file"),
        (
            "an identity provider without keys",
            json!({ "metadata_file": files.path("unsigned.xml") }),
            "metadata_file",
        ),
        ("an empty entity id", json!({ "idp": "" }), "idp"),
        ("another entity", json!({ "idp": "https://other.example" }), "idp"),
        ("an empty entity id of ours", json!({ "entity_id": "" }), "entity_id"),
        ("an entity id with blanks", json!({ "entity_id": " x" }), "entity_id"),
        ("no list", json!({ "keys": files.path("key.pem") }), "keys"),
        (
            "a key without a certificate",
            json!({ "keys": [{ "key_file": files.path("key.pem") }] }),
            "keys[0]",
        ),
        ("a misspelt key of a key", json!({ "keys": [{ "key": "x" }] }), "keys[0].key"),
        ("no key file", json!({ "keys": key("none.pem", "cert.pem") }), "keys[0].key_file"),
        ("no certificate file", json!({ "keys": key("key.pem", "none.pem") }), "keys[0].certificate_file"),
        ("no private key", json!({ "keys": key("not.pem", "cert.pem") }), "keys[0].key_file"),
        ("a certificate for a key", json!({ "keys": key("cert.pem", "cert.pem") }), "keys[0].key_file"),
        ("no certificate", json!({ "keys": key("key.pem", "not.pem") }), "keys[0].certificate_file"),
        (
            "another's certificate",
            json!({ "keys": key("key.pem", "stranger.pem") }),
            "keys[0].certificate_file",
        ),
        ("a weak key", json!({ "keys": key("weak.pem", "weak-cert.pem") }), "keys[0].key_file"),
        ("a key that cannot decrypt", json!({ "keys": key("ec.pem", "cert.pem") }), "keys[0].key_file"),
        ("a pair twice", json!({ "keys": [good, good] }), "keys[1]"),
        ("our name is theirs", json!({ "entity_id": ENTITY }), "entity_id"),
        ("our metadata for theirs", json!({ "metadata_file": files.path("ours.xml") }), "metadata_file"),
        ("nearly their name", json!({ "idp": format!("{ENTITY}/") }), "idp"),
        ("four keys", json!({ "keys": [good, good, good, good] }), "keys"),
        ("another binding", json!({ "request_binding": "artifact" }), "request_binding"),
        (
            "a binding that is not there",
            json!({ "metadata_file": files.path("post.xml"), "request_binding": "redirect" }),
            "request_binding",
        ),
        ("signed with nothing", json!({ "sign_requests": true }), "sign_requests"),
        ("not signed though wanted", json!({ "metadata_file": files.path("wanting.xml") }), "keys"),
        (
            "not signed on purpose though wanted",
            json!({ "metadata_file": files.path("wanting.xml"), "keys": [good], "sign_requests": false }),
            "sign_requests",
        ),
        ("neither yes nor no", json!({ "sign_requests": "perhaps" }), "sign_requests"),
        ("nothing signed", json!({ "signed": "none" }), "signed"),
        ("encryption to nobody", json!({ "require_encryption": true }), "require_encryption"),
        ("an empty subject", json!({ "subject": "" }), "subject"),
        ("a subject with blanks", json!({ "subject": " uid" }), "subject"),
        ("a name for one session", json!({ "name_id_format": "transient" }), "name_id_format"),
        ("no format", json!({ "name_id_format": "Persistent" }), "name_id_format"),
        ("an attribute without a name", json!({ "attributes": { "urn:x": "" } }), "attributes.urn:x"),
        ("no context", json!({ "authn_context": ["urn:x", ""] }), "authn_context[1]"),
        ("no entity that may be offered", json!({ "offer_idps": ["https://idp", ""] }), "offer_idps[1]"),
        ("one of a large document", json!({ "metadata_file": files.path("large.xml") }), "idp"),
        ("a misspelt key", json!({ "metadata_path": "idp.xml" }), "metadata_path"),
    ] {
        assert_eq!(files.problems(&section), [path], "{name}");
    }
    assert_eq!(problems(json!("idp.xml")), [""], "no section");
    assert_eq!(problems(json!({})), ["metadata_file"], "nothing");
}

#[test]
fn each_mistake_about_a_federation_is_told_at_its_key() {
    let files = Files::new();
    for (name, section, path) in [
        ("one and many", json!({ "idp": ENTITY, "federation": {} }), "idp"),
        ("many of nobody", json!({ "federation": { "idps": [""] } }), "federation.idps[0]"),
        ("a misspelt key of many", json!({ "federation": { "entities": [] } }), "federation.entities"),
        (
            "registered by nobody",
            json!({ "federation": { "registered_by": ["https://a", ""] } }),
            "federation.registered_by[1]",
        ),
        (
            "a discovery service that is no page",
            json!({ "federation": { "discovery_service": "mailto:us" } }),
            "federation.discovery_service",
        ),
        (
            "a discovery service with a password",
            json!({ "federation": { "discovery_service": "https://a:b@wayf/ds" } }),
            "federation.discovery_service",
        ),
        ("many in a directory", json!({ "metadata_file": "/", "federation": {} }), "metadata_file"),
        ("one in a device", json!({ "metadata_file": "/dev/zero" }), "metadata_file"),
        ("many in no file", json!({ "metadata_file": "/none.xml", "federation": {} }), "metadata_file"),
        ("a place for copies of a file", json!({ "metadata_cache_dir": "/tmp" }), "metadata_cache_dir"),
        ("a query service beside a file", json!({ "mdq_url": "https://mdq" }), "mdq_url"),
    ] {
        assert_eq!(files.problems(&section), [path], "{name}");
    }
}

#[test]
fn all_mistakes_are_told_together() {
    let files = Files::new();
    let mut told = files.problems(&json!({
        "metadata_file": "/none.xml", "entity_id": "", "keys": [{ "key_file": "/no", "certificate_file": "/no" }],
        "request_binding": "x", "signed": "x", "subject": "", "name_id_format": "x", "extra": 1,
    }));
    told.sort();
    let expected = [
        "entity_id",
        "extra",
        "keys[0].certificate_file",
        "keys[0].key_file",
        "metadata_file",
        "name_id_format",
        "request_binding",
        "signed",
        "subject",
    ];
    assert_eq!(told, expected);
}

#[test]
fn what_names_people_decides_what_is_asked_for() {
    let files = Files::new();
    for (section, format, source) in [
        (json!({ "subject": "uid" }), None, SubjectSource::Attribute("uid".to_owned())),
        (
            json!({ "subject": "uid", "name_id_format": "transient" }),
            Some(FORMAT_TRANSIENT),
            SubjectSource::Attribute("uid".to_owned()),
        ),
        (
            json!({ "name_id_format": "email" }),
            Some(FORMAT_EMAIL),
            SubjectSource::NameId { format: FORMAT_EMAIL.to_owned() },
        ),
        (
            json!({ "name_id_format": "urn:x:y" }),
            Some("urn:x:y"),
            SubjectSource::NameId { format: "urn:x:y".to_owned() },
        ),
    ] {
        let read = files.read(&section);
        assert_eq!(read.name_id_format.as_deref(), format, "{section}");
        assert_eq!(read.naming.subject, source, "{section}");
    }
}

#[test]
fn what_is_allowed_and_not_wise_is_a_warning() {
    let files = Files::new();
    for (section, expected) in [
        (json!({}), &[][..]),
        (json!({ "subject": "uid" }), &[]),
        (json!({ "allow_rsa_1_5": true }), &["allow_rsa_1_5"]),
        (json!({ "name_id_format": "email" }), &["name_id_format"]),
    ] {
        let warnings = files.read(&section).warnings();
        let paths: Vec<_> = warnings.iter().map(|warning| warning.path.as_str()).collect();
        assert_eq!(paths, expected, "{section}");
    }
}

#[test]
fn a_key_that_everybody_can_read_is_warned_of() {
    let files = Files::new();
    for (mode, expected) in [(0o640, vec![]), (0o644, vec!["keys[0].key_file"])] {
        files.mode("key.pem", mode);
        let warnings = files.read(&json!({ "keys": [files.pair()] })).warnings();
        let paths: Vec<_> = warnings.iter().map(|warning| warning.path.as_str()).collect();
        assert_eq!(paths, expected, "{mode:o}");
    }
}

#[test]
fn metadata_that_nobody_signed_is_said_to_be_unsigned() {
    let files = Files::new();
    let section = files.section(&json!({ "metadata_certificate_file": files.path("cert.pem") }));
    let error = Settings::read(section).expect_err("nobody signed it");
    assert_eq!(error.problems[0].path, "metadata_file");
    assert!(error.problems[0].message.contains("is not signed, though"), "{error:?}");
}

#[test]
fn metadata_is_fetched_by_https_or_verified() {
    let files = Files::new();
    let certificate = files.path("cert.pem");
    let url = "https://idp.ac.cdl/metadata";
    for (name, config, expected) in [
        ("https", json!({ "metadata_url": url, "idp": ENTITY }), None),
        (
            "http, and signed",
            json!({ "metadata_url": "http://idp.ac.cdl/", "idp": ENTITY, "metadata_certificate_file": certificate }),
            None,
        ),
        ("http", json!({ "metadata_url": "http://idp.ac.cdl/", "idp": ENTITY }), Some("metadata_url")),
        (
            "a file's URL",
            json!({ "metadata_url": "file:///etc/passwd", "idp": ENTITY }),
            Some("metadata_url"),
        ),
        ("no URL", json!({ "metadata_url": "idp", "idp": ENTITY }), Some("metadata_url")),
        (
            "a password",
            json!({ "metadata_url": "https://a:b@idp.ac.cdl/", "idp": ENTITY }),
            Some("metadata_url"),
        ),
        ("nobody named", json!({ "metadata_url": url }), Some("idp")),
        ("many", json!({ "metadata_url": url, "federation": {} }), None),
        ("by query", json!({ "mdq_url": url, "idp": ENTITY }), None),
        ("by query of nobody", json!({ "mdq_url": url }), Some("idp")),
        ("by query of many", json!({ "mdq_url": url, "federation": {} }), Some("mdq_url")),
        ("by query and URL", json!({ "mdq_url": url, "metadata_url": url, "idp": ENTITY }), Some("mdq_url")),
        ("by query without TLS", json!({ "mdq_url": "http://idp.ac.cdl/", "idp": ENTITY }), Some("mdq_url")),
        ("by a query in a query", json!({ "mdq_url": "https://a/?b", "idp": ENTITY }), Some("mdq_url")),
        (
            "both",
            json!({ "metadata_url": url, "idp": ENTITY, "metadata_file": files.path("idp.xml") }),
            Some("metadata_url"),
        ),
        (
            "too often",
            json!({ "metadata_url": url, "idp": ENTITY, "metadata_refresh": "59s" }),
            Some("metadata_refresh"),
        ),
        (
            "too seldom",
            json!({ "metadata_url": url, "idp": ENTITY, "metadata_refresh": "25h" }),
            Some("metadata_refresh"),
        ),
        (
            "no time",
            json!({ "metadata_url": url, "idp": ENTITY, "metadata_refresh": "x" }),
            Some("metadata_refresh"),
        ),
        (
            "no authority",
            json!({ "metadata_url": url, "idp": ENTITY, "metadata_ca_file": "/nonexistent" }),
            Some("metadata_ca_file"),
        ),
        (
            "no certificate",
            json!({ "metadata_url": url, "idp": ENTITY, "metadata_certificate_file": files.path("key.pem") }),
            Some("metadata_certificate_file"),
        ),
        (
            "a directory for a file",
            json!({ "metadata_file": files.path("idp.xml"), "metadata_cache_dir": "/var/lib/usher" }),
            Some("metadata_cache_dir"),
        ),
        (
            "a file that nobody signed",
            json!({ "metadata_file": files.path("idp.xml"), "metadata_certificate_file": certificate }),
            Some("metadata_file"),
        ),
    ] {
        assert_eq!(problems(config).first().map(String::as_str), expected, "{name}");
    }
}

#[test]
fn a_query_names_the_entity_in_one_segment() {
    for (base, expected) in [
        ("https://mdq.cdl", "https://mdq.cdl/entities/https%3A%2F%2Fidp.ac.cdl%2Fidp"),
        ("https://mdq.cdl/global/", "https://mdq.cdl/global/entities/https%3A%2F%2Fidp.ac.cdl%2Fidp"),
    ] {
        let (_, source) = Settings::read(json!({ "mdq_url": base, "idp": ENTITY })).expect("a section");
        let Place::Url { url, .. } = source.place else { panic!("{source:?}") };
        assert_eq!(url.as_str(), expected);
    }
}

#[test]
fn a_federation_is_of_many_and_each_limited_to_its_scopes() {
    let files = Files::new();
    let federation = json!({
        "idps": [ENTITY], "registered_by": ["https://federation.cdl"], "discovery_service": "https://wayf.cdl/ds?x=1",
    });
    let section = json!({ "federation": federation });
    let Whose::Many(filter) = files.source(&section).whose else { panic!("many") };
    assert_eq!((filter.idps, filter.registered_by.len()), (vec![ENTITY.to_owned()], 1));
    let settings = files.read(&section);
    assert!(settings.is_federation && settings.discovery_service.is_some());
    assert_eq!(settings.naming.scopes, ScopeCheck::Strict);
    let careless = files.read(&json!({ "federation": {}, "check_scopes": false }));
    assert_eq!(careless.naming.scopes, ScopeCheck::Off);
    let warned: Vec<_> = careless.warnings().into_iter().map(|warning| warning.path).collect();
    assert_eq!(warned, ["keys", "check_scopes"]);
    let pair = json!({ "federation": {}, "keys": [files.pair()], "sign_requests": false });
    let unsigned: Vec<_> = files.read(&pair).warnings().into_iter().map(|warning| warning.path).collect();
    assert_eq!(unsigned, ["sign_requests"], "those that want signed requests are left out");
}

#[test]
fn what_stands_on_https_alone_is_said() {
    let files = Files::new();
    let warned = |more: Value| {
        let mut config = json!({ "metadata_url": "https://idp.ac.cdl/", "idp": ENTITY });
        for (key, value) in more.as_object().into_iter().flatten() {
            config[key] = value.clone();
        }
        let (_, source) = Settings::read(config).expect("a valid section");
        source.warnings(NOW).into_iter().map(|warning| warning.path).collect::<Vec<_>>()
    };
    assert_eq!(warned(json!({})), ["metadata_url", "metadata_cache_dir"]);
    assert_eq!(
        warned(json!({ "metadata_certificate_file": files.path("cert.pem") })),
        ["metadata_cache_dir"]
    );
    let directory = tempfile::tempdir().expect("a directory");
    assert_eq!(warned(json!({ "metadata_cache_dir": directory.path() })), ["metadata_url"]);
    let missing = directory.path().join("missing");
    assert_eq!(warned(json!({ "metadata_cache_dir": missing })), ["metadata_url", "metadata_cache_dir"]);
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o1777)).expect("a mode");
    let open = warned(json!({ "metadata_cache_dir": directory.path() }));
    assert_eq!(open, ["metadata_url", "metadata_cache_dir"], "everybody's");
}

#[test]
fn a_file_that_has_expired_is_warned_of() {
    let files = Files::new();
    for (seconds, expected) in
        [(SECONDS + 1, None), (SECONDS, Some("2026-01-01T00:00:00Z")), (0, Some("1970-01-01"))]
    {
        let issue = Issue { valid_until: Some(instant(seconds)), ..Issue::signed_with(Signing::with(&OURS)) };
        files.write("idp.xml", &IDP.signed_metadata(&issue).expect("metadata"));
        let warnings = files.source(&json!({})).warnings(NOW);
        let paths: Vec<_> = warnings.iter().map(|warning| warning.path.as_str()).collect();
        assert_eq!(paths, expected.map(|_| "metadata_file").as_slice(), "{seconds}");
        let says = |date: &str| warnings[0].message.contains(date);
        assert!(expected.is_none_or(says), "{seconds}: {warnings:?}");
    }
}

#[test]
fn a_federation_needs_a_place_for_its_index_wherever_it_comes_from() {
    let files = Files::new();
    let missing = files.path("missing");
    let by_file = json!({ "metadata_file": files.path("idp.xml"), "federation": {} });
    let by_url = json!({ "metadata_url": "https://idp.ac.cdl/", "federation": {}, "metadata_certificate_file": files.path("cert.pem") });
    for mut config in [by_file, by_url] {
        config["metadata_cache_dir"] = missing.clone();
        let (_, source) = Settings::read(config.clone()).expect("a valid section");
        let warnings = source.warnings(NOW);
        let [warning] = &warnings[..] else { panic!("{config}: {warnings:?}") };
        assert_eq!(warning.path, "metadata_cache_dir", "{config}");
        assert!(warning.message.contains("nobody can sign in"), "{config}: {warning:?}");
        config["metadata_cache_dir"] = json!(files.0.path());
        let (_, source) = Settings::read(config.clone()).expect("a valid section");
        assert_eq!(source.warnings(NOW), [], "{config}");
    }
}

#[test]
fn what_is_warned_of_names_the_key_that_is_there() {
    for key in ["metadata_url", "mdq_url"] {
        let (_, source) =
            Settings::read(json!({ (key): "https://idp.ac.cdl/", "idp": ENTITY })).expect("a section");
        let warnings = source.warnings(NOW);
        let warned: Vec<_> = warnings.iter().map(|warning| warning.path.as_str()).collect();
        assert_eq!(warned, [key, "metadata_cache_dir"]);
        assert!(warnings[1].message.contains(&format!("until `{key}` answers")), "{warnings:?}");
    }
}
