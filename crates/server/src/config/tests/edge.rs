//! What stands between the portal and the world: proxies, limits, well-known.

use super::*;

/// Each breaks one thing; the expected text begins the only problem.
#[test]
fn every_mistake_is_named_with_its_key_and_what_would_be_right() {
    let key = |section: &'static str, value: Value| (section, value);
    for (name, (section, value), expected) in [
        (
            "a proxy by name",
            key("trusted_proxies", json!(["::1", "proxy.ac.cdl"])),
            "trusted_proxies[1]: is not an address or a range",
        ),
        (
            "everybody for a proxy",
            key("trusted_proxies", json!(["0.0.0.0/0"])),
            "trusted_proxies[0]: trusts everybody",
        ),
        (
            "no limit and no word",
            key("limits", json!({ "redirect": "none" })),
            "limits.redirect: must be `off`, or a section",
        ),
        ("a limit that is a list", key("limits", json!({ "login": [] })), "limits.login: must be `off`, or"),
        (
            "a limit of nothing",
            key("limits", json!({ "login": { "burst": 0 } })),
            "limits.login.burst: must be between 1 and 1000000",
        ),
        (
            "a limit of too much",
            key("limits", json!({ "login": { "per_second": 1_000_001 } })),
            "limits.login.per_second: must be between",
        ),
        (
            "two rates",
            key("limits", json!({ "account": { "per_second": 1, "per_minute": 60 } })),
            "limits.account: has both `per_second` and `per_minute`",
        ),
        (
            "a typo in a limit",
            key("limits", json!({ "callback": { "per_hour": 1 } })),
            "limits.callback.per_hour: is not a key here",
        ),
        (
            "another homeserver for the portal",
            key("well_known", json!({ "content": { "m.homeserver": {} } })),
            "well_known.content: must not contain m.homeserver",
        ),
    ] {
        let mut document = good();
        document[section] = value;
        let problems = problems(document);
        assert!(problems.len() == 1 && problems[0].starts_with(expected), "{name}: {problems:#?}");
    }
}

#[test]
fn a_portal_that_only_a_proxy_can_reach_should_name_it() {
    for (name, listen, portal, proxies, is_warned) in [
        ("the default", Value::Null, "https://matrix.ac.cdl", json!([]), true),
        ("loopback", json!(["127.0.0.1:1", "[::1]:1"]), "https://matrix.ac.cdl", json!([]), true),
        ("named", json!(["127.0.0.1:1"]), "https://matrix.ac.cdl", json!(["127.0.0.1"]), false),
        (
            "also from elsewhere",
            json!(["127.0.0.1:1", "10.0.0.1:1"]),
            "https://matrix.ac.cdl",
            json!([]),
            false,
        ),
        ("everywhere", json!(["[::]:1"]), "https://matrix.ac.cdl", json!([]), false),
        ("at home", json!(["127.0.0.1:1"]), "http://portal.localhost:1", json!([]), false),
    ] {
        let mut document = good();
        document["listen"] = listen;
        document["public_base_url"] = json!(portal);
        document["trusted_proxies"] = proxies;
        let (_, warnings) = parse(document, "/").expect(name);
        let shown = warnings.to_string();
        assert_eq!(shown.contains("warning: trusted_proxies: is empty"), is_warned, "{name}: {shown}");
        assert_eq!(shown.is_empty(), !is_warned, "{name}: {shown}");
    }
}

#[test]
fn a_limit_is_as_it_is_written_and_its_rest_as_it_was() {
    let quota = |limits: Value| {
        let mut document = good();
        document["limits"] = limits;
        let (config, _) = parse(document, "/").expect("valid");
        config.limits.login.map(governor::Quota::from)
    };
    let shown = |quota: Option<governor::Quota>| {
        quota.map(|quota| (quota.burst_size().get(), quota.replenish_interval().as_micros()))
    };
    for (name, limits, expected) in [
        ("default", json!({}), Some((300, 50_000))),
        ("whole", json!({ "login": { "burst": 5, "per_second": 2 } }), Some((5, 500_000))),
        ("by the minute", json!({ "login": { "per_minute": 6 } }), Some((300, 10_000_000))),
        ("as text, from the environment", json!({ "login": { "burst": "7" } }), Some((7, 50_000))),
        ("off", json!({ "login": "off" }), None),
        ("off as some readers of YAML have it", json!({ "login": false }), None),
    ] {
        assert_eq!(shown(quota(limits)), expected, "{name}");
    }
}
