//! What a section may say, and what is told about one that says something else.

use std::{fs, path::Path};

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use super::*;

/// The three keys, and what `more` says; null removes one.
fn with(more: &Value) -> Value {
    let mut section = json!({ "issuer": "https://sso.ac.cdl/op", "client_id": "usher", "client_secret": "a secret of thirty-two bytes....." });
    for (key, value) in more.as_object().into_iter().flatten() {
        if value.is_null() {
            section.as_object_mut().expect("a section").remove(key);
        } else {
            section[key] = value.clone();
        }
    }
    section
}

fn problems(section: Value) -> Vec<String> {
    match Settings::read(section) {
        Ok(_) => Vec::new(),
        Err(error) => error.problems.into_iter().map(|problem| problem.path).collect(),
    }
}

fn settings(more: &Value) -> Settings {
    Settings::read(with(more)).expect("a valid section")
}

fn key(name: &str) -> Value {
    json!(Path::new(env!("CARGO_MANIFEST_DIR")).join("test_keys").join(name))
}

#[test]
fn three_keys_are_enough_and_the_rest_is_safe() {
    let read = settings(&json!({}));
    assert_eq!(read.issuer.as_str(), "https://sso.ac.cdl/op");
    let discovery = read.discovery_url.as_ref().map(Url::as_str);
    assert_eq!(discovery, Some("https://sso.ac.cdl/op/.well-known/openid-configuration"));
    assert_eq!(read.scopes, ["profile", "email"]);
    assert_eq!((read.pkce, read.pushed, read.response_mode), (Pkce::Auto, When::Auto, ResponseMode::Query));
    assert!(read.algorithms.iter().all(|algorithm| !algorithm.is_symmetric()));
    assert_eq!(read.algorithms.len(), 9);
    assert!(read.subject.is_claim("sub"));
    assert_eq!(read.groups, Groups::Refuse);
    assert_eq!((read.refresh, read.timeout), (Duration::from_hours(1), Duration::from_secs(10)));
    assert_eq!(read.trusted_origins.len(), 1);
    assert!(matches!(read.credentials, Credentials::Secret { place: None, .. }));
}

