//! The provider's keys: fetched once, anew when they have to be, and never often (OpenID Connect Core 10.1.1).

use usher_lab::scripted::{
    Reply,
    oidc::{Alg, Place, Signed},
};

use super::*;

#[tokio::test]
async fn documents_are_fetched_once_and_not_for_a_login() {
    let corp = Corp::start().await;
    for _ in 0..5 {
        corp.sign_in("alice").await.expect("a proof");
    }
    let asked =
        [Place::Discovery, Place::Jwks, Place::Token, Place::Userinfo].map(|place| corp.script.asked(place));
    assert_eq!(asked, [1, 1, 5, 0]);
}

#[tokio::test]
async fn a_rotated_key_is_fetched_once_and_accepted() {
    for alg in [Alg::Rs256, Alg::Ps256, Alg::Es256, Alg::EdDsa] {
        let corp = Corp::with_setup(Setup { alg, ..setup() }, json!({})).await;
        corp.sign_in("alice").await.expect("a proof");
        corp.script.rotate_keys();
        for _ in 0..3 {
            corp.sign_in("alice").await.expect("a proof by the new key");
        }
        assert_eq!(corp.script.asked(Place::Jwks), 2, "{}", alg.as_str());
    }
}

#[tokio::test]
async fn a_rotated_key_is_found_whatever_it_is_called() {
    for (name, header, key) in [
        ("under the old name", json!({ "kid": "the-same" }), json!("the-same")),
        ("without a name", json!({ "kid": null }), Value::Null),
    ] {
        let corp = Corp::with_setup(Setup { alg: Alg::Es256, ..setup() }, json!({})).await;
        let published = || {
            let set = corp.script.key_set();
            let keys = set["keys"].as_array().expect("keys").iter();
            let mut of_curve = keys.filter(|key| key["crv"] == "P-256").cloned().collect::<Vec<_>>();
            of_curve[0]["kid"] = key.clone();
            Some(json!({ "keys": of_curve }))
        };
        let lies = || Lies { jwks: published(), header: Some(header.clone()), ..Lies::default() };
        corp.sign_in_while(lies()).await.expect("a proof");
        corp.script.rotate_keys();
        corp.sign_in_while(lies()).await.expect("a proof by the new key");
        assert_eq!(corp.script.asked(Place::Jwks), 2, "{name}");
        for _ in 0..20 {
            let forged = Lies { signed: Signed::ByAnotherKey, ..lies() };
            assert_eq!(corp.sign_in_while(forged).await.err(), Some("unverified"), "{name}");
        }
        assert_eq!(corp.script.asked(Place::Jwks), 2, "{name}: no forger has them fetched at will");
    }
}

#[tokio::test]
async fn an_unknown_key_is_looked_for_once_in_ten_seconds() {
    let corp = Corp::start().await;
    corp.sign_in("alice").await.expect("a proof");
    for _ in 0..10 {
        let lies = Lies { header: Some(json!({ "kid": "nobody" })), ..Lies::default() };
        assert_eq!(corp.sign_in_while(lies).await.err(), Some("unverified"));
    }
    assert_eq!(corp.script.asked(Place::Jwks), 2);
    corp.sign_in("alice").await.expect("the others are still good");
}

#[tokio::test]
async fn many_who_come_with_a_new_key_have_it_fetched_once() {
    let corp = Corp::start().await;
    corp.sign_in("alice").await.expect("a proof");
    corp.script.rotate_keys();
    let (a, b, c) = tokio::join!(corp.sign_in("alice"), corp.sign_in("bob"), corp.sign_in("alice"));
    assert!(a.is_ok() && b.is_ok() && c.is_ok(), "{a:?} {b:?} {c:?}");
    assert_eq!(corp.script.asked(Place::Jwks), 2);
}

