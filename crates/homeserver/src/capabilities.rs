//! `GET /_matrix/client/v3/capabilities`: what a homeserver lets its people do.
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3capabilities>

use std::net::IpAddr;

use secrecy::SecretString;
use serde_json::{Map, Value};

use crate::{AsPersonError, Homeserver, call::read};

impl Homeserver {
    /// What the homeserver tells the owner of `access_token`, as it came: it is not ours to read.
    pub async fn capabilities(
        &self,
        access_token: &SecretString,
        client: IpAddr,
    ) -> Result<Map<String, Value>, AsPersonError> {
        let url = self.endpoint(&["capabilities"]);
        let body = self.read_as_person(access_token, client, url).await?;
        Ok(read(&body)?)
    }
}
