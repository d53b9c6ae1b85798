//! What the browser brings back (OpenID Connect Core 3.1.2.5, 3.1.2.6, RFC 9207), and what it is bound to.

use usher_lab::scripted::oidc::Place;

use super::*;

/// An attempt whose browser is about to come back, with the answer as it should be.
struct Attempt {
    demand: Demand,
    state: ProviderState,
    answer: Vec<(String, String)>,
}

async fn attempt(corp: &Corp) -> Attempt {
    let demand = corp.demand(Freshness::AnySession);
    let (place, state) = corp.begin(&demand).await;
    let trip = corp.script.log_in(&place, "alice").expect("the provider answers");
    Attempt { demand, state, answer: trip.url.query_pairs().into_owned().collect() }
}

impl Attempt {
    /// The answer with `change` made to it.
    async fn complete(self, corp: &Corp, change: impl FnOnce(&mut Vec<(String, String)>)) -> Answered {
        let mut answer = self.answer;
        change(&mut answer);
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&answer).finish();
        let callback = Callback::new(Method::Get, "callback", &query, "");
        corp.complete(&self.demand, self.state, &callback).await.map_err(|error| error.kind())
    }
}

fn set(answer: &mut Vec<(String, String)>, name: &str, value: &str) {
    answer.retain(|(key, _)| key != name);
    answer.push((name.to_owned(), value.to_owned()));
}

type Change<'a> = Box<dyn FnOnce(&mut Vec<(String, String)>) + 'a>;

#[tokio::test]
async fn an_answer_is_this_attempts_this_providers_and_whole() {
    let corp = Corp::start().await;
    let other = Handle::generate(&corp.entropy).to_string();
    let long = "c".repeat(8193);
    let without =
        |name: &'static str| -> Change<'_> { Box::new(move |answer| answer.retain(|(key, _)| key != name)) };
    let with = |name: &'static str, value: &str| -> Change<'_> {
        let value = value.to_owned();
        Box::new(move |answer| set(answer, name, &value))
    };
    let also = |name: &'static str, value: &str| -> Change<'_> {
        let value = value.to_owned();
        Box::new(move |answer| answer.push((name.to_owned(), value)))
    };
    let rows: Vec<(&str, Change<'_>, Result<(), &str>)> = vec![
        ("as it is", Box::new(|_| {}), Ok(())),
        ("with something else in it", also("session_state", "x"), Ok(())),
        ("no state", without("state"), Err("malformed")),
        ("an empty state", with("state", ""), Err("malformed")),
        ("a state that is no handle", with("state", "../../x"), Err("malformed")),
        ("another attempt's state", with("state", &other), Err("unverified")),
        ("two states", also("state", &other), Err("malformed")),
        ("no code", without("code"), Err("malformed")),
        ("an empty code", with("code", ""), Err("malformed")),
        ("two codes", also("code", "x"), Err("malformed")),
        ("a code with a line break", with("code", "a\r\nb"), Err("malformed")),
        ("a code that is no ASCII", with("code", "ü"), Err("malformed")),
        ("a code too long", with("code", &long), Err("malformed")),
        ("a code that nobody issued", with("code", "code-0"), Err("unverified")),
        ("no issuer", without("iss"), Err("unverified")),
        ("another issuer", with("iss", "https://evil.example"), Err("unverified")),
        ("the issuer with a slash", with("iss", &format!("{}/", corp.issuer)), Err("unverified")),
        ("two issuers", also("iss", &corp.issuer), Err("malformed")),
        (
            "another issuer, with an error",
            Box::new(|answer| {
                set(answer, "iss", "https://evil.example");
                set(answer, "error", "access_denied");
            }),
            Err("unverified"),
        ),
        ("an error beside a code", with("error", "access_denied"), Err("refused")),
        (
            "two errors",
            Box::new(|answer| {
                answer.push(("error".to_owned(), "access_denied".to_owned()));
                answer.push(("error".to_owned(), "server_error".to_owned()));
            }),
            Err("malformed"),
        ),
    ];
    for (name, change, expected) in rows {
        let answered = attempt(&corp).await.complete(&corp, change).await;
        assert_eq!(answered.map(drop), expected, "{name}");
    }
}

