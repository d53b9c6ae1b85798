//! Why a request is not done, one variant per answer to the client.

use std::time::Duration;

use ruma_common::OwnedUserId;
use usher_homeserver::{ActError, AsPersonError, CallError, Refusal};
use usher_store::StoreError;

use super::{BodyError, ShapeError};
use crate::limits::Limited;

/// Why a request that needs UI auth came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UiAuthError {
    /// The homeserver does not take the access token, or what it was asked with it, and says why.
    #[error("the homeserver says no to the person's own access token")]
    Token(#[source] Refusal),
    /// The homeserver did not say whose the access token is, or did not do what it was asked with it.
    #[error("the homeserver did not answer")]
    Homeserver(#[source] CallError),
    /// The access token's owner is of another homeserver: something stands in the homeserver's place.
    #[error("the homeserver says that the access token is that of {0}")]
    ForeignUser(OwnedUserId),
    /// The body cannot be read in one way only.
    #[error("the body is not understood")]
    Body(#[from] BodyError),
    /// The body lacks what the endpoint needs.
    #[error("the body is not one of the endpoint's")]
    Shape(#[from] ShapeError),
    /// People who sign in by single sign-on have no password.
    #[error("linked people have no password")]
    NoPassword,
    /// No session has this id, or none any more.
    #[error("there is no such session")]
    UnknownSession,
    /// The session's time is over.
    #[error("the session has expired")]
    Expired,
    /// The session was begun for another request, by another person, or on another device.
    #[error("the session was begun for another request")]
    Mismatch,
    /// What it asked for was done already.
    #[error("the session is spent")]
    Spent,
    /// The person said that the request was not theirs, or whoever confirmed it is linked no longer.
    #[error("the request was denied")]
    Denied,
    /// Another request of the same session is being done.
    #[error("the session is in use")]
    InUse {
        /// When it can be tried again, if it is not spent by then.
        retry_after: Duration,
    },
    /// The device has as many confirmed sessions as it may have.
    #[error("too many sessions of this device are confirmed and not used")]
    TooManyOpen {
        /// When the first of them is over at the latest.
        retry_after: Duration,
    },
    /// The account is given too many login tokens.
    #[error("the account is limited")]
    Limited(#[from] Limited),
    /// The homeserver refuses to do it, and says why.
    #[error("the homeserver refuses to do it")]
    Refused(#[source] Refusal),
    /// A stored request that cannot be read.
    #[error("a stored request cannot be read")]
    Corrupt,
    /// The database.
    #[error("the database did not answer")]
    Store(#[from] StoreError),
}

impl From<AsPersonError> for UiAuthError {
    fn from(error: AsPersonError) -> Self {
        match error {
            AsPersonError::Call(error) => Self::Homeserver(error),
            AsPersonError::Refused(refusal) => Self::Token(refusal),
        }
    }
}

impl From<ActError> for UiAuthError {
    fn from(error: ActError) -> Self {
        match error {
            ActError::Call(error) => Self::Homeserver(error),
            ActError::Refused(refusal) => Self::Refused(refusal),
        }
    }
}
