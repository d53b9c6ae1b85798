//! Configs that can be read and are not meant: some are refused, some are warned of.

use super::*;

/// Each is the only problem.
fn assert_only(name: &str, document: Value, expected: &str) {
    let shown = match parse(document, "/nowhere") {
        Ok((_, warnings)) => warnings,
        Err(problems) => problems,
    };
    let shown = shown.to_string();
    let is_only = if expected.is_empty() { shown.is_empty() } else { shown.lines().count() == 1 };
    assert!(is_only && shown.starts_with(expected), "{name}: {shown}");
}

#[test]
fn a_trusted_client_is_a_site_or_an_app() {
    for (name, client, expected) in [
        ("a site", "https://app.ac.cdl/", ""),
        ("a site below a path", "https://app.ac.cdl/web", ""),
        ("a site in another spelling", "https://APP.ac.cdl", ""),
        ("a site on this machine", "http://localhost:8080/", ""),
        ("an app", "element://connect", ""),
        ("every address of an app", "element://", ""),
        ("an app named by its domain", "im.fluffychat:", ""),
        ("one address of it", "im.fluffychat:login", ""),
        ("no URL", "app.ac.cdl", "error: login.trusted_clients[0]: is not a URL such as"),
        ("a path", "/app", "error: login.trusted_clients[0]: is not a URL such as"),
        ("one slash", "https:/app.ac.cdl", "error: login.trusted_clients[0]: is not a URL such as"),
        ("a scheme of no client", "file:///app", "error: login.trusted_clients[0]: has a scheme"),
        ("hosts by a star", "https://*.ac.cdl/", "error: login.trusted_clients[0]: has a `*`"),
        ("paths by a star", "https://app.ac.cdl/*", "error: login.trusted_clients[0]: has a `*`"),
        ("a forgotten scheme", "localhost:8080", "error: login.trusted_clients[0]: has no `//`"),
        (
            "a forgotten scheme and a domain",
            "app.ac.cdl:8443/web",
            "error: login.trusted_clients[0]: has no `//`",
        ),
        ("an app without //", "element:connect", "error: login.trusted_clients[0]: has no `//`"),
        ("in the clear", "http://app.ac.cdl/", "warning: login.trusted_clients[0]: is plain http"),
        ("a user name", "https://u@app.ac.cdl/", "error: login.trusted_clients[0]: must have no user name"),
        ("a password", "https://:p@app.ac.cdl/", "error: login.trusted_clients[0]: must have no user name"),
        ("a query", "https://app.ac.cdl/?a", "error: login.trusted_clients[0]: must have no user name"),
        ("a fragment", "https://app.ac.cdl/#a", "error: login.trusted_clients[0]: must have no user name"),
    ] {
        let mut document = good();
        document["login"] = json!({ "trusted_clients": [client] });
        assert_only(name, document, expected);
    }
}

#[test]
fn a_lifetime_is_long_enough_for_a_replica_that_is_a_minute_ahead() {
    for (name, key, value, expected) in [
        ("a token's shortest", "token_lifetime", "90s", ""),
        ("a shorter one", "token_lifetime", "89s", "error: login.token_lifetime: must be between 1m 30s"),
        ("an attempt's shortest", "attempt_lifetime", "2m", ""),
        (
            "a shorter attempt",
            "attempt_lifetime",
            "119s",
            "error: login.attempt_lifetime: must be between 2m",
        ),
    ] {
        let mut document = good();
        document["login"] = json!({ key: value });
        assert_only(name, document, expected);
    }
}

fn with_two_homeservers() -> Value {
    let mut document = good();
    let hist = json!({
        "server_name": "hist.ac.cdl",
        "base_url": "https://matrix.hist.ac.cdl/",
        "handoff": { "application_service": {
            "as_token": "a-secret-of-32-characters-at-least-3",
            "hs_token": "a-secret-of-32-characters-at-least-4",
        } },
    });
    document["homeservers"].as_array_mut().expect("a list").push(hist);
    document
}

