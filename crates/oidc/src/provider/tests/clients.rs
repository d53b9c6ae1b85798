//! Who the portal proves to be (OpenID Connect Core 9, RFC 6749 section 2.3.1, RFC 7523).

use std::path::{Path, PathBuf};

use usher_lab::scripted::oidc::{Place, Seen};

use super::*;
use crate::{
    config::Algorithm,
    jws::{Jws, Signers},
    keys::{KeySet, Keys},
};

/// A private key as an operator makes one.
fn key_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("test_keys").join(name)
}

async fn token_request(corp: &Corp) -> Seen {
    corp.sign_in("alice").await.expect("a proof");
    let requests = corp.script.take_requests();
    requests.into_iter().find(|seen| seen.place == Place::Token).expect("a code was exchanged")
}

#[tokio::test]
async fn a_secret_travels_in_one_place() {
    let both = json!(["client_secret_basic", "client_secret_post"]);
    for (name, method, listed, in_header) in [
        ("basic", json!("client_secret_basic"), both.clone(), true),
        ("post", json!("client_secret_post"), both.clone(), false),
        ("as the provider has it: both", json!(null), both, true),
        ("as the provider has it: nothing said", json!(null), json!(null), true),
        ("as the provider has it: post alone", json!(null), json!(["client_secret_post"]), false),
        ("as the provider has it: neither", json!(null), json!(["tls_client_auth"]), true),
    ] {
        let corp = Corp::with(json!({ "client_authentication": method })).await;
        let lie = json!({ "token_endpoint_auth_methods_supported": listed });
        corp.script.lie(Lies { discovery: Some(lie), ..Lies::default() });
        let seen = token_request(&corp).await;
        // The provider has checked it.
        assert_eq!(seen.authorization.is_some(), in_header, "{name}");
        assert_eq!(seen.one("client_secret").is_some(), !in_header, "{name}");
        assert_eq!(seen.one("client_id").is_some(), !in_header, "{name}");
        assert_eq!(seen.one("client_assertion"), None, "{name}");
    }
}

#[tokio::test]
async fn a_wrong_secret_is_for_an_operator_to_mend() {
    let corp = Corp::with(json!({ "client_secret": "another" })).await;
    assert_eq!(corp.sign_in("alice").await.err(), Some("internal"));
}

#[tokio::test]
async fn a_client_without_a_secret_says_its_id_alone() {
    let corp = Corp::with(json!({ "client_secret": null, "client_authentication": "none" })).await;
    let seen = token_request(&corp).await;
    assert_eq!((seen.authorization.as_deref(), seen.one("client_secret")), (None, None));
    assert_eq!(seen.one("client_id"), Some(CLIENT_ID));
    assert!(seen.one("code_verifier").is_some());
}

/// What a proof says, verified with what the provider has for that.
fn verified(seen: &Seen, algorithm: Algorithm, keys: &Keys) -> Value {
    let kind = seen.one("client_assertion_type");
    assert_eq!(kind, Some("urn:ietf:params:oauth:client-assertion-type:jwt-bearer"));
    assert_eq!((seen.authorization.as_deref(), seen.one("client_secret")), (None, None));
    let secret = secrecy::SecretString::from(CLIENT_SECRET);
    let signers = Signers { algorithms: &[algorithm], keys, secret: Some(&secret) };
    let token = Jws::parse(seen.one("client_assertion").expect("a proof")).expect("a token");
    Value::Object(token.verify(signers).expect("rightly signed").claims)
}

fn check(claims: &Value, audience: &str) {
    let now = NOW.as_millis() / 1000;
    for (name, expected) in [
        ("iss", json!(CLIENT_ID)),
        ("sub", json!(CLIENT_ID)),
        ("aud", json!(audience)),
        ("iat", json!(now)),
        ("exp", json!(now + 60)),
    ] {
        assert_eq!(claims[name], expected, "{name}");
    }
    assert_eq!(claims["jti"].as_str().map(str::len), Some(22), "128 bits");
}

