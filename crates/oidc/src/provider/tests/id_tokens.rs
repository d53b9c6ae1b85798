//! Every check of an id_token (OpenID Connect Core 3.1.3.7, 3.1.3.8), each row with one thing wrong.

use usher_lab::scripted::oidc::{Alg, Signed};

use super::*;

fn second(offset: i64) -> i64 {
    NOW.as_millis() / 1000 + offset
}

#[tokio::test]
async fn a_claim_that_is_not_as_it_must_be_proves_nobody() {
    let corp = Corp::with(json!({ "additional_audiences": ["friend"] })).await;
    let issuer = corp.issuer.clone();
    let slash = format!("{issuer}/");
    let upper = issuer.to_uppercase();
    for (name, patch, is_good) in [
        ("as it is", json!({}), true),
        // 2: the issuer.
        ("another issuer", json!({ "iss": "https://evil.example" }), false),
        ("the issuer with a slash", json!({ "iss": slash }), false),
        ("the issuer in capitals", json!({ "iss": upper }), false),
        ("no issuer", json!({ "iss": null }), false),
        ("a list of issuers", json!({ "iss": [issuer] }), false),
        // 3: the audience.
        ("another audience", json!({ "aud": "another" }), false),
        ("no audience", json!({ "aud": null }), false),
        ("an empty list", json!({ "aud": [] }), false),
        ("a list of this one", json!({ "aud": ["usher"] }), true),
        ("this one twice", json!({ "aud": ["usher", "usher"], "azp": "usher" }), true),
        ("somebody beside", json!({ "aud": ["usher", "stranger"], "azp": "usher" }), false),
        ("a friend beside", json!({ "aud": ["usher", "friend"], "azp": "usher" }), true),
        ("a friend alone", json!({ "aud": "friend" }), false),
        ("a number beside", json!({ "aud": ["usher", 1], "azp": "usher" }), false),
        ("a part of the name", json!({ "aud": "ushe" }), false),
        // 4, 5: the authorized party.
        ("several, and no authorized party", json!({ "aud": ["usher", "friend"] }), false),
        ("this one is authorized", json!({ "azp": "usher" }), true),
        ("another is authorized", json!({ "azp": "another" }), false),
        ("a friend is authorized", json!({ "aud": ["usher", "friend"], "azp": "friend" }), false),
        ("an authorized party that is no text", json!({ "azp": ["usher"] }), false),
        // 9: expiry, with 60 seconds of leeway.
        ("expires now", json!({ "exp": second(0) }), true),
        ("expired within the leeway", json!({ "exp": second(-59) }), true),
        ("expired at the leeway", json!({ "exp": second(-60) }), false),
        ("expired long ago", json!({ "exp": second(-86_400) }), false),
        ("no expiry", json!({ "exp": null }), false),
        ("an expiry in words", json!({ "exp": second(300).to_string() }), false),
        ("an expiry before 1970", json!({ "exp": -1 }), false),
        ("an expiry that is no time", json!({ "exp": 1e300 }), false),
        ("an expiry with a fraction", json!({ "exp": 1_767_225_700.5 }), true),
        // 10: when it was issued.
        ("issued a while ago", json!({ "iat": second(-600) }), true),
        ("issued within the leeway", json!({ "iat": second(60) }), true),
        ("issued in the future", json!({ "iat": second(61) }), false),
        ("no time of issue", json!({ "iat": null }), false),
        ("a time of issue in words", json!({ "iat": "now" }), false),
        // RFC 7519 section 4.1.5.
        ("valid by now", json!({ "nbf": second(0) }), true),
        ("valid within the leeway", json!({ "nbf": second(60) }), true),
        ("not valid yet", json!({ "nbf": second(61) }), false),
        ("valid from a word on", json!({ "nbf": "soon" }), false),
        // 11: the nonce.
        ("no nonce", json!({ "nonce": null }), false),
        ("another nonce", json!({ "nonce": "AAAAAAAAAAAAAAAAAAAAAA" }), false),
        ("an empty nonce", json!({ "nonce": "" }), false),
        ("a nonce that is no text", json!({ "nonce": [] }), false),
        // 3.1.3.8: the access token's hash.
        ("no hash", json!({ "at_hash": null }), true),
        ("another access token's hash", json!({ "at_hash": "77QmUPtjPfzWtF2AnpK9RQ" }), false),
        ("a hash that is no text", json!({ "at_hash": 1 }), false),
        // 2: the subject.
        ("no subject", json!({ "sub": null }), false),
        ("an empty subject", json!({ "sub": "" }), false),
        ("a subject that is no text", json!({ "sub": 7 }), false),
        ("a subject with a blank", json!({ "sub": "alice " }), false),
        ("a subject with a line break", json!({ "sub": "alice\n" }), false),
        ("a long subject", json!({ "sub": "a".repeat(1025) }), false),
        // 2: when the person authenticated.
        ("a time of authentication in words", json!({ "auth_time": "today" }), false),
        ("a time of authentication before 1970", json!({ "auth_time": -5 }), false),
    ] {
        let answered = corp.sign_in_while(Lies::claims(patch)).await;
        let expected = if is_good { Ok(()) } else { Err("unverified") };
        assert_eq!(answered.map(drop), expected, "{name}");
    }
}

