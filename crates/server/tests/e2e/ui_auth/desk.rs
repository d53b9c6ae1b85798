//! Somebody at a real browser, with a Matrix client that is a web page in one tab, and the windows that it opens.

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use usher_lab::{
    real::chromium::Tab,
    scripted::{Reply, ScriptedServer},
};

use crate::{at_host::App, browser::visitor::Visitor, components::eventually, world::World};

const PAGE: &str = include_str!("app.html");

/// The browser, its client, and where the client's page comes from.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) visitor: Visitor,
    client: Tab,
    origin: String,
    _site: ScriptedServer,
}

impl Desk {
    /// The client is signed in as `app`, and has asked for each of `requests`: methods and paths below
    /// `/_matrix/client/`.
    pub(super) async fn with(world: &World, app: &App, requests: &[String]) -> anyhow::Result<Self> {
        let requests: Vec<_> = requests
            .iter()
            .filter_map(|line| line.split_once(' '))
            .map(|(method, path)| json!({ "method": method, "path": path, "body": {} }))
            .collect();
        let base = app.client.base();
        let config = json!({ "base": base, "token": app.access_token(), "requests": requests });
        let page = PAGE.replace("CONFIG", &config.to_string());
        let site = ScriptedServer::start(move |_| {
            std::future::ready(Reply::new(200, "text/html; charset=utf-8", page.clone()))
        })
        .await?;
        let visitor = Visitor::at_both(&world.config.public_base_url(), base).await?;
        visitor.window.open(&format!("http://client.localhost:{}/", site.address().port())).await?;
        let client = visitor.window.tab().await?;
        let origin = base.origin().ascii_serialization();
        let desk = Self { visitor, client, origin, _site: site };
        for number in 1..=requests.len() {
            desk.is_told(number, "401").await.context("the homeserver asks")?;
        }
        desk.visitor.window.complaints().await?;
        Ok(desk)
    }

    /// Presses the client's button, and comes to the window that it opens; the first request is number 1.
    pub(super) async fn opens_window(&self, number: usize) -> anyhow::Result<Tab> {
        self.visitor.window.bring_to_front(&self.client).await?;
        self.visitor.opens_window(&format!("section:nth-of-type({number}) button")).await
    }

    /// Goes back to the client and presses "Continue".
    pub(super) async fn continues(&self, number: usize) -> anyhow::Result<()> {
        self.visitor.window.bring_to_front(&self.client).await?;
        self.visitor.window.click(&format!("section:nth-of-type({number}) button + button")).await
    }

    /// Goes back to the client, which was answered this at last. The browser complains of whatever is not 200.
    pub(super) async fn is_told(&self, number: usize, answer: &str) -> anyhow::Result<()> {
        let window = &self.visitor.window;
        window.bring_to_front(&self.client).await?;
        eventually(&format!("the client is answered {answer}"), async || {
            let said = window.text(&format!("section:nth-of-type({number}) output")).await;
            Ok((said.unwrap_or_default() == answer).then_some(()))
        })
        .await
    }

    /// The client has had this many messages, each from the window it opened, and from the homeserver's own host.
    pub(super) async fn has_heard(&self, times: usize) -> anyhow::Result<()> {
        let window = &self.visitor.window;
        window.bring_to_front(&self.client).await?;
        let heard = window.run("return window.heard").await?;
        let message = json!({ "data": "authDone", "isOwnWindow": true, "origin": self.origin });
        ensure!(heard == Value::Array(vec![message; times]), "the client has heard {heard}");
        Ok(())
    }
}
