use serde_json::{Value, json};
use usher_http::Outgoing;

use super::*;
use crate::{config::Draft, registry::Backends};

const KINDS: [Kind; 4] = [Kind::Nginx, Kind::Caddy, Kind::Haproxy, Kind::Traefik];

/// Two homeservers, of which one is served at its hosts as `homeserver` says.
fn config(homeserver: &Value) -> Config {
    config_at("https://matrix.ac.cdl", homeserver)
}

fn config_at(public_base_url: &str, homeserver: &Value) -> Config {
    let one = |server_name: &str, secret: &str| {
        json!({
            "server_name": server_name,
            "base_url": format!("https://matrix.{server_name}"),
            "handoff": { "application_service": {
                "as_token": format!("a-secret-of-32-characters-at-least-{secret}1"),
                "hs_token": format!("a-secret-of-32-characters-at-least-{secret}2"),
            } },
        })
    };
    let mut served = one("eng.ac.cdl", "1");
    served.as_object_mut().expect("an object").extend(homeserver.as_object().expect("an object").clone());
    let document = json!({
        "public_base_url": public_base_url,
        "listen": ["0.0.0.0:8080"],
        "keys": [{ "id": "2026-11", "secret": "07".repeat(32) }],
        "providers": [{ "id": "university", "name": "University", "cas": { "base_url": "https://cas.ac.cdl/cas" } }],
        "homeservers": [served, one("hist.ac.cdl", "2")],
        "selection": [{ "users": { "provider": "university", "homeservers": { "alice": "eng.ac.cdl" } } }],
    });
    let outgoing = Outgoing::new(None, std::time::Duration::from_secs(1), 1).expect("a client");
    let mut problems = Problems::default();
    let backends = Backends::compiled_in(&outgoing, std::path::Path::new("usher"));
    let draft = Draft::read(document, std::path::Path::new("/etc/usher"), &backends, &mut problems);
    draft.finish(problems).unwrap_or_else(|problems| panic!("{problems}")).0
}

fn served() -> Value {
    json!({ "hosts": ["matrix.eng.ac.cdl"], "upstream_url": "http://127.0.0.1:8008" })
}

fn arguments(kind: Kind) -> Arguments {
    Arguments { kind, server_name: None, usher: None, plain: None }
}

#[test]
fn what_cannot_be_written_is_said_with_its_key() {
    for (name, homeserver, server_name, expected) in [
        ("nobody is served", json!({}), None, "homeservers[].hosts: no homeserver has any"),
        (
            "the one that is named is not",
            served(),
            Some("hist.ac.cdl"),
            "homeservers[1].hosts: hist.ac.cdl has none; give the names",
        ),
        (
            "a name that is none of ours",
            served(),
            Some("x.ac.cdl"),
            "x.ac.cdl is not one of `homeservers`; there are: eng.ac.cdl, hist.ac.cdl",
        ),
        (
            "a homeserver below a path",
            json!({ "hosts": ["matrix.eng.ac.cdl"], "upstream_url": "http://127.0.0.1:8008/eng" }),
            None,
            "error: homeservers[0].upstream_url: has a path",
        ),
        (
            "an IPv6 address for a name",
            json!({ "hosts": ["matrix.eng.ac.cdl", "[::1]"], "upstream_url": "http://127.0.0.1:8008" }),
            None,
            "error: homeservers[0].hosts[1]: is not a name",
        ),
    ] {
        let server_name = server_name.map(|name| OwnedServerName::try_from(name).expect("a server name"));
        for kind in KINDS {
            let arguments = Arguments { server_name: server_name.clone(), ..arguments(kind) };
            let error = written(&config(&homeserver), arguments).expect_err(name).to_string();
            assert!(error.contains(expected), "{name}: {error}");
        }
    }
}

#[test]
fn nothing_in_the_config_can_be_more_than_a_name() {
    for host in [
        "a{b}", "a;b", "a\"b", "a'b", "a`b", "a$b", "a(b", "a*b", "a,b", "a!b", "a&b", "a=b", "a~b", "a+b",
        "-a", ".a", "*.ac.cdl",
    ] {
        for (place, config) in [
            ("hosts[0]", config(&json!({ "hosts": [host], "upstream_url": "http://127.0.0.1:8008" }))),
            (
                "upstream_url",
                config(&json!({ "hosts": ["a.b"], "upstream_url": format!("http://{host}:8008") })),
            ),
            ("public_base_url", config_at(&format!("https://{host}/"), &served())),
        ] {
            for kind in KINDS {
                let error = written(&config, arguments(kind)).expect_err(host).to_string();
                assert!(error.contains(place) && error.contains("is not a name"), "{host}: {error}");
            }
        }
        assert!(format!("{host}:8080").parse::<Backend>().is_err(), "{host}");
    }
}

