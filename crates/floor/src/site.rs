//! What the floor knows: addresses, one key, and its connections.

use std::collections::BTreeMap;

use anyhow::Context as _;
use serde_json::Value;

use crate::{calls::Calls, seal::Seal, statements::Pools};

pub(crate) struct Site {
    /// `ADDRESS:PORT`.
    pub(crate) listen: String,
    /// `http://ADDRESS:PORT`.
    pub(crate) portal: String,
    /// Where people sign in.
    pub(crate) cas: String,
    pub(crate) homeservers: BTreeMap<String, Homeserver>,
    pub(crate) seal: Seal,
    pub(crate) calls: Calls,
    pub(crate) pools: Pools,
}

pub(crate) struct Homeserver {
    /// Where clients find it.
    pub(crate) base_url: String,
    /// Where it is called.
    pub(crate) login_url: String,
    pub(crate) as_token: String,
}

impl Site {
    pub(crate) async fn new(config: &Value) -> anyhow::Result<Self> {
        let homeservers = config.pointer("/homeservers").and_then(Value::as_array);
        let homeservers = homeservers.context("there are no homeservers")?.iter().map(homeserver);
        Ok(Self {
            listen: text(config, "/listen/0")?,
            portal: text(config, "/public_base_url")?,
            cas: text(config, "/providers/0/cas/base_url")?,
            homeservers: homeservers.collect::<anyhow::Result<_>>()?,
            seal: Seal::new(&text(config, "/keys/0/secret")?)?,
            calls: Calls::new()?,
            pools: Pools::open(&text(config, "/database/url")?).await?,
        })
    }
}

fn homeserver(config: &Value) -> anyhow::Result<(String, Homeserver)> {
    let upstream_url = text(config, "/upstream_url")?;
    let homeserver = Homeserver {
        base_url: text(config, "/base_url")?,
        login_url: format!("{}/_matrix/client/v3/login", upstream_url.trim_end_matches('/')),
        as_token: text(config, "/handoff/application_service/as_token")?,
    };
    Ok((text(config, "/server_name")?, homeserver))
}

fn text(config: &Value, pointer: &str) -> anyhow::Result<String> {
    let text = config.pointer(pointer).and_then(Value::as_str);
    Ok(text.with_context(|| format!("the config has no {pointer}"))?.to_owned())
}
