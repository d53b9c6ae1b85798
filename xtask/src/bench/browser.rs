//! One virtual browser and the Matrix client in it. Every answer is checked: a login that went wrong in any way is
//! an error.

use std::sync::Arc;

use anyhow::{Context as _, ensure};
use hyper::{
    Method, StatusCode,
    header::{CONTENT_TYPE, COOKIE},
};
use serde::Deserialize;

use super::{
    connection::{Answer, Connection, Sent},
    site::{CLIENT, ENCODED_CLIENT, Person, Site},
    sso::Back,
};

const LOGIN: &str = "/_matrix/client/v3/login";

/// It keeps its connections from login to login, and no cookies: each login is a new browser's.
#[derive(Debug)]
pub(super) struct Browser {
    pub(super) site: Arc<Site>,
    /// The portal's.
    pub(super) origin: String,
    /// To Usher, for its portal and for what it is at the homeservers' hosts.
    pub(super) portal: Connection,
    /// To what people sign in at, if it is a server.
    sso: Option<Connection>,
}

/// An attempt that has begun.
#[derive(Debug)]
pub(super) struct Begun {
    /// Path and query of the single sign-on's page for it.
    pub(super) sso_path: String,
    /// `NAME=VALUE`.
    pub(super) cookie: String,
}

#[derive(Deserialize)]
struct Flows<'a> {
    #[serde(borrow)]
    flows: Vec<Flow<'a>>,
}

#[derive(Deserialize)]
struct Flow<'a> {
    r#type: &'a str,
}

#[derive(Deserialize)]
struct Session<'a> {
    user_id: &'a str,
    access_token: &'a str,
    device_id: &'a str,
    #[serde(borrow)]
    well_known: WellKnown<'a>,
}

#[derive(Deserialize)]
struct WellKnown<'a> {
    #[serde(borrow, rename = "m.homeserver")]
    homeserver: Place<'a>,
}

#[derive(Deserialize)]
struct Place<'a> {
    base_url: &'a str,
}

impl Browser {
    /// One that signs in at the portal at `origin`.
    pub(super) async fn open(site: &Arc<Site>, origin: &str) -> anyhow::Result<Self> {
        let portal = Connection::open(origin).await.context("no connection to usher")?;
        let sso = if site.sso().is_server() {
            let sso = Connection::open(site.sso_origin()).await;
            Some(sso.context("no connection to the single sign-on")?)
        } else {
            None
        };
        Ok(Self { site: Arc::clone(site), origin: origin.to_owned(), portal, sso })
    }

    /// Asks how one can log in.
    pub(super) async fn ask_for_flows(&mut self) -> anyhow::Result<()> {
        let answer = self.portal.get(LOGIN, None).await?;
        let flows: Flows<'_> = serde_json::from_slice(answer.expect(StatusCode::OK)?)?;
        let types: Vec<_> = flows.flows.iter().map(|flow| flow.r#type).collect();
        ensure!(types == ["m.login.sso", "m.login.token"], "the flows are {types:?}");
        Ok(())
    }

    /// Is sent to the single sign-on, and never comes back.
    pub(super) async fn abandon(&mut self) -> anyhow::Result<()> {
        self.begin().await.map(drop)
    }

    /// The whole way.
    pub(super) async fn sign_in(&mut self, person: &Person) -> anyhow::Result<()> {
        let begun = self.begin().await.context("redirect")?;
        let callback = self.authenticate(&begun, person).await.context("single sign-on")?;
        let token = self.come_back(callback, &begun.cookie).await.context("callback")?;
        self.redeem(&token, person).await.context("POST /login")
    }

    pub(super) async fn begin(&mut self) -> anyhow::Result<Begun> {
        let path = format!("{LOGIN}/sso/redirect/corp?redirectUrl={ENCODED_CLIENT}");
        let answer = self.portal.get(&path, None).await?;
        let sso_path = answer.redirect_within(self.site.sso_origin())?.to_owned();
        Ok(Begun { sso_path, cookie: answer.cookie()? })
    }

    /// How it comes back to the portal.
    pub(super) async fn authenticate(&mut self, begun: &Begun, person: &Person) -> anyhow::Result<Back> {
        let Some(sso) = &mut self.sso else {
            return self.site.sso().answer(&begun.sso_path, &person.user, &self.origin);
        };
        let answer = sso.get(&begun.sso_path, Some((COOKIE, &person.sso_cookie))).await?;
        Ok(Back { path: answer.redirect_within(&self.origin)?.to_owned(), form: None })
    }

    /// Comes back with an attempt's cookie, if it has one.
    pub(super) async fn bring(&mut self, back: Back, cookie: Option<&str>) -> anyhow::Result<Answer> {
        let Back { path, form } = back;
        let mut headers: Vec<_> = cookie.map(|cookie| (COOKIE, cookie)).into_iter().collect();
        let Some(form) = form else {
            return self.portal.send(Sent { path: &path, headers: &headers, ..Sent::default() }).await;
        };
        headers.push((CONTENT_TYPE, "application/x-www-form-urlencoded"));
        let (method, body) = (Method::POST, form.into());
        self.portal.send(Sent { method, path: &path, headers: &headers, body, host: None }).await
    }

    /// The login token.
    async fn come_back(&mut self, callback: Back, cookie: &str) -> anyhow::Result<String> {
        let answer = self.bring(callback, Some(cookie)).await?;
        let query = answer.redirect_within(CLIENT)?;
        answer.takes_back(cookie)?;
        Ok(query.strip_prefix("?loginToken=").context("there is no login token")?.to_owned())
    }

    async fn redeem(&mut self, token: &str, person: &Person) -> anyhow::Result<()> {
        let body = format!(
            r#"{{"type":"m.login.token","token":"{token}","initial_device_display_name":"Virtual browser"}}"#
        );
        let answer = self.portal.post(LOGIN, body).await?;
        let session: Session<'_> = serde_json::from_slice(answer.expect(StatusCode::OK)?)?;
        ensure!(session.user_id == person.mxid, "{} was logged in instead", session.user_id);
        ensure!(
            !session.access_token.is_empty() && !session.device_id.is_empty(),
            "the session is no session"
        );
        let base_url = session.well_known.homeserver.base_url;
        ensure!(base_url == person.base_url, "{base_url} is not the person's homeserver");
        Ok(())
    }
}
