//! Who somebody is: the subject, the attributes, and what userinfo adds (OpenID Connect Core 5.1, 5.3).

use usher_lab::scripted::{Reply, oidc::Place};

use super::*;

#[tokio::test]
async fn a_subject_is_one_good_value_of_the_claim_that_names_people() {
    let corp = Corp::with(json!({ "subject": "/ids/employee" })).await;
    for (name, ids, expected) in [
        ("one", json!({ "employee": "0042" }), Ok("0042")),
        ("a number", json!({ "employee": 42 }), Ok("42")),
        ("none", json!({}), Err("unverified")),
        ("null", json!({ "employee": null }), Err("unverified")),
        ("empty", json!({ "employee": "" }), Err("unverified")),
        ("two", json!({ "employee": ["1", "2"] }), Err("unverified")),
        ("the same twice", json!({ "employee": ["1", "1"] }), Err("unverified")),
        ("a section", json!({ "employee": { "id": "1" } }), Err("unverified")),
        ("a blank at the end", json!({ "employee": "1 " }), Err("unverified")),
        ("a tab", json!({ "employee": "1\t2" }), Err("unverified")),
        ("too long", json!({ "employee": "1".repeat(1025) }), Err("unverified")),
    ] {
        corp.script.add_person("p", &json!({ "ids": ids }));
        let answered = corp.sign_in("p").await;
        assert_eq!(
            answered.as_ref().map(|identity| identity.subject.as_str()).map_err(|kind| *kind),
            expected,
            "{name}"
        );
    }
}

#[tokio::test]
async fn an_address_names_somebody_only_if_the_operator_and_the_provider_say_so() {
    let corp = Corp::with(json!({ "subject": "email", "allow_email_as_subject": true })).await;
    for (name, verified, expected) in [
        ("verified", json!(true), Ok("p@ac.cdl")),
        ("verified, as a text", json!("true"), Ok("p@ac.cdl")),
        ("not verified", json!(false), Err("unverified")),
        ("not said", json!(null), Err("unverified")),
        ("a number", json!(1), Err("unverified")),
    ] {
        let mut claims = json!({ "email": "p@ac.cdl" });
        if !verified.is_null() {
            claims["email_verified"] = verified;
        }
        corp.script.add_person("p", &claims);
        let answered = corp.sign_in("p").await;
        assert_eq!(
            answered.as_ref().map(|identity| identity.subject.as_str()).map_err(|kind| *kind),
            expected,
            "{name}"
        );
    }
}

#[tokio::test]
async fn standard_claims_with_several_values_keep_them_all() {
    let corp = Corp::start().await;
    corp.script.add_person(
        "p",
        &json!({
            "name": ["Ann", "Anna"], "email": ["a@ac.cdl", "b@ac.cdl"], "address": "no section", "updated_at": "yesterday",
            "locale": ["fr"], "phone_number_verified": "no",
        }),
    );
    let identity = corp.sign_in("p").await.expect("a proof");
    assert_eq!(identity.values("name"), ["Ann", "Anna"]);
    assert_eq!(identity.values("email"), ["a@ac.cdl", "b@ac.cdl"]);
    assert_eq!(identity.values("address"), ["no section"]);
}

#[tokio::test]
async fn claims_become_attributes_by_name_and_by_path() {
    let corp =
        Corp::with(json!({ "claims": { "roles": "/resource_access/usher/roles", "unit": "/org/0/unit" } }))
            .await;
    corp.script.add_person(
        "p",
        &json!({
            "resource_access": { "usher": { "roles": ["staff", "admin"] } },
            "org": [{ "unit": "eng" }],
            "memberOf": ["one", "two"],
        }),
    );
    let identity = corp.sign_in("p").await.expect("a proof");
    assert_eq!(identity.values("roles"), ["staff", "admin"]);
    assert_eq!(identity.values("unit"), ["eng"]);
    assert_eq!(identity.values("memberOf"), ["one", "two"]);
    for name in ["iss", "sub", "aud", "exp", "iat", "nonce", "at_hash", "sid", "org", "resource_access"] {
        assert!(identity.values(name).is_empty(), "{name}");
    }
}

