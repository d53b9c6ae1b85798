//! What failures of a logout notice mean to its sender, a machine, which tries again after 5xx, or to the person whose
//! browser brought it.

use actix_web::http::StatusCode;
use usher_core::ProviderError;
use usher_store::StoreError;

use super::{Loudness, log, mentioned};
use crate::{
    http::{NoticeProblem, PageProblem},
    logout::LogoutError,
};

impl From<&LogoutError> for NoticeProblem {
    fn from(error: &LogoutError) -> Self {
        let refused =
            |description| Self { status: StatusCode::BAD_REQUEST, error: "invalid_request", description };
        let later = |status, description| Self { status, error: "temporarily_unavailable", description };
        let (loudness, problem) = match error {
            LogoutError::Provider { error: cause, mention } => {
                let problem = match cause {
                    ProviderError::Malformed(_) => refused("this is no logout notice"),
                    ProviderError::Unverified(_)
                    | ProviderError::Refused(_)
                    | ProviderError::BadCredentials => refused("the logout notice is not to be believed"),
                    ProviderError::Unavailable(_) => {
                        later(StatusCode::SERVICE_UNAVAILABLE, "the notice cannot be verified at the moment")
                    }
                    ProviderError::Internal(_) => {
                        later(StatusCode::INTERNAL_SERVER_ERROR, "the notice cannot be verified")
                    }
                };
                (mentioned(*mention, loudness(cause)), problem)
            }
            // Strangers can bring it about.
            LogoutError::Busy => (
                Loudness::Debug,
                later(StatusCode::SERVICE_UNAVAILABLE, "too many notices are being verified at the moment"),
            ),
            // Only what browsers bring is counted by address.
            LogoutError::Limited(_) => (
                Loudness::Debug,
                later(StatusCode::TOO_MANY_REQUESTS, "too many notices come from this address"),
            ),
            LogoutError::Replayed => (Loudness::Warn, refused("the logout notice was used before")),
            LogoutError::Nobody => (Loudness::Warn, refused("the logout notice is about nobody")),
            LogoutError::Store(StoreError::Unavailable(_)) => (
                Loudness::Error,
                later(StatusCode::SERVICE_UNAVAILABLE, "the notice cannot be kept at the moment"),
            ),
            LogoutError::Store(StoreError::Corrupt(_) | StoreError::Rejected(_)) => {
                (Loudness::Error, later(StatusCode::INTERNAL_SERVER_ERROR, "the notice cannot be kept"))
            }
        };
        log(loudness, error);
        problem
    }
}

impl From<&LogoutError> for PageProblem {
    fn from(error: &LogoutError) -> Self {
        let refused = || Self::new(StatusCode::BAD_REQUEST, "logout-refused");
        let later = |status| Self::new(status, "logout-later");
        let (loudness, problem) = match error {
            LogoutError::Provider { error: cause, mention } => {
                let problem = match cause {
                    ProviderError::Malformed(_)
                    | ProviderError::Unverified(_)
                    | ProviderError::Refused(_)
                    | ProviderError::BadCredentials => refused(),
                    ProviderError::Unavailable(_) => later(StatusCode::SERVICE_UNAVAILABLE),
                    ProviderError::Internal(_) => later(StatusCode::INTERNAL_SERVER_ERROR),
                };
                (mentioned(*mention, loudness(cause)), problem)
            }
            LogoutError::Limited(limited) => return Self::from(*limited),
            // Somebody went back, or loaded the page anew.
            LogoutError::Replayed => (Loudness::Info, Self::new(StatusCode::BAD_REQUEST, "logout-replayed")),
            LogoutError::Nobody => (Loudness::Warn, refused()),
            LogoutError::Busy => (Loudness::Debug, later(StatusCode::SERVICE_UNAVAILABLE)),
            LogoutError::Store(StoreError::Unavailable(_)) => {
                (Loudness::Error, later(StatusCode::SERVICE_UNAVAILABLE))
            }
            LogoutError::Store(StoreError::Corrupt(_) | StoreError::Rejected(_)) => {
                (Loudness::Error, later(StatusCode::INTERNAL_SERVER_ERROR))
            }
        };
        log(loudness, error);
        problem
    }
}

/// Where nobody reads the answer, a wrong key, address or clock shows nowhere but in the log.
fn loudness(cause: &ProviderError) -> Loudness {
    match cause {
        ProviderError::Malformed(_)
        | ProviderError::Unverified(_)
        | ProviderError::Refused(_)
        | ProviderError::BadCredentials => Loudness::Warn,
        ProviderError::Unavailable(_) | ProviderError::Internal(_) => Loudness::Error,
    }
}