#[test]
fn usher_is_found_where_the_proxy_is_told_or_at_home() {
    let at = |usher: Option<&str>| {
        let usher = usher.map(|usher| usher.parse().expect("an address"));
        written(&config(&served()), Arguments { usher, ..arguments(Kind::Nginx) }).expect("written")
    };
    for (usher, expected) in [
        (None, "proxy_pass http://127.0.0.1:8080;"),
        (Some("usher:8081"), "proxy_pass http://usher:8081;"),
        (Some("10.1.2.3:80"), "proxy_pass http://10.1.2.3:80;"),
        (Some("[2001:db8::1]:8080"), "proxy_pass http://[2001:db8::1]:8080;"),
    ] {
        assert!(at(usher).contains(expected), "{usher:?}: {}", at(usher));
    }
    for usher in [
        "usher",
        "usher:",
        "usher:http",
        ":8080",
        "http://usher:8080",
        "usher:0",
        "usher:+80",
        "usher:99999",
        "a b:80",
    ] {
        assert!(usher.parse::<Backend>().is_err(), "{usher}");
    }
}

#[test]
fn a_homeserver_with_a_listener_of_its_own_is_found_there() {
    let homeserver = json!({ "listener": "127.0.0.1:8081", "upstream_url": "http://127.0.0.1:8008" });
    for (kind, expected) in [
        (Kind::Nginx, "server_name matrix.eng.ac.cdl;"),
        (Kind::Caddy, "https://matrix.eng.ac.cdl {"),
        (Kind::Haproxy, "use_backend usher-homeserver-eng.ac.cdl if at-homeserver-eng.ac.cdl is-ushers"),
        (Kind::Traefik, "service: usher-homeserver-eng.ac.cdl"),
    ] {
        let text = written(&config(&homeserver), arguments(kind)).expect("written");
        assert!(text.contains(expected), "{kind:?}: {text}");
        assert!(text.contains(":8080") && text.contains(":8081"), "{kind:?}: {text}");
        let usher = Some("10.1.2.3:8082".parse().expect("an address"));
        let text = written(&config(&homeserver), Arguments { usher, ..arguments(kind) }).expect("written");
        assert!(!text.contains(":8080") && !text.contains(":8081"), "{kind:?}: {text}");
    }
}

#[test]
fn a_proxy_of_one_homeserver_gets_that_alone() {
    let server_name = Some(OwnedServerName::try_from("eng.ac.cdl").expect("a server name"));
    for kind in KINDS {
        let whole = written(&config(&served()), arguments(kind)).expect("written");
        let alone = Arguments { server_name: server_name.clone(), ..arguments(kind) };
        let alone = written(&config(&served()), alone).expect("written");
        for (text, hosts) in
            [(&whole, ["matrix.ac.cdl", "matrix.eng.ac.cdl"].as_slice()), (&alone, &["matrix.eng.ac.cdl"])]
        {
            for host in ["matrix.ac.cdl", "matrix.eng.ac.cdl", "matrix.hist.ac.cdl"] {
                assert_eq!(text.contains(host), hosts.contains(&host), "{kind:?}, {host}: {text}");
            }
        }
    }
}

#[test]
fn a_port_and_a_homeserver_behind_tls_are_written_out() {
    let homeserver = json!({
        "hosts": ["matrix.eng.ac.cdl"],
        "base_url": "https://matrix.eng.ac.cdl:8448",
        "upstream_url": "https://synapse_eng.internal",
    });
    for (kind, expected) in [
        (
            Kind::Nginx,
            [
                "listen [::]:8448 ssl http2;",
                "proxy_set_header Host $host:8448;",
                "proxy_pass https://synapse_eng.internal:443;",
                "proxy_ssl_verify on;",
                "proxy_set_header Host synapse_eng.internal;",
            ]
            .as_slice(),
        ),
        (
            Kind::Caddy,
            &[
                "https://matrix.eng.ac.cdl:8448 {",
                "reverse_proxy https://synapse_eng.internal:443 {",
                "header_up Host synapse_eng.internal\n",
            ],
        ),
        (
            Kind::Haproxy,
            &[
                "frontend usher-https-8448\n",
                "bind :::8448 v4v6 ssl",
                "server homeserver synapse_eng.internal:443 ssl verify required",
                "verifyhost synapse_eng.internal ca-file /etc/ssl/certs/ca-certificates.crt",
                " sni str(synapse_eng.internal)\n",
            ],
        ),
        (Kind::Traefik, &["entryPoints: [https-8448]", "url: https://synapse_eng.internal:443\n"]),
    ] {
        let text = written(&config(&homeserver), arguments(kind)).expect("written");
        for line in expected {
            assert!(text.contains(line), "{kind:?}, {line}: {text}");
        }
    }
}

#[test]
fn without_certificates_everybody_is_at_one_address_and_still_at_home_in_https() {
    for kind in KINDS {
        let plain = Some("127.0.0.1:8000".parse().expect("an address"));
        let text = written(&config(&served()), Arguments { plain, ..arguments(kind) }).expect("written");
        let settings: Vec<_> = text.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
        for (needle, is_there) in
            [("443", false), ("/etc/ssl", false), ("8000", kind != Kind::Traefik), ("Proto", true)]
        {
            assert_eq!(
                settings.iter().any(|line| line.contains(needle)),
                is_there,
                "{kind:?}, {needle}: {text}"
            );
        }
        let protocols: Vec<_> = settings.iter().filter(|line| line.contains("X-Forwarded-Proto")).collect();
        assert!(protocols.iter().all(|line| line.contains("https")), "{kind:?}: {protocols:?}");
    }
}
