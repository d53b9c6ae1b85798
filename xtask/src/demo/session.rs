//! One sign-in as a person and their client go through it: the browser to the portal, the single sign-on and back, then
//! the client with the login token, then the homeserver that the portal named.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};
use url::Url;
use usher_lab::{
    browser::{Browser, Page, loopback_client},
    real::{
        people::{Person, person_called},
        synapse::Synapse,
    },
};

use super::organisation::{Organisation, TRUSTED_CLIENT, homeserver_of};

pub(super) const TIMEOUT: Duration = Duration::from_secs(30);

/// A person at their computer.
#[derive(Debug)]
pub(super) struct Desk<'a> {
    organisation: &'a Organisation,
    /// Who sits there.
    pub(super) person: Person,
    pub(super) browser: Browser,
}

/// What a client logs in on.
#[derive(Clone, Debug)]
pub(super) struct Device {
    pub(super) id: String,
    pub(super) name: String,
}

/// How the browser got to the client.
#[derive(Debug)]
pub(super) struct Arrival {
    /// Whether the single sign-on asked for the password.
    pub(super) typed_password: bool,
    /// Whether the portal asked before it gave the client its token.
    pub(super) was_asked: bool,
    /// What the client was given.
    pub(super) login_token: String,
}

/// Where the browser was before it came to the client, or where it stopped.
#[derive(Debug)]
pub(super) enum Outcome {
    /// At the client.
    Arrived(Arrival),
    /// At a page of the portal that says no.
    Refused(Box<Page>),
}

/// What the homeserver gave the client, as the portal passed it on.
#[derive(Debug)]
pub(super) struct LoggedIn {
    /// The answer to `POST /login`.
    pub(super) answer: Value,
}

/// What the homeserver itself says about the new access token.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) user_id: String,
    pub(super) device_id: String,
    pub(super) display_name: String,
    /// `(id, display name)`.
    pub(super) devices: Vec<(String, String)>,
}

impl<'a> Desk<'a> {
    /// A browser that knows nothing yet.
    pub(super) fn of(organisation: &'a Organisation, username: &str) -> Self {
        let browser =
            Browser::new().with_app_at(TRUSTED_CLIENT).with_app_at(organisation.client_page.url().as_str());
        Self { organisation, person: *person_called(username), browser }
    }

    /// What they log in on first.
    pub(super) fn computer(&self) -> Device {
        self.device("1", "computer")
    }

    /// What they log in on besides.
    pub(super) fn telephone(&self) -> Device {
        self.device("2", "telephone")
    }

    fn device(&self, number: &str, what: &str) -> Device {
        let id = format!("{}{number}", self.person.username.to_uppercase());
        Device { id, name: format!("{}'s {what}", self.person.name) }
    }

