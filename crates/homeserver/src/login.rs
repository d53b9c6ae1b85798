//! `POST /_matrix/client/v3/login` with `m.login.application_service`: a session for a person.
//! <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3login>,
//! <https://spec.matrix.org/v1.19/client-server-api/#appservice-login>
//!
//! It succeeds for *any* user of the homeserver, whoever made the account: whose account it is has been decided
//! before. Logging in again on the same device leaves the earlier access token valid (Synapse).

use std::{net::IpAddr, time::Duration};

use reqwest::Method;
use ruma_common::{DeviceId, OwnedDeviceId, OwnedUserId, UserId};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use crate::{
    CallError, Homeserver, Misbehaviour, Refusal,
    call::{Said, read},
};

/// The session to ask for.
#[derive(Clone, Copy, Debug)]
pub struct LogIn<'a> {
    /// Whose.
    pub user: &'a UserId,
    /// On which device; Synapse takes an empty one literally.
    pub device_id: &'a DeviceId,
    /// What the device is called if it is new.
    pub initial_device_display_name: Option<&'a str>,
    /// Whether the client can use refresh tokens.
    pub refresh_token: bool,
    /// Where the client is: told in `X-Forwarded-For`, alone, since Synapse takes the leftmost address it finds there.
    pub client: Option<IpAddr>,
}

/// A session, as the homeserver answered it.
#[derive(Clone, Debug)]
pub struct Session {
    /// The user that was asked for.
    pub user_id: OwnedUserId,
    /// Never empty.
    pub access_token: SecretString,
    /// The one that was asked for.
    pub device_id: OwnedDeviceId,
    /// Only if asked for, and only if the homeserver has them.
    pub refresh_token: Option<SecretString>,
    /// The access token's lifetime, in milliseconds; unlimited if absent.
    pub expires_in_ms: Option<u64>,
    /// The deprecated server name, if the homeserver still says it.
    pub home_server: Option<String>,
}

/// Why there is no session, one variant per reaction. The first eight are [`CallError`]'s.
#[derive(Debug, thiserror::Error)]
pub enum HandoffError {
    /// No connection was made. Definite.
    #[error("no connection to the homeserver could be made")]
    NotConnected(#[source] reqwest::Error),
    /// The call was under way when it timed out or was cut: there may be a session that nobody knows.
    #[error("the homeserver's answer did not come, or not whole")]
    Ambiguous(#[source] reqwest::Error),
    /// 429: passed on to the client. Definite.
    #[error("the homeserver limits the rate of logins")]
    RateLimited {
        /// From `Retry-After` or `retry_after_ms`.
        retry_after: Option<Duration>,
    },
    /// 5xx. Definite.
    #[error("the homeserver answered {status}")]
    ServerError {
        /// The status.
        status: u16,
    },
    /// An answer that is none (HTML, not JSON, too large, another shape). Definite.
    #[error("the homeserver did not answer as the specification says")]
    Misbehaved(#[source] Misbehaviour),
    /// The application service may not do this: unknown `as_token`, or a namespace without this user.
    #[error("the homeserver does not allow this login to the application service")]
    NotAllowed(#[source] Refusal),
    /// 508: an operator must mend `upstream_url`.
    #[error("upstream_url leads to Usher itself")]
    Looped,
    /// The user belongs to another server name; nothing was sent.
    #[error("the user is not of this homeserver")]
    ForeignUser,
    /// `M_USER_DEACTIVATED`.
    #[error("the account is deactivated")]
    Deactivated,
    /// `M_USER_LOCKED`.
    #[error("the account is locked")]
    Locked {
        /// As the homeserver said.
        soft_logout: bool,
    },
    /// 404: there is no such account there. It is not made here.
    #[error("the homeserver has no such account")]
    UnknownUser(#[source] Refusal),
    /// A session for somebody else. It is thrown away.
    #[error("the homeserver opened a session for {got} instead")]
    AnotherUser {
        /// Whom it named.
        got: OwnedUserId,
    },
}

#[derive(Serialize)]
struct Request<'a> {
    r#type: &'static str,
    identifier: Identifier<'a>,
    device_id: &'a DeviceId,
    #[serde(skip_serializing_if = "Option::is_none")]
    initial_device_display_name: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    refresh_token: bool,
}

#[derive(Serialize)]
struct Identifier<'a> {
    r#type: &'static str,
    user: &'a UserId,
}

#[derive(Deserialize)]
struct Response {
    user_id: OwnedUserId,
    access_token: SecretString,
    device_id: OwnedDeviceId,
    refresh_token: Option<SecretString>,
    expires_in_ms: Option<u64>,
    home_server: Option<String>,
}

impl HandoffError {
    /// Whether it is certain that no session of this call will be delivered, so that the login token can be
    /// released at once: [`CallError::is_definite`].
    #[must_use]
    pub fn is_definite(&self) -> bool {
        !matches!(self, Self::Ambiguous(_))
    }
}

impl HandoffError {
    /// Whether a session may have been opened all the same, on the device that was asked for.
    #[must_use]
    pub fn may_have_opened(&self) -> bool {
        matches!(
            self,
            Self::Ambiguous(_) | Self::ServerError { .. } | Self::Misbehaved(_) | Self::AnotherUser { .. }
        )
    }
}

impl From<CallError> for HandoffError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::NotConnected(error) => Self::NotConnected(error),
            CallError::Ambiguous(error) => Self::Ambiguous(error),
            CallError::RateLimited { retry_after } => Self::RateLimited { retry_after },
            CallError::ServerError { status } => Self::ServerError { status },
            CallError::Misbehaved(misbehaviour) => Self::Misbehaved(misbehaviour),
            CallError::NotAllowed(refusal) => Self::NotAllowed(refusal),
            CallError::Looped => Self::Looped,
            CallError::ForeignUser => Self::ForeignUser,
        }
    }
}