#[test]
fn an_issuer_is_kept_to_the_letter_and_its_document_is_found() {
    for (written, discovery) in [
        ("https://sso.ac.cdl", "https://sso.ac.cdl/.well-known/openid-configuration"),
        ("https://sso.ac.cdl/", "https://sso.ac.cdl/.well-known/openid-configuration"),
        ("https://sso.ac.cdl/a/b/", "https://sso.ac.cdl/a/b/.well-known/openid-configuration"),
        ("https://SSO.ac.cdl:443/A", "https://sso.ac.cdl/A/.well-known/openid-configuration"),
    ] {
        let read = settings(&json!({ "issuer": written }));
        assert_eq!(read.issuer.as_str(), written);
        assert_eq!(read.discovery_url.expect("a URL").as_str(), discovery);
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn each_mistake_is_told_at_its_key() {
    let endpoints =
        json!({ "authorization": "https://op/a", "token": "https://op/t", "jwks": "https://op/j" });
    for (name, more, path) in [
        ("no issuer", json!({ "issuer": null }), "issuer"),
        ("an issuer that is no text", json!({ "issuer": 7 }), "issuer"),
        ("no URL", json!({ "issuer": "sso.ac.cdl" }), "issuer"),
        ("another scheme", json!({ "issuer": "ldap://sso.ac.cdl" }), "issuer"),
        ("a query", json!({ "issuer": "https://sso.ac.cdl/?x" }), "issuer"),
        ("a fragment", json!({ "issuer": "https://sso.ac.cdl/#x" }), "issuer"),
        ("a user", json!({ "issuer": "https://me@sso.ac.cdl/" }), "issuer"),
        ("a template", json!({ "issuer": "https://login.microsoftonline.com/{tenantid}/v2.0" }), "issuer"),
        (
            "the document",
            json!({ "issuer": "https://sso.ac.cdl/.well-known/openid-configuration" }),
            "issuer",
        ),
        ("no client", json!({ "client_id": null }), "client_id"),
        ("an empty client", json!({ "client_id": "" }), "client_id"),
        ("a client with a blank", json!({ "client_id": " usher" }), "client_id"),
        ("a client that is no ASCII", json!({ "client_id": "üsher" }), "client_id"),
        ("no secret", json!({ "client_secret": null }), "client_secret"),
        ("an empty secret", json!({ "client_secret": "  " }), "client_secret"),
        ("two secrets", json!({ "client_secret_file": "/x" }), "client_secret"),
        (
            "no such file",
            json!({ "client_secret": null, "client_secret_file": "/does/not/exist" }),
            "client_secret_file",
        ),
        ("another way to authenticate", json!({ "client_authentication": "tls" }), "client_authentication"),
        ("none, and a secret", json!({ "client_authentication": "none" }), "client_authentication"),
        (
            "none, and no proof key",
            json!({ "client_secret": null, "client_authentication": "none", "pkce": "never" }),
            "pkce",
        ),
        (
            "basic, and no secret",
            json!({ "client_secret": null, "client_authentication": "client_secret_basic" }),
            "client_secret",
        ),
        (
            "a key, and no key",
            json!({ "client_secret": null, "client_authentication": "private_key_jwt" }),
            "client_key_file",
        ),
        ("a key and a secret", json!({ "client_key_file": key("p256.pem") }), "client_secret"),
        (
            "basic, and a key",
            json!({ "client_key_file": key("p256.pem"), "client_authentication": "client_secret_basic" }),
            "client_key_file",
        ),
        ("no such key", json!({ "client_secret": null, "client_key_file": "/no.pem" }), "client_key_file"),
        (
            "no key in it",
            json!({ "client_secret": null, "client_key_file": key("README.md") }),
            "client_key_file",
        ),
        (
            "a short key",
            json!({ "client_secret": null, "client_key_file": key("rsa_1024.pem") }),
            "client_key_file",
        ),
        ("a name for no key", json!({ "client_key_id": "x" }), "client_key_id"),
        ("an algorithm for no key", json!({ "client_key_algorithm": "PS256" }), "client_key_algorithm"),
        ("another algorithm", json!({ "client_key_algorithm": "HS256" }), "client_key_algorithm"),
        ("no published key", json!({ "published_keys": [{}] }), "published_keys[0].key_file"),
        (
            "a short secret that signs",
            json!({ "client_secret": "short", "client_authentication": "client_secret_jwt" }),
            "client_secret",
        ),
        ("another protocol", json!({ "protocol": "saml" }), "protocol"),
        ("OAuth 2, and nobody named", json!({ "protocol": "oauth2" }), "subject"),
        (
            "OAuth 2, and userinfo never",
            json!({ "protocol": "oauth2", "subject": "id", "userinfo": "never" }),
            "userinfo",
        ),
        (
            "no discovery, and no endpoints",
            json!({ "discovery": false, "endpoints": { "token": "https://op/t", "jwks": "https://op/j" } }),
            "endpoints.authorization",
        ),
        (
            "no discovery, and no keys",
            json!({ "discovery": false, "endpoints": { "authorization": "https://op/a", "token": "https://op/t" } }),
            "endpoints.jwks",
        ),
        (
            "no discovery, and no userinfo",
            json!({ "discovery": false, "endpoints": endpoints, "userinfo": "always" }),
            "endpoints.userinfo",
        ),
        (
            "no discovery, and nowhere to push",
            json!({ "discovery": false, "endpoints": endpoints, "pushed_authorization_requests": "always" }),
            "endpoints.pushed_authorization_request",
        ),
        (
            "no discovery, and its address",
            json!({ "discovery": false, "endpoints": endpoints, "discovery_url": "https://op/d" }),
            "discovery_url",
        ),
        ("discovery at no address", json!({ "discovery_url": "op" }), "discovery_url"),
        ("an endpoint that is no URL", json!({ "endpoints": { "token": "/token" } }), "endpoints.token"),
        (
            "an endpoint with a fragment",
            json!({ "endpoints": { "authorization": "https://op/#a" } }),
            "endpoints.authorization",
        ),
        ("a misspelt endpoint", json!({ "endpoints": { "tokens": "https://op/t" } }), "endpoints.tokens"),
        (
            "an origin with a path",
            json!({ "allowed_origins": ["https://a.example/x"] }),
            "allowed_origins[0]",
        ),
        (
            "an origin that is no URL",
            json!({ "allowed_origins": ["https://a.example", "b.example"] }),
            "allowed_origins[1]",
        ),
        ("two scopes in one", json!({ "scopes": ["profile email"] }), "scopes[0]"),
        ("an empty scope", json!({ "scopes": ["profile", ""] }), "scopes[1]"),
        ("scopes that are a text", json!({ "scopes": "profile" }), "scopes"),
        ("another word", json!({ "pkce": "sometimes" }), "pkce"),
        ("a response mode with tokens", json!({ "response_mode": "fragment" }), "response_mode"),
        ("a parameter of Usher's own", json!({ "parameters": { "state": "x" } }), "parameters.state"),
        ("a parameter with a key", json!({ "parameters": { "scope": "x" } }), "parameters.scope"),
        ("a parameter that is no text", json!({ "parameters": { "hd": 7 } }), "parameters.hd"),
        ("two contexts in one", json!({ "acr_values": ["a b"] }), "acr_values[0]"),
        ("something else to pass", json!({ "pass_through": ["prompt"] }), "pass_through[0]"),
        ("no algorithm", json!({ "algorithms": [] }), "algorithms"),
        ("none as one", json!({ "algorithms": ["none"] }), "algorithms[0]"),
        ("one that is not verified", json!({ "algorithms": ["ES256", "ES512"] }), "algorithms[1]"),
        ("HS512, and a secret of 33 bytes", json!({ "algorithms": ["HS512"] }), "algorithms[0]"),
        (
            "HS256, and no secret",
            json!({ "client_secret": null, "client_authentication": "none", "algorithms": ["HS256"] }),
            "algorithms[0]",
        ),
        ("no duration", json!({ "refresh": "some" }), "refresh"),
        ("too often", json!({ "refresh": "59s" }), "refresh"),
        ("too rarely", json!({ "refresh": "25h" }), "refresh"),
        ("no time", json!({ "timeout": "0s" }), "timeout"),
        ("too long", json!({ "timeout": "61s" }), "timeout"),
        ("a bare number", json!({ "timeout": 10 }), "timeout"),
        ("an address as the subject", json!({ "subject": "email" }), "subject"),
        ("an address as the subject, as a path", json!({ "subject": "/email" }), "subject"),
        ("no address as the subject", json!({ "allow_email_as_subject": true }), "allow_email_as_subject"),
        ("no path", json!({ "subject": "/a//b" }), "subject"),
        ("an empty claim", json!({ "claims": { "department": "" } }), "claims.department"),
        ("no name", json!({ "claims": { "": "x" } }), "claims."),
        ("groups followed to nowhere", json!({ "groups_overage": "follow" }), "groups_endpoint"),
        ("groups not followed", json!({ "groups_endpoint": "https://graph/x" }), "groups_endpoint"),
        ("no such certificate file", json!({ "ca_file": "/no.pem" }), "ca_file"),
        ("a misspelt key", json!({ "client": "usher" }), "client"),
    ] {
        assert_eq!(problems(with(&more)), [path], "{name}");
    }
    assert_eq!(problems(json!("https://sso.ac.cdl")), [""], "no section");
}

#[test]
fn all_mistakes_are_told_together() {
    let mut told = problems(json!({
        "issuer": 7, "pkce": "x", "timeout": "x", "scopes": [""], "endpoints": { "token": "x" }, "extra": 1,
    }));
    told.sort();
    assert_eq!(
        told,
        ["client_id", "client_secret", "endpoints.token", "extra", "issuer", "pkce", "scopes[0]", "timeout"]
    );
}

#[test]
fn no_mistake_repeats_a_secret() {
    for section in [
        with(&json!({ "client_secret": ["hunter2hunter2"] })),
        with(&json!({ "client_secret": { "x": "hunter2hunter2" } })),
        with(&json!({ "client_secret": "hunter2hunter2", "client_authentication": "client_secret_jwt" })),
        with(&json!({ "client_secret": "hunter2hunter2", "client_secret_file": "/x" })),
    ] {
        let error = Settings::read(section).expect_err("it is wrong");
        let told = format!("{error:?} {error}");
        assert!(!told.contains("hunter2"), "{told}");
    }
    let shown = format!("{:?}", settings(&json!({ "client_secret": "hunter2hunter2" })));
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn a_secret_in_a_file_is_read_without_the_line_break_at_its_end() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("secret");
    fs::write(&path, "from the file\n").expect("a file");
    let read = settings(&json!({ "client_secret": null, "client_secret_file": path }));
    assert_eq!(read.credentials.secret().map(SecretString::expose_secret), Some("from the file"));
    fs::write(&path, [0xFF]).expect("a file");
    assert_eq!(
        problems(with(&json!({ "client_secret": null, "client_secret_file": path }))),
        ["client_secret_file"]
    );
    fs::write(&path, "\n").expect("a file");
    assert_eq!(
        problems(with(&json!({ "client_secret": null, "client_secret_file": path }))),
        ["client_secret_file"]
    );
}

#[test]
fn scopes_are_asked_for_as_they_are_written_and_openid_once() {
    for (name, more, expected) in [
        ("by default", json!({}), &["profile", "email"][..]),
        ("none", json!({ "scopes": [] }), &[]),
        ("openid by itself", json!({ "scopes": ["openid", "groups"] }), &["groups"]),
        ("OAuth 2", json!({ "protocol": "oauth2", "subject": "id" }), &[]),
        (
            "OAuth 2 with openid",
            json!({ "protocol": "oauth2", "subject": "id", "scopes": ["openid"] }),
            &["openid"],
        ),
    ] {
        assert_eq!(settings(&more).scopes, expected, "{name}");
    }
}

#[test]
fn what_goes_in_the_clear_is_known_by_its_key() {
    for (name, more, expected) in [
        ("nothing", json!({}), &[][..]),
        ("this machine", json!({ "issuer": "http://127.0.0.1:8080/op" }), &[]),
        ("this machine by name", json!({ "issuer": "http://sso.localhost/op" }), &[]),
        ("the issuer", json!({ "issuer": "http://sso.ac.cdl" }), &["issuer", "discovery_url"]),
        ("an endpoint", json!({ "endpoints": { "token": "http://10.0.0.1/t" } }), &["endpoints.token"]),
    ] {
        assert_eq!(settings(&more).in_the_clear(), expected, "{name}");
    }
}

#[test]
fn a_key_is_read_with_its_name_and_shown_without_its_secret() {
    let more = json!({
        "client_secret": null, "client_key_file": key("rsa.pem"), "client_key_id": "mine", "client_key_algorithm": "PS256",
        "published_keys": [{ "key_file": key("p256.pem") }],
    });
    let keys: Vec<_> = settings(&more).public_keys().collect();
    assert_eq!(
        (&keys[0]["kid"], &keys[0]["alg"], &keys[0]["kty"]),
        (&json!("mine"), &json!("PS256"), &json!("RSA"))
    );
    assert_eq!((&keys[1]["alg"], &keys[1]["crv"]), (&json!("ES256"), &json!("P-256")));
    assert_eq!(settings(&json!({})).public_keys().count(), 0);
}
