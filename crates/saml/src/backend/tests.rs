//! A section becomes a provider; the schema describes the section.

use std::fs;

use serde_json::json;
use usher_core::ProviderId;

use super::*;
use crate::testing::{IDP, NOW};

async fn built(config: Value) -> Result<Arc<dyn SsoProvider>, ConfigError> {
    let id = ProviderId::parse("corp").expect("an id");
    let descriptor = Descriptor { id, name: "Corp".to_owned(), icon: None, brand: None };
    let endpoints = Url::parse("https://matrix.ac.cdl/_usher/saml/corp/").expect("a URL");
    backend(Reader::here()).build(descriptor, endpoints, config).await
}

#[tokio::test]
async fn a_provider_is_built_without_its_identity_provider() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("idp.xml");
    fs::write(&path, IDP.metadata().expect("metadata")).expect("a file");
    let provider = built(json!({ "metadata_file": path })).await.expect("a provider");
    assert_eq!(provider.descriptor().name, "Corp");
    assert_eq!(provider.issuer().map(usher_core::Issuer::as_str), Some("https://idp.ac.cdl/idp"));
    let error = built(json!({ "metadata_file": directory.path() })).await.expect_err("no file");
    assert_eq!(error.problems[0].path, "metadata_file");
}

#[test]
fn metadata_is_warned_of_that_has_expired_by_the_time_it_is_looked_at() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("idp.xml");
    let until = "validUntil=\"2026-01-01T00:00:00Z\" entityID=";
    fs::write(&path, IDP.metadata().expect("metadata").replacen("entityID=", until, 1)).expect("a file");
    let warned = |now| backend(Reader::here()).warnings(&json!({ "metadata_file": path }), now);
    assert_eq!(warned(NOW.minus(std::time::Duration::from_secs(1))), []);
    assert_eq!(warned(NOW)[0].path, "metadata_file");
}

#[test]
fn the_schema_tells_every_key_and_what_is_required() {
    let backend = backend(Reader::here());
    assert_eq!(backend.kind(), "saml");
    let schema = backend.config_schema();
    let either = json!([{ "required": ["metadata_file"] }, { "required": ["metadata_url", "idp"] },
        { "required": ["metadata_url", "federation"] }, { "required": ["mdq_url", "idp"] }]);
    assert_eq!(schema["allOf"], json!([{ "oneOf": either }]));
    assert_eq!(schema["additionalProperties"], json!(false));
    let keys = schema["properties"].as_object().expect("properties");
    assert!(keys.len() > 10);
    for (key, described) in keys {
        assert!(described["description"].as_str().is_some_and(|text| !text.is_empty()), "{key}: {schema}");
    }
}

#[tokio::test]
async fn our_metadata_is_the_same_before_theirs_is_there() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("idp.xml");
    let endpoints = Url::parse("https://matrix.ac.cdl/_usher/saml/corp/").expect("a URL");
    let config = json!({ "metadata_file": path, "signed": "both" });
    let before = backend(Reader::here())
        .introduction(&endpoints, config.clone())
        .expect("a document")
        .expect("a document");
    fs::write(&path, IDP.metadata().expect("metadata")).expect("a file");
    let provider = built(config).await.expect("a provider");
    let entropy = usher_core::testing::SeededEntropy::new(1);
    let ctx = usher_core::Ctx { now: NOW, skew: crate::testing::SKEW, entropy: &entropy };
    let published = provider.document(&ctx, "metadata").await.expect("a document");
    assert_eq!(String::from_utf8(before.body), String::from_utf8(published.body));
    for (name, config) in [
        ("nothing of theirs at all", json!({})),
        (
            "a URL that nobody answers",
            json!({ "metadata_url": "https://idp.invalid/", "idp": "https://idp.invalid/" }),
        ),
    ] {
        assert!(
            backend(Reader::here()).introduction(&endpoints, config).is_ok_and(|document| document.is_some()),
            "{name}"
        );
    }
    let error = backend(Reader::here())
        .introduction(&endpoints, json!({ "entity_id": "" }))
        .expect_err("ours is wrong");
    assert_eq!(error.problems[0].path, "entity_id");
}
