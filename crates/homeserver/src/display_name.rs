//! `PUT /_matrix/client/v3/profile/{userId}/displayname?user_id=`: what a new account is called.
//! <https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3profileuseridkeyname>

use reqwest::Method;
use ruma_common::UserId;
use serde::{Deserialize, Serialize};

use crate::{
    CallError, Homeserver,
    call::{Said, read},
};

#[derive(Serialize)]
struct Request<'a> {
    displayname: &'a str,
}

/// An object, whatever is in it: a proxy's page is not success.
#[derive(Deserialize)]
struct Response {}

impl Homeserver {
    /// Sets the display name of `user`, acting for them. Setting it again does no harm.
    pub async fn set_display_name(&self, user: &UserId, displayname: &str) -> Result<(), CallError> {
        self.check_own(user)?;
        let url = self.endpoint_as(user, &["profile", user.as_str(), "displayname"]);
        match self.send(Method::PUT, url, &Request { displayname }).await? {
            Said::Done(body) => read::<Response>(&body).map(|Response {}| ()),
            Said::Refused(refusal) => Err(CallError::NotAllowed(refusal)),
        }
    }
}
