//! Which paths Synapse itself asks UI auth for, and adds an address at, by its own patterns: every path that one of them
//! matches is asked about by Usher. A Synapse that has other patterns than these stops this test.

use std::process::Command;

use anyhow::{Context as _, ensure};
use reqwest::StatusCode;
use serde_json::{Value, json};
use usher_lab::real::install::Component;

use crate::{at_host::App, components::run, database::Kind, world::World};

/// Prints the patterns of whatever asks for UI auth, and of the older way to add an address, which asks for nothing.
const SCRIPT: &str = r#"
import importlib, inspect, json, pkgutil
import synapse.rest.client as client
found = {}
for entry in pkgutil.iter_modules(client.__path__):
    module = importlib.import_module("synapse.rest.client." + entry.name)
    for name, value in vars(module).items():
        if not inspect.isclass(value) or value.__module__ != module.__name__: continue
        source = inspect.getsource(value)
        if "validate_user_via_ui_auth" in source or name == "ThreepidRestServlet":
            found[name] = [pattern.pattern for pattern in value.PATTERNS]
print(json.dumps(found))
"#;

/// What Synapse has, and with which method it is dangerous.
const KNOWN: [(&str, &str, &[&str]); 8] = [
    ("DELETE", "DeviceRestServlet", &["^/_matrix/client/(r0|v3|unstable)/devices/(?P<device_id>[^/]*)$"]),
    ("POST", "DeleteDevicesRestServlet", &["^/_matrix/client/(r0|v3|unstable)/delete_devices$"]),
    ("POST", "SigningKeyUploadServlet", &["^/_matrix/client/(v3|unstable)/keys/device_signing/upload$"]),
    ("POST", "ThreepidAddRestServlet", &["^/_matrix/client/(r0|v3|unstable)/account/3pid/add$"]),
    ("POST", "ThreepidRestServlet", &["^/_matrix/client/(r0|v3|unstable)/account/3pid$"]),
    ("POST", "DeactivateAccountRestServlet", &["^/_matrix/client/(r0|v3|unstable)/account/deactivate$"]),
    ("POST", "PasswordRestServlet", &["^/_matrix/client/(r0|v3|unstable)/account/password$"]),
    (
        "POST",
        "LoginTokenRequestServlet",
        &[
            "^/_matrix/client/v1/login/get_token$",
            "^/_matrix/client/unstable/org.matrix.msc3882/login/token$",
        ],
    ),
];

/// Paths that a pattern matches: every version, and for every dot several of the letters that it stands for.
fn matching(pattern: &str, device: &str) -> anyhow::Result<Vec<String>> {
    let path = pattern.strip_prefix('^').and_then(|rest| rest.strip_suffix('$')).context("a whole path")?;
    let path = path.replace("(?P<device_id>[^/]*)", device);
    let versions: Vec<String> = match path.split_once('(') {
        None => vec![path],
        Some((before, rest)) => {
            let (versions, after) = rest.split_once(')').context("versions")?;
            versions.split('|').map(|version| format!("{before}{version}{after}")).collect()
        }
    };
    let mut paths = Vec::new();
    for path in versions {
        ensure!(!path.contains(['(', '[', '*', '\\']), "something else than letters and dots: {path}");
        paths.extend([".", "-", "/", "~", "x", ":", "@", "%"].map(|letter| path.replace('.', letter)));
    }
    paths.dedup();
    Ok(paths)
}

#[test]
fn whatever_synapse_asks_about_is_asked_about_by_usher_under_every_name() -> anyhow::Result<()> {
    run(async {
        let world = World::start_at_host(Kind::Sqlite).await?;
        let (host, alice) = (world.host()?, world.person("alice"));
        let phone = App::of(&host, &alice, "Phone").await?;
        let laptop = App::of(&host, &alice, "Laptop").await?;
        let printed = Command::new(Component::Synapse.python()?).args(["-c", SCRIPT]).output()?;
        ensure!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
        let mut found: serde_json::Map<String, Value> = serde_json::from_slice(&printed.stdout)?;
        // Registration has no person yet.
        found.remove("RegisterRestServlet");
        let known: serde_json::Map<String, Value> =
            KNOWN.iter().map(|(_, name, patterns)| ((*name).to_owned(), json!(patterns))).collect();
        assert_eq!(found, known, "this Synapse has other addresses: think about each that is new");

        phone
            .send("POST v3/keys/device_signing/upload", &Value::Object(keys(&phone, 1)))
            .await?
            .expect_ok()?;
        let credentials = json!({ "client_secret": "c", "sid": "1" });
        for (method, name, patterns) in KNOWN {
            let body = match name {
                "DeleteDevicesRestServlet" => json!({ "devices": [laptop.device] }),
                "SigningKeyUploadServlet" => Value::Object(keys(&phone, 2)),
                "ThreepidAddRestServlet" => credentials.clone(),
                "ThreepidRestServlet" => json!({ "three_pid_creds": credentials }),
                _ => json!({}),
            };
            for pattern in patterns {
                for path in matching(pattern, &laptop.device)? {
                    let line = format!("{method} {}", path.trim_start_matches("/_matrix/client/"));
                    let answer = phone.send(&line, &body).await?;
                    let is_refused = name == "PasswordRestServlet" && answer.status == StatusCode::FORBIDDEN;
                    let session = answer.body["session"].as_str().unwrap_or_default();
                    let is_ours = answer.status == StatusCode::UNAUTHORIZED && session.starts_with("ushu_");
                    assert!(is_ours || is_refused, "{line}: {answer:?} {}", answer.body);
                }
            }
        }
        Ok(())
    })
}

fn keys(app: &App, seed: u8) -> serde_json::Map<String, Value> {
    usher_lab::cross_signing::keys(&app.user, seed)
}
