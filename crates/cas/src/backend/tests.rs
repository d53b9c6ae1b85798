//! A section becomes a provider; the schema describes the section.

use std::{fs, time::Duration};

use serde_json::json;
use usher_core::ProviderId;

use super::*;

fn built(config: Value) -> impl Future<Output = Result<Arc<dyn SsoProvider>, ConfigError>> {
    let id = ProviderId::parse("corp").expect("an id");
    let descriptor = Descriptor { id, name: "Corp".to_owned(), icon: None, brand: None };
    let endpoints = Url::parse("https://matrix.ac.cdl/_usher/cas/corp/").expect("a URL");
    let http = Outgoing::new(None, Duration::from_secs(5), 1024).expect("a client");
    async move { backend(http).build(descriptor, endpoints, config).await }
}

#[tokio::test]
async fn a_provider_is_built_without_its_server() {
    let provider = built(json!({ "base_url": "https://nowhere.invalid/cas" })).await.expect("a provider");
    assert_eq!(provider.descriptor().name, "Corp");
}

#[tokio::test]
async fn a_ca_file_must_hold_a_certificate() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("ca.pem");
    fs::write(&path, "no certificate").expect("a file");
    let error = built(json!({ "base_url": "https://sso.ac.cdl/cas", "ca_file": path })).await.err();
    let paths: Vec<_> =
        error.into_iter().flat_map(|error| error.problems).map(|problem| problem.path).collect();
    assert_eq!(paths, ["ca_file"]);
}

#[test]
fn the_schema_tells_every_key_and_what_is_required() {
    let http = Outgoing::new(None, Duration::from_secs(5), 1024).expect("a client");
    let backend = backend(http);
    assert_eq!(backend.kind(), "cas");
    let schema = backend.config_schema();
    assert_eq!(schema["required"], json!(["base_url"]));
    assert_eq!(schema["additionalProperties"], json!(false));
    assert_eq!(schema["properties"]["base_url"]["type"], json!("string"));
    assert_eq!(schema["properties"]["version"]["default"], json!(3));
    for key in ["base_url", "version", "subject", "proxies", "timeout", "ca_file"] {
        let described = schema["properties"][key]["description"].as_str();
        assert!(described.is_some_and(|text| !text.is_empty()), "{key}: {schema}");
    }
}

#[test]
fn plain_http_to_another_machine_is_a_warning() {
    let http = Outgoing::new(None, Duration::from_secs(5), 1024).expect("a client");
    let backend = backend(http);
    for (base_url, expected) in [
        ("http://sso.ac.cdl/cas", &["base_url"][..]),
        ("https://sso.ac.cdl/cas", &[]),
        ("http://127.0.0.1:8000/cas", &[]),
    ] {
        let warnings = backend.warnings(&json!({ "base_url": base_url }), Timestamp::from_secs(0));
        let paths: Vec<_> = warnings.iter().map(|warning| warning.path.as_str()).collect();
        assert_eq!(paths, expected, "{base_url}");
    }
}