#[tokio::test]
async fn the_leeway_is_what_the_operator_allows_clocks_to_differ() {
    let corp = Corp { skew: Duration::ZERO, ..Corp::start().await };
    for (name, patch, is_good) in [
        ("expires now", json!({ "exp": second(0) }), false),
        ("expires in a second", json!({ "exp": second(1) }), true),
        ("issued now", json!({ "iat": second(0) }), true),
        ("issued in a second", json!({ "iat": second(1) }), false),
    ] {
        assert_eq!(corp.sign_in_while(Lies::claims(patch)).await.is_ok(), is_good, "{name}");
    }
}

#[tokio::test]
async fn every_algorithm_that_is_listed_is_verified_and_its_hash_too() {
    for alg in Alg::ALL {
        let corp = Corp::with_setup(Setup { alg, ..setup() }, json!({})).await;
        let identity = corp.sign_in("alice").await;
        assert!(identity.is_ok(), "{}: {identity:?}", alg.as_str());
        let other = Lies { signed: Signed::ByAnotherKey, ..Lies::default() };
        assert_eq!(
            corp.sign_in_while(other).await.err(),
            Some("unverified"),
            "{}: another key",
            alg.as_str()
        );
        let wrong = Lies::claims(json!({ "at_hash": "AAAA" }));
        assert_eq!(
            corp.sign_in_while(wrong).await.err(),
            Some("unverified"),
            "{}: another hash",
            alg.as_str()
        );
        let listed =
            Corp::with_setup(Setup { alg, ..setup() }, json!({ "algorithms": [alg.as_str()] })).await;
        assert!(listed.sign_in("alice").await.is_ok(), "{} alone", alg.as_str());
    }
}

#[tokio::test]
async fn a_signature_that_is_not_the_providers_proves_nobody() {
    let corp = Corp::with_setup(Setup { alg: Alg::Rs256, ..setup() }, json!({})).await;
    let modulus = corp.script.rsa_modulus();
    let secret = |alg, secret: &[u8]| Signed::WithSecret { alg, secret: secret.to_vec() };
    for (name, signed) in [
        ("by another key", Signed::ByAnotherKey),
        ("changed afterwards", Signed::ThenChanged),
        ("none", Signed::Not),
        ("empty", Signed::Empty),
        ("with the public key as a secret", secret("HS256", modulus.as_bytes())),
        ("with the client's secret, unlisted", secret("HS256", CLIENT_SECRET.as_bytes())),
        ("with HS384", secret("HS384", CLIENT_SECRET.as_bytes())),
        ("with HS512", secret("HS512", CLIENT_SECRET.as_bytes())),
        ("with an empty secret", secret("HS256", b"")),
    ] {
        let lies = Lies { signed, ..Lies::default() };
        assert_eq!(corp.sign_in_while(lies).await.err(), Some("unverified"), "{name}");
    }
    corp.sign_in("alice").await.expect("and rightly");
}

#[tokio::test]
async fn a_secret_signs_only_where_the_config_lists_it() {
    let corp = Corp::with(json!({ "algorithms": ["HS256", "ES256"] })).await;
    let signed = |alg, secret: &[u8]| Lies {
        signed: Signed::WithSecret { alg, secret: secret.to_vec() },
        claims: Some(json!({ "at_hash": null })),
        ..Lies::default()
    };
    let modulus = corp.script.rsa_modulus();
    for (name, lies, is_good) in [
        ("the client's", signed("HS256", CLIENT_SECRET.as_bytes()), true),
        ("another", signed("HS256", b"another secret of thirty-two bytes or more"), false),
        ("a public key", signed("HS256", modulus.as_bytes()), false),
        ("another hash", signed("HS384", CLIENT_SECRET.as_bytes()), false),
        ("a key, as ever", Lies::default(), true),
    ] {
        assert_eq!(corp.sign_in_while(lies).await.is_ok(), is_good, "{name}");
    }
}

