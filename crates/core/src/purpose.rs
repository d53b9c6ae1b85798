//! Why a person is asked to authenticate, and how fresh that makes the proof.

use ruma_common::{OwnedServerName, OwnedUserId};
use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// Why one attempt was begun. Sealed with the attempt, so an attempt of one purpose cannot serve another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// A client wants a login token (client-server API, "Client login via SSO").
    Login {
        /// Where the browser goes with the token; validated when the attempt began, kept byte for byte.
        client_redirect_url: String,
        /// Set when the login began at one homeserver's own host: only that homeserver may be selected.
        only: Option<OwnedServerName>,
    },
    /// One UI-auth session wants its `m.login.sso` stage completed (MSC2454).
    UiAuth {
        /// The public handle of the session, never its bearer id.
        session: String,
        /// The homeserver the request is for.
        homeserver: OwnedServerName,
        /// Whose access token began the session. Nobody else can complete it.
        expected: OwnedUserId,
    },
}

impl Purpose {
    /// The freshness this purpose asks for. Computed once, when the person clicks, and sealed with the
    /// attempt: computing it again on the way back would move the bar.
    #[must_use]
    pub fn freshness(&self, now: Timestamp) -> Freshness {
        match self {
            Self::Login { .. } => Freshness::AnySession,
            Self::UiAuth { .. } => Freshness::Since(now),
        }
    }

    /// A short word for logs and for binding a sealed attempt to its purpose.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Login { .. } => "login",
            Self::UiAuth { .. } => "ui_auth",
        }
    }
}

/// How recently the person must have authenticated at the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Freshness {
    /// A live single sign-on session is enough.
    AnySession,
    /// Credentials must have been presented at or after this instant, and the provider must say so.
    Since(Timestamp),
}