impl Homeserver {
    /// Obtains a session.
    pub async fn log_in(&self, login: &LogIn<'_>) -> Result<Session, HandoffError> {
        self.check_own(login.user)?;
        let body = Request {
            r#type: "m.login.application_service",
            // In full: a localpart alone is for the homeserver to complete, and it may do so differently.
            identifier: Identifier { r#type: "m.id.user", user: login.user },
            device_id: login.device_id,
            initial_device_display_name: login.initial_device_display_name,
            refresh_token: login.refresh_token,
        };
        match self.send_for(login.client, Method::POST, self.endpoint(&["login"]), &body).await? {
            Said::Done(body) => session(read(&body)?, login),
            Said::Refused(refusal) => Err(refused(refusal)),
        }
    }
}

fn session(answer: Response, login: &LogIn<'_>) -> Result<Session, HandoffError> {
    if answer.user_id != login.user {
        return Err(HandoffError::AnotherUser { got: answer.user_id });
    }
    // "If this does not correspond to a known client device, a new device will be created": with this very id.
    if answer.access_token.expose_secret().is_empty() || answer.device_id != login.device_id {
        return Err(HandoffError::Misbehaved(Misbehaviour::WrongShape { status: 200 }));
    }
    let Response { user_id, access_token, device_id, refresh_token, expires_in_ms, home_server } = answer;
    Ok(Session { user_id, access_token, device_id, refresh_token, expires_in_ms, home_server })
}

fn refused(refusal: Refusal) -> HandoffError {
    match (refusal.status, refusal.errcode.as_str()) {
        // 403 and 401 in the specification; the code alone says enough.
        (_, "M_USER_DEACTIVATED") => HandoffError::Deactivated,
        (_, "M_USER_LOCKED") => HandoffError::Locked { soft_logout: refusal.soft_logout },
        // Synapse says M_UNKNOWN, others M_NOT_FOUND; an unknown *endpoint* has been told apart before.
        (404, _) => HandoffError::UnknownUser(refusal),
        _ => HandoffError::NotAllowed(refusal),
    }
}
