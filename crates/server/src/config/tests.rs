use std::path::Path;

use serde_json::json;
use usher_http::Outgoing;

use super::*;

mod doubtful;
mod edge;
mod gateway;
mod mistakes;
mod selection;
mod ui_auth;

fn backends() -> Backends {
    let outgoing = Outgoing::new(None, std::time::Duration::from_secs(1), 1).expect("a client");
    Backends::compiled_in(&outgoing, Path::new("usher"))
}

fn good() -> Value {
    json!({
        "public_base_url": "https://matrix.ac.cdl",
        "trusted_proxies": ["127.0.0.1"],
        "keys": [{ "id": "2026-11", "secret": "07".repeat(32) }],
        "providers": [{ "id": "university", "name": "University", "cas": { "base_url": "https://cas.ac.cdl/cas" } }],
        "homeservers": [{
            "server_name": "eng.ac.cdl",
            "base_url": "https://matrix.eng.ac.cdl/",
            "handoff": { "application_service": {
                "as_token": "a-secret-of-32-characters-at-least-1",
                "hs_token": "a-secret-of-32-characters-at-least-2",
            } },
        }],
        "selection": [{ "attribute": { "name": "department", "rows": [
            { "value": "engineering", "homeserver": "eng.ac.cdl" },
        ] } }],
    })
}

fn parse(document: Value, directory: &str) -> Result<(Config, Problems), Problems> {
    let mut problems = Problems::default();
    let draft = Draft::read(document, Path::new(directory), &backends(), &mut problems);
    draft.finish(problems)
}

fn problems(document: Value) -> Vec<String> {
    let problems = match parse(document, "/nowhere") {
        Ok((_, warnings)) => warnings,
        Err(problems) => problems,
    };
    problems.iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect()
}

#[test]
fn a_small_config_is_enough() {
    let (config, warnings) = parse(good(), "/etc/usher").expect("valid");
    assert_eq!(warnings, Problems::default());
    assert_eq!(config.listen, ["127.0.0.1:8080".parse().expect("an address")]);
    assert_eq!(config.homeservers[0].base_url, "https://matrix.eng.ac.cdl", "clients append /_matrix");
    assert_eq!(config.homeservers[0].name, "eng.ac.cdl");
    let url = secrecy::ExposeSecret::expose_secret(&config.database.url);
    assert_eq!(url, "sqlite:/etc/usher/usher.db", "beside the config file");
}

#[test]
fn all_mistakes_are_reported_together() {
    let document = json!({
        "public_base_url": "nowhere",
        "listn": [],
        "keys": [{ "id": "a", "secret": "x", "typo": 1 }],
        "homeservers": [{ "server_name": 5, "bas_url": "https://x", "handoff": { "application_service": {} } }],
        "providers": [{ "name": "N", "cas": {} }, "text"],
        "login": { "token_lifetime": "x", "atempt_lifetime": "1m" },
    });
    let paths: Vec<_> = problems(document)
        .into_iter()
        .map(|problem| problem.split(": ").next().unwrap_or_default().to_owned())
        .collect();
    for expected in [
        "public_base_url",
        "listn",
        "keys[0].typo",
        "keys[0].secret",
        "homeservers[0].server_name",
        "homeservers[0].bas_url",
        "homeservers[0].base_url",
        "homeservers[0].handoff.application_service.as_token",
        "homeservers[0].handoff.application_service.hs_token",
        "providers[0].id",
        "providers[1]",
        "login.atempt_lifetime",
        "login.token_lifetime",
        "selection",
    ] {
        assert!(paths.iter().any(|path| path == expected), "{expected} is not among {paths:?}");
    }
}

#[test]
fn ids_that_stand_twice_are_refused() {
    let mut document = good();
    for list in ["providers", "homeservers", "keys"] {
        let first = document[list][0].clone();
        document[list].as_array_mut().expect("a list").push(first);
    }
    let problems = problems(document);
    for expected in [
        "providers[1].id: stands twice",
        "homeservers[1].server_name: stands twice",
        "homeservers[1].base_url: is that of homeservers[0] too",
        "homeservers[1].handoff.application_service.as_token: is that of homeservers[0] too",
        "keys[1].id: stands twice",
    ] {
        assert!(problems.iter().any(|problem| problem.starts_with(expected)), "{expected}: {problems:?}");
    }
}

#[test]
fn what_is_doubtful_is_a_warning() {
    for (name, pointer, value, expected) in [
        (
            "the portal",
            "/public_base_url",
            json!("http://matrix.ac.cdl"),
            Some("public_base_url: is plain http"),
        ),
        (
            "a homeserver",
            "/homeservers/0/base_url",
            json!("http://matrix.eng.ac.cdl"),
            Some("homeservers[0].base_url: is plain http"),
        ),
        ("a homeserver here", "/homeservers/0/base_url", json!("http://127.0.0.1:8008"), None),
    ] {
        let mut document = good();
        *document.pointer_mut(pointer).expect(name) = value;
        let (_, warnings) = parse(document, "/").expect("valid all the same");
        let shown = warnings.to_string();
        match expected {
            Some(expected) => assert!(shown.starts_with(&format!("warning: {expected}")), "{name}: {shown}"),
            None => assert_eq!(shown, "", "{name}"),
        }
    }
}