#[tokio::test]
async fn userinfo_is_asked_as_the_config_has_it() {
    let bare = |userinfo: &str, claims: Value| json!({ "userinfo": userinfo, "claims": claims });
    for (name, in_id_token, section, expected) in [
        ("auto, everything there", true, bare("auto", json!({})), 0),
        ("auto, nothing there", false, bare("auto", json!({})), 1),
        ("auto, a claim is there", true, bare("auto", json!({ "m": "mail" })), 0),
        ("auto, a claim is missing", true, bare("auto", json!({ "m": "elsewhere" })), 1),
        ("auto, the subject is missing", true, json!({ "subject": "employee" }), 1),
        ("always", true, bare("always", json!({})), 1),
        ("never", false, bare("never", json!({})), 0),
    ] {
        let corp = Corp::with_setup(Setup { claims_in_id_token: in_id_token, ..setup() }, section).await;
        let _ = corp.sign_in("alice").await;
        assert_eq!(corp.script.asked(Place::Userinfo), expected, "{name}");
    }
    let corp = Corp::with_setup(Setup { claims_in_id_token: false, ..setup() }, json!({})).await;
    let identity = corp.sign_in("alice").await.expect("a proof");
    assert_eq!(identity.values("memberOf"), ["engineering-staff", "chess-players"]);
    let corp = Corp::with_setup(Setup { claims_in_id_token: false, ..setup() }, json!({})).await;
    corp.script.lie(Lies { discovery: Some(json!({ "userinfo_endpoint": null })), ..Lies::default() });
    let identity = corp.sign_in("alice").await.expect("a proof without it");
    assert!(identity.values("memberOf").is_empty() && corp.script.asked(Place::Userinfo) == 0);
    // Claims of the provider's own say nothing of the person.
    let corp = Corp::with_setup(Setup { claims_in_id_token: false, ..setup() }, json!({})).await;
    for own in [json!({ "client_id": CLIENT_ID }), json!({ "rat": 1 }), json!({ "idp": "x", "amr": ["pwd"] })]
    {
        corp.script.lie(Lies { claims: Some(own.clone()), ..Lies::default() });
        let identity = corp.sign_in("alice").await.expect("a proof");
        assert_eq!(identity.values("memberOf"), ["engineering-staff", "chess-players"], "{own}");
    }
}

#[tokio::test]
async fn what_userinfo_says_is_about_the_same_person_and_changes_nothing() {
    let corp = Corp::with(json!({ "userinfo": "always" })).await;
    for (name, patch, expected) in [
        ("as it is", json!({}), Ok("alice.liddell@ac.cdl")),
        ("somebody else", json!({ "sub": "bob" }), Err("unverified")),
        ("nobody", json!({ "sub": null }), Err("unverified")),
        ("a subject that is no text", json!({ "sub": ["alice"] }), Err("unverified")),
        ("the same with a blank", json!({ "sub": "alice " }), Err("unverified")),
        (
            "another address than the id_token's",
            json!({ "mail": "forged@ac.cdl" }),
            Ok("alice.liddell@ac.cdl"),
        ),
        ("no object", json!("text"), Err("unavailable")),
    ] {
        let lies = Lies { userinfo: Some(patch), ..Lies::default() };
        let answered = corp.sign_in_while(lies).await;
        let mail =
            answered.as_ref().map(|identity| identity.values("mail")[0].as_str()).map_err(|kind| *kind);
        assert_eq!(mail, expected, "{name}");
    }
}

#[tokio::test]
async fn an_address_is_verified_by_whoever_names_it() {
    let corp = Corp::with(json!({ "userinfo": "always" })).await;
    corp.script.add_person("p", &json!({ "email": "p@ac.cdl" }));
    for (name, patch, expected) in [
        ("the same address", json!({ "email_verified": true }), true),
        ("another address", json!({ "email": "other@ac.cdl", "email_verified": true }), false),
        ("no address", json!({ "email": null, "email_verified": true }), false),
    ] {
        corp.script.lie(Lies { userinfo: Some(patch), ..Lies::default() });
        let identity = corp.sign_in("p").await.expect(name);
        assert_eq!(identity.values("email"), ["p@ac.cdl"], "{name}");
        assert_eq!(identity.attributes.contains_key("verified_email"), expected, "{name}");
    }
}