    /// What they sign in at.
    pub(super) fn sso(&self) -> &'static str {
        self.organisation.sso.name()
    }

    /// The portal's base URL.
    pub(super) fn portal(&self) -> &'a Url {
        self.organisation.portal()
    }

    /// The homeserver that the config sends the person to.
    pub(super) fn homeserver(&self) -> anyhow::Result<&'a Synapse> {
        let username = self.person.username;
        let name = homeserver_of(&self.person);
        let name = name.with_context(|| format!("{username} has no homeserver in the config"))?;
        self.organisation.homeserver(name)
    }

    /// Signs in for the client at `client`, typing the password and clicking where asked.
    pub(super) async fn sign_in(&self, client: &Url) -> anyhow::Result<Outcome> {
        let mut page = self.browser.open(self.organisation.sign_in_url(client)).await?;
        let is_at_sso = page.url().origin() == self.organisation.sso.url().origin();
        let is_asked = is_at_sso && page.form_with("password").is_ok();
        if is_asked {
            page = self.browser.sign_in_at_cas(page, &self.person).await?;
        }
        page = self.carry(page).await?;
        let was_asked = !page.is_handed_over() && page.status().is_success();
        if was_asked {
            let form = page.form_with("csrf").context("the portal should ask whether to continue")?;
            page = form.submit(&self.browser).await?;
        }
        if !page.is_handed_over() {
            return Ok(Outcome::Refused(Box::new(page)));
        }
        let login_token = page.query("loginToken").context("the client was handed no loginToken")?;
        Ok(Outcome::Arrived(Arrival { typed_password: is_asked, was_asked, login_token }))
    }

    /// An answer of the single sign-on that is a form sends itself in a browser with scripts.
    pub(super) async fn carry(&self, page: Page) -> anyhow::Result<Page> {
        match page.form_with("SAMLResponse") {
            Ok(form) => form.submit(&self.browser).await,
            Err(_) => Ok(page),
        }
    }

    /// Signs in, expecting to arrive.
    pub(super) async fn arrive(&self, client: &Url) -> anyhow::Result<Arrival> {
        match self.sign_in(client).await? {
            Outcome::Arrived(arrival) => Ok(arrival),
            Outcome::Refused(page) => {
                bail!("{} was not let in: {} {}", self.person.username, page.status(), page.text())
            }
        }
    }

    /// What the client sends to redeem `login_token`.
    pub(super) fn login_request(login_token: &str, device: &Device) -> Value {
        json!({
            "type": "m.login.token",
            "token": login_token,
            "device_id": device.id,
            "initial_device_display_name": device.name,
            "refresh_token": true,
        })
    }

    /// `POST /login` at the portal: the status and the answer.
    pub(super) async fn post_login(&self, request: &Value) -> anyhow::Result<(u16, Value)> {
        let url = self.organisation.portal().join("_matrix/client/v3/login")?;
        let answer = loopback_client(TIMEOUT)?.post(url).body(request.to_string()).send().await;
        let answer = answer.map_err(reqwest::Error::without_url).context("POST /login at the portal")?;
        let status = answer.status().as_u16();
        let text = answer.text().await.context("the answer to POST /login did not come whole")?;
        let body = serde_json::from_str(&text).with_context(|| format!("POST /login: {status}, no JSON"))?;
        Ok((status, body))
    }

    /// Redeems the token for a session on `device`, and checks what is in the answer.
    pub(super) async fn log_in(&self, login_token: &str, device: &Device) -> anyhow::Result<LoggedIn> {
        let (status, answer) = self.post_login(&Self::login_request(login_token, device)).await?;
        ensure!(status == 200, "POST /login: {status} {}", answer["error"]);
        let logged_in = LoggedIn { answer };
        ensure!(logged_in.text("device_id")? == device.id, "the device id was not passed on");
        logged_in.text("refresh_token").context("a refresh token was asked for")?;
        Ok(logged_in)
    }
}

impl LoggedIn {
    /// A string of the answer.
    pub(super) fn text(&self, key: &str) -> anyhow::Result<&str> {
        self.answer[key].as_str().with_context(|| format!("the answer to POST /login has no {key}"))
    }

    /// Where the client is told to go from now on.
    pub(super) fn base_url(&self) -> anyhow::Result<&str> {
        let base_url = self.answer.pointer("/well_known/m.homeserver/base_url").and_then(Value::as_str);
        base_url.context("the answer to POST /login has no well_known with a homeserver")
    }

    /// Asks the homeserver that the portal named, with the access token that the portal gave.
    pub(super) async fn ask_homeserver(&self) -> anyhow::Result<Seen> {
        let whoami = self.get("account/whoami").await?;
        let user_id = text(&whoami, "user_id")?;
        let profile = self.get(&format!("profile/{user_id}/displayname")).await?;
        let devices = self.get("devices").await?;
        let devices = devices["devices"].as_array().context("the homeserver gave no list of devices")?;
        let devices = devices.iter().map(|device| {
            Ok((text(device, "device_id")?, device["display_name"].as_str().unwrap_or_default().to_owned()))
        });
        Ok(Seen {
            device_id: text(&whoami, "device_id")?,
            display_name: text(&profile, "displayname")?,
            devices: devices.collect::<anyhow::Result<_>>()?,
            user_id,
        })
    }

    async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let url = format!("{}/_matrix/client/v3/{path}", self.base_url()?);
        let request = loopback_client(TIMEOUT)?.get(&url).bearer_auth(self.text("access_token")?);
        let answer = request.send().await.with_context(|| format!("GET {url}"))?;
        let status = answer.status();
        let body = answer.text().await.with_context(|| format!("GET {url}"))?;
        ensure!(status.is_success(), "GET {url}: {status} {body}");
        serde_json::from_str(&body).with_context(|| format!("GET {url}: no JSON"))
    }
}

fn text(value: &Value, key: &str) -> anyhow::Result<String> {
    let text = value[key].as_str().with_context(|| format!("the homeserver's answer has no {key}"))?;
    Ok(text.to_owned())
}
