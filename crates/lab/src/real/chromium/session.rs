//! One WebDriver session: commands, and the answers to them.

use anyhow::{Context as _, bail};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Handle;
use url::Url;

/// A browser, as its driver knows it. Dropped: closed.
#[derive(Debug)]
pub(super) struct Session {
    http: reqwest::Client,
    /// `http://127.0.0.1:PORT/session/ID/`
    url: Url,
    /// `None` after it was handed on to whoever closes the browser.
    profile: Option<TempDir>,
}

impl Session {
    /// Opens a browser.
    pub(super) async fn open(
        http: reqwest::Client,
        driver: &Url,
        capabilities: &Value,
        profile: TempDir,
    ) -> anyhow::Result<Self> {
        let body = json!({ "capabilities": { "alwaysMatch": capabilities } });
        let answer = call(&http, Method::POST, driver.join("session")?, Some(&body)).await?;
        let id = answer["sessionId"].as_str().context("a new session has an id")?;
        let url = driver.join(&format!("session/{id}/"))?;
        Ok(Self { http, url, profile: Some(profile) })
    }

    /// A command that asks.
    pub(super) async fn get(&self, command: &str) -> anyhow::Result<Value> {
        call(&self.http, Method::GET, self.url.join(command)?, None).await
    }

    /// A command that does.
    pub(super) async fn post(&self, command: &str, body: &Value) -> anyhow::Result<Value> {
        call(&self.http, Method::POST, self.url.join(command)?, Some(body)).await
    }

    /// A command that ends something.
    pub(super) async fn delete(&self, command: &str) -> anyhow::Result<Value> {
        call(&self.http, Method::DELETE, self.url.join(command)?, None).await
    }

    /// A command of the devtools protocol, <https://chromedevtools.github.io/devtools-protocol/>.
    pub(super) async fn devtools(&self, command: &str, parameters: Value) -> anyhow::Result<Value> {
        self.post("goog/cdp/execute", &json!({ "cmd": command, "params": parameters })).await
    }

    /// What has been logged since the last time, as `browser` or `performance` log.
    pub(super) async fn log(&self, name: &str) -> anyhow::Result<Vec<Value>> {
        let entries = self.post("se/log", &json!({ "type": name })).await?;
        let Value::Array(entries) = entries else { bail!("the {name} log is no list") };
        Ok(entries)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let (http, url, profile) = (self.http.clone(), self.url.clone(), self.profile.take());
        // Without a runtime this process is about to end, and the browser with it.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                // `…/session/ID`, without the slash; nobody is left to be told.
                if let Ok(session) = Url::parse(url.as_str().trim_end_matches('/')) {
                    let _ = call(&http, Method::DELETE, session, None).await;
                }
                drop(profile);
            });
        }
    }
}

/// Sends a command and takes the `value` of its answer; an error holds what the driver said.
async fn call(
    http: &reqwest::Client,
    method: Method,
    url: Url,
    body: Option<&Value>,
) -> anyhow::Result<Value> {
    let command = format!("{method} {}", url.path().rsplit('/').next().unwrap_or_default());
    let mut request = http.request(method, url);
    if let Some(body) = body {
        request = request.header("content-type", "application/json").body(body.to_string());
    }
    let answer = request.send().await.map_err(reqwest::Error::without_url);
    let answer = answer.with_context(|| format!("chromedriver does not answer {command}"))?;
    let status = answer.status();
    let text = answer.text().await.map_err(reqwest::Error::without_url)?;
    let mut answer: Value = serde_json::from_str(&text).with_context(|| format!("{command}: no JSON"))?;
    if !status.is_success() {
        let said = |name: &str| answer["value"][name].as_str().unwrap_or_default().to_owned();
        bail!("{command}: {}: {}", said("error"), said("message"));
    }
    Ok(answer["value"].take())
}
