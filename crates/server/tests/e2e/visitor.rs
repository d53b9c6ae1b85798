//! A browser and a client that cost almost nothing, for when there are a thousand of them: one connection, one cookie,
//! and the single sign-on's answer without a page.

use anyhow::{Context as _, ensure};
use serde_json::Value;
use url::Url;

use crate::{
    scripted::Stage,
    wire::{Said, Wire},
};

/// One person's visit, at an Usher that listens at `address`.
pub(crate) struct Visitor<'a> {
    stage: &'a Stage,
    subject: &'a str,
    wire: Wire,
}

/// An attempt whose answer the browser is about to bring.
#[derive(Debug)]
pub(crate) struct AtCallback {
    target: String,
    cookie: String,
}

impl<'a> Visitor<'a> {
    /// `address` is that of the stage's own Usher, or of another replica.
    pub(crate) async fn arrive(stage: &'a Stage, address: &str, subject: &'a str) -> anyhow::Result<Self> {
        Ok(Self { stage, subject, wire: Wire::open(address).await? })
    }

    /// From the client to the single sign-on, and back as far as the callback.
    pub(crate) async fn begin(&mut self) -> anyhow::Result<AtCallback> {
        let path = "/_matrix/client/v3/login/sso/redirect/corp?redirectUrl=http%3A%2F%2Fapp.localhost%3A9%2F";
        let said = self.get(path, "").await?;
        ensure!(said.status == 302, "a redirect: {said:?}");
        let login = Url::parse(said.header("location").context("a redirect leads somewhere")?)?;
        let cookie = said.header("set-cookie").and_then(|cookie| cookie.split(';').next());
        let cookie = cookie.context("an attempt has a cookie")?.to_owned();
        let ticket = self.stage.cas.script().log_in(&login, self.subject);
        let callback = ticket.ok().context("they can sign in")?;
        let target = format!("{}?{}", callback.path(), callback.query().unwrap_or_default());
        Ok(AtCallback { target, cookie })
    }

    /// From the callback to the login token; or the status they were answered instead, and whether the same answer may
    /// be brought again.
    pub(crate) async fn finish(&mut self, at: &AtCallback) -> anyhow::Result<Result<String, u16>> {
        let said = self.get(&at.target, &format!("Cookie: {}\r\n", at.cookie)).await?;
        if said.status != 302 {
            return Ok(Err(said.status));
        }
        let client = Url::parse(said.header("location").context("a redirect leads somewhere")?)?;
        let token = client.query_pairs().find(|(name, _)| name == "loginToken");
        Ok(Ok(token.context("the client gets a token")?.1.into_owned()))
    }

    /// Trades a token for a session; or the status they were answered instead.
    pub(crate) async fn redeem(&mut self, login_token: &str) -> anyhow::Result<Result<Value, u16>> {
        let body = format!(r#"{{"type":"m.login.token","token":"{login_token}"}}"#);
        let head = "POST /_matrix/client/v3/login HTTP/1.1";
        let (host, length) = (self.stage.authority(), body.len());
        let request = format!("{head}\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n{body}");
        self.wire.say(request.as_bytes()).await?;
        let said = self.wire.answer().await?;
        if said.status != 200 {
            return Ok(Err(said.status));
        }
        Ok(Ok(serde_json::from_str(&said.body())?))
    }

    async fn get(&mut self, target: &str, headers: &str) -> anyhow::Result<Said> {
        let host = self.stage.authority();
        let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n");
        self.wire.say(request.as_bytes()).await?;
        self.wire.answer().await
    }
}