#[cfg(unix)]
#[test]
fn a_secrets_file_is_for_its_owner_and_not_empty() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("key");
    for (name, content, mode, expected) in [
        ("good", "07".repeat(32), 0o600, ""),
        ("open", "07".repeat(32), 0o644, "warning: keys[0].secret_file: names a file that everybody"),
        ("short", "07".to_owned(), 0o600, "error: keys[0].secret_file: must be 64 hexadecimal digits"),
        ("empty", "\n".to_owned(), 0o600, "error: keys[0].secret_file: names a file that is empty"),
    ] {
        std::fs::write(&file, content).expect("written");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).expect("set");
        let mut document = good();
        document["keys"][0] = json!({ "id": "a", "secret_file": file });
        let result = parse(document, "/").map(|(_, warnings)| warnings);
        let shown = result.unwrap_or_else(|problems| problems).to_string();
        assert!(shown.starts_with(expected) && shown.lines().count() <= 1, "{name}: {shown}");
        assert_eq!(shown.is_empty(), expected.is_empty(), "{name}: {shown}");
    }
}

#[test]
fn a_number_may_be_written_as_text() {
    let mut document = good();
    document["database"] = json!({ "max_connections": "7" });
    let (config, _) = parse(document, "/").expect("valid");
    assert_eq!(config.database.max_connections, 7);
}

#[test]
fn a_provider_without_a_good_name_has_its_section_looked_at() {
    let mut document = good();
    document["providers"][0]["id"] = json!("a b");
    let mut problems = Problems::default();
    let draft = Draft::read(document, Path::new("/"), &backends(), &mut problems);
    assert_eq!(draft.providers[0].section["base_url"], "https://cas.ac.cdl/cas");
    assert_eq!(draft.providers[0].descriptor.id.to_string(), "provider-0");
    assert!(draft.finish(problems).is_err());
}

#[test]
fn problems_never_show_a_secret() {
    let mut document = good();
    document["keys"][0]["secret"] = json!("hunter2");
    document["database"] = json!({ "url": "mysql://user:hunter2@host/db" });
    document["homeservers"][0]["handoff"]["application_service"]["as_token"] = json!("hunter2");
    let shown = problems(document).join("\n");
    assert!(!shown.is_empty() && !shown.contains("hunter2"), "{shown}");
}

#[test]
fn a_value_of_the_wrong_type_is_not_repeated() {
    let secret = json!(1_234_567_890_123_456_u64);
    for (name, pointer, value, path) in [
        (
            "a token that is a number",
            "/homeservers/0/handoff/application_service/as_token",
            secret.clone(),
            "homeservers[0].handoff.application_service.as_token",
        ),
        ("a key that is a number", "/keys/0/secret", secret.clone(), "keys[0].secret"),
        ("a key that is a text", "/keys/0", json!("1234567890123456, expected x"), "keys[0]"),
        ("a text for all keys", "/keys", json!("1234567890123456"), "keys"),
        ("a text for a homeserver", "/homeservers/0", json!("1234567890123456"), "homeservers[0]"),
        (
            "a text for a handoff",
            "/homeservers/0/handoff",
            json!("1234567890123456"),
            "homeservers[0].handoff",
        ),
        ("a list in a secret", "/keys/0/secret", json!([secret]), "keys[0].secret"),
    ] {
        let mut document = good();
        *document.pointer_mut(pointer).expect(name) = value;
        let shown = problems(document).join("\n");
        assert!(shown.starts_with(&format!("{path}: must be a ")), "{name}: {shown}");
        for part in ["1234567890123456", "Raw", "struct", "invalid type"] {
            assert!(!shown.contains(part), "{name}: {shown}");
        }
    }
}

#[test]
fn the_schema_describes_the_small_config_and_every_backend() {
    let schema = schema(&backends());
    assert_eq!(schema["properties"]["public_base_url"]["type"], json!(["string", "null"]));
    let provider = &schema["properties"]["providers"]["items"]["properties"];
    assert!(provider["cas"]["properties"]["base_url"].is_object(), "{provider}");
    assert!(provider["id"]["description"].is_string(), "{provider}");
}

#[test]
fn files_of_a_backends_section_are_beside_the_config_file() {
    let mut document = good();
    document["providers"][0]["cas"]["ca_file"] = json!("ca.pem");
    let (config, _) = parse(document, "/etc/usher").expect("the backend looks at it later");
    assert_eq!(config.providers[0].section["ca_file"], "/etc/usher/ca.pem");
}
