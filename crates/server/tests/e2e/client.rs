//! A Matrix client, at the portal or at a homeserver's own host: `POST /login`, any other request, and what they are
//! answered.

use std::{fmt, time::Duration};

use anyhow::Context as _;
use reqwest::{
    Method, StatusCode,
    header::{HeaderMap, RETRY_AFTER},
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use url::Url;
use usher_lab::browser::loopback_client;

use crate::components::eventually;

/// Longer than Usher's own longest wait.
const TIMEOUT: Duration = Duration::from_mins(1);

/// One client, at one address.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: Url,
    access_token: Option<SecretString>,
}

/// What a client was answered.
#[derive(Clone)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// Null if the body is not JSON.
    pub(crate) body: Value,
}

impl Client {
    pub(crate) fn at(base: &Url) -> anyhow::Result<Self> {
        Ok(Self { http: loopback_client(TIMEOUT)?, base: base.clone(), access_token: None })
    }

    /// The same with a session.
    pub(crate) fn signed_in(&self, access_token: &str) -> Self {
        Self { access_token: Some(access_token.into()), ..self.clone() }
    }

    pub(crate) fn base(&self) -> &Url {
        &self.base
    }

    /// What it is signed in with, if it is.
    pub(crate) fn access_token(&self) -> &str {
        self.access_token.as_ref().map_or("", ExposeSecret::expose_secret)
    }

    /// `POST /login` with a login token and nothing else.
    pub(crate) async fn redeem(&self, login_token: &str) -> anyhow::Result<Answer> {
        self.redeem_with(login_token, json!({})).await
    }

    /// The same with more fields.
    pub(crate) async fn redeem_with(&self, login_token: &str, mut fields: Value) -> anyhow::Result<Answer> {
        fields["type"] = "m.login.token".into();
        fields["token"] = login_token.into();
        self.call(Method::POST, "_matrix/client/v3/login", Some(&fields)).await
    }

    /// Repeats `POST /login` for as long as it is told that the token is in use, as a patient client does. Every
    /// such answer must say when to come back.
    pub(crate) async fn redeem_patiently(&self, login_token: &str) -> anyhow::Result<Answer> {
        eventually("the token is free again", async || {
            let answer = self.redeem(login_token).await?;
            if answer.status != StatusCode::TOO_MANY_REQUESTS {
                return Ok(Some(answer));
            }
            assert_eq!(answer.errcode(), "M_LIMIT_EXCEEDED");
            let seconds = answer.headers.get(RETRY_AFTER).context("429 has a Retry-After")?;
            assert!(seconds.to_str()?.parse::<u64>()? >= 1);
            Ok(None)
        })
        .await
    }

    /// Any request; `path` has no leading slash and may have a query.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Answer> {
        let mut request = self.http.request(method, self.base.join(path)?);
        if let Some(token) = &self.access_token {
            request = request.bearer_auth(token.expose_secret());
        }
        if let Some(body) = body {
            request = request.body(body.to_string());
        }
        let answer = request.send().await.map_err(reqwest::Error::without_url)?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let text = answer.text().await.map_err(reqwest::Error::without_url)?;
        Ok(Answer { status, headers, body: serde_json::from_str(&text).unwrap_or(Value::Null) })
    }
}

impl Answer {
    /// Empty if there is none.
    pub(crate) fn errcode(&self) -> &str {
        self.body["errcode"].as_str().unwrap_or_default()
    }

    /// A field that must be there.
    pub(crate) fn field(&self, name: &str) -> anyhow::Result<&str> {
        self.body[name].as_str().with_context(|| format!("{self:?} has no {name}"))
    }

    /// Fails with what was said instead.
    pub(crate) fn expect_ok(self) -> anyhow::Result<Self> {
        anyhow::ensure!(self.status == StatusCode::OK, "no session: {self:?}");
        Ok(self)
    }
}

impl fmt::Debug for Answer {
    /// Without what may be a session.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let error = self.body["error"].as_str().unwrap_or_default();
        write!(f, "{} {} {error}", self.status, self.errcode())
    }
}