#[tokio::test]
async fn a_provider_that_does_not_name_itself_need_not() {
    let corp = Corp::with_setup(Setup { names_issuer: false, ..setup() }, json!({})).await;
    corp.sign_in("alice").await.expect("a proof");
    let answered =
        attempt(&corp).await.complete(&corp, |answer| set(answer, "iss", "https://evil.example")).await;
    assert_eq!(answered.err(), Some("unverified"), "but if it does, it is itself");
}

#[tokio::test]
async fn what_comes_to_another_path_or_by_another_method_is_no_answer() {
    let corp = Corp::start().await;
    for (method, tail, expected) in [
        (Method::Get, "callback", Some(Endpoint::Answer)),
        (Method::Post, "callback", None),
        (Method::Get, "callback/", None),
        (Method::Get, "callback/x", None),
        (Method::Get, "", None),
        (Method::Post, "backchannel-logout", Some(Endpoint::Logout)),
        (Method::Get, "backchannel-logout", None),
        (Method::Get, "jwks", Some(Endpoint::Document)),
        (Method::Post, "jwks", None),
    ] {
        assert_eq!(corp.provider.endpoint(method, tail), expected, "{method:?} {tail}");
    }
    let begun = attempt(&corp).await;
    let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&begun.answer).finish();
    let callback = Callback::new(Method::Post, "callback", "", &form);
    let answered = corp.complete(&begun.demand, begun.state, &callback).await;
    assert_eq!(answered.map_err(|error| error.kind()).err(), Some("malformed"), "a form");
}

#[tokio::test]
async fn a_state_that_is_not_of_this_backend_opens_nothing() {
    let corp = Corp::start().await;
    for (name, sealed) in [
        ("nothing", String::new()),
        (
            "another backend's",
            json!({ "handle": Handle::generate(&corp.entropy), "renew": true }).to_string(),
        ),
        ("no handle", json!({ "handle": "x", "nonce": "n" }).to_string()),
    ] {
        let begun = Attempt { state: ProviderState::new(sealed), ..attempt(&corp).await };
        assert_eq!(begun.complete(&corp, |_| {}).await.err(), Some("unverified"), "{name}");
    }
    assert_eq!(corp.script.asked(Place::Token), 0, "no code was exchanged");
}

#[tokio::test]
async fn a_code_is_bound_to_the_proof_key_of_its_own_attempt() {
    let corp = Corp::start().await;
    let (mine, theirs) = (attempt(&corp).await, attempt(&corp).await);
    let stolen = theirs.answer.iter().find(|(name, _)| name == "code").expect("a code").1.clone();
    assert_eq!(mine.complete(&corp, |answer| set(answer, "code", &stolen)).await.err(), Some("unverified"));
}

#[tokio::test]
async fn without_proof_keys_the_nonce_keeps_codes_apart() {
    let corp = Corp::with(json!({ "pkce": "never" })).await;
    let (mine, theirs) = (attempt(&corp).await, attempt(&corp).await);
    let stolen = theirs.answer.iter().find(|(name, _)| name == "code").expect("a code").1.clone();
    let answered = mine.complete(&corp, |answer| set(answer, "code", &stolen)).await;
    assert_eq!(answered.err(), Some("unverified"));
    assert_eq!(corp.script.asked(Place::Token), 1, "the provider gave tokens for it");
}

#[tokio::test]
async fn what_the_provider_says_in_words_reaches_the_log_without_secrets() {
    let corp = Corp::start().await;
    let secret = "SplxlOBeZQQYbYS6WxSbIA8f3kLmNoPq";
    corp.script.lie(Lies {
        answer: Some(json!({
            "code": null,
            "error": "access_denied",
            "error_description": format!("<script>alert(1)</script>\r\n{secret} is not allowed"),
        })),
        ..Lies::default()
    });
    let error = corp.try_sign_in("alice", Freshness::AnySession).await.expect_err("refused");
    let shown = shown(&error);
    assert!(shown.contains("access_denied") && shown.contains("is not allowed"), "{shown}");
    assert!(!shown.contains(secret) && !shown.contains('\n'), "{shown}");
}
