//! `GET /_synapse/admin/v1/users/{userId}/admin?user_id=`: whether an account that was there before Usher is an
//! administrator's. <https://element-hq.github.io/synapse/latest/admin_api/user_admin_api.html>
//!
//! An application service may act as anybody, and so asks *as the account in question*: only an administrator gets an
//! answer. 403 is an ordinary person; everything else, an endpoint that nobody knows included, proves nothing.

use ruma_common::UserId;
use serde::Deserialize;

use crate::{
    CallError, Homeserver, Misbehaviour,
    call::{Said, read},
    homeserver::acting_for,
};

#[derive(Deserialize)]
struct Response {
    admin: bool,
}

impl Homeserver {
    /// Whether `user`, who must exist, is an administrator of the homeserver. An unclear answer is an error.
    pub async fn is_administrator(&self, user: &UserId) -> Result<bool, CallError> {
        self.check_own(user)?;
        let url = self.admin_endpoint("v1", &["users", user.as_str(), "admin"]);
        match self.get(acting_for(user, url)).await? {
            Said::Done(body) if read::<Response>(&body)?.admin => Ok(true),
            // An ordinary person who is let in: not what this endpoint does.
            Said::Done(_) => Err(CallError::Misbehaved(Misbehaviour::WrongShape { status: 200 })),
            Said::Refused(refusal) if (refusal.status, refusal.errcode.as_str()) == (403, "M_FORBIDDEN") => {
                Ok(false)
            }
            Said::Refused(refusal) => Err(CallError::NotAllowed(refusal)),
        }
    }
}
