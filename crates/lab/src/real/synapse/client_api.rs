//! What a test asks a Synapse over the plain client-server API, past any gateway:
//! <https://spec.matrix.org/v1.19/client-server-api/>.

use anyhow::{Context as _, bail};
use reqwest::{Method, StatusCode, header::AUTHORIZATION};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Synapse;

/// Whose an access token is.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct WhoAmI {
    /// The full user id.
    pub user_id: String,
    /// The device; application services have none.
    pub device_id: Option<String>,
}

/// A device of a user.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Device {
    /// Its id.
    pub device_id: String,
    /// The name its user sees.
    pub display_name: Option<String>,
}

impl Synapse {
    /// `GET /account/whoami`; `None` if the token is not (or no longer) valid.
    pub async fn whoami(&self, access_token: &str) -> anyhow::Result<Option<WhoAmI>> {
        let ask = || self.call(Method::GET, "_matrix/client/v3/account/whoami", Some(access_token), None);
        let mut answer = ask().await?;
        // A request in the middle of which the token goes: Synapse has found it, and finds it no more.
        if answer.0 == StatusCode::NOT_FOUND {
            answer = ask().await?;
        }
        match answer {
            (StatusCode::OK, body) => Ok(Some(serde_json::from_value(body).context("whoami's answer")?)),
            (StatusCode::UNAUTHORIZED, _) => Ok(None),
            (status, body) => bail!("whoami: {status} {body}"),
        }
    }

    /// `GET /devices`: the devices of the token's user.
    pub async fn devices(&self, access_token: &str) -> anyhow::Result<Vec<Device>> {
        let (status, mut body) =
            self.call(Method::GET, "_matrix/client/v3/devices", Some(access_token), None).await?;
        if status != StatusCode::OK {
            bail!("devices: {status} {body}");
        }
        serde_json::from_value(body["devices"].take()).context("the list of devices")
    }

    /// `POST /login` with a password; the answer as it came. Needs `password_login`.
    pub async fn log_in_with_password(
        &self,
        localpart: &str,
        password: &str,
    ) -> anyhow::Result<(StatusCode, Value)> {
        let body = json!({
            "type": "m.login.password",
            "identifier": { "type": "m.id.user", "user": localpart },
            "password": password,
        });
        self.call(Method::POST, "_matrix/client/v3/login", None, Some(&body)).await
    }

    /// Any request, at the address where Synapse really listens. `path` has no leading slash and may have a query;
    /// an answer that is not JSON is null.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        access_token: Option<&str>,
        body: Option<&Value>,
    ) -> anyhow::Result<(StatusCode, Value)> {
        let url = self.upstream_url().join(path).with_context(|| format!("{path:?} is no path"))?;
        let mut request = self.client.request(method, url);
        if let Some(token) = access_token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        if let Some(body) = body {
            request = request.body(body.to_string());
        }
        let answer = request.send().await.map_err(reqwest::Error::without_url);
        let answer = answer.with_context(|| format!("Synapse {} did not answer", self.server_name()))?;
        let status = answer.status();
        let text = answer.text().await.context("Synapse's answer did not come whole")?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::Null)))
    }
}