#[tokio::test]
async fn an_algorithm_counts_only_if_it_is_listed() {
    for (alg, listed, is_good) in [
        (Alg::Rs256, json!(["RS256"]), true),
        (Alg::Rs256, json!(["PS256", "ES256"]), false),
        (Alg::Ps256, json!(["RS256"]), false),
        (Alg::Es384, json!(["ES256"]), false),
        (Alg::EdDsa, json!(["ES256", "EdDSA"]), true),
    ] {
        let corp = Corp::with_setup(Setup { alg, ..setup() }, json!({ "algorithms": listed })).await;
        assert_eq!(corp.sign_in("alice").await.is_ok(), is_good, "{} of {listed}", alg.as_str());
    }
}

#[tokio::test]
async fn a_header_is_read_as_far_as_it_is_understood() {
    let corp = Corp::start().await;
    let jwk = json!({ "kty": "oct", "k": "AAAA" });
    for (name, patch, is_good) in [
        ("no type", json!({ "typ": null }), true),
        ("the type in full", json!({ "typ": "application/jwt" }), true),
        ("a logout token's type", json!({ "typ": "logout+jwt" }), false),
        ("an access token's type", json!({ "typ": "at+jwt" }), false),
        ("a type that is no text", json!({ "typ": 1 }), false),
        ("something critical", json!({ "crit": ["b64"], "b64": false }), false),
        ("nothing critical", json!({ "crit": [] }), false),
        ("encrypted", json!({ "enc": "A256GCM" }), false),
        ("a key of its own", json!({ "jwk": jwk, "jku": "https://evil.example/jwks" }), true),
        ("no algorithm", json!({ "alg": null }), false),
        ("an algorithm in small letters", json!({ "alg": "es256" }), false),
        ("another algorithm than it has", json!({ "alg": "RS256" }), false),
        ("the other hash", json!({ "alg": "ES384" }), false),
        ("not a key's name", json!({ "kid": "nobody" }), false),
        ("a name of another kind of key", json!({ "kid": "rsa-1" }), false),
        ("a name that is no text", json!({ "kid": 1 }), false),
    ] {
        let lies = Lies { header: Some(patch), ..Lies::default() };
        let expected = if is_good { Ok(()) } else { Err("unverified") };
        assert_eq!(corp.sign_in_while(lies).await.map(drop), expected, "{name}");
    }
}

#[tokio::test]
async fn what_is_no_token_proves_nobody() {
    let corp = Corp::start().await;
    let with = |token: Value| Lies { tokens: Some(json!({ "id_token": token })), ..Lies::default() };
    let long = "a".repeat(200 * 1024);
    for (name, lies, expected) in [
        ("none at all", with(json!(null)), "unverified"),
        ("empty", with(json!("")), "unverified"),
        ("two parts", with(json!("e30.e30")), "unverified"),
        ("four parts", with(json!("e30.e30.e30.e30")), "unverified"),
        ("encrypted", with(json!("e30.e30.e30.e30.e30")), "unverified"),
        ("three empty parts", with(json!("..")), "unverified"),
        ("padded", with(json!("e30=.e30.e30")), "unverified"),
        ("not base64url", with(json!("e+/.e30.e30")), "unverified"),
        ("a header that is no JSON", with(json!("AAAA.e30.e30")), "unverified"),
        ("too long", with(json!(format!("e30.{long}.e30"))), "unverified"),
        ("a number", with(json!(7)), "unavailable"),
    ] {
        assert_eq!(corp.sign_in_while(lies).await.err(), Some(expected), "{name}");
    }
    let nothing = Lies { claims: Some(json!("text")), ..Lies::default() };
    assert_eq!(corp.sign_in_while(nothing).await.err(), Some("unverified"), "claims that are no object");
}

#[tokio::test]
async fn when_somebody_authenticated_is_the_id_tokens_word_alone() {
    let corp = Corp::with_setup(Setup { claims_in_id_token: false, ..setup() }, json!({})).await;
    corp.script.lie(Lies {
        userinfo: Some(json!({ "auth_time": second(0), "sid": "forged", "acr": "gold" })),
        ..Lies::default()
    });
    let identity = corp.try_sign_in("alice", Freshness::AnySession).await.expect("a proof");
    assert_eq!(identity.evidence, Evidence::Unstated);
    assert_ne!(identity.upstream_session, Some(logout_token::session_named("forged")));
    for (name, patch, expected) in [
        (
            "an hour ago",
            json!({ "auth_time": second(-3600) }),
            Evidence::AuthenticatedAt(Timestamp::from_secs(second(-3600))),
        ),
        ("null", json!({ "auth_time": null }), Evidence::Unstated),
    ] {
        let identity = corp.sign_in_while(Lies::claims(patch)).await.expect(name);
        assert_eq!(identity.evidence, expected, "{name}");
    }
}
