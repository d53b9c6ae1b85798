//! `POST /_matrix/client/v3/register` with `m.login.application_service`: makes an account, without a session.
//! <https://spec.matrix.org/v1.19/application-service-api/#server-admin-style-permissions>

use reqwest::Method;
use ruma_common::{OwnedUserId, UserId};
use serde::{Deserialize, Serialize};

use crate::{
    CallError, Homeserver, Misbehaviour, Refusal,
    call::{Said, read},
};

/// What became of a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registered {
    /// The account was made by this call.
    Created,
    /// `M_USER_IN_USE`: it was there before, a deactivated one too. Whose it is, the caller must know.
    InUse,
}

/// Why an account was not made, as far as we know.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// `M_EXCLUSIVE`: the name is outside the service's namespace, or another service's own. The operator mends
    /// one of the registration files, or reserves the name.
    #[error("the homeserver keeps this name from the application service")]
    Exclusive(#[source] Refusal),
    /// `M_INVALID_USERNAME`: the operator mends the localpart template.
    #[error("the homeserver does not take this name")]
    InvalidUsername(#[source] Refusal),
    /// The call failed as any call may.
    #[error(transparent)]
    Call(#[from] CallError),
}

#[derive(Serialize)]
struct Request<'a> {
    r#type: &'static str,
    username: &'a str,
    inhibit_login: bool,
}

#[derive(Deserialize)]
struct Response {
    user_id: OwnedUserId,
}

impl RegisterError {
    /// Whether it is certain that nothing more comes of the call: [`CallError::is_definite`].
    #[must_use]
    pub fn is_definite(&self) -> bool {
        match self {
            Self::Exclusive(_) | Self::InvalidUsername(_) => true,
            Self::Call(error) => error.is_definite(),
        }
    }
}

impl Homeserver {
    /// Makes the account of `user`. Synapse takes any localpart from an application service: the caller has
    /// validated it.
    pub async fn register(&self, user: &UserId) -> Result<Registered, RegisterError> {
        self.check_own(user)?;
        let body = Request {
            r#type: "m.login.application_service",
            username: user.localpart(),
            inhibit_login: true,
        };
        match self.send(Method::POST, self.endpoint(&["register"]), &body).await? {
            Said::Done(body) => match read::<Response>(&body)?.user_id {
                got if got == user => Ok(Registered::Created),
                got => Err(CallError::Misbehaved(Misbehaviour::AnotherUser { got }).into()),
            },
            Said::Refused(refusal) => match (refusal.status, refusal.errcode.as_str()) {
                (400, "M_USER_IN_USE") => Ok(Registered::InUse),
                // Synapse 400, Dendrite 401: the code says it all.
                (_, "M_EXCLUSIVE") => Err(RegisterError::Exclusive(refusal)),
                (_, "M_INVALID_USERNAME") => Err(RegisterError::InvalidUsername(refusal)),
                _ => Err(CallError::NotAllowed(refusal).into()),
            },
        }
    }
}
