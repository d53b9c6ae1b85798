//! Back-Channel Logout 1.0: what a logout token must say (section 2.6), each row with one thing wrong.

use usher_core::provider::{EndedSession, UpstreamSession};
use usher_lab::scripted::oidc::{Place, Signed};

use super::*;

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

async fn notice(corp: &Corp, token: &str) -> Result<LogoutNotice, &'static str> {
    let form =
        url::form_urlencoded::Serializer::new(String::new()).append_pair("logout_token", token).finish();
    let callback = Callback::new(Method::Post, "backchannel-logout", "", &form);
    corp.provider.logout(&corp.ctx(), &callback).await.map_err(|error| error.kind())
}

fn second(offset: i64) -> i64 {
    NOW.as_millis() / 1000 + offset
}

#[tokio::test]
async fn a_logout_token_is_read_whole_or_refused() {
    let corp = Corp::start().await;
    for (name, patch, is_good) in [
        ("of a person", json!({ "sub": "alice" }), true),
        ("of a session", json!({ "sid": "s" }), true),
        ("of both", json!({ "sub": "alice", "sid": "s" }), true),
        ("with more in the event", json!({ "sub": "alice", "events": { EVENT: {}, "other": {} } }), true),
        ("of nobody", json!({}), false),
        ("of nobody, empty", json!({ "sub": "", "sid": "" }), false),
        ("another issuer", json!({ "sub": "alice", "iss": "https://evil.example" }), false),
        ("no issuer", json!({ "sub": "alice", "iss": null }), false),
        ("another audience", json!({ "sub": "alice", "aud": "another" }), false),
        ("no audience", json!({ "sub": "alice", "aud": null }), false),
        ("no time of issue", json!({ "sub": "alice", "iat": null }), false),
        ("issued in the future", json!({ "sub": "alice", "iat": second(61) }), false),
        ("no expiry", json!({ "sub": "alice", "exp": null }), false),
        ("expired", json!({ "sub": "alice", "exp": second(-60) }), false),
        ("within the leeway", json!({ "sub": "alice", "exp": second(-59) }), true),
        ("good for days", json!({ "sub": "alice", "exp": second(86_401) }), false),
        ("no events", json!({ "sub": "alice", "events": null }), false),
        ("events in a list", json!({ "sub": "alice", "events": [EVENT] }), false),
        ("another event", json!({ "sub": "alice", "events": { "other": {} } }), false),
        ("an event that is no object", json!({ "sub": "alice", "events": { EVENT: true } }), false),
        ("a nonce", json!({ "sub": "alice", "nonce": "n" }), false),
        ("no id", json!({ "sub": "alice", "jti": null }), false),
        ("an id that is no text", json!({ "sub": "alice", "jti": 1 }), false),
        ("a subject with a line break", json!({ "sub": "alice\n" }), false),
    ] {
        let answered = notice(&corp, &corp.script.logout_token(&patch)).await.map(drop);
        assert_eq!(answered, if is_good { Ok(()) } else { Err("unverified") }, "{name}");
    }
}

#[tokio::test]
async fn a_logout_says_whose_sessions_ended_and_counts_once() {
    let corp = Corp::start().await;
    let token = corp.script.logout_token(&json!({ "sub": "alice", "sid": "session-1", "jti": "one" }));
    let said = notice(&corp, &token).await.expect("a notice");
    assert_eq!(said.issuer.as_str(), corp.issuer);
    assert_eq!(said.subject.map(String::from).as_deref(), Some("alice"));
    assert_eq!(said.sessions, [EndedSession::One(UpstreamSession::Unique("session-1".to_owned()))]);
    let again = notice(&corp, &token).await.expect("a notice");
    assert_eq!((said.spend.len(), &said.spend), (1, &again.spend), "the same key for the server to spend");
    assert_eq!(said.spend[0].until, NOW.plus(Duration::from_mins(3)));
    let other = notice(&corp, &corp.script.logout_token(&json!({ "sub": "alice" }))).await.expect("a notice");
    assert_ne!(other.spend, said.spend);
}

