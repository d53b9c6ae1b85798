//! `usher registration SERVER_NAME`: the homeserver's side of the application service.
//! <https://spec.matrix.org/v1.19/application-service-api/#registration>

use std::{
    fs::{OpenOptions, Permissions},
    io::Write as _,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use anyhow::{Context as _, bail};
use ruma_common::ServerName;
use secrecy::ExposeSecret as _;
use serde::Serialize;

use super::{print, start::ConfigFile};
use crate::config::{ApplicationServiceConfig, HandoffConfig};

#[derive(Serialize)]
struct Registration<'a> {
    id: &'a str,
    /// Usher asks; it is never sent events.
    url: Option<&'a str>,
    as_token: &'a str,
    hs_token: &'a str,
    sender_localpart: &'a str,
    /// A homeserver's limits count logins by address, and all of Usher's come from one.
    rate_limited: bool,
    namespaces: Namespaces,
}

#[derive(Serialize)]
struct Namespaces {
    users: [Namespace; 1],
}

#[derive(Serialize)]
struct Namespace {
    regex: String,
    /// People who had an account before Usher, and bridges, keep theirs.
    exclusive: bool,
}

pub(super) async fn run(
    file: &ConfigFile,
    server_name: &ServerName,
    output: Option<&Path>,
) -> anyhow::Result<()> {
    let config = file.check().await?.config;
    let Some(homeserver) = config.homeserver(server_name) else {
        let known: Vec<_> =
            config.homeservers.iter().map(|homeserver| homeserver.server_name.as_str()).collect();
        bail!("{server_name} is not one of `homeservers`; there are: {}", known.join(", "));
    };
    let HandoffConfig::ApplicationService(service) = &homeserver.handoff;
    let yaml = yaml(server_name, service)?;
    let Some(path) = output else {
        return print(&yaml);
    };
    let cannot = || format!("{} cannot be written", path.display());
    // Whoever reads it can be anybody on that homeserver.
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .with_context(cannot)?;
    // A file that was there keeps the mode it had.
    file.set_permissions(Permissions::from_mode(0o600)).with_context(cannot)?;
    file.write_all(yaml.as_bytes()).with_context(cannot)?;
    eprintln!("wrote {}; add it to the homeserver's app_service_config_files and restart it", path.display());
    Ok(())
}

fn yaml(server_name: &ServerName, service: &ApplicationServiceConfig) -> anyhow::Result<String> {
    let registration = Registration {
        id: &service.id,
        url: None,
        as_token: service.as_token.expose_secret(),
        hs_token: service.hs_token.expose_secret(),
        sender_localpart: &service.sender_localpart,
        rate_limited: false,
        namespaces: Namespaces {
            users: [Namespace {
                regex: format!("@.*:{}", regex::escape(server_name.as_str())),
                exclusive: false,
            }],
        },
    };
    Ok(serde_yaml_ng::to_string(&registration)?)
}

#[cfg(test)]
mod tests {
    use ruma_common::server_name;
    use secrecy::SecretString;

    use super::*;

    #[test]
    fn the_registration_is_unlimited_and_leaves_others_their_names() {
        let service = ApplicationServiceConfig {
            id: "usher".to_owned(),
            sender_localpart: "usher".to_owned(),
            as_token: SecretString::from("as"),
            hs_token: SecretString::from("hs"),
        };
        insta::assert_snapshot!(yaml(server_name!("eng.ac.cdl"), &service).expect("YAML"), @r"
        id: usher
        url: null
        as_token: as
        hs_token: hs
        sender_localpart: usher
        rate_limited: false
        namespaces:
          users:
          - regex: '@.*:eng\.ac\.cdl'
            exclusive: false
        ");
    }
}
