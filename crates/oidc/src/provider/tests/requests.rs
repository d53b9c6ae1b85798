//! What the browser carries to the provider (OpenID Connect Core 3.1.2.1, RFC 7636, RFC 9126).

use usher_lab::scripted::oidc::Place;

use super::*;

/// The parameters of one request for a login.
async fn asked(corp: &Corp, hints: Hints, freshness: Freshness) -> Vec<(String, String)> {
    let demand = Demand { hints, ..corp.demand(freshness) };
    corp.begin(&demand).await.0.query_pairs().into_owned().collect()
}

fn value<'a>(parameters: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let mut values = parameters.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let first = values.next();
    assert!(values.next().is_none(), "`{name}` stands twice: {parameters:?}");
    first
}

#[tokio::test]
async fn a_request_carries_what_it_must_and_nothing_else() {
    let corp = Corp::start().await;
    let demand = corp.demand(Freshness::AnySession);
    let (place, state) = corp.begin(&demand).await;
    assert_eq!(place.as_str().split('?').next(), Some(format!("{}/authorize", corp.issuer).as_str()));
    let mut names: Vec<_> = place.query_pairs().map(|(name, _)| name.into_owned()).collect();
    names.sort();
    let expected = [
        "client_id",
        "code_challenge",
        "code_challenge_method",
        "nonce",
        "redirect_uri",
        "response_type",
        "scope",
        "state",
    ];
    assert_eq!(names, expected);
    let sealed: Value = serde_json::from_str(state.as_str()).expect("JSON");
    for (name, expected) in [
        ("response_type", "code".to_owned()),
        ("client_id", CLIENT_ID.to_owned()),
        ("redirect_uri", format!("{ENDPOINTS}callback")),
        ("scope", "openid profile email".to_owned()),
        ("state", demand.handle.to_string()),
        ("nonce", sealed["nonce"].as_str().expect("a nonce").to_owned()),
        ("code_challenge_method", "S256".to_owned()),
    ] {
        assert_eq!(parameter(&place, name), Some(expected), "{name}");
    }
    let verifier = sealed["verifier"].as_str().expect("a proof key");
    assert_eq!(verifier.len(), 43, "256 bits");
    assert_ne!(parameter(&place, "code_challenge").as_deref(), Some(verifier), "its hash, not itself");
}

#[tokio::test]
async fn no_two_requests_have_a_secret_in_common() {
    let corp = Corp::start().await;
    let mut seen = std::collections::HashSet::new();
    for _ in 0..20 {
        let (place, _) = corp.begin(&corp.demand(Freshness::AnySession)).await;
        for name in ["state", "nonce", "code_challenge"] {
            assert!(seen.insert(parameter(&place, name)), "{name} again");
        }
    }
}

#[tokio::test]
async fn a_proof_key_goes_along_as_the_config_and_the_provider_have_it() {
    let methods = |methods: Value| Lies {
        discovery: Some(json!({ "code_challenge_methods_supported": methods })),
        ..Lies::default()
    };
    for (pkce, listed, expected) in [
        ("auto", json!(["S256"]), Ok(true)),
        ("auto", json!(["plain", "S256"]), Ok(true)),
        ("auto", json!(null), Ok(true)),
        ("auto", json!(["plain"]), Ok(false)),
        ("auto", json!([]), Ok(false)),
        ("always", json!(["S256"]), Ok(true)),
        ("always", json!(null), Ok(true)),
        ("always", json!(["plain"]), Err("internal")),
        ("never", json!(["S256"]), Ok(false)),
    ] {
        let corp = Corp::with(json!({ "pkce": pkce })).await;
        corp.script.lie(methods(listed.clone()));
        let name = format!("{pkce}, {listed}");
        match expected {
            Ok(is_sent) => {
                let parameters = asked(&corp, Hints::default(), Freshness::AnySession).await;
                assert_eq!(value(&parameters, "code_challenge").is_some(), is_sent, "{name}");
                assert!(corp.sign_in("alice").await.is_ok(), "{name}");
            }
            Err(kind) => assert_eq!(corp.refuses_to_begin().await, Some(kind), "{name}"),
        }
    }
}

