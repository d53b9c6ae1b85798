use serde_json::json;
use usher_http::Outgoing;

use super::*;

mod doubtful;
mod edge;
mod gateway;
mod selection;

fn backends() -> Backends {
    let outgoing = Outgoing::new(None, std::time::Duration::from_secs(1), 1).expect("a client");
    Backends::compiled_in(&outgoing)
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

/// Each change breaks one thing; the expected text begins the only problem.
#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn every_mistake_is_named_with_its_key_and_what_would_be_right() {
    let key = |path: &str, value: Value| (path.to_owned(), value);
    for (name, (pointer, value), expected) in [
        (
            "no portal",
            key("/public_base_url", Value::Null),
            "public_base_url: is missing; give an absolute URL",
        ),
        ("no URL", key("/public_base_url", json!("matrix")), "public_base_url: is not an absolute URL"),
        (
            "a path",
            key("/public_base_url", json!("https://ac.cdl/matrix")),
            "public_base_url: must have no path",
        ),
        (
            "another scheme",
            key("/public_base_url", json!("ftp://ac.cdl")),
            "public_base_url: must be an https",
        ),
        (
            "a number",
            key("/public_base_url", json!(5)),
            "public_base_url: must be a string; put quotes around it",
        ),
        ("a bad address", key("/listen", json!(["8080"])), "listen[0]: is not an address and a port"),
        (
            "an address that is a number",
            key("/listen", json!(["127.0.0.1:8080", 8081])),
            "listen[1]: must be a string; put quotes around it",
        ),
        ("an address that is a section", key("/listen", json!([{}])), "listen[0]: must be a string"),
        (
            "a reserved number",
            key("/mapping", json!({ "reserved": ["a", 12] })),
            "mapping.reserved[1]: must be a",
        ),
        ("no list", key("/keys", json!("hunter2")), "keys: must be a list"),
        ("keys that are texts", key("/keys", json!(["hunter2"])), "keys[0]: must be a section"),
        ("no section", key("/mapping", json!("hunter2")), "mapping: must be a section"),
        (
            "a number of words",
            key("/database", json!({ "max_connections": "many" })),
            "database.max_connections: must be a whole number",
        ),
        (
            "a Postgres parameter",
            key("/database", json!({ "url": "postgres://u:p@h/d?sslmode=hunter2" })),
            "database.url: the database URL is not usable",
        ),
        ("an empty secret", key("/keys/0/secret", json!(" ")), "keys[0].secret: is empty; make a secret"),
        ("no address", key("/listen", json!([])), "listen: must name at least one address"),
        (
            "another database",
            key("/database", json!({ "url": "mysql://x" })),
            "database.url: must start with sqlite:",
        ),
        (
            "in memory",
            key("/database", json!({ "url": "sqlite::memory:" })),
            "database.url: must name a file",
        ),
        (
            "too many",
            key("/database", json!({ "max_connections": 0 })),
            "database.max_connections: must be between",
        ),
        (
            "too seldom",
            key("/database", json!({ "sweep_interval": "1d" })),
            "database.sweep_interval: must be between",
        ),
        ("no keys", key("/keys", json!([])), "keys: is missing; give at least one key"),
        ("no id", key("/keys/0/id", Value::Null), "keys[0].id: is missing"),
        ("a short key", key("/keys/0/secret", json!("07")), "keys[0].secret: must be 64 hexadecimal digits"),
        (
            "a typo",
            key("/keys/0/sekret", json!("x")),
            "keys[0].sekret: is not a key here; expected one of `id`",
        ),
        ("a typo at the top", key("/provider", json!([])), "provider: is not a key here; expected one of"),
        (
            "no such file",
            key("/keys/0", json!({ "id": "a", "secret_file": "key" })),
            "keys[0].secret_file: cannot be read: /nowhere/key",
        ),
        ("twice", key("/keys/0/secret_file", json!("key")), "keys[0].secret: is given twice"),
        (
            "a bad provider id",
            key("/providers/0/id", json!("a b")),
            "providers[0].id: has a character that is not allowed here",
        ),
        ("no name", key("/providers/0/name", Value::Null), "providers[0].name: is missing"),
        (
            "an icon that is no mxc",
            key("/providers/0/icon", json!("https://x/i.png")),
            "providers[0].icon: must be an mxc:// URI",
        ),
        ("a bad brand", key("/providers/0/brand", json!("Uni")), "providers[0].brand: must match"),
        ("a bad skew", key("/providers/0/skew", json!("soon")), "providers[0].skew: is not a duration"),
        (
            "an unknown backend",
            key("/providers/0/ldap", json!({})),
            "providers[0].ldap: is neither a key of a provider nor a backend",
        ),
        (
            "no backend",
            key("/providers/0", json!({ "id": "a", "name": "A" })),
            "providers[0]: names no backend",
        ),
        ("no homeservers", key("/homeservers", json!([])), "homeservers: is missing"),
        (
            "a bad server name",
            key("/homeservers/0/server_name", json!("eng ac")),
            "homeservers[0].server_name: is not a server name",
        ),
        ("no base URL", key("/homeservers/0/base_url", Value::Null), "homeservers[0].base_url: is missing"),
        (
            "itself",
            key("/homeservers/0/upstream_url", json!("https://matrix.ac.cdl/x")),
            "homeservers[0].upstream_url: is Usher's own",
        ),
        (
            "hosts alone",
            key("/homeservers/0/hosts", json!(["matrix.eng.ac.cdl"])),
            "homeservers[0].upstream_url: is missing",
        ),
        (
            "a silence that is none",
            key("/homeservers/0/pass_through_timeout", json!("0s")),
            "homeservers[0].pass_through_timeout: ",
        ),
        ("no handoff", key("/homeservers/0/handoff", json!({})), "homeservers[0].handoff: is missing"),
        (
            "a short token",
            key("/homeservers/0/handoff/application_service/as_token", json!("short")),
            "homeservers[0].handoff.application_service.as_token: must be at least 32",
        ),
        (
            "one token twice",
            key(
                "/homeservers/0/handoff/application_service/hs_token",
                json!("a-secret-of-32-characters-at-least-1"),
            ),
            "homeservers[0].handoff.application_service.hs_token: is the same as as_token",
        ),
        (
            "a bad sender",
            key("/homeservers/0/handoff/application_service/sender_localpart", json!("Usher Bot")),
            "homeservers[0].handoff.application_service.sender_localpart: is not a localpart",
        ),
        (
            "m.homeserver",
            key("/homeservers/0/well_known", json!({ "m.homeserver": {} })),
            "homeservers[0].well_known: must not contain m.homeserver",
        ),
        (
            "a bad template",
            key("/homeservers/0/new_account", json!({ "display_name": "{{" })),
            "homeservers[0].new_account.display_name: is not a template",
        ),
        (
            "a bad address template",
            key("/homeservers/0/new_account", json!({ "email": "{{ mail }}" })),
            "homeservers[0].new_account.email: uses `mail`",
        ),
        (
            "no alias",
            key("/homeservers/0/new_account", json!({ "join": ["welcome"] })),
            "homeservers[0].new_account.join[0]: is not the alias of a room",
        ),
        (
            "a room twice",
            key("/homeservers/0/new_account", json!({ "join": ["#a:x", "#a:x"] })),
            "homeservers[0].new_account.join[1]: stands twice",
        ),
        (
            "nothing that is kept up to date",
            key("/homeservers/0/profile", json!({ "update": ["email"] })),
            "homeservers[0].profile.update[0]: is nothing that is kept up to date",
        ),
        (
            "a name that follows nothing",
            key("/homeservers/0/profile", json!({ "update": ["display_name"] })),
            "homeservers[0].new_account.display_name: is missing; give a template",
        ),
        (
            "an adoption without a word on the attribute",
            key("/homeservers/0/adopt", json!([{ "provider": "university", "attribute": "uid" }])),
            "homeservers[0].adopt[0].immutable: must be true: whoever has the attribute's value gets the account",
        ),
        (
            "an attribute that is not immutable",
            key(
                "/homeservers/0/adopt",
                json!([{ "provider": "university", "attribute": "uid", "immutable": false }]),
            ),
            "homeservers[0].adopt[0].immutable: must be true",
        ),
        (
            "adoption by nobody's attribute",
            key("/homeservers/0/adopt", json!([{ "provider": "university", "immutable": true }])),
            "homeservers[0].adopt[0].attribute: is missing",
        ),
        (
            "adoption on nobody's word",
            key("/homeservers/0/adopt", json!([{ "attribute": "uid", "immutable": true }])),
            "homeservers[0].adopt[0].provider: is missing",
        ),
        (
            "adoption on a stranger's word",
            key(
                "/homeservers/0/adopt",
                json!([{ "provider": "college", "attribute": "uid", "immutable": true }]),
            ),
            "homeservers[0].adopt[0].provider: is not the `id` of one of `providers`",
        ),
        (
            "adoption by two attributes",
            key(
                "/homeservers/0/adopt",
                json!([
                    { "provider": "university", "attribute": "uid", "immutable": true },
                    { "provider": "university", "attribute": "eppn", "immutable": true },
                ]),
            ),
            "homeservers[0].adopt[1].provider: stands twice",
        ),
        (
            "an unknown name in a template",
            key("/homeservers/0/new_account", json!({ "display_name": "{{ atributes.cn }}" })),
            "homeservers[0].new_account.display_name: uses `atributes`, which",
        ),
        (
            "an unknown name in the localpart",
            key("/mapping", json!({ "localpart": "{{ user }}" })),
            "mapping.localpart: uses `user`, which a template does not have; there are: subject, provider",
        ),
        (
            "a slow homeserver",
            key("/homeservers/0/timeout", json!("1h")),
            "homeservers[0].timeout: must be between 1s and 1m",
        ),
        ("no CA", key("/homeservers/0/ca_file", json!("ca.pem")), "homeservers[0].ca_file: cannot be read"),
        ("no selection", key("/selection", Value::Null), "selection: is missing"),
        (
            "sticky alone",
            key("/selection", json!([{ "sticky": {} }])),
            "selection: sends nobody new anywhere",
        ),
        ("no selector", key("/selection", json!([{}])), "selection[0]: is missing; give one of"),
        (
            "two selectors in one",
            key("/selection/0/sticky", json!({})),
            "selection[0]: has several selectors",
        ),
        (
            "an unknown homeserver",
            key("/selection/0/attribute/rows/0/homeserver", json!("x.cdl")),
            "selection[0].attribute.rows[0].homeserver: is not one of `homeservers`; there are: eng.ac.cdl",
        ),
        (
            "a bad pattern",
            key("/selection/0/attribute/rows/0", json!({ "pattern": "(", "homeserver": "eng.ac.cdl" })),
            "selection[0].attribute.rows[0].pattern: is not a regular expression",
        ),
        (
            "value and pattern",
            key("/selection/0/attribute/rows/0/pattern", json!("x")),
            "selection[0].attribute.rows[0]: has both",
        ),
        (
            "no attribute",
            key("/selection/0/attribute/name", Value::Null),
            "selection[0].attribute.name: is missing",
        ),
        (
            "an unknown provider",
            key("/selection/0", json!({ "users": { "provider": "x" } })),
            "selection[0].users.provider: is not the `id`",
        ),
        (
            "a bad localpart",
            key("/mapping", json!({ "localpart": "{{ x" })),
            "mapping.localpart: is not a template",
        ),
        (
            "a bad separator",
            key("/mapping", json!({ "suffix": { "separator": "@" } })),
            "mapping.suffix.separator: must be",
        ),
        (
            "a bad last",
            key("/mapping", json!({ "suffix": { "last": 0 } })),
            "mapping.suffix.last: must be between 1 and 99",
        ),
        (
            "an empty pattern",
            key("/mapping", json!({ "reserved": [""] })),
            "mapping.reserved[0]: must not be empty",
        ),
        (
            "a client that is no URL",
            key("/login", json!({ "trusted_clients": ["app"] })),
            "login.trusted_clients[0]: is not a URL",
        ),
        (
            "a client with a query",
            key("/login", json!({ "trusted_clients": ["https://a/?x"] })),
            "login.trusted_clients[0]: must have no",
        ),
        (
            "a client that is a script",
            key("/login", json!({ "trusted_clients": ["javascript:alert(1)"] })),
            "login.trusted_clients[0]: has a scheme",
        ),
        (
            "an hour for a token",
            key("/login", json!({ "token_lifetime": "1h" })),
            "login.token_lifetime: must be between",
        ),
        ("a bad format", key("/log", json!({ "format": "xml" })), "log.format: must be "),
    ] {
        let mut document = good();
        let (parent, last) = pointer.rsplit_once('/').expect("a pointer");
        let parent = document.pointer_mut(parent).expect("a parent");
        match (parent, value) {
            (Value::Object(map), Value::Null) => drop(map.remove(last)),
            (Value::Object(map), value) => drop(map.insert(last.to_owned(), value)),
            (Value::Array(items), value) => items[last.parse::<usize>().expect("an index")] = value,
            _ => panic!("{name}: no such place"),
        }
        let problems = problems(document);
        assert!(problems.len() == 1 && problems[0].starts_with(expected), "{name}: {problems:#?}");
    }
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
