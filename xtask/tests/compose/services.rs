//! Rules about `docker-compose.yml`.

use serde_yaml_ng::{Mapping, Value};
use xtask::workspace;

use crate::assert_each_is_named;

/// Postgres makes its volume its own and becomes another user; nothing else needs any.
const POSTGRES_CAPABILITIES: [&str; 5] = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"];
/// What would give a container more than its own.
const NEVER: [&str; 7] = ["privileged", "network_mode", "pid", "ipc", "devices", "userns_mode", "env_file"];
/// Made by the operator, not in the repository.
const SITE: &str = "./site";

/// The variables of a service, where the operator has set none.
pub(crate) fn environment(text: &str, service: &str) -> Vec<(String, String)> {
    let file = parse(text);
    let variables = mapping(&file["services"][service]["environment"]);
    variables.iter().map(|(key, value)| (string(key), by_default(&string(value)))).collect()
}

fn parse(text: &str) -> Value {
    serde_yaml_ng::from_str(text).expect("docker-compose.yml is YAML")
}

fn mapping(value: &Value) -> Mapping {
    value.as_mapping().cloned().unwrap_or_default()
}

fn string(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn strings(value: &Value) -> Vec<String> {
    value.as_sequence().into_iter().flatten().map(string).collect()
}

/// The text with every `${NAME:-default}` replaced by its default.
fn by_default(text: &str) -> String {
    let mut rest = text;
    let mut result = String::new();
    while let Some((before, variable)) = rest.split_once("${") {
        let (variable, after) = variable.split_once('}').unwrap_or((variable, ""));
        result.push_str(before);
        result.push_str(variable.split_once(":-").map_or("", |(_, default)| default));
        rest = after;
    }
    result + rest
}

fn problems(text: &str) -> Vec<String> {
    let file = parse(text);
    let services = mapping(&file["services"]);
    let mut problems = Vec::new();
    for (name, service) in &services {
        let name = string(name);
        let found = of_service(&name, service, &file).into_iter().chain(around(&name, service, &file));
        problems.extend(found.map(|problem| format!("{name}: {problem}")));
    }
    problems.extend(of_usher(&file));
    if file["networks"]["database"]["internal"] != true {
        problems.push("the database's network is internal".to_owned());
    }
    for (name, secret) in mapping(&file["secrets"]) {
        let path = by_default(&string(&secret["file"]));
        if !path.starts_with(&format!("{SITE}/secrets/")) {
            problems.push(format!("{}: a secret is a file of the site", string(&name)));
        }
    }
    problems
}

/// What a service may do.
fn of_service(name: &str, service: &Value, file: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    let mut require = |holds: bool, problem: &str| {
        if !holds {
            problems.push(problem.to_owned());
        }
    };
    let is_postgres = name == "postgres";
    require(NEVER.iter().all(|key| service.get(key).is_none()), "has no more than its own");
    require(service["read_only"] == true, "its root is read-only");
    require(strings(&service["cap_drop"]) == ["ALL"], "drops all capabilities");
    let allowed: &[&str] = if is_postgres { &POSTGRES_CAPABILITIES } else { &[] };
    let added = strings(&service["cap_add"]);
    require(
        added.iter().all(|capability| allowed.contains(&&**capability)),
        "adds no capability it does not need",
    );
    require(strings(&service["security_opt"]) == ["no-new-privileges:true"], "gains no privileges");
    let user = string(&service["user"]);
    let is_nobody = user.split(':').all(|id| id.parse::<u32>().is_ok_and(|id| id > 0));
    require(is_postgres || is_nobody, "its user is a number that is not root's");
    require(!strings(&service["healthcheck"]["test"]).is_empty(), "has a health check");
    require(service["restart"] == "unless-stopped", "is started again");
    require(service.get("stop_grace_period").is_some(), "has time to stop");

    let ports = strings(&service["ports"]);
    require(name == "proxy" || ports.is_empty(), "only the proxy publishes a port");
    let is_local = |port: &String| by_default(port).starts_with("127.0.0.1:");
    require(ports.iter().all(is_local), "is published to this machine alone, unless told otherwise");
    for (key, value) in mapping(&service["environment"]) {
        let (key, value) = (string(&key), string(&value));
        let names_secret =
            ["PASSWORD", "SECRET", "TOKEN", "KEY", "URL"].iter().any(|word| key.contains(word));
        require(!names_secret || key.ends_with("_FILE"), "no secret is in the environment");
        require(
            !(value.contains("://") && value.contains('@')),
            "no URL with a password is in the environment",
        );
        require(
            !key.ends_with("_FILE")
                || strings(&service["secrets"])
                    .iter()
                    .any(|secret| value == format!("/run/secrets/{secret}")),
            "a file that is named is a secret of the service",
        );
    }
    let declared = mapping(&file["secrets"]);
    let is_declared = |secret: &String| declared.contains_key(secret.as_str());
    require(strings(&service["secrets"]).iter().all(is_declared), "its secrets are declared");
    problems
}

/// What a service needs around it.
fn around(name: &str, service: &Value, file: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    let mut require = |holds: bool, problem: &str| {
        if !holds {
            problems.push(problem.to_owned());
        }
    };
    let image = by_default(&string(&service["image"]));
    require(service.get("build").is_some() || image.contains(':'), "its image has a version");
    for (other, how) in mapping(&service["depends_on"]) {
        let is_there = file["services"].get(&other).is_some();
        require(is_there && how["condition"] == "service_healthy", "waits until what it needs is healthy");
    }
    for volume in service["volumes"].as_sequence().into_iter().flatten() {
        if let Some(named) = volume.as_str() {
            let volume = named.split(':').next().unwrap_or_default();
            require(file["volumes"].get(volume).is_some(), "its volume is declared");
            continue;
        }
        let source = by_default(&string(&volume["source"]));
        require(source == SITE || workspace::root().join(&source).exists(), "what is mounted is there");
        require(volume["read_only"] == true, "what is mounted is read-only");
    }
    let networks = strings(&service["networks"]);
    let has_database = networks.iter().any(|network| network == "database");
    require(has_database == (name != "proxy"), "who speaks to the database is on its network");
    require(name != "postgres" || networks == ["database"], "the database is on no other network");
    problems
}

fn of_usher(file: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    let mut require = |holds: bool, problem: &str| {
        if !holds {
            problems.push(problem.to_owned());
        }
    };
    let usher = &file["services"]["usher"];
    let arguments = &usher["build"]["args"];
    for (name, default) in [
        ("BUILD_IMAGE", "rust:1-bookworm"),
        ("RUNTIME_IMAGE", "debian:bookworm-slim"),
        ("FEATURES", "default"),
        ("PROFILE", "release"),
    ] {
        let value = string(&arguments[name]);
        let is_free = value.starts_with("${") && by_default(&value) == default;
        require(is_free, &format!("the operator decides {name}"));
    }
    require(strings(&usher["healthcheck"]["test"]) == ["CMD", "usher", "health"], "usher is asked by itself");
    let trusted = string(&usher["environment"]["USHER__TRUSTED_PROXIES"]);
    let network = string(&file["networks"]["default"]["ipam"]["config"][0]["subnet"]);
    require(!trusted.is_empty() && trusted == network, "usher believes its own network, and nobody else");
    let grace = string(&usher["stop_grace_period"]);
    let seconds = grace.strip_suffix('s').and_then(|seconds| seconds.parse::<u32>().ok());
    require(seconds.is_some_and(|seconds| seconds > 30), "usher has longer than it takes to drain");
    problems
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn each_breach_of_the_services_is_named() {
    let on_usher = "    user: \"10001:10001\"";
    let with = |line: &str| format!("{on_usher}\n    {line}");
    assert_each_is_named(
        "docker-compose.yml",
        problems,
        &[
            ("privileged", on_usher, &with("privileged: true"), "usher: has no more"),
            ("the host's network", on_usher, &with("network_mode: host"), "usher: has no more"),
            ("a file of variables", on_usher, &with("env_file: .env"), "usher: has no more"),
            (
                "a root that can be written",
                "read_only: true\n    tmpfs: [\"/tmp",
                "tmpfs: [\"/tmp",
                "usher: its root",
            ),
            ("capabilities", "cap_drop: [ALL]", "cap_drop: [NET_RAW]", "proxy: drops"),
            ("a capability more", on_usher, &with("cap_add: [SYS_ADMIN]"), "usher: adds"),
            ("one that Postgres does not need", "[CHOWN,", "[SYS_ADMIN,", "postgres: adds"),
            ("privileges to gain", "[\"no-new-privileges:true\"]", "[]", "proxy: gains"),
            ("root", on_usher, "    user: \"0:0\"", "usher: its user"),
            ("no user", on_usher, "", "usher: its user"),
            ("no health check", "[\"CMD\", \"pg_isready\"", "[] #", "postgres: has a health check"),
            ("never started again", "restart: unless-stopped", "restart: \"no\"", "proxy: is started again"),
            ("no time to stop", "stop_grace_period: 60s", "", "postgres: has time"),
            ("a second port", on_usher, &with("ports: [\"127.0.0.1:8081:8080\"]"), "usher: only the proxy"),
            ("to the world", "127.0.0.1:8080}:8080", "0.0.0.0:8080}:8080", "proxy: is published"),
            (
                "a password",
                "POSTGRES_DB: usher",
                "POSTGRES_DB: usher\n      POSTGRES_PASSWORD: x",
                "postgres: no secret",
            ),
            ("a URL", "OUTER_PROXY: $", "X: \"http://a:b@c/\"\n      OUTER_PROXY: $", "proxy: no URL"),
            (
                "another's file",
                "/run/secrets/database-url",
                "/run/secrets/postgres-password",
                "usher: a file",
            ),
            (
                "a secret that is not declared",
                "secrets: [database-url]",
                "secrets: [database-url, other]",
                "usher: its secrets",
            ),
            ("a secret of elsewhere", "}/secrets/database-url", "}/database-url", "database-url: a secret"),
            ("no version", "postgres:17-bookworm", "postgres", "postgres: its image"),
            (
                "not waited for",
                "postgres: {condition: service_healthy}",
                "postgres: {condition: service_started}",
                "usher: waits",
            ),
            ("a volume that is not declared", "[\"postgres:/var", "[\"data:/var", "postgres: its volume"),
            (
                "a file that is not there",
                "./deploy/compose/haproxy.cfg",
                "./haproxy.cfg",
                "proxy: what is mounted is there",
            ),
            (
                "a mount that can be written",
                "/etc/usher, read_only: true",
                "/etc/usher",
                "usher: what is mounted is read-only",
            ),
            (
                "the proxy beside the database",
                "stop_signal: SIGUSR1",
                "networks: [default, database]",
                "proxy: who speaks",
            ),
            (
                "the database elsewhere too",
                "networks: [database]",
                "networks: [default, database]",
                "postgres: the database is on no other",
            ),
            ("a network that leads out", "database: {internal: true}", "database: {}", "internal"),
            (
                "features that nobody can choose",
                "FEATURES: ${USHER_FEATURES:-default}",
                "FEATURES: default",
                "FEATURES",
            ),
            (
                "a build image that nobody can choose",
                "BUILD_IMAGE: ${BUILD_IMAGE:-rust:1-bookworm}",
                "BUILD_IMAGE: rust:1-bookworm",
                "BUILD_IMAGE",
            ),
            (
                "asked by another program",
                "[\"CMD\", \"usher\", \"health\"]",
                "[\"CMD\", \"true\"]",
                "usher is asked",
            ),
            (
                "somebody else believed",
                "PROXIES: ${USHER_SUBNET:-198.18.82.0/24}",
                "PROXIES: 10.0.0.0/8",
                "believes its own",
            ),
            (
                "killed while it drains",
                "up to 30 s.\n    stop_grace_period: 40s",
                "up to 30 s.\n    stop_grace_period: 10s",
                "longer than it takes",
            ),
        ],
    );
}

#[test]
fn defaults_are_found() {
    for (text, expected) in [
        ("plain", "plain"),
        ("${A:-b}", "b"),
        ("${A:-127.0.0.1:8080}:8080", "127.0.0.1:8080:8080"),
        ("${A:-./site}/secrets/${B}", "./site/secrets/"),
    ] {
        assert_eq!(by_default(text), expected);
    }
}