#[tokio::test]
async fn signed_userinfo_is_verified_like_any_token() {
    use usher_lab::scripted::oidc::Signed;
    let signing = || Setup { signs_userinfo: true, claims_in_id_token: false, ..setup() };
    for section in [json!({}), json!({ "userinfo_must_be_signed": true })] {
        let corp = Corp::with_setup(signing(), section.clone()).await;
        let identity = corp.sign_in("alice").await.expect("a proof");
        assert_eq!(identity.values("mail"), ["alice.liddell@ac.cdl"], "{section}");
        for (name, patch) in [
            ("another issuer", json!({ "iss": "https://evil.example" })),
            ("no issuer", json!({ "iss": null })),
            ("another audience", json!({ "aud": "another" })),
            ("no audience", json!({ "aud": null })),
            ("somebody else", json!({ "sub": "bob" })),
        ] {
            let lies = Lies { userinfo: Some(patch), ..Lies::default() };
            assert_eq!(corp.sign_in_while(lies).await.err(), Some("unverified"), "{name}");
        }
    }
    // The id_token is good, and only what userinfo answers is not.
    let corp = Corp::with_setup(signing(), json!({})).await;
    for (name, reply) in [
        ("no token", Reply::new(200, "application/jwt", "text")),
        ("no text", Reply::new(200, "application/jwt", vec![0xFF])),
        ("not signed", Reply::new(200, "application/jwt", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9.")),
    ] {
        assert_eq!(
            corp.sign_in_while(Lies::at(Place::Userinfo, reply)).await.err(),
            Some("unverified"),
            "{name}"
        );
    }
    for (name, userinfo_signed) in [
        ("another key", Signed::ByAnotherKey),
        ("changed", Signed::ThenChanged),
        ("not at all", Signed::Not),
        ("without a signature", Signed::Empty),
    ] {
        let before = corp.script.asked(Place::Userinfo);
        let lies = Lies { userinfo_signed, ..Lies::default() };
        assert_eq!(corp.sign_in_while(lies).await.err(), Some("unverified"), "{name}");
        assert_eq!(corp.script.asked(Place::Userinfo), before + 1, "{name}: the id_token was good");
    }
    let plain = Corp::with_setup(
        Setup { claims_in_id_token: false, ..setup() },
        json!({ "userinfo_must_be_signed": true }),
    )
    .await;
    assert_eq!(plain.sign_in("alice").await.err(), Some("unverified"), "not signed although it must be");
}

#[tokio::test]
async fn every_answer_of_userinfo_has_its_reaction() {
    let corp = Corp::with(json!({ "userinfo": "always" })).await;
    for (name, reply, expected) in [
        ("no such token", Reply::json(401, &json!({ "error": "invalid_token" })), "internal"),
        ("not enough scope", Reply::json(403, &json!({ "error": "insufficient_scope" })), "internal"),
        ("404", Reply::new(404, "text/plain", ""), "internal"),
        ("500", Reply::new(500, "text/plain", ""), "unavailable"),
        ("elsewhere", Reply::redirect("https://elsewhere.example/"), "internal"),
        ("a page", Reply::new(200, "text/html", "<p>"), "unavailable"),
        ("nothing", Reply::new(200, "application/json", ""), "unavailable"),
        ("10 MB", Reply::new(200, "application/json", vec![b' '; 10 << 20]), "unavailable"),
        ("silence", Reply::Hang, "unavailable"),
        ("without an end", Reply::Endless, "unavailable"),
        ("a cut", Reply::Cut, "unavailable"),
    ] {
        assert_eq!(
            corp.sign_in_while(Lies::at(Place::Userinfo, reply)).await.err(),
            Some(expected),
            "{name}"
        );
    }
}
