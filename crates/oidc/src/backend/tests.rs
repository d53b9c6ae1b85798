//! A section becomes a provider; the schema describes the section.

use std::{fs, time::Duration};

use serde_json::json;
use usher_core::ProviderId;

use super::*;

fn http() -> Outgoing {
    Outgoing::new(None, Duration::from_secs(5), 1024).expect("a client")
}

fn section(more: &Value) -> Value {
    let mut section =
        json!({ "issuer": "https://nowhere.invalid/op", "client_id": "c", "client_secret": "s" });
    for (key, value) in more.as_object().into_iter().flatten() {
        section[key] = value.clone();
    }
    section
}

async fn built(config: Value) -> Result<Arc<dyn SsoProvider>, ConfigError> {
    let id = ProviderId::parse("corp").expect("an id");
    let descriptor = Descriptor { id, name: "Corp".to_owned(), icon: None, brand: None };
    let endpoints = Url::parse("https://matrix.ac.cdl/_usher/oidc/corp/").expect("a URL");
    backend(http()).build(descriptor, endpoints, config).await
}

#[tokio::test]
async fn a_provider_is_built_without_its_server_and_knows_its_issuer() {
    let provider = built(section(&json!({}))).await.expect("a provider");
    assert_eq!(provider.descriptor().name, "Corp");
    assert_eq!(provider.issuer().map(usher_core::Issuer::as_str), Some("https://nowhere.invalid/op"));
}

#[tokio::test]
async fn a_ca_file_must_hold_a_certificate() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("ca.pem");
    fs::write(&path, "no certificate").expect("a file");
    let error = built(section(&json!({ "ca_file": path }))).await.err();
    let paths: Vec<_> =
        error.into_iter().flat_map(|error| error.problems).map(|problem| problem.path).collect();
    assert_eq!(paths, ["ca_file"]);
}

#[test]
fn the_schema_tells_every_key_and_what_is_required() {
    let backend = backend(http());
    assert_eq!(backend.kind(), "oidc");
    let schema = backend.config_schema();
    assert_eq!(schema["required"], json!(["issuer", "client_id"]));
    assert_eq!(schema["additionalProperties"], json!(false));
    assert_eq!(schema["properties"]["issuer"]["type"], json!("string"));
    assert!(schema.get("$defs").is_none(), "everything stands where it belongs");
    let properties = schema["properties"].as_object().expect("keys");
    assert!(properties.len() > 30);
    for (key, described) in properties {
        let text = described["description"].as_str();
        assert!(text.is_some_and(|text| !text.is_empty()), "{key}: {described}");
    }
}

#[test]
fn what_is_probably_not_meant_is_a_warning() {
    for (name, more, expected) in [
        ("nothing", json!({}), &[][..]),
        ("plain http", json!({ "issuer": "http://sso.ac.cdl" }), &["issuer", "discovery_url"]),
        ("no proof key", json!({ "pkce": "never" }), &["pkce"]),
        ("a name that changes hands", json!({ "subject": "preferred_username" }), &["subject"]),
        ("an address", json!({ "subject": "email", "allow_email_as_subject": true }), &["subject"]),
        ("a name for good", json!({ "subject": "oid" }), &[]),
        ("a mistake, told elsewhere", json!({ "pkce": "x" }), &[]),
    ] {
        let warnings = backend(http()).warnings(&section(&more), Timestamp::from_secs(0));
        let paths: Vec<_> = warnings.iter().map(|warning| warning.path.as_str()).collect();
        assert_eq!(paths, expected, "{name}");
    }
}
