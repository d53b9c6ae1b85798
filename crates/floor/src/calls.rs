//! The two outgoing calls, by a client set up as Usher's.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use reqwest::{
    Client,
    header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
    redirect::Policy,
};
use serde_json::{Value, json};

use crate::site::Homeserver;

pub(crate) struct Calls(Client);

impl Calls {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::from_static("usher-hop"), HeaderValue::from_static("1"));
        #[expect(
            clippy::disallowed_methods,
            reason = "the floor has nothing of Usher's, its client included"
        )]
        let client = Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .referer(false)
            .connect_timeout(Duration::from_secs(5))
            .timeout(Duration::from_secs(10))
            .pool_max_idle_per_host(32)
            .user_agent("usher/floor")
            .default_headers(headers)
            .build()?;
        Ok(Self(client))
    }

    /// Whom a ticket stands for. The XML is searched, not read.
    pub(crate) async fn validate(&self, cas: &str, service: &str, ticket: &str) -> anyhow::Result<String> {
        let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let (service, ticket) = (encode(service), encode(ticket));
        let url = format!("{cas}/p3/serviceValidate?service={service}&ticket={ticket}");
        let body = self.0.get(url).send().await?.text().await?;
        let user = body.split_once("<cas:user>").and_then(|(_, rest)| rest.split_once("</cas:user>"));
        Ok(user.context("the ticket is nobody's")?.0.to_owned())
    }

    /// A session of a person on their homeserver, as it answered.
    pub(crate) async fn log_in(
        &self,
        homeserver: &Homeserver,
        user: &str,
        device_id: &str,
        display_name: &str,
    ) -> anyhow::Result<Value> {
        let body = json!({
            "type": "m.login.application_service",
            "identifier": { "type": "m.id.user", "user": user },
            "device_id": device_id,
            "initial_device_display_name": display_name,
        });
        let request = self.0.post(&homeserver.login_url).bearer_auth(&homeserver.as_token);
        let request = request.header(ACCEPT, "application/json").header(CONTENT_TYPE, "application/json");
        let response = request.body(body.to_string()).send().await?;
        ensure!(response.status().is_success(), "the homeserver answered {}", response.status());
        Ok(serde_json::from_slice(&response.bytes().await?)?)
    }
}
