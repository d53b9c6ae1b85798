//! Everything real: a proxy with what is printed for it, Usher, Synapse and the CAS server.

use std::{net::SocketAddr, time::Duration};

use anyhow::Context as _;
use reqwest::{Method, StatusCode};
use serde_json::json;
use url::form_urlencoded;
use usher_lab::{
    browser::loopback_client,
    real::{free_port, reverse_proxy::ReverseProxy},
};

use super::{Kind, PORTAL};
use crate::{
    client::Client,
    config::{APP, Portal},
    database,
    world::World,
};

/// A portal, and one homeserver's own host, at one proxy with what is printed for it.
pub(crate) async fn world_behind(
    kind: Kind,
    edit: impl FnOnce(&mut Portal),
) -> anyhow::Result<(World, ReverseProxy)> {
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
    let world = World::start_with(database::Kind::Sqlite, |config| {
        config.public_base_url = format!("http://{PORTAL}:{}/", address.port());
        config.trusted_proxies = vec!["127.0.0.1".to_owned()];
        config.stand_at_host();
        edit(config);
    })
    .await?;
    let proxy = kind.start(&world.config, address).await?;
    Ok((world, proxy))
}

/// Alice begins at her homeserver's own address, and all she and her app ever talk to is the proxy.
pub(super) async fn people_sign_in_at_their_homeservers_host(kind: Kind) -> anyhow::Result<()> {
    let (world, _proxy) = world_behind(kind, |_| {}).await?;
    let host = world.config.host_url();
    let client = Client::at(&host)?;
    let flows = client.call(Method::GET, "_matrix/client/v3/login", None).await?;
    let kinds: Vec<_> =
        flows.body["flows"].as_array().into_iter().flatten().map(|flow| &flow["type"]).collect();
    for flow in ["m.login.sso", "m.login.password"] {
        assert!(kinds.contains(&&json!(flow)), "{flow}: {kinds:?}");
    }

    let app: String = form_urlencoded::byte_serialize(APP.as_bytes()).collect();
    let begin = host.join(&format!("_matrix/client/v3/login/sso/redirect/corp?redirectUrl={app}"))?;
    let alice = world.person("alice");
    let token = alice.go_on(alice.browser().open(begin).await?).await?.login_token()?;
    let session = client.redeem(&token).await?.expect_ok()?;
    assert_eq!(session.field("user_id")?, world.eng("alice"));

    // Her homeserver answers past Usher ...
    let whoami = host.join("_matrix/client/v3/account/whoami")?;
    let http = loopback_client(Duration::from_mins(1))?;
    let access_token = session.field("access_token")?;
    let who = http.get(whoami).bearer_auth(access_token).send().await?;
    let who: serde_json::Value = serde_json::from_str(&who.text().await?).context("JSON")?;
    assert_eq!(who["user_id"], world.eng("alice"));
    // ... and through it.
    let devices = http.get(host.join("_matrix/client/v3/devices")?).bearer_auth(access_token).send().await?;
    assert_eq!(devices.status(), StatusCode::OK);
    assert!(devices.text().await?.contains(session.field("device_id")?));
    // Signing the device out is asked about by Usher, however it is spelled.
    let device = session.field("device_id")?;
    for path in [format!("devices/{device}"), format!("%64evices/{device}"), format!("/devices/{device}/")] {
        let path = format!("_matrix/client/v3/{path}");
        let asked = http.delete(host.join(&path)?).bearer_auth(access_token).body("{}").send().await?;
        assert_eq!(asked.status(), StatusCode::UNAUTHORIZED, "{path}");
        let asked: serde_json::Value = serde_json::from_str(&asked.text().await?).context("JSON")?;
        assert_eq!(asked["flows"], json!([{ "stages": ["m.login.sso"] }]), "{path}");
        assert!(asked["session"].as_str().is_some_and(|session| session.starts_with("ushu_")), "{path}");
    }
    Ok(())
}