#[tokio::test]
async fn a_session_is_named_alike_in_both_tokens() {
    let corp = Corp::start().await;
    for sid in ["short".to_owned(), "s".repeat(128), "s".repeat(129), "s".repeat(4000)] {
        let identity = corp.sign_in_while(Lies::claims(json!({ "sid": sid }))).await.expect("a proof");
        let said = notice(&corp, &corp.script.logout_token(&json!({ "sid": sid }))).await.expect("a notice");
        let session = identity.upstream_session.expect("a session");
        assert_eq!(said.sessions, [EndedSession::One(session.clone())], "{}", sid.len());
        assert!(matches!(session, UpstreamSession::Unique(name) if name.len() <= 128), "{}", sid.len());
    }
}

#[tokio::test]
async fn a_token_of_another_kind_is_no_logout_and_a_logout_signs_nobody_in() {
    let corp = Corp::start().await;
    let demand = corp.demand(Freshness::AnySession);
    let (place, _) = corp.begin(&demand).await;
    for (name, header, expected) in [
        ("the recommended type", json!({}), Ok(())),
        ("the type in full", json!({ "typ": "application/logout+jwt" }), Ok(())),
        ("plain", json!({ "typ": "JWT" }), Ok(())),
        ("no type", json!({ "typ": null }), Ok(())),
        ("an access token", json!({ "typ": "at+jwt" }), Err("unverified")),
        ("another event", json!({ "typ": "secevent+jwt" }), Err("unverified")),
        ("an unlisted algorithm", json!({ "alg": "HS256" }), Err("unverified")),
        ("an unknown key", json!({ "kid": "nobody" }), Err("unverified")),
    ] {
        corp.script.lie(Lies { header: Some(header), ..Lies::default() });
        let token = corp.script.logout_token(&json!({ "sub": "alice" }));
        assert_eq!(notice(&corp, &token).await.map(drop), expected, "{name}");
    }
    for (name, signed) in
        [("another key", Signed::ByAnotherKey), ("not signed", Signed::Not), ("empty", Signed::Empty)]
    {
        corp.script.lie(Lies { signed, ..Lies::default() });
        let token = corp.script.logout_token(&json!({ "sub": "alice" }));
        assert_eq!(notice(&corp, &token).await.map(drop), Err("unverified"), "{name}");
    }
    // A logout token where an id_token belongs, even with the nonce it must not have.
    corp.script.be_honest();
    let nonce = parameter(&place, "nonce").expect("a nonce");
    let token = corp.script.logout_token(&json!({ "sub": "alice", "nonce": nonce }));
    let lies = Lies { tokens: Some(json!({ "id_token": token })), ..Lies::default() };
    assert_eq!(corp.sign_in_while(lies).await.err(), Some("unverified"));
}

#[tokio::test]
async fn a_stranger_with_a_logout_token_costs_the_provider_nothing() {
    let corp = Corp::start().await;
    for (name, token, expected) in [
        ("nothing", "", "unverified"),
        ("no token", "x", "unverified"),
        ("an algorithm that is none", "eyJhbGciOiJub25lIn0.e30.", "unverified"),
    ] {
        assert_eq!(notice(&corp, token).await.map(drop), Err(expected), "{name}");
    }
    let asked = corp.script.asked(Place::Jwks);
    assert_eq!(asked, 0, "nobody has keys fetched for those");
    corp.script.lie(Lies { header: Some(json!({ "kid": "nobody" })), ..Lies::default() });
    for _ in 0..20 {
        let token = corp.script.logout_token(&json!({ "sub": "alice" }));
        assert_eq!(notice(&corp, &token).await.map(drop), Err("unverified"));
    }
    assert_eq!(corp.script.asked(Place::Jwks), 2, "fetched, and looked for once more");
    let twice = Callback::new(Method::Post, "backchannel-logout", "", "logout_token=a&logout_token=b");
    let missing = Callback::new(Method::Post, "backchannel-logout", "logout_token=a", "");
    for (name, callback) in [("twice", twice), ("in the query", missing)] {
        let answered = corp.provider.logout(&corp.ctx(), &callback).await;
        assert_eq!(answered.err().map(|error| error.kind()), Some("malformed"), "{name}");
    }
}

#[tokio::test]
async fn where_another_claim_names_people_a_logout_names_their_session() {
    let corp = Corp::with(json!({ "subject": "employee" })).await;
    let by_session = notice(&corp, &corp.script.logout_token(&json!({ "sub": "alice", "sid": "s" }))).await;
    assert_eq!(by_session.expect("a notice").subject, None);
    let by_person = notice(&corp, &corp.script.logout_token(&json!({ "sub": "alice" }))).await;
    assert_eq!(by_person.map(drop), Err("unverified"));
}
