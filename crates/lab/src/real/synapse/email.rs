//! Addresses of a Synapse's people, and how its mail proves one:
//! <https://spec.matrix.org/v1.19/client-server-api/#adding-account-administrative-contact-information>.

use anyhow::{Context as _, ensure};
use reqwest::{Method, StatusCode};
use serde_json::json;
use url::{Position, Url};

use super::Synapse;
use crate::scripted::mail::ScriptedMail;

impl Synapse {
    /// `GET /account/3pid`: the e-mail addresses of the token's user.
    pub async fn email_addresses(&self, access_token: &str) -> anyhow::Result<Vec<String>> {
        let path = "_matrix/client/v3/account/3pid";
        let (status, body) = self.call(Method::GET, path, Some(access_token), None).await?;
        ensure!(status == StatusCode::OK, "3pid: {status} {body}");
        let threepids = body["threepids"].as_array().context("a list of addresses")?;
        let emails = threepids.iter().filter(|threepid| threepid["medium"] == "email");
        Ok(emails.filter_map(|threepid| threepid["address"].as_str().map(str::to_owned)).collect())
    }

    /// Proves `address` as its owner does who wants to add it: has a mail sent, and follows the link in it. Returns the
    /// homeserver's id of that proof. Needs `mail_port` to be that of `mail`.
    pub async fn validate_email(
        &self,
        mail: &ScriptedMail,
        access_token: &str,
        client_secret: &str,
        address: &str,
    ) -> anyhow::Result<String> {
        let path = "_matrix/client/v3/account/3pid/email/requestToken";
        let body = json!({ "client_secret": client_secret, "email": address, "send_attempt": 1 });
        let (status, asked) = self.call(Method::POST, path, Some(access_token), Some(&body)).await?;
        ensure!(status == StatusCode::OK, "requestToken: {status} {asked}");
        let text = mail.letter_to(address).await?.plain_text()?;
        let link = text.split_whitespace().find(|word| word.starts_with("http"));
        let link = Url::parse(link.context("the letter has no link")?).context("the letter's link")?;
        // It leads to where clients are told to go, which may be a gateway.
        let place = &link[Position::BeforePath..];
        let (status, _) = self.call(Method::GET, place.trim_start_matches('/'), None, None).await?;
        ensure!(status == StatusCode::OK, "the link of the letter: {status}");
        Ok(asked["sid"].as_str().context("an id of the proof")?.to_owned())
    }
}
