//! What becomes of every answer of the provider, good, bad, and without an end.

use usher_lab::scripted::{Reply, oidc::Place};

use super::*;

#[tokio::test]
async fn every_answer_of_the_token_endpoint_has_its_reaction() {
    let corp = Corp::start().await;
    let json = |status, body: Value| Reply::json(status, &body);
    let page = |status| Reply::new(status, "text/html", "<!DOCTYPE html><p>Out of order");
    for (name, reply, expected) in [
        ("a code that is not good", json(400, json!({ "error": "invalid_grant" })), "unverified"),
        (
            "a code that is not good, at GitHub",
            json(200, json!({ "error": "bad_verification_code" })),
            "unverified",
        ),
        ("a client that is not known", json(401, json!({ "error": "invalid_client" })), "internal"),
        (
            "a secret that is wrong, at GitHub",
            json(200, json!({ "error": "incorrect_client_credentials" })),
            "internal",
        ),
        (
            "an address that is not registered, at GitHub",
            json(200, json!({ "error": "redirect_uri_mismatch" })),
            "internal",
        ),
        ("busy", json(400, json!({ "error": "temporarily_unavailable" })), "unavailable"),
        ("400 without a word", page(400), "unavailable"),
        ("401 without a word", page(401), "internal"),
        ("403 without a word", page(403), "internal"),
        ("404", page(404), "internal"),
        ("405", page(405), "internal"),
        ("410", page(410), "internal"),
        ("429", page(429), "unavailable"),
        ("500", page(500), "unavailable"),
        ("500 with a word", json(500, json!({ "error": "invalid_grant" })), "unavailable"),
        ("503", page(503), "unavailable"),
        ("elsewhere", Reply::redirect("https://elsewhere.example/"), "internal"),
        ("elsewhere for good", Reply::new(308, "text/plain", ""), "internal"),
        ("a page", page(200), "unavailable"),
        ("nothing", Reply::new(200, "application/json", ""), "unavailable"),
        ("an empty object", json(200, json!({})), "unavailable"),
        ("a list", json(200, json!([])), "unavailable"),
        ("no text", Reply::new(200, "application/json", vec![0xFF, 0xFE]), "unavailable"),
        ("10 MB", Reply::new(200, "application/json", vec![b' '; 10 << 20]), "unavailable"),
        ("silence", Reply::Hang, "unavailable"),
        ("a cut", Reply::Cut, "unavailable"),
        ("cut short", Reply::CutShort { body: "{\"access_token\": \"x\"}".into() }, "unavailable"),
        ("without an end", Reply::Endless, "unavailable"),
        ("a byte at a time", Reply::Drip, "unavailable"),
    ] {
        assert_eq!(corp.sign_in_while(Lies::at(Place::Token, reply)).await.err(), Some(expected), "{name}");
    }
    for (name, patch, expected) in [
        ("no access token", json!({ "access_token": null }), Err("unavailable")),
        ("another type of access token", json!({ "token_type": "mac" }), Err("unverified")),
        ("no type", json!({ "token_type": null }), Err("unavailable")),
        ("the type in small letters", json!({ "token_type": "bearer" }), Ok(())),
        (
            "with more in it",
            json!({ "refresh_token": "r", "scope": "openid", "not_before_policy": 0 }),
            Ok(()),
        ),
        ("an expiry in words", json!({ "expires_in": "300" }), Ok(())),
    ] {
        let lies = Lies { tokens: Some(patch), ..Lies::default() };
        assert_eq!(corp.sign_in_while(lies).await.map(drop), expected, "{name}");
    }
    corp.sign_in("alice").await.expect("it recovers by itself");
}

#[tokio::test]
async fn every_discovery_document_has_its_reaction() {
    let lie = |patch: Value| Lies { discovery: Some(patch), ..Lies::default() };
    let at = |reply| Lies::at(Place::Discovery, reply);
    for (name, lies, expected) in [
        ("as it is", Lies::default(), None),
        ("another issuer", lie(json!({ "issuer": "https://evil.example" })), Some("internal")),
        ("no issuer", lie(json!({ "issuer": null })), Some("internal")),
        ("an issuer that is no text", lie(json!({ "issuer": 7 })), Some("internal")),
        ("no authorization endpoint", lie(json!({ "authorization_endpoint": null })), Some("internal")),
        ("no token endpoint", lie(json!({ "token_endpoint": null })), Some("internal")),
        ("no keys", lie(json!({ "jwks_uri": null })), Some("internal")),
        ("no userinfo", lie(json!({ "userinfo_endpoint": null })), None),
        ("an endpoint that is no URL", lie(json!({ "token_endpoint": "token" })), Some("internal")),
        ("an endpoint that is no text", lie(json!({ "userinfo_endpoint": ["x"] })), Some("internal")),
        ("no userinfo, in other words", lie(json!({ "userinfo_endpoint": "" })), None),
        (
            "no pushed requests, in other words",
            lie(
                json!({ "pushed_authorization_request_endpoint": "", "require_pushed_authorization_requests": null }),
            ),
            None,
        ),
        (
            "truth in words",
            lie(json!({ "claims_parameter_supported": "true", "prompt_values_supported": "none" })),
            None,
        ),
        (
            "methods that are no list",
            lie(
                json!({ "code_challenge_methods_supported": null, "token_endpoint_auth_methods_supported": "x" }),
            ),
            None,
        ),
        (
            "a browser's place with a script",
            lie(json!({ "authorization_endpoint": "javascript:alert(1)" })),
            Some("internal"),
        ),
        (
            "a browser's place with a name",
            lie(json!({ "authorization_endpoint": "https://me@op.example/" })),
            Some("internal"),
        ),
        (
            "a browser's place with a fragment",
            lie(json!({ "authorization_endpoint": "https://op.example/#x" })),
            Some("internal"),
        ),
        (
            "a browser's place in the clear",
            lie(json!({ "authorization_endpoint": "http://op.example/" })),
            Some("internal"),
        ),
        ("odd fields that nobody reads", lie(json!({ "op_policy_uri": "", "claims_supported": 7 })), None),
        ("404", at(Reply::new(404, "text/plain", "")), Some("internal")),
        ("500", at(Reply::new(500, "text/plain", "")), Some("unavailable")),
        ("elsewhere", at(Reply::redirect("https://elsewhere.example/")), Some("internal")),
        ("a page", at(Reply::new(200, "text/html", "<p>")), Some("unavailable")),
        ("10 MB", at(Reply::new(200, "application/json", vec![b' '; 10 << 20])), Some("unavailable")),
        ("silence", at(Reply::Hang), Some("unavailable")),
        ("without an end", at(Reply::Endless), Some("unavailable")),
        ("a byte at a time", at(Reply::Drip), Some("unavailable")),
        ("a cut", at(Reply::Cut), Some("unavailable")),
    ] {
        let corp = Corp::start().await;
        corp.script.lie(lies.clone());
        assert_eq!(corp.refuses_to_begin().await, expected, "{name}");
        let probed = corp.provider.probe(&corp.ctx()).await.err().map(|error| error.kind());
        assert_eq!(probed, expected, "{name}: the probe");
    }
}