#[tokio::test]
async fn scopes_and_parameters_are_the_configs_and_those_of_the_endpoint_stay() {
    let corp = Corp::with(json!({
        "scopes": ["openid", "groups"],
        "parameters": { "hd": "ac.cdl", "prompt": "select_account" },
        "acr_values": ["urn:a", "urn:b"],
    }))
    .await;
    let at = format!("{}/authorize?tenant=a%20b", corp.issuer);
    corp.script.lie(Lies { discovery: Some(json!({ "authorization_endpoint": at })), ..Lies::default() });
    let parameters = asked(&corp, Hints::default(), Freshness::AnySession).await;
    for (name, expected) in [
        ("scope", "openid groups"),
        ("hd", "ac.cdl"),
        ("prompt", "select_account"),
        ("acr_values", "urn:a urn:b"),
        ("tenant", "a b"),
    ] {
        assert_eq!(value(&parameters, name), Some(expected), "{name}");
    }
}

#[tokio::test]
async fn wishes_of_the_client_are_passed_through_where_the_config_lets_them() {
    let hints = || Hints {
        login: Some("alice@ac.cdl".to_owned()),
        contexts: Some("urn:mfa".to_owned()),
        locales: Some("fr en".to_owned()),
        register: false,
        origin: None,
    };
    let long =
        Hints { login: Some("x".repeat(513)), locales: Some("en\r\nx".to_owned()), ..Hints::default() };
    for (name, section, hints, login, contexts, locales) in [
        ("by default", json!({}), hints(), Some("alice@ac.cdl"), None, Some("fr en")),
        ("nothing", json!({ "pass_through": [] }), hints(), None, None, None),
        ("contexts", json!({ "pass_through": ["acr_values"] }), hints(), None, Some("urn:mfa"), None),
        (
            "not over the operator's",
            json!({ "pass_through": ["acr_values"], "acr_values": ["urn:own"] }),
            hints(),
            None,
            Some("urn:own"),
            None,
        ),
        ("what is no wish", json!({}), long, None, None, None),
    ] {
        let corp = Corp::with(section).await;
        let parameters = asked(&corp, hints, Freshness::AnySession).await;
        let passed = ["login_hint", "acr_values", "ui_locales"].map(|name| value(&parameters, name));
        assert_eq!(passed, [login, contexts, locales], "{name}");
    }
}

#[tokio::test]
async fn a_registration_is_asked_for_where_the_provider_takes_it() {
    let register = || Hints { register: true, ..Hints::default() };
    for (name, listed, section, expected) in [
        ("taken", json!(["create"]), json!({}), Some("create")),
        ("not taken", json!(["login"]), json!({}), None),
        ("not said", json!(null), json!({}), None),
        (
            "over the config",
            json!(["create"]),
            json!({ "parameters": { "prompt": "consent" } }),
            Some("create"),
        ),
    ] {
        let corp = Corp::with(section).await;
        corp.script
            .lie(Lies { discovery: Some(json!({ "prompt_values_supported": listed })), ..Lies::default() });
        let parameters = asked(&corp, register(), Freshness::AnySession).await;
        assert_eq!(value(&parameters, "prompt"), expected, "{name}");
    }
}

#[tokio::test]
async fn new_credentials_are_asked_for_in_every_way_there_is() {
    let weaker = json!({ "parameters": { "prompt": "none", "max_age": "86400" } });
    for (name, section, takes_claims) in [
        ("plain", json!({}), true),
        ("against the config", weaker, true),
        ("without claims", json!({}), false),
    ] {
        let corp = Corp::with(section).await;
        let lie = json!({ "claims_parameter_supported": takes_claims });
        corp.script.lie(Lies { discovery: Some(lie), ..Lies::default() });
        let hints = Hints { register: true, ..Hints::default() };
        let parameters = asked(&corp, hints, Freshness::Since(NOW)).await;
        assert_eq!(value(&parameters, "prompt"), Some("login"), "{name}");
        assert_eq!(value(&parameters, "max_age"), Some("0"), "{name}");
        let claims =
            value(&parameters, "claims").map(|text| serde_json::from_str::<Value>(text).expect("JSON"));
        let essential = json!({ "id_token": { "auth_time": { "essential": true } } });
        assert_eq!(claims, takes_claims.then_some(essential), "{name}");
        let identity = corp.try_sign_in("alice", Freshness::Since(NOW)).await.expect("a proof");
        assert_eq!(identity.evidence, Evidence::AuthenticatedAt(NOW), "{name}");
    }
}

