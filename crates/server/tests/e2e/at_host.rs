//! At a homeserver's own host, where Usher answers: what apps ask there, and how their people confirm it in a browser.

use anyhow::{Context as _, ensure};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use url::Url;
use usher_lab::browser::Page;

use crate::{
    client::{Answer, Client},
    config::Portal,
    database::Kind,
    person::Person,
    world::World,
};

/// Where the people of the first homeserver find it.
pub(crate) const HOST: &str = "matrix.eng.localhost";
/// Of people who have one.
pub(crate) const PASSWORD: &str = "a password that is long";

impl Portal {
    /// Usher stands before its first homeserver.
    pub(crate) fn stand_at_host(&mut self) {
        let base_url = self.host_url().as_str().trim_end_matches('/').to_owned();
        self.homeservers[0]["hosts"] = json!([HOST]);
        self.homeservers[0]["base_url"] = json!(base_url);
    }

    /// That host, at the portal's port.
    pub(crate) fn host_url(&self) -> Url {
        let mut url = self.public_base_url();
        url.set_host(Some(HOST)).expect("it is a host");
        url
    }
}

impl World {
    /// With Usher before `eng.localhost`.
    pub(crate) async fn start_at_host(kind: Kind) -> anyhow::Result<Self> {
        Self::start_with(kind, Portal::stand_at_host).await
    }

    /// A client that knows `eng.localhost` alone.
    pub(crate) fn host(&self) -> anyhow::Result<Client> {
        Client::at(&self.config.host_url())
    }
}

/// An app that is signed in at a homeserver's host.
#[derive(Clone, Debug)]
pub(crate) struct App {
    pub(crate) client: Client,
    pub(crate) user: String,
    pub(crate) device: String,
}

impl App {
    /// `host` is a client of the homeserver's host, `session` the answer to a login.
    pub(crate) fn new(host: &Client, session: &Answer) -> anyhow::Result<Self> {
        Ok(Self {
            client: host.signed_in(session.field("access_token")?),
            user: session.field("user_id")?.to_owned(),
            device: session.field("device_id")?.to_owned(),
        })
    }

    /// One that `person` signs in to, called `name`.
    pub(crate) async fn of(host: &Client, person: &Person, name: &str) -> anyhow::Result<Self> {
        let token = person.sign_in().await?.login_token()?;
        let named = json!({ "initial_device_display_name": name });
        Self::new(host, &host.redeem_with(&token, named).await?.expect_ok()?)
    }

    pub(crate) fn access_token(&self) -> &str {
        self.client.access_token()
    }

    /// `line` is a method and a path below `/_matrix/client/`.
    pub(crate) async fn send(&self, line: &str, body: &Value) -> anyhow::Result<Answer> {
        let (method, path) = line.split_once(' ').context("a method and a path")?;
        let method = Method::from_bytes(method.as_bytes())?;
        self.client.call(method, &format!("_matrix/client/{path}"), Some(body)).await
    }

    /// The same, and its person is to sign in again: the session.
    pub(crate) async fn is_asked(&self, line: &str, body: &Value) -> anyhow::Result<String> {
        session_of(&self.send(line, body).await?).with_context(|| line.to_owned())
    }

    /// The same, and `person` does, with whatever app: what comes of it.
    pub(crate) async fn confirmed_by(
        &self,
        person: &Person,
        line: &str,
        body: &Value,
    ) -> anyhow::Result<Answer> {
        let session = self.is_asked(line, body).await?;
        is_complete(&person.confirm(&self.fallback(&session)).await?)?;
        self.send(line, &auth(&session)).await
    }

    /// Where the app opens a browser.
    pub(crate) fn fallback(&self, session: &str) -> String {
        format!("{}_matrix/client/v3/auth/m.login.sso/fallback/web?session={session}", self.client.base())
    }
}

impl Person {
    /// From the page where an app opened the browser to the end: a click, and they sign in again.
    pub(crate) async fn confirm(&self, fallback: &str) -> anyhow::Result<Page> {
        let at_provider = self.click(fallback).await?;
        Ok(self.go_on(at_provider).await?.into_page())
    }

    /// As far as the single sign-on's page; to the end if no page is shown.
    pub(crate) async fn click(&self, fallback: &str) -> anyhow::Result<Page> {
        let page = self.browser().open(fallback).await?;
        self.click_at(&page).await
    }

    /// The same from the portal's page.
    pub(crate) async fn click_at(&self, page: &Page) -> anyhow::Result<Page> {
        let clicked = page.form_with("provider")?.submit(self.browser()).await?;
        if clicked.form_with("SAMLRequest").is_ok() {
            return self.carry_request(clicked).await;
        }
        // By itself in a browser that knows how; and it is a link.
        let onward = clicked.links().into_iter().find(|(label, _)| label == "Continue");
        let (_, url) = onward.with_context(|| format!("the way on: {}", clicked.text()))?;
        self.browser().follow(&clicked, url).await
    }
}

/// The answer to a request whose person is to sign in again: one flow of one stage, and a session.
pub(crate) fn session_of(answer: &Answer) -> anyhow::Result<String> {
    let Answer { status, body, .. } = answer;
    ensure!(*status == StatusCode::UNAUTHORIZED, "{answer:?}");
    ensure!(body["flows"] == json!([{ "stages": ["m.login.sso"] }]), "{body}");
    ensure!(body["params"] == json!({}) && body.get("errcode").is_none(), "{body}");
    Ok(answer.field("session")?.to_owned())
}

/// The answer to a repetition after somebody has tried to sign in: the same, and what happened.
pub(crate) fn failure_of(answer: &Answer) -> anyhow::Result<&str> {
    let Answer { status, body, .. } = answer;
    ensure!(*status == StatusCode::UNAUTHORIZED && answer.errcode() == "M_FORBIDDEN", "{answer:?}");
    ensure!(body["flows"] == json!([{ "stages": ["m.login.sso"] }]), "{body}");
    answer.field("session")?;
    answer.field("error")
}

/// The browser is at the page that tells the app, at the homeserver's own host.
pub(crate) fn is_complete(page: &Page) -> anyhow::Result<()> {
    let text = page.text();
    ensure!(page.status() == StatusCode::OK && text.contains("You have confirmed it"), "{text}");
    ensure!(page.url().host_str() == Some(HOST), "{}", page.url());
    Ok(())
}

/// The body of a repetition.
pub(crate) fn auth(session: &str) -> Value {
    json!({ "auth": { "session": session } })
}

/// The body of a login with [`PASSWORD`], and its `auth`.
pub(crate) fn password_login(localpart: &str) -> Value {
    json!({
        "type": "m.login.password",
        "identifier": { "type": "m.id.user", "user": localpart },
        "password": PASSWORD,
    })
}
