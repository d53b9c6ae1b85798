//! Somebody at a real browser whose Matrix client is a page with the real matrix-js-sdk, and what lies between that and
//! their homeserver.

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use url::Url;
use usher_lab::{
    real::{chromium::Tab, reverse_proxy::ReverseProxy},
    scripted::{Reply, ScriptedServer},
};

use crate::{
    at_host::App,
    browser::visitor::Visitor,
    components::{eventually, matrix_js_sdk},
    proxies::{Kind, world_behind},
    world::World,
};

const PAGE: &str = include_str!("client.html");

/// Usher, Synapse and the CAS server behind nginx; a browser, and its client's page.
pub(super) struct Desk {
    pub(super) world: World,
    pub(super) visitor: Visitor,
    client: Tab,
    site: String,
    _proxy: ReverseProxy,
    _site: ScriptedServer,
}

impl Desk {
    /// The client shows whom one can sign in with at the homeserver's own host.
    pub(super) async fn set() -> anyhow::Result<Self> {
        let sdk = matrix_js_sdk().await?;
        let server = ScriptedServer::start(move |request| {
            let page = || Reply::new(200, "text/html; charset=utf-8", PAGE);
            std::future::ready(sdk.reply(&request.path).unwrap_or_else(page))
        })
        .await?;
        let site = format!("http://client.localhost:{}/", server.address().port());
        let (world, proxy) =
            world_behind(Kind::Nginx, |config| config.trusted_clients.push(site.clone())).await?;
        let host = world.config.host_url();
        let visitor = Visitor::at_both(&world.config.public_base_url(), &host).await?;
        visitor.window.open(Url::parse_with_params(&site, [("homeserver", &host)])?.as_str()).await?;
        let client = visitor.window.tab().await?;
        let desk = Self { world, visitor, client, site, _proxy: proxy, _site: server };
        desk.shows("signed out").await?;
        Ok(desk)
    }

    /// Alice signs in, and her client is `App` then.
    pub(super) async fn signs_in(&self) -> anyhow::Result<App> {
        self.presses("corp").await?;
        self.visitor.sign_in_at_cas(self.world.components().cas.person("alice")).await?;
        self.shows(&format!("signed in as {}", self.world.eng("alice"))).await?;
        let session = self.visitor.window.run("return app.session()").await?;
        let field = |name: &str| session[name].as_str().with_context(|| format!("the client has no {name}"));
        ensure!(
            Url::parse(field("base_url")?)? == self.world.config.host_url(),
            "it is elsewhere: {session}"
        );
        Ok(App {
            client: self.world.host()?.signed_in(field("access_token")?),
            user: field("user_id")?.to_owned(),
            device: field("device_id")?.to_owned(),
        })
    }

    /// Presses one of the client's buttons.
    pub(super) async fn presses(&self, id: &str) -> anyhow::Result<()> {
        self.visitor.window.bring_to_front(&self.client).await?;
        self.visitor.window.click(&format!("#{id}")).await
    }

    /// Goes to the client, which says this at last.
    pub(super) async fn shows(&self, state: &str) -> anyhow::Result<()> {
        let window = &self.visitor.window;
        window.bring_to_front(&self.client).await?;
        let mut said = String::new();
        let seen = eventually(state, async || {
            said = window.text("output").await.unwrap_or_default();
            Ok((said == state).then_some(()))
        });
        seen.await.with_context(|| format!("the client says {said:?}"))
    }

    /// The client asks its person for the first, second, … time, and they have it open its popup.
    pub(super) async fn opens_popup(&self, times: u32) -> anyhow::Result<()> {
        self.shows(&format!("asked {times}: m.login.sso")).await?;
        self.visitor.opens_window("#confirm").await?;
        Ok(())
    }

    /// Its person confirms in the popup, at the portal, and signs in again; it ends at the homeserver's own host.
    pub(super) async fn confirms(&self, heading: &str) -> anyhow::Result<()> {
        let visitor = &self.visitor;
        visitor.sees(heading).await?;
        self.is_at(&self.world.config.public_base_url()).await?;
        visitor.window.click("button.act").await?;
        // They are signed in there, and are asked all the same.
        visitor.sign_in_at_cas(self.world.components().cas.person("alice")).await?;
        visitor.sees("Thank you").await?;
        self.is_at(&self.world.config.host_url()).await
    }

    async fn is_at(&self, place: &Url) -> anyhow::Result<()> {
        let url = self.visitor.window.url().await?;
        ensure!(url.origin() == place.origin(), "the popup is at {url}");
        Ok(())
    }

    /// The client has had this many messages, each from its own popup, which was at the homeserver's host.
    pub(super) async fn has_heard(&self, times: usize) -> anyhow::Result<()> {
        self.visitor.window.bring_to_front(&self.client).await?;
        let heard = self.visitor.window.run("return app.heard").await?;
        let origin = self.world.config.host_url().origin().ascii_serialization();
        let message = json!({ "data": "authDone", "origin": origin, "isOwnPopup": true });
        ensure!(heard == Value::Array(vec![message; times]), "the client has heard {heard}");
        Ok(())
    }

    /// The client's address.
    pub(super) fn site(&self) -> &str {
        &self.site
    }
}
