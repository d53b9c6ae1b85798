//! `GET` and `PUT /_synapse/admin/v2/users/{userId}`: an e-mail address for a new account, on Synapse alone.
//! <https://element-hq.github.io/synapse/latest/admin_api/user_admin_api.html>
//!
//! The specification's way, `POST /account/3pid/add`, needs UI auth, and Synapse answers application services with
//! 500 there. The admin API is called as the service's own user (no `user_id`), which must be a server administrator.
//!
//! Synapse's `threepids` *replaces* the list, takes an address away from whoever has it, and makes an account that is
//! not there. So the account and its list are read first, an address that is somebody else's is left to them, and what
//! is sent is the list with one address more. What is added to that account between the two calls would be lost: a
//! moment in which a new person's client has no session yet.

use reqwest::Method;
use ruma_common::UserId;
use serde::{Deserialize, Serialize};

use crate::{
    CallError, Homeserver, Misbehaviour,
    call::{Said, read},
};

/// What became of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddedEmail {
    /// The account has it now.
    Added,
    /// The account had it before.
    Present,
    /// Another account has it, and keeps it.
    SomebodyElses,
}

#[derive(Clone, Deserialize, Serialize, PartialEq, Eq)]
struct ThreePid {
    medium: String,
    address: String,
}

/// Of the answer, and the whole of the question.
#[derive(Deserialize, Serialize)]
struct Addresses {
    threepids: Vec<ThreePid>,
}

#[derive(Deserialize)]
struct Owner {
    user_id: String,
}

impl Homeserver {
    /// Adds `address` to the addresses of `user`, who must exist, and takes none away. It is written as Synapse keeps
    /// it: in lower case.
    pub async fn add_email(&self, user: &UserId, address: &str) -> Result<AddedEmail, CallError> {
        self.check_own(user)?;
        let added = ThreePid { medium: "email".to_owned(), address: address.to_lowercase() };
        let account = self.admin_endpoint("v2", &["users", user.as_str()]);
        let mut addresses: Addresses = match self.get(account.clone()).await? {
            Said::Done(body) => read(&body)?,
            Said::Refused(refusal) => return Err(CallError::NotAllowed(refusal)),
        };
        if addresses.threepids.contains(&added) {
            return Ok(AddedEmail::Present);
        }
        if self.has_other_owner(user, &added.address).await? {
            return Ok(AddedEmail::SomebodyElses);
        }
        addresses.threepids.push(added.clone());
        match self.send(Method::PUT, account, &addresses).await? {
            Said::Done(body) if read::<Addresses>(&body)?.threepids.contains(&added) => Ok(AddedEmail::Added),
            Said::Done(_) => Err(CallError::Misbehaved(Misbehaviour::WrongShape { status: 200 })),
            Said::Refused(refusal) => Err(CallError::NotAllowed(refusal)),
        }
    }

    /// `GET /_synapse/admin/v1/threepid/email/users/{address}`
    async fn has_other_owner(&self, user: &UserId, address: &str) -> Result<bool, CallError> {
        let url = self.admin_endpoint("v1", &["threepid", "email", "users", address]);
        match self.get(url).await? {
            Said::Done(body) => Ok(read::<Owner>(&body)?.user_id != user.as_str()),
            Said::Refused(refusal) if (refusal.status, refusal.errcode.as_str()) == (404, "M_NOT_FOUND") => {
                Ok(false)
            }
            Said::Refused(refusal) => Err(CallError::NotAllowed(refusal)),
        }
    }
}
