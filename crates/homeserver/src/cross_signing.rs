//! `POST /_matrix/client/v3/keys/device_signing/upload` with a person's own access token: whether their homeserver
//! takes the keys without asking again who they are.
//! <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysdevice_signingupload>
//!
//! It takes a first upload and a repetition (MSC3967); only the homeserver knows which keys it has. Other keys are
//! uploaded by `act.rs`, once they are confirmed.

use std::net::IpAddr;

use reqwest::Method;
use secrecy::SecretString;
use serde_json::{Map, Value};

use crate::{
    CallError, Homeserver, Refusal,
    as_person::PersonsToken,
    call::{Said, json, read},
    ui_auth,
};

/// What became of an upload.
#[derive(Clone, Debug, PartialEq)]
pub enum Asked {
    /// The homeserver has the keys: its answer.
    Done(Map<String, Value>),
    /// The homeserver wants to know who this is: it has other keys. Nothing was changed.
    NeedsUiAuth,
    /// No: the token is none, or the keys are. The person is told the same.
    Refused(Refusal),
}

impl Homeserver {
    /// Uploads `body`, the client's own, without its `auth`.
    pub async fn upload_cross_signing_as_person(
        &self,
        access_token: &SecretString,
        client: IpAddr,
        body: &Map<String, Value>,
    ) -> Result<Asked, CallError> {
        let token = match PersonsToken::parse(access_token) {
            Ok(token) => token,
            Err(refusal) => return Ok(Asked::Refused(refusal)),
        };
        let url = self.endpoint(&["keys", "device_signing", "upload"]);
        let body = json(&ui_auth::without_auth(body));
        let answer = self.deliver_as_person(token, client, Method::POST, url, Some(body)).await?;
        if ui_auth::is_asked_for(&answer) {
            return Ok(Asked::NeedsUiAuth);
        }
        match self.understand_as_person(token, answer)? {
            Said::Done(body) => Ok(Asked::Done(read(&body)?)),
            Said::Refused(refusal) => Ok(Asked::Refused(refusal)),
        }
    }
}
