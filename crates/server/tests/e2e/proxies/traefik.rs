//! What is printed for Traefik, held against what Traefik does with a path before it looks at it. By its documentation
//! ("request path") and its source (`pkg/server/server_entrypoint_tcp.go` and `pkg/muxer/http/mux.go` of 3.4 and later): what
//! is unreserved is decoded, hexadecimal digits are made upper-case, empty segments and those that are dots are resolved;
//! `PathRegexp` then sees that path with all but reserved letters decoded. Before 3.4 it saw the path wholly decoded.
//!
//! Go's patterns and those of the crate `regex` have the same syntax, and mean the same (RE2).

use std::{collections::BTreeMap, net::SocketAddr};

use anyhow::Context as _;
use regex::Regex;
use serde::Deserialize;

use super::{
    HOST, PORTAL, config, printed,
    spellings::{ODD, OURS, THEIRS, respelled},
};

#[derive(Deserialize)]
struct File {
    http: Http,
}

#[derive(Deserialize)]
struct Http {
    routers: BTreeMap<String, Router>,
    middlewares: BTreeMap<String, serde_yaml_ng::Value>,
    services: BTreeMap<String, serde_yaml_ng::Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Router {
    entry_points: Vec<String>,
    priority: u32,
    rule: String,
    middlewares: Vec<String>,
    service: String,
}

/// A rule of ours: hosts, of which one has to be asked for, and patterns, all of which have to match or not.
struct Rule {
    hosts: Vec<String>,
    patterns: Vec<(bool, Regex)>,
}

impl Rule {
    fn parse(rule: &str) -> anyhow::Result<Self> {
        let calls = Regex::new("(!?)(Host|PathRegexp)\\(`([^`]*)`\\)")?;
        let (mut hosts, mut patterns) = (Vec::new(), Vec::new());
        for call in calls.captures_iter(rule) {
            match &call[2] {
                "Host" => hosts.push(call[3].to_owned()),
                _ => patterns.push((call[1].is_empty(), Regex::new(&call[3])?)),
            }
        }
        let rest = calls.replace_all(rule, "x").into_owned();
        let joined = Regex::new(r"^(\(x( \|\| x)*\)( && x)+|x( \|\| x)*)$")?;
        anyhow::ensure!(joined.is_match(&rest), "a rule that is put together otherwise: {rest}");
        Ok(Self { hosts, patterns })
    }

    fn matches(&self, host: &str, path: &str) -> bool {
        self.hosts.iter().any(|own| own == host)
            && self.patterns.iter().all(|(expected, pattern)| pattern.is_match(path) == *expected)
    }
}

fn file() -> anyhow::Result<File> {
    let [usher, homeserver] = [([127, 0, 0, 1], 8080), ([127, 0, 0, 1], 8008)].map(SocketAddr::from);
    let printed = printed("traefik", &config(usher, homeserver)?, &["--plain", "127.0.0.1:8000"])?;
    serde_yaml_ng::from_str(&printed).context(printed)
}

/// The service that a request is sent to.
fn route<'a>(routers: &'a [(u32, Rule, String)], host: &str, path: &str) -> Option<&'a str> {
    let matching = routers.iter().filter(|(_, rule, _)| rule.matches(host, path));
    matching.max_by_key(|(priority, _, _)| *priority).map(|(_, _, service)| service.as_str())
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// The path with those octets decoded that `is_decoded` names, the rest in upper case; `None` if an encoding is broken.
fn decoded(path: &str, is_decoded: impl Fn(u8) -> bool) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = path.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        if first != b'%' {
            bytes.push(first);
            rest = after;
            continue;
        }
        let digits = after.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
        let byte = u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?;
        if is_decoded(byte) {
            bytes.push(byte);
        } else {
            bytes.extend(format!("%{byte:02X}").bytes());
        }
        rest = &after[2..];
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Go's `path.Clean` on an absolute path, which keeps a slash at the end.
fn cleaned(path: &str) -> String {
    let mut kept = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(kept.pop()),
            _ => kept.push(segment),
        }
    }
    let end = if path.ends_with('/') && !kept.is_empty() { "/" } else { "" };
    format!("/{}{end}", kept.join("/"))
}

/// The path as `PathRegexp` sees it, in a new Traefik and an old one; `None` if Traefik refuses the request.
fn seen(target: &str) -> Option<[String; 2]> {
    let path = target.split('?').next().unwrap_or_default();
    if !path.starts_with('/') || path.contains('#') {
        return None;
    }
    let is_reserved = |byte: u8| b":/?#[]@!$&'()*+,;=%".contains(&byte);
    let tidy = cleaned(&decoded(path, is_unreserved)?);
    Some([decoded(&tidy, |byte| !is_reserved(byte))?, decoded(path, |_| true)?])
}

#[test]
fn no_spelling_of_ours_gets_past_usher() -> anyhow::Result<()> {
    let routers: Vec<_> = (file()?.http.routers.into_values())
        .map(|router| Ok((router.priority, Rule::parse(&router.rule)?, router.service)))
        .collect::<anyhow::Result<_>>()?;
    let homeserver = Some("homeserver-eng.localhost");
    for target in THEIRS {
        // An old Traefik hands over more.
        let [path, _] = seen(target).context("an ordinary path")?;
        assert_eq!(route(&routers, HOST, &path), homeserver, "{target}: {path}");
        assert_eq!(route(&routers, PORTAL, &path), Some("usher"), "{target}: {path}");
    }
    let ours = OURS.iter().flat_map(|target| respelled(target)).chain(OURS.map(str::to_owned));
    for target in ours.chain(ODD.map(str::to_owned)) {
        for path in seen(&target).into_iter().flatten() {
            assert_eq!(route(&routers, HOST, &path), Some("usher"), "{target}: {path}");
        }
    }
    assert_eq!(route(&routers, "other.localhost", "/"), None);
    Ok(())
}

#[test]
fn every_name_that_a_router_uses_is_there() -> anyhow::Result<()> {
    let http = file()?.http;
    assert_eq!(http.routers.len(), 3);
    for (name, router) in &http.routers {
        assert_eq!(router.entry_points, ["plain"], "{name}");
        assert!(http.services.contains_key(&router.service), "{name}: {}", router.service);
        assert!(router.middlewares.iter().all(|own| http.middlewares.contains_key(own)), "{name}");
    }
    let urls: Vec<_> =
        http.services.values().map(|service| service["loadBalancer"]["servers"][0]["url"].as_str()).collect();
    assert_eq!(urls, [Some("http://127.0.0.1:8008"), Some("http://127.0.0.1:8080")]);
    Ok(())
}
