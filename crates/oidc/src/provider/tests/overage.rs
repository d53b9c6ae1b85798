//! People with more groups than fit a token (OpenID Connect Core 5.6.2, as Entra ID uses it).

use usher_lab::scripted::{Reply, oidc::Place};

use super::*;

/// What Entra ID says instead of groups. The address is one of this machine's neighbours, and is never called.
fn overage() -> Value {
    json!({
        "_claim_names": { "groups": "src1" },
        "_claim_sources": { "src1": { "endpoint": "http://127.0.0.1:9/users/x/getMemberObjects" } },
    })
}

#[tokio::test]
async fn groups_that_are_left_out_are_not_taken_for_none() {
    let corp = Corp::start().await;
    for (name, claims, expected) in [
        ("none to begin with", json!({}), Ok(())),
        ("some", json!({ "groups": ["a"] }), Ok(())),
        ("left out", overage(), Err("internal")),
        ("left out, in short", json!({ "hasgroups": true }), Err("internal")),
        ("left out, in short, as a text", json!({ "hasgroups": "true" }), Err("internal")),
        ("not left out, in short", json!({ "hasgroups": false }), Ok(())),
        ("something else is elsewhere", json!({ "_claim_names": { "address": "src1" } }), Ok(())),
    ] {
        corp.script.add_person("p", &claims);
        assert_eq!(corp.sign_in("p").await.map(drop), expected, "{name}");
    }
    corp.script.add_person("p", &overage());
    let error = corp.try_sign_in("p", Freshness::AnySession).await.expect_err("refused");
    assert!(shown(&error).contains("groups_overage"), "{}", shown(&error));
}

#[tokio::test]
async fn they_can_be_done_without() {
    let corp = Corp::with(json!({ "groups_overage": "ignore" })).await;
    corp.script.add_person("p", &overage());
    assert!(corp.sign_in("p").await.expect("a proof").values("groups").is_empty());
}

#[tokio::test]
async fn they_can_be_asked_for_page_by_page() {
    let server = OidcServer::start_with(setup()).await.expect("a server");
    let endpoint = format!("{}/groups?$select=id", server.issuer());
    let section = section_for(&server, &json!({ "groups_overage": "follow", "groups_endpoint": endpoint }));
    let corp = Corp::built(server, Settings::read(section).expect("a valid section"));
    corp.script.add_person("p", &overage());
    assert_eq!(corp.sign_in("p").await.expect("a proof").values("groups"), ["group-1", "group-2", "group-3"]);
    assert_eq!(
        corp.sign_in("alice").await.expect("a proof").values("groups"),
        [""; 0],
        "nobody asks for those who have few"
    );
    let page = |next: &str| Reply::json(200, &json!({ "value": [], "@odata.nextLink": next }));
    let itself = format!("{}/groups", corp.issuer);
    for (name, reply, expected) in [
        ("not allowed", Reply::json(403, &json!({})), "internal"),
        ("500", Reply::new(500, "text/plain", ""), "unavailable"),
        ("no list", Reply::json(200, &json!({ "value": "x" })), "unavailable"),
        ("on and on", page(&itself), "internal"),
        ("somewhere else", page("https://evil.example/groups"), "internal"),
        ("inside", page("http://127.0.0.1:9/"), "internal"),
        ("silence", Reply::Hang, "unavailable"),
        ("without an end", Reply::Endless, "unavailable"),
    ] {
        corp.script.lie(Lies::at(Place::Groups, reply));
        assert_eq!(corp.sign_in("p").await.err(), Some(expected), "{name}");
    }
}
