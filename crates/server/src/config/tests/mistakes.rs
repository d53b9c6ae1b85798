//! Every mistake of a section, one at a time.

use super::*;

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
        (
            "a way out that there is not",
            key("/providers/0/sign_out", json!("sometimes")),
            "providers[0].sign_out: must be `offer`, `offer_and_return` or `never`",
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
