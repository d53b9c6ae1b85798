//! Whom the portal in the containers serves: a real CAS server and a real Synapse, run by this program, and people who
//! sign in through the proxy as they would from anywhere.

use std::{fs, net::Ipv4Addr, time::Duration};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use usher_lab::{
    browser::{Browser, loopback_client},
    real::{
        Progress,
        cas_server::{CasServer, CasServerOptions},
        free_port,
        synapse::{Synapse, SynapseOptions},
    },
};

use super::{LAB_ADDRESS, Place, engine::Engine, forward::Forward};

/// Where docker-compose.yml publishes the proxy, by a name that browsers keep cookies for.
pub(super) const PORTAL: &str = "http://portal.localhost:8080";
/// A client that is given its token without a page that asks.
const APP: &str = "http://app.localhost/";
const SERVER_NAME: &str = "eng.localhost";
const TIMEOUT: Duration = Duration::from_secs(40);

/// The lab's side of it.
#[derive(Debug)]
pub(super) struct Organisation {
    cas: CasServer,
    synapse: Synapse,
    /// What the containers send to the homeserver.
    pub(super) to_homeserver: Forward,
    _to_cas: Forward,
}

impl Organisation {
    /// Writes `site/usher.yaml` for it, has Usher write the registration, and starts everything.
    pub(super) async fn start(place: &Place, engine: &Engine) -> anyhow::Result<Self> {
        let progress = Progress::printing();
        let (cas_port, synapse_port) = (free_port()?, free_port()?);
        let site = place.repository().join("site");
        fs::write(site.join("usher.yaml"), config(cas_port, synapse_port))?;
        let arguments = ["run", "--rm", "--no-deps", "-T", "usher", "registration", SERVER_NAME];
        let registration = engine.compose(&arguments).await?;
        let options = SynapseOptions {
            server_name: SERVER_NAME.to_owned(),
            port: Some(synapse_port),
            application_services: vec![registration],
            ..SynapseOptions::default()
        };
        let synapse = Synapse::start(options, &progress).await?;
        let options = CasServerOptions { port: Some(cas_port), ..CasServerOptions::default() };
        let cas = CasServer::start(options, &progress).await?;
        let address: Ipv4Addr = LAB_ADDRESS.parse()?;
        let to_homeserver = Forward::start(address, synapse_port).await?;
        let to_cas = Forward::start(address, cas_port).await?;
        Ok(Self { cas, synapse, to_homeserver, _to_cas: to_cas })
    }

    /// Signs `username` in at the CAS server, as far as the login token.
    pub(super) async fn login_token(&self, username: &str) -> anyhow::Result<String> {
        let browser = Browser::new().with_app_at(APP);
        let begin = format!("{PORTAL}/_matrix/client/v3/login/sso/redirect/sso?redirectUrl={APP}");
        let page = browser.open(begin).await?;
        let page = browser.sign_in_at_cas(page, self.cas.person(username)).await?;
        ensure!(page.is_handed_over(), "{username} was not let in: {} {}", page.status(), page.text());
        page.query("loginToken").context("the client was handed no loginToken")
    }

    /// Signs in, redeems the token and asks the homeserver whose session it is.
    pub(super) async fn log_in(&self, username: &str) -> anyhow::Result<()> {
        let token = self.login_token(username).await?;
        self.check_session(username, &redeem(&token).await?).await
    }

    /// The session belongs to `username`, says the homeserver.
    pub(super) async fn check_session(&self, username: &str, session: &Value) -> anyhow::Result<()> {
        let access_token = session["access_token"].as_str().context("there is an access token")?;
        let who = self.synapse.whoami(access_token).await?.context("the homeserver knows the session")?;
        ensure!(who.user_id == format!("@{username}:{SERVER_NAME}"), "the session is {}'s", who.user_id);
        println!("  {username} has a session on {SERVER_NAME} as {}", who.user_id);
        Ok(())
    }

    /// Whether the homeserver was asked for a session by somebody at `address`. Its access log begins with that.
    pub(super) fn has_seen(&self, address: &str) -> anyhow::Result<bool> {
        let log = self.synapse.log()?;
        Ok(log.lines().any(|line| line.contains(&format!("{address} - ")) && line.contains("/login")))
    }

    /// Stops both.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        self.cas.stop().await?;
        self.synapse.stop().await
    }
}

/// `POST /login`: the session.
pub(super) async fn redeem(token: &str) -> anyhow::Result<Value> {
    redeem_from(token, None).await
}

/// The same, saying where it comes from.
pub(super) async fn redeem_from(token: &str, address: Option<&str>) -> anyhow::Result<Value> {
    let body = json!({ "type": "m.login.token", "token": token }).to_string();
    let mut request = loopback_client(TIMEOUT)?.post(format!("{PORTAL}/_matrix/client/v3/login")).body(body);
    if let Some(address) = address {
        request = request.header("x-forwarded-for", address);
    }
    let answer = request.send().await.map_err(reqwest::Error::without_url).context("POST /login")?;
    let status = answer.status();
    let text = answer.text().await.context("the answer to POST /login did not come whole")?;
    ensure!(status.is_success(), "POST /login: {status} {text}");
    serde_json::from_str(&text).context("the answer to POST /login is no JSON")
}

/// The status of `GET /login`, each time over a new connection.
pub(super) async fn ask_for_flows() -> anyhow::Result<u16> {
    let url = format!("{PORTAL}/_matrix/client/v3/login");
    let answer = loopback_client(TIMEOUT)?.get(url).send().await.context("GET /login")?;
    Ok(answer.status().as_u16())
}

fn config(cas_port: u16, synapse_port: u16) -> String {
    format!(
        r#"public_base_url: {PORTAL}
keys:
  - id: key-1
    secret_file: secrets/key-1
providers:
  - id: sso
    name: University of Canadialand
    cas:
      base_url: http://{LAB_ADDRESS}:{cas_port}/cas
homeservers:
  - server_name: {SERVER_NAME}
    base_url: http://matrix.{SERVER_NAME}:{synapse_port}
    upstream_url: http://{LAB_ADDRESS}:{synapse_port}
    handoff:
      application_service:
        as_token_file: secrets/eng-as
        hs_token_file: secrets/eng-hs
selection:
  - attribute:
      name: department
      rows:
        - value: engineering
          homeserver: {SERVER_NAME}
login:
  trusted_clients: ["{APP}"]
"#
    )
}