#[tokio::test]
async fn a_proof_may_be_signed_with_the_secret() {
    let corp = Corp::with(json!({ "client_authentication": "client_secret_jwt" })).await;
    check(&verified(&token_request(&corp).await, Algorithm::Hs256, &Keys::default()), &corp.issuer);
}

#[tokio::test]
async fn a_proof_may_be_signed_with_a_key_that_is_published() {
    let [rsa, p256, p384, ed25519] = ["rsa.pem", "p256.pem", "p384.pem", "ed25519.pem"].map(key_file);
    for (name, section, algorithm) in [
        ("RSA", json!({ "client_key_file": rsa }), Algorithm::Rs256),
        (
            "RSA with PSS",
            json!({ "client_key_file": rsa, "client_key_algorithm": "PS256" }),
            Algorithm::Ps256,
        ),
        ("P-256", json!({ "client_key_file": p256 }), Algorithm::Es256),
        ("P-384", json!({ "client_key_file": p384 }), Algorithm::Es384),
        ("Ed25519", json!({ "client_key_file": ed25519, "client_key_id": "mine" }), Algorithm::EdDsa),
    ] {
        let mut section = section;
        section["client_secret"] = json!(null);
        section["published_keys"] = json!([{ "key_file": p256 }]);
        if name != "RSA" {
            section["assertion_audience"] = json!("token_endpoint");
        }
        let corp = Corp::with(section).await;
        let document = corp.provider.document(&corp.ctx(), "jwks").await.expect("a document");
        assert_eq!(document.content_type, "application/jwk-set+json");
        let shown = String::from_utf8(document.body).expect("text");
        let set: Value = serde_json::from_str(&shown).expect("JSON");
        assert_eq!(set["keys"].as_array().map(Vec::len), Some(2), "{name}: its own and the published one");
        for private in ["d", "p", "q", "dp", "dq", "qi"] {
            assert_eq!(set["keys"][0][private], Value::Null, "{name}: {private}");
        }
        // Only its own: P-256 is published as well, which is the same key there.
        let own: KeySet = serde_json::from_value(json!({ "keys": [set["keys"][0]] })).expect("a key set");
        let seen = token_request(&corp).await;
        let audience = if name == "RSA" { corp.issuer.clone() } else { format!("{}/token", corp.issuer) };
        check(&verified(&seen, algorithm, &Keys::from(own)), &audience);
        let first = seen.one("client_assertion").map(str::to_owned);
        assert_ne!(first.as_deref(), token_request(&corp).await.one("client_assertion"), "{name}: each once");
    }
}

#[tokio::test]
async fn a_pushed_request_proves_the_client_in_the_same_way() {
    for (name, method, in_header) in [
        ("basic", "client_secret_basic", true),
        ("post", "client_secret_post", false),
        ("signed", "client_secret_jwt", false),
    ] {
        let corp = Corp::with_setup(
            Setup { offers_par: true, ..setup() },
            json!({ "client_authentication": method }),
        )
        .await;
        corp.sign_in("alice").await.expect(name);
        let requests = corp.script.take_requests();
        let find = |place| requests.iter().find(|seen| seen.place == place).expect(name);
        let (push, exchange) = (find(Place::Par), find(Place::Token));
        assert_eq!(push.authorization, exchange.authorization, "{name}: what openidconnect makes, we make");
        assert_eq!(push.authorization.is_some(), in_header, "{name}");
        assert_eq!(push.one("client_secret"), exchange.one("client_secret"), "{name}");
        assert_eq!(push.one("client_id"), Some(CLIENT_ID), "{name}: once");
        let assertions = (push.one("client_assertion"), exchange.one("client_assertion"));
        assert_eq!(assertions.0.is_some(), assertions.1.is_some(), "{name}");
        assert!(assertions.0.is_none() || assertions.0 != assertions.1, "{name}: each once");
    }
}