#[tokio::test]
async fn a_key_set_is_read_as_far_as_it_can_be_used() {
    let corp = Corp::with_setup(Setup { alg: Alg::Rs256, ..setup() }, json!({})).await;
    let modulus = corp.script.rsa_modulus();
    let rsa = |more: Value| {
        let mut key = json!({ "kty": "RSA", "kid": "rsa-1", "n": modulus, "e": "AQAB" });
        for (name, value) in more.as_object().into_iter().flatten() {
            key[name] = value.clone();
        }
        key
    };
    let short = &modulus[..modulus.len() / 2];
    for (name, keys, header, expected) in [
        ("the key", json!([rsa(json!({}))]), json!({}), Ok(())),
        ("for signatures", json!([rsa(json!({ "use": "sig", "alg": "RS256" }))]), json!({}), Ok(())),
        ("to verify", json!([rsa(json!({ "key_ops": ["verify"] }))]), json!({}), Ok(())),
        (
            "among what nobody understands",
            json!([1, { "kty": "PQC" }, {}, { "kty": "oct", "k": "AAAA" }, rsa(json!({}))]),
            json!({}),
            Ok(()),
        ),
        (
            "without a name, and none asked for",
            json!([rsa(json!({ "kid": null }))]),
            json!({ "kid": null }),
            Ok(()),
        ),
        ("the only one, and none asked for", json!([rsa(json!({}))]), json!({ "kid": null }), Ok(())),
        ("without a name", json!([rsa(json!({ "kid": null }))]), json!({}), Err("unverified")),
        (
            "several, and none asked for",
            json!([rsa(json!({})), rsa(json!({ "kid": "b" }))]),
            json!({ "kid": null }),
            Err("unverified"),
        ),
        ("two of that name", json!([rsa(json!({})), rsa(json!({}))]), json!({}), Err("unverified")),
        ("for encryption", json!([rsa(json!({ "use": "enc" }))]), json!({}), Err("unverified")),
        (
            "to sign, not to verify",
            json!([rsa(json!({ "key_ops": ["sign"] }))]),
            json!({}),
            Err("unverified"),
        ),
        ("for another algorithm", json!([rsa(json!({ "alg": "PS256" }))]), json!({}), Err("unverified")),
        ("too short", json!([rsa(json!({ "n": short }))]), json!({}), Err("unverified")),
        ("no modulus", json!([rsa(json!({ "n": null }))]), json!({}), Err("unverified")),
        (
            "of another kind",
            json!([rsa(json!({ "kty": "EC", "crv": "P-256" }))]),
            json!({}),
            Err("unverified"),
        ),
        ("none", json!([]), json!({}), Err("unverified")),
    ] {
        let fresh = Corp::with_setup(Setup { alg: Alg::Rs256, ..setup() }, json!({})).await;
        let lies = Lies { jwks: Some(json!({ "keys": keys })), header: Some(header), ..Lies::default() };
        assert_eq!(fresh.sign_in_while(lies).await.map(drop), expected, "{name}");
    }
}

#[tokio::test]
async fn a_key_set_that_cannot_be_fetched_is_an_outage() {
    for (name, reply, expected) in [
        ("500", Reply::new(500, "text/plain", ""), "unavailable"),
        ("a page", Reply::new(200, "text/html", "<p>"), "unavailable"),
        ("no list", Reply::json(200, &json!({ "keys": 1 })), "unavailable"),
        ("nothing", Reply::json(200, &json!({})), "unavailable"),
        ("elsewhere", Reply::redirect("https://elsewhere.example/"), "internal"),
        ("gone", Reply::new(404, "text/plain", ""), "internal"),
        ("silence", Reply::Hang, "unavailable"),
        ("without an end", Reply::Endless, "unavailable"),
        ("a byte at a time", Reply::Drip, "unavailable"),
        ("10 MB", Reply::new(200, "application/json", vec![b' '; 10 << 20]), "unavailable"),
    ] {
        let corp = Corp::start().await;
        corp.script.lie(Lies::at(Place::Jwks, reply));
        assert_eq!(corp.sign_in("alice").await.err(), Some(expected), "{name}");
    }
}