#[tokio::test]
async fn what_the_config_says_itself_need_not_be_right_in_the_document() {
    let server = OidcServer::start_with(setup()).await.expect("a server");
    let issuer = server.issuer();
    let section = section_for(
        &server,
        &json!({
            "endpoints": { "userinfo": format!("{issuer}/userinfo"), "token": format!("{issuer}/token") },
            "pushed_authorization_requests": "never",
        }),
    );
    let corp = Corp::built(server, Settings::read(section).expect("a valid section"));
    let odd = json!({ "userinfo_endpoint": "/me", "token_endpoint": 7, "pushed_authorization_request_endpoint": "http://10.0.0.1/" });
    corp.script.lie(Lies { discovery: Some(odd), ..Lies::default() });
    corp.sign_in("alice").await.expect("a proof");
    let never = Corp::with(json!({ "userinfo": "never" })).await;
    never
        .script
        .lie(Lies { discovery: Some(json!({ "userinfo_endpoint": "http://10.0.0.1/" })), ..Lies::default() });
    never.sign_in("alice").await.expect("nobody is asked there");
}

#[tokio::test]
async fn an_operator_is_told_what_the_provider_calls_itself() {
    for issuer in [
        "https://login.microsoftonline.com/7d2ac3a0-6b1f-4a5e-9c8d-2d4a1f1c7e11/v2.0",
        "https://dev-12345678.okta.com/oauth2/default",
        "https://login.university.ac.cdl/realms/AC",
        "https://sso.ac.cdl/op/",
    ] {
        let corp = Corp::start().await;
        corp.script.lie(Lies { discovery: Some(json!({ "issuer": issuer })), ..Lies::default() });
        let demand = corp.demand(Freshness::AnySession);
        let error = corp.provider.begin(&corp.ctx(), &demand).await.expect_err(issuer);
        assert!(shown(&error).contains(&format!("calls itself {issuer:?}")), "{}", shown(&error));
    }
    let corp = Corp::start().await;
    let template = "https://login.microsoftonline.com/{tenantid}/v2.0";
    corp.script.lie(Lies { discovery: Some(json!({ "issuer": template })), ..Lies::default() });
    let error =
        corp.provider.begin(&corp.ctx(), &corp.demand(Freshness::AnySession)).await.expect_err("none");
    assert!(shown(&error).contains("write the address of your own tenant"), "{}", shown(&error));
    let corp = Corp::start().await;
    let other = "0b2c9f7e-51fd-4c61-8a2f-6b1f3f0f2f55";
    corp.script.lie(Lies { claims: Some(json!({ "aud": [CLIENT_ID, other] })), ..Lies::default() });
    let error = corp.try_sign_in("alice", Freshness::AnySession).await.expect_err("not trusted");
    assert!(shown(&error).contains(other), "{}", shown(&error));
}

#[tokio::test]
async fn a_provider_that_was_away_is_back_after_three_seconds() {
    let corp = Corp::start().await;
    corp.script.lie(Lies::at(Place::Discovery, Reply::new(500, "text/plain", "")));
    assert_eq!(corp.refuses_to_begin().await, Some("unavailable"));
    corp.script.be_honest();
    assert_eq!(corp.refuses_to_begin().await, Some("unavailable"), "nobody asks again at once");
    let later = Ctx { now: NOW.plus(Duration::from_secs(3)), ..corp.ctx() };
    corp.provider.begin(&later, &corp.demand(Freshness::AnySession)).await.expect("a challenge");
    assert_eq!(corp.script.asked(Place::Discovery), 2);
}

#[tokio::test]
async fn what_was_learnt_outlives_an_outage() {
    let corp = Corp::start().await;
    corp.sign_in("alice").await.expect("a proof");
    let down = Reply::new(500, "text/plain", "");
    corp.script
        .lie(Lies { at: vec![(Place::Discovery, down.clone()), (Place::Jwks, down)], ..Lies::default() });
    let hours = |hours| Ctx { now: NOW.plus(Duration::from_hours(hours)), ..corp.ctx() };
    for (name, ctx, is_good) in
        [("two hours", hours(2), true), ("a day", hours(24), true), ("more", hours(25), false)]
    {
        let begun = corp.provider.begin(&ctx, &corp.demand(Freshness::AnySession)).await;
        assert_eq!(begun.is_ok(), is_good, "{name}");
    }
}
