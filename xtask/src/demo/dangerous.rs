//! A dangerous request as a client makes it at its homeserver's host (MSC2454), and the pages that its person is asked on.
//! <https://spec.matrix.org/v1.19/client-server-api/#user-interactive-authentication-api>

use anyhow::{Context as _, bail, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use url::Url;
use usher_lab::{
    browser::{Page, loopback_client},
    real::synapse,
};

use super::session::{Desk, Device, LoggedIn, TIMEOUT};

const API: &str = "/_matrix/client/v3";
const SHOWN_OF_SESSION: usize = 12;
/// The button of the page that asks.
const CONFIRM: &str = "provider";

/// A client that is logged in on one device of its person's.
#[derive(Debug)]
pub(super) struct Client<'a> {
    pub(super) desk: &'a Desk<'a>,
    pub(super) device: Device,
    pub(super) session: LoggedIn,
}

/// A request to delete devices.
#[derive(Clone, Debug)]
pub(super) struct Deletion {
    method: Method,
    path: String,
    body: Value,
}

/// What a client is answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Value,
}

/// What somebody was shown on their way.
#[derive(Debug)]
pub(super) struct Trip {
    /// The page that says what would happen.
    pub(super) asked: Page,
    /// Where they were after they had signed in.
    pub(super) end: Page,
}

impl Deletion {
    /// `DELETE /devices/{deviceId}`
    pub(super) fn of(device: &Device) -> Self {
        Self { method: Method::DELETE, path: format!("{API}/devices/{}", device.id), body: json!({}) }
    }

    /// `POST /delete_devices`
    pub(super) fn of_several(devices: &[&Device]) -> Self {
        let ids: Vec<_> = devices.iter().map(|device| &device.id).collect();
        let path = format!("{API}/delete_devices");
        Self { method: Method::POST, path, body: json!({ "devices": ids }) }
    }

    /// The same with `auth` in its body: of the session, as clients say it once their person has confirmed.
    pub(super) fn with(&self, session: &str) -> Self {
        self.with_auth(json!({ "session": session }))
    }

    /// The same with anything for `auth`.
    pub(super) fn with_auth(&self, auth: Value) -> Self {
        let mut again = self.clone();
        again.body["auth"] = auth;
        again
    }
}

/// As it is shown: the session id, which is a bearer value, shortened.
impl std::fmt::Display for Deletion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.method, self.path, shortened(&self.body))
    }
}

impl Answer {
    /// The session of a 401 that asks for the single sign-on and nothing else.
    pub(super) fn session(&self) -> anyhow::Result<&str> {
        ensure!(self.status == 401, "instead of a question: {} {}", self.status, self.body);
        let asks = &self.body["flows"];
        ensure!(*asks == json!([{ "stages": ["m.login.sso"] }]), "the flows are {asks}");
        self.body["session"].as_str().context("a 401 without a session")
    }

    /// An error of that kind.
    pub(super) fn refused(&self, status: u16, errcode: &str) -> anyhow::Result<()> {
        let is_it = self.status == status && self.body["errcode"] == errcode;
        ensure!(is_it, "instead of {status} {errcode}: {} {}", self.status, self.body);
        Ok(())
    }

    /// 200.
    pub(super) fn done(&self) -> anyhow::Result<()> {
        ensure!(self.status == 200, "it was not done: {} {}", self.status, self.body);
        Ok(())
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.body["errcode"].as_str(), self.body["error"].as_str()) {
            (Some(errcode), Some(error)) => write!(f, "{} {errcode}: {error}", self.status),
            _ => write!(f, "{} {}", self.status, shortened(&self.body)),
        }
    }
}

impl<'a> Client<'a> {
    pub(super) fn new(desk: &'a Desk<'a>, device: Device, session: LoggedIn) -> Self {
        Self { desk, device, session }
    }

    /// Sends a request to where the client was told that its homeserver is.
    pub(super) async fn send(&self, deletion: &Deletion) -> anyhow::Result<Answer> {
        let Deletion { method, path, body } = deletion;
        let url = format!("{}{path}", self.session.base_url()?);
        let request = loopback_client(TIMEOUT)?.request(method.clone(), &url);
        let request = request.bearer_auth(self.session.text("access_token")?).body(body.to_string());
        let answer = request.send().await.with_context(|| format!("{method} {url}"))?;
        let status = answer.status().as_u16();
        let text = answer.text().await.with_context(|| format!("{method} {url}"))?;
        let body =
            serde_json::from_str(&text).with_context(|| format!("{method} {url}: {status}, no JSON"))?;
        Ok(Answer { status, body })
    }

    /// Where the client has its person go to confirm a session.
    pub(super) fn fallback(&self, session: &str) -> anyhow::Result<Url> {
        let mut url = Url::parse(self.session.base_url()?).context("the homeserver's address")?;
        url.set_path(&format!("{API}/auth/m.login.sso/fallback/web"));
        url.query_pairs_mut().append_pair("session", session);
        Ok(url)
    }

    /// The person's devices as the homeserver itself lists them, past Usher.
    pub(super) async fn devices(&self) -> anyhow::Result<Vec<synapse::Device>> {
        self.desk.homeserver()?.devices(self.session.text("access_token")?).await
    }

    /// Fails unless the homeserver itself lists exactly these devices; the list as it is shown.
    pub(super) async fn has_exactly(&self, expected: &[&Device]) -> anyhow::Result<String> {
        let mut found = self.devices().await?;
        found.sort_by(|one, other| one.device_id.cmp(&other.device_id));
        let listed = found.iter().map(|device| {
            format!("{} \"{}\"", device.device_id, device.display_name.as_deref().unwrap_or_default())
        });
        let listed = listed.collect::<Vec<_>>().join(", ");
        let ids: Vec<_> = found.iter().map(|device| device.device_id.as_str()).collect();
        let expected: Vec<_> = expected.iter().map(|device| device.id.as_str()).collect();
        ensure!(ids == expected, "the homeserver should list {expected:?}: {listed}");
        Ok(listed)
    }

    /// Whether its access token is still good, at the homeserver itself.
    pub(super) async fn is_logged_in(&self) -> anyhow::Result<bool> {
        let whoami = self.desk.homeserver()?.whoami(self.session.text("access_token")?).await?;
        Ok(whoami.is_some())
    }
}

impl Desk<'_> {
    /// Opens the address that a client gave, reads the page, clicks, and signs in again.
    pub(super) async fn confirm(&self, fallback: Url) -> anyhow::Result<Trip> {
        let asked = self.browser.open(fallback).await?;
        ensure!(asked.url().origin() == self.portal().origin(), "the page that asks is not the portal's");
        let form = asked.form_with(CONFIRM).context("the portal should ask whether this is wanted")?;
        let onward = form.submit(&self.browser).await?;
        let link = onward.links().into_iter().next().map(|(_, url)| url);
        let login = link.with_context(|| format!("the click led nowhere: {}", onward.text()))?;
        let login = self.browser.follow(&onward, login).await?;
        if login.form_with("password").is_err() {
            bail!("{} was let through without a password", self.person.username);
        }
        let end = self.browser.sign_in_at_cas(login, &self.person).await?;
        let end = self.carry(end).await?;
        Ok(Trip { asked, end })
    }
}

/// JSON on a line, `session` in it shortened.
fn shortened(body: &Value) -> String {
    let mut shown = body.clone();
    for at in ["/session", "/auth/session"] {
        if let Some(Value::String(session)) = shown.pointer_mut(at) {
            *session = session.chars().take(SHOWN_OF_SESSION).chain(['…']).collect();
        }
    }
    shown.to_string()
}
