//! Usher's config, as the tests write it.

use std::path::Path;

use anyhow::ensure;
use serde_json::{Value, json};
use usher_lab::usher::Usher;

use crate::world::BINARY;

/// Nobody listens there: the browser hands addresses below it over, as to an app.
pub(crate) const APP: &str = "http://app.localhost:9/";

/// What Usher and one homeserver know of each other.
#[derive(Clone)]
pub(crate) struct Tokens {
    /// What Usher shows the homeserver.
    pub(crate) as_token: String,
    /// The other direction.
    pub(crate) hs_token: String,
}

/// Everything that differs from test to test.
#[derive(Clone, Debug)]
pub(crate) struct Portal {
    /// `public_base_url`
    pub(crate) public_base_url: String,
    /// `listen[0]`
    pub(crate) listen: String,
    /// `trusted_proxies`
    pub(crate) trusted_proxies: Vec<String>,
    /// `database.url`
    pub(crate) database_url: String,
    /// `database.sweep_interval`
    pub(crate) sweep_interval: String,
    /// `providers[0]`, if it is not the CAS server.
    pub(crate) provider: Option<Value>,
    /// `providers[0].cas.base_url`
    pub(crate) cas_base_url: String,
    /// `providers[0].cas.timeout`
    pub(crate) cas_timeout: String,
    /// The entries of `homeservers`; the departments `engineering` and `history` belong to the first and the second.
    pub(crate) homeservers: Vec<Value>,
    /// `selection`, if not by department
    pub(crate) selection: Option<Value>,
    /// `mapping.localpart`
    pub(crate) localpart: String,
    /// `providers` after the first.
    pub(crate) more_providers: Vec<Value>,
    /// `login.trusted_clients`
    pub(crate) trusted_clients: Vec<String>,
    /// `pages`
    pub(crate) pages: Value,
    /// `log.filter`
    pub(crate) log_filter: String,
}

impl Tokens {
    /// Two secrets, made by the real command.
    pub(crate) fn generate() -> anyhow::Result<Self> {
        Ok(Self { as_token: secret()?, hs_token: secret()? })
    }
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens").finish_non_exhaustive()
    }
}

/// What `usher secret` prints.
fn secret() -> anyhow::Result<String> {
    let printed = Usher::run(Path::new(BINARY), Path::new("/"), &["secret"])?;
    ensure!(printed.status.success(), "usher secret: {}", String::from_utf8_lossy(&printed.stderr));
    Ok(String::from_utf8(printed.stdout)?.trim().to_owned())
}

/// One entry of `homeservers`.
pub(crate) fn homeserver(server_name: &str, base_url: &str, upstream_url: &str, tokens: &Tokens) -> Value {
    json!({
        "server_name": server_name,
        "base_url": base_url,
        "upstream_url": upstream_url,
        "handoff": {
            "application_service": { "as_token": tokens.as_token, "hs_token": tokens.hs_token },
        },
        "new_account": { "display_name": "{{ attributes.displayName }}" },
    })
}

impl Default for Portal {
    /// Whatever a command needs that starts nothing.
    fn default() -> Self {
        Self {
            public_base_url: "http://portal.localhost:8/".to_owned(),
            listen: "127.0.0.1:8".to_owned(),
            trusted_proxies: Vec::new(),
            database_url: "sqlite:usher.db".to_owned(),
            sweep_interval: "1m".to_owned(),
            provider: None,
            cas_base_url: "http://127.0.0.1:9/cas".to_owned(),
            cas_timeout: "10s".to_owned(),
            homeservers: Vec::new(),
            selection: None,
            localpart: "{{ subject }}".to_owned(),
            more_providers: Vec::new(),
            trusted_clients: vec![APP.to_owned()],
            pages: json!({}),
            log_filter: "info".to_owned(),
        }
    }
}

impl Portal {
    /// People of physics share a homeserver with those of history.
    pub(crate) fn share_a_homeserver(&mut self) {
        let name = |index: usize| self.homeservers[index]["server_name"].clone();
        self.selection = Some(json!([{ "attribute": { "name": "department", "rows": [
            { "value": "engineering", "homeserver": name(0) },
            { "value": "history", "homeserver": name(1) },
            { "value": "physics", "homeserver": name(1) },
        ] } }]));
    }

    /// The file's content (JSON is YAML).
    pub(crate) fn to_yaml(&self) -> Value {
        let rows = ["engineering", "history"].iter().zip(&self.homeservers).map(|(department, homeserver)| {
            json!({ "value": department, "homeserver": homeserver["server_name"] })
        });
        let by_department = || {
            json!([
                { "sticky": {} },
                { "attribute": { "name": "department", "rows": rows.collect::<Vec<_>>() } },
            ])
        };
        let cas = json!({
            "id": "corp",
            "name": "Canadialand",
            // Everything here goes by one clock, so leases need not outlast a difference.
            "skew": "0s",
            "cas": { "base_url": self.cas_base_url, "timeout": self.cas_timeout },
        });
        let first = self.provider.clone().unwrap_or(cas);
        let providers: Vec<_> = std::iter::once(&first).chain(&self.more_providers).collect();
        json!({
            "public_base_url": self.public_base_url,
            "listen": [self.listen],
            "trusted_proxies": self.trusted_proxies,
            "database": { "url": self.database_url, "sweep_interval": self.sweep_interval },
            "keys": [{ "id": "first", "secret": "0123456789abcdef".repeat(4) }],
            "providers": providers,
            "homeservers": self.homeservers,
            "selection": self.selection.clone().unwrap_or_else(by_department),
            "mapping": { "localpart": self.localpart },
            "login": { "trusted_clients": self.trusted_clients },
            // Everybody is at one address, and Alice signs in all the time.
            "limits": { "redirect": "off", "callback": "off", "click": "off", "login": "off", "account": "off" },
            "pages": self.pages,
            "log": { "filter": self.log_filter },
        })
    }
}