#[tokio::test]
async fn a_request_is_pushed_where_the_provider_offers_it_and_the_browser_carries_a_reference() {
    for (pushed, offers, requires, expected) in [
        ("auto", true, false, Ok(true)),
        ("auto", false, false, Ok(false)),
        ("auto", true, true, Ok(true)),
        ("always", true, false, Ok(true)),
        ("always", false, false, Err("internal")),
        ("never", true, false, Ok(false)),
        ("never", true, true, Err("internal")),
    ] {
        let name = format!("{pushed}, offered {offers}, required {requires}");
        let setup = Setup { offers_par: offers, ..setup() };
        let corp = Corp::with_setup(setup, json!({ "pushed_authorization_requests": pushed })).await;
        let lie = json!({ "require_pushed_authorization_requests": requires });
        corp.script.lie(Lies { discovery: Some(lie), ..Lies::default() });
        let is_pushed = match expected {
            Err(kind) => {
                assert_eq!(corp.refuses_to_begin().await, Some(kind), "{name}");
                continue;
            }
            Ok(is_pushed) => is_pushed,
        };
        let demand = corp.demand(Freshness::AnySession);
        let (place, state) = corp.begin(&demand).await;
        let names: Vec<_> = place.query_pairs().map(|(name, _)| name.into_owned()).collect();
        assert_eq!(names == ["client_id", "request_uri"], is_pushed, "{name}: {names:?}");
        let pushed = corp.script.take_requests().into_iter().find(|seen| seen.place == Place::Par);
        assert_eq!(pushed.is_some(), is_pushed, "{name}");
        if let Some(pushed) = pushed {
            assert_eq!(pushed.one("state"), Some(demand.handle.as_str()), "{name}");
            assert_eq!(pushed.one("client_id"), Some(CLIENT_ID), "{name}");
            assert!(pushed.authorization.is_some(), "{name}: the client says who it is");
        }
        let trip = corp.script.log_in(&place, "alice").expect("the provider answers");
        corp.complete(&demand, state, &callback_of(&trip)).await.expect(&name);
    }
}

#[tokio::test]
async fn a_push_that_fails_has_its_reaction() {
    use usher_lab::scripted::Reply;
    let error = |status, code: &str| Reply::json(status, &json!({ "error": code }));
    for (name, reply, expected) in [
        ("500", Reply::new(500, "text/html", "<p>"), "unavailable"),
        ("a refusal", error(400, "invalid_request"), "internal"),
        ("no such client", error(401, "invalid_client"), "internal"),
        ("busy", error(429, "slow_down"), "unavailable"),
        ("no such place", Reply::new(404, "text/plain", ""), "internal"),
        ("elsewhere", Reply::redirect("https://elsewhere.example/"), "internal"),
        ("a page", Reply::new(201, "text/html", "<p>"), "unavailable"),
        ("no reference", Reply::json(201, &json!({})), "unavailable"),
        ("an empty reference", Reply::json(201, &json!({ "request_uri": "" })), "unavailable"),
        ("a reference with a blank", Reply::json(201, &json!({ "request_uri": "urn:a b" })), "unavailable"),
        ("a long one", Reply::json(201, &json!({ "request_uri": "u".repeat(2049) })), "unavailable"),
        ("silence", Reply::Hang, "unavailable"),
        ("without an end", Reply::Endless, "unavailable"),
        ("cut short", Reply::Cut, "unavailable"),
    ] {
        let corp = Corp::with_setup(Setup { offers_par: true, ..setup() }, json!({})).await;
        corp.script.lie(Lies::at(Place::Par, reply));
        assert_eq!(corp.refuses_to_begin().await, Some(expected), "{name}");
    }
    let corp = Corp::with_setup(Setup { offers_par: true, ..setup() }, json!({})).await;
    corp.script.lie(Lies::at(Place::Par, error(400, "unauthorized_client")));
    let demand = corp.demand(Freshness::AnySession);
    let told = shown(&corp.provider.begin(&corp.ctx(), &demand).await.expect_err("refused"));
    assert!(told.contains("pushed authorization request endpoint says unauthorized_client"), "{told}");
}