#[test]
fn a_row_that_is_never_reached_is_named() {
    let to = |key: &str, text: &str, homeserver: &str| json!({ key: text, "homeserver": homeserver });
    let values = |rows: [Value; 2]| json!([{ "attribute": { "name": "department", "rows": rows } }]);
    let domains = |rows: [Value; 2]| json!([{ "email_domain": { "attribute": "mail", "rows": rows } }]);
    for (name, selection, expected) in [
        (
            "all before some",
            values([to("pattern", ".*", "eng.ac.cdl"), to("value", "history", "hist.ac.cdl")]),
            "warning: selection[0].attribute.rows[1]: is never reached: rows[0] matches all",
        ),
        (
            "some before all",
            values([to("value", "history", "hist.ac.cdl"), to("pattern", ".*", "eng.ac.cdl")]),
            "",
        ),
        (
            "a value twice",
            values([to("value", "history", "eng.ac.cdl"), to("value", "history", "hist.ac.cdl")]),
            "warning: selection[0].attribute.rows[1]: is never reached",
        ),
        (
            "a domain below another",
            domains([to("domain", "*.ac.cdl", "eng.ac.cdl"), to("domain", "lab.ac.cdl", "hist.ac.cdl")]),
            "warning: selection[0].email_domain.rows[1]: is never reached",
        ),
        (
            "a domain before those beside it",
            domains([to("domain", "lab.ac.cdl", "hist.ac.cdl"), to("domain", "*.ac.cdl", "eng.ac.cdl")]),
            "",
        ),
    ] {
        let mut document = with_two_homeservers();
        document["selection"] = selection;
        assert_only(name, document, expected);
    }
}

#[test]
fn a_chain_of_selectors_holds_people_and_sends_them_somewhere() {
    let table = || {
        json!({ "attribute": { "name": "department", "rows": [
            { "value": "engineering", "homeserver": "eng.ac.cdl" },
        ] } })
    };
    let users =
        |homeservers: Value| json!({ "users": { "provider": "university", "homeservers": homeservers } });
    let frank = || users(json!({ "frank": "eng.ac.cdl" }));
    let sticky = || json!({ "sticky": {} });
    let service = |url: &str| json!({ "decision_service": { "url": url } });
    for (name, selection, expected) in [
        ("sticky first", json!([sticky(), table()]), ""),
        ("names before it", json!([frank(), sticky(), table()]), ""),
        ("sticky last", json!([table(), sticky()]), "warning: selection[1]: is not first"),
        ("sticky twice", json!([sticky(), table(), sticky()]), "warning: selection[2]: stands twice"),
        ("nobody's name", json!([users(json!({}))]), "error: selection: sends nobody new anywhere"),
        ("nobody's name and a table", json!([users(json!({})), table()]), ""),
        (
            "a service that is Usher",
            json!([service("https://matrix.ac.cdl/decide")]),
            "error: selection[0].decision_service.url: is Usher's own",
        ),
        ("a service at another port", json!([service("https://matrix.ac.cdl:8443/decide")]), ""),
    ] {
        let mut document = good();
        document["selection"] = selection;
        assert_only(name, document, expected);
    }
}

#[test]
fn requirements_that_nobody_can_meet_are_named() {
    let of = |key: &str, value: Value| json!({ "attribute": "role", key: value });
    let (staff, guest) = (json!("staff"), json!("guest"));
    for (name, one, other, is_warned) in [
        ("two values", of("equals", staff.clone()), of("equals", guest.clone()), true),
        ("one value twice", of("equals", staff.clone()), of("equals", staff.clone()), false),
        ("none of these", of("one_of", json!(["a", "b"])), of("equals", staff.clone()), true),
        ("one of these", of("one_of", json!(["a", "staff"])), of("equals", staff.clone()), false),
        ("not among it", of("contains", staff.clone()), of("equals", guest.clone()), true),
        ("not among these", of("one_of", json!(["a"])), of("contains", guest.clone()), true),
        ("several among many", of("contains", staff.clone()), of("contains", guest.clone()), false),
        ("it exists", of("exists", json!(true)), of("equals", guest.clone()), false),
        (
            "of two attributes",
            of("equals", staff.clone()),
            json!({ "attribute": "unit", "equals": "guest" }),
            false,
        ),
    ] {
        let mut document = good();
        document["homeservers"][0]["require"] = json!([one, other]);
        let expected =
            if is_warned { "warning: homeservers[0].require[1]: can be met by nobody" } else { "" };
        assert_only(name, document, expected);
    }
}

#[test]
fn providers_that_make_nobody_an_account_are_named() {
    let second = json!({ "id": "guests", "name": "Guests", "cas": { "base_url": "https://cas.guests.cdl" } });
    for (name, is_closed, second, expected) in [
        ("the only one", true, None, "warning: providers: have `new_accounts: false`"),
        ("one of two", true, Some(second), ""),
        ("none", false, None, ""),
    ] {
        let mut document = good();
        document["providers"][0]["new_accounts"] = json!(!is_closed);
        document["providers"].as_array_mut().expect("a list").extend(second);
        assert_only(name, document, expected);
    }
}
