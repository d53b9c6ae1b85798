//! The dependency rule: `cas | homeserver | store -> core <- server`. Backends never see each other, and core knows no
//! HTTP, SQL, runtime, file or clock. See `docs/ARCHITECTURE.md`.

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::workspace::{self, cargo};

/// What core must not reach, by however many steps.
const NOT_IN_CORE: [&str; 8] =
    ["actix-web", "hyper", "reqwest", "rusqlite", "sqlx", "sqlx-core", "tokio", "usher-http"];

/// Checks the manifests and core's whole tree.
pub(super) fn check() -> anyhow::Result<()> {
    let mut problems = breaches(&workspace::metadata()?)?;
    problems.extend(intruders(&core_tree()?));
    if !problems.is_empty() {
        bail!("{}", problems.join("; "));
    }
    Ok(())
}

/// Whether `package` may depend on `other`, both ours.
fn may_depend(package: &str, other: &str) -> bool {
    match package {
        "usher-core" | "usher-http" | "usher-lab" => false,
        "usher-server" => !matches!(other, "usher-lab" | "xtask"),
        "xtask" => other == "usher-lab",
        // A backend, the homeserver client, the store, and whatever comes next to them.
        _ => matches!(other, "usher-core" | "usher-http"),
    }
}

fn breaches(metadata: &Value) -> anyhow::Result<Vec<String>> {
    let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    let names: Vec<&str> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    let mut breaches = Vec::new();
    for package in packages {
        let name = package["name"].as_str().context("a package without a name")?;
        let dependencies = package["dependencies"].as_array().context("a package without dependencies")?;
        // Development dependencies end in no binary.
        let built_in = dependencies.iter().filter(|dependency| dependency["kind"] != "dev");
        for other in built_in.filter_map(|dependency| dependency["name"].as_str()) {
            if names.contains(&other) && !may_depend(name, other) {
                breaches.push(format!("{name} must not depend on {other}"));
            }
        }
    }
    Ok(breaches)
}

/// `name version` of everything that core is built with.
fn core_tree() -> anyhow::Result<String> {
    let tree =
        ["tree", "--package", "usher-core", "--edges", "normal", "--prefix", "none", "--format", "{p}"];
    let output = cargo(&tree).output().context("cargo cannot be run")?;
    if !output.status.success() {
        bail!("cargo tree failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    String::from_utf8(output.stdout).context("cargo tree printed something odd")
}

fn intruders(tree: &str) -> Vec<String> {
    let names = tree.lines().filter_map(|line| line.split_whitespace().next());
    let intruders = names.filter(|name| NOT_IN_CORE.contains(name));
    intruders.map(|name| format!("usher-core must not be built with {name}")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn this_workspace_keeps_the_rule() -> anyhow::Result<()> {
        check()
    }

    #[test]
    fn what_breaks_the_rule_is_named() {
        let package = |name: &str, dependency: &str, kind: Value| {
            let names = [name, dependency].map(str::to_owned);
            let other = json!({ "name": names[1], "dependencies": [] });
            json!({ "packages": [{ "name": names[0], "dependencies": [{ "name": names[1], "kind": kind }] }, other] })
        };
        for (name, from, to, kind, is_good) in [
            ("a backend and core", "usher-cas", "usher-core", Value::Null, true),
            ("a backend and the HTTP policy", "usher-cas", "usher-http", Value::Null, true),
            ("a backend and another", "usher-cas", "usher-oidc", Value::Null, false),
            ("a backend and the store", "usher-oidc", "usher-store", Value::Null, false),
            ("the store and the homeserver", "usher-store", "usher-homeserver", Value::Null, false),
            ("core and anything of ours", "usher-core", "usher-http", Value::Null, false),
            ("the server and a backend", "usher-server", "usher-cas", Value::Null, true),
            ("the server and the lab", "usher-server", "usher-lab", Value::Null, false),
            ("tests may use the lab", "usher-cas", "usher-lab", json!("dev"), true),
            ("build scripts may not", "usher-cas", "usher-lab", json!("build"), false),
        ] {
            let found = breaches(&package(from, to, kind)).expect(name);
            assert_eq!(found.is_empty(), is_good, "{name}: {found:?}");
        }
        assert_eq!(intruders("usher-core v0.1.0\ntokio v1.50.0\nserde v1.0.0").len(), 1);
    }
}
