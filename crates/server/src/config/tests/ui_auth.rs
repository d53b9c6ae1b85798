//! `ui_auth`, what a provider can prove, and homeservers with a listener of their own.

use super::*;

#[test]
fn what_is_wrong_or_doubtful_about_ui_auth_is_said_at_its_key() {
    let section = |section: Value| {
        let mut document = good();
        document["ui_auth"] = section;
        document
    };
    let provider = |is_enough: Value| {
        let mut document = good();
        document["providers"][0]["live_session_is_enough"] = is_enough;
        document
    };
    let listener = |listener: &str| {
        let mut document = good();
        document["homeservers"][0]["upstream_url"] = json!("http://127.0.0.1:8008");
        document["homeservers"][0]["listener"] = json!(listener);
        document
    };
    let mut without_upstream = listener("127.0.0.1:8081");
    without_upstream["homeservers"][0].as_object_mut().expect("a section").remove("upstream_url");
    for (name, document, expected) in [
        (
            "all of it",
            section(json!({ "session_lifetime": "5m", "max_open": 3, "password": "pass_through" })),
            None,
        ),
        (
            "too short",
            section(json!({ "session_lifetime": "30s" })),
            Some("ui_auth.session_lifetime: must be between"),
        ),
        (
            "too long",
            section(json!({ "session_lifetime": "2h" })),
            Some("ui_auth.session_lifetime: must be between"),
        ),
        ("none open", section(json!({ "max_open": 0 })), Some("ui_auth.max_open: must be between")),
        ("too many open", section(json!({ "max_open": 1001 })), Some("ui_auth.max_open: must be between")),
        ("a long grace", section(json!({ "grace": "1h" })), Some("ui_auth.grace: must be between")),
        ("grace", section(json!({ "grace": "1m" })), Some("ui_auth.grace: lets whoever holds")),
        ("another word", section(json!({ "password": "allow" })), Some("ui_auth.password: must be `refuse`")),
        ("another key", section(json!({ "lifetime": "5m" })), Some("ui_auth.lifetime: ")),
        ("proof", provider(json!(false)), None),
        ("no proof", provider(json!(true)), Some("providers[0].live_session_is_enough: lets whoever uses")),
        ("an address of its own", listener("127.0.0.1:8081"), None),
        (
            "Usher's",
            listener("127.0.0.1:8080"),
            Some("homeservers[0].listener: 127.0.0.1:8080 is listened on already"),
        ),
        ("no address", listener("8081"), Some("homeservers[0].listener: is not an address and a port")),
        ("no upstream", without_upstream, Some("homeservers[0].upstream_url: is missing")),
    ] {
        let shown = match parse(document, "/nowhere") {
            Ok((_, warnings)) => warnings,
            Err(problems) => problems,
        };
        let found: Vec<_> =
            shown.iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect();
        match expected {
            Some(expected) => {
                assert!(found.len() == 1 && found[0].starts_with(expected), "{name}: {found:?}");
            }
            None => assert_eq!(found, Vec::<String>::new(), "{name}"),
        }
    }
}
