//! What a failure means to a client and to a person, in one place: exhaustive, so that a new failure must be
//! given its answer before it compiles. Each is logged here, once, where it becomes an answer.
//!
//! Two types that never mix: Matrix endpoints answer [`MatrixError`], pages answer [`PageProblem`]. Neither
//! says anything of the cause; the log does.

mod logout;
mod sign_out;
mod ui_auth;

use std::{error::Error, fmt::Write as _, time::Duration};

use actix_web::http::StatusCode;
use ruma_common::ServerName;
use usher_core::{ProviderError, Refusal, SelectError};
use usher_homeserver::{CallError, HandoffError, RegisterError};
use usher_http::RelayError;
use usher_store::StoreError;

use crate::{
    attempt::{AdoptError, BeginError, ClientRedirectError, ConfirmError, EstablishError, FinishError},
    gateway::PassError,
    http::{MatrixError, PageProblem},
    limits::{Limited, Mention},
    login::RedeemError,
};

/// The causes of `error`, outermost first, for the log.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        write!(text, ": {cause}").expect("writing to a String cannot fail");
        source = cause.source();
    }
    text
}

/// How loudly a failure is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loudness {
    /// Somebody must act.
    Error,
    /// Refused or degraded.
    Warn,
    /// A person's own doing, after they have authenticated somewhere.
    Info,
    /// What anybody can bring about without being anybody, as often as they like.
    Debug,
}

/// As loudly as it deserves, if the log may say so at all.
fn mentioned(mention: Mention, loudness: Loudness) -> Loudness {
    if mention.is_aloud { loudness } else { Loudness::Debug }
}

/// Within the request's span, which knows provider, attempt, person and homeserver by now.
fn log(loudness: Loudness, error: &dyn Error) {
    let cause = error.source().map(chain).unwrap_or_default();
    match loudness {
        Loudness::Error => tracing::error!(cause, "{error}"),
        Loudness::Warn => tracing::warn!(cause, "{error}"),
        Loudness::Info => tracing::info!(cause, "{error}"),
        Loudness::Debug => tracing::debug!(cause, "{error}"),
    }
}

impl From<&ClientRedirectError> for PageProblem {
    fn from(error: &ClientRedirectError) -> Self {
        log(Loudness::Debug, error);
        let id = match error {
            ClientRedirectError::Missing | ClientRedirectError::Repeated => "redirect-url-missing",
            ClientRedirectError::TooLong => "redirect-url-long",
            ClientRedirectError::NotAbsolute
            | ClientRedirectError::UserInfo
            | ClientRedirectError::Scheme => "redirect-url",
        };
        Self::new(StatusCode::BAD_REQUEST, id)
    }
}

impl From<Limited> for PageProblem {
    fn from(error: Limited) -> Self {
        log(Loudness::Debug, &error);
        let problem = match error {
            // Nothing was begun and nothing spent: the page can be loaded again.
            Limited::Address { .. } => Self::new(StatusCode::TOO_MANY_REQUESTS, "limited"),
            // The provider's answer is spent by now.
            Limited::Account { .. } => Self::retry(StatusCode::TOO_MANY_REQUESTS, "limited-account"),
        };
        problem.after(error.retry_after())
    }
}

impl From<Limited> for MatrixError {
    fn from(error: Limited) -> Self {
        log(Loudness::Debug, &error);
        let sentence = match error {
            Limited::Address { .. } => "Too many people sign in from where you are: try again in a moment",
            Limited::Account { .. } => "You have signed in very often: try again in a few minutes",
        };
        Self::limited(sentence, error.retry_after())
    }
}

impl From<&BeginError> for PageProblem {
    fn from(error: &BeginError) -> Self {
        match error {
            BeginError::UnknownProvider => {
                log(Loudness::Debug, error);
                Self::new(StatusCode::NOT_FOUND, "unknown-provider")
            }
            BeginError::Provider(cause) => provider(cause, error),
            BeginError::TooLarge => {
                log(Loudness::Warn, error);
                Self::new(StatusCode::BAD_REQUEST, "redirect-url-long")
            }
        }
    }
}

impl From<&FinishError> for PageProblem {
    fn from(error: &FinishError) -> Self {
        let (loudness, problem) = match error {
            FinishError::Provider(cause) => return provider(cause, error),
            FinishError::Stray { error: cause, mention } => {
                let (loudness, problem) = provider_problem(cause);
                (mentioned(*mention, loudness), problem)
            }
            FinishError::Establish { homeserver, error: cause } => {
                return establish(cause, homeserver, error);
            }
            FinishError::Store(cause) => return store(cause, error),
            FinishError::Limited(limited) => return Self::from(*limited),
            FinishError::UiAuth(cause) => return ui_auth::confirmation(cause, error),
            FinishError::UnknownAttempt => {
                (Loudness::Debug, Self::new(StatusCode::BAD_REQUEST, "unknown-attempt"))
            }
            FinishError::Expired => (Loudness::Info, Self::retry(StatusCode::BAD_REQUEST, "expired")),
            FinishError::AlreadyUsed => {
                (Loudness::Warn, Self::retry(StatusCode::BAD_REQUEST, "already-used"))
            }
            FinishError::TooLarge => {
                (Loudness::Warn, Self::new(StatusCode::BAD_REQUEST, "redirect-url-long"))
            }
            FinishError::Refused(Refusal::FreshnessUnstated | Refusal::NotFresh | Refusal::FromTheFuture) => {
                (Loudness::Warn, Self::retry(StatusCode::FORBIDDEN, "stale"))
            }
            FinishError::Refused(Refusal::NotLinked | Refusal::AnotherPerson) => {
                (Loudness::Warn, Self::retry(StatusCode::FORBIDDEN, "another-person").or_sign_out())
            }
            FinishError::Csrf => (Loudness::Warn, Self::new(StatusCode::FORBIDDEN, "form")),
            FinishError::NotAdmitted => (Loudness::Warn, Self::new(StatusCode::FORBIDDEN, "not-admitted")),
            FinishError::NotAllowed(name) => {
                (Loudness::Warn, Self::new(StatusCode::FORBIDDEN, "not-allowed").about(name.as_str()))
            }
            FinishError::NotOffered => (Loudness::Warn, Self::retry(StatusCode::FORBIDDEN, "not-offered")),
            FinishError::Contended => {
                (Loudness::Warn, Self::retry(StatusCode::SERVICE_UNAVAILABLE, "database"))
            }
            FinishError::NoHomeserver => (Loudness::Warn, Self::new(StatusCode::FORBIDDEN, "no-homeserver")),
            FinishError::Elsewhere(name) => {
                (Loudness::Info, Self::new(StatusCode::FORBIDDEN, "elsewhere").about(name.as_str()))
            }
            FinishError::HomeserverGone(name) => {
                (Loudness::Error, Self::new(StatusCode::FORBIDDEN, "homeserver-gone").about(name.as_str()))
            }
            FinishError::Select(SelectError::Unavailable(_)) => {
                (Loudness::Error, Self::retry(StatusCode::SERVICE_UNAVAILABLE, "database"))
            }
        };
        log(loudness, error);
        problem
    }
}

impl From<&ConfirmError> for PageProblem {
    fn from(error: &ConfirmError) -> Self {
        let (loudness, problem) = match error {
            ConfirmError::Store(cause) => return store(cause, error),
            ConfirmError::Limited(limited) => return Self::from(*limited),
            // Nobody needs to have signed in for this one.
            ConfirmError::UnknownAttempt => {
                (Loudness::Debug, Self::new(StatusCode::BAD_REQUEST, "unknown-attempt"))
            }
            ConfirmError::Csrf => (Loudness::Warn, Self::new(StatusCode::FORBIDDEN, "form")),
            ConfirmError::AlreadyUsed => {
                (Loudness::Warn, Self::retry(StatusCode::BAD_REQUEST, "already-used"))
            }
            ConfirmError::Expired => (Loudness::Info, Self::retry(StatusCode::BAD_REQUEST, "expired")),
        };
        log(loudness, error);
        problem
    }
}

fn provider(cause: &ProviderError, error: &dyn Error) -> PageProblem {
    let (loudness, problem) = provider_problem(cause);
    log(loudness, error);
    problem
}

fn provider_problem(cause: &ProviderError) -> (Loudness, PageProblem) {
    match cause {
        ProviderError::Refused(_) | ProviderError::BadCredentials => {
            (Loudness::Info, PageProblem::retry(StatusCode::FORBIDDEN, "refused"))
        }
        ProviderError::Malformed(_) => {
            (Loudness::Warn, PageProblem::retry(StatusCode::BAD_REQUEST, "malformed"))
        }
        ProviderError::Unverified(_) => {
            (Loudness::Warn, PageProblem::retry(StatusCode::FORBIDDEN, "unverified"))
        }
        ProviderError::Unavailable(_) => {
            (Loudness::Error, PageProblem::retry(StatusCode::SERVICE_UNAVAILABLE, "provider-unavailable"))
        }
        ProviderError::Internal(_) => {
            (Loudness::Error, PageProblem::new(StatusCode::BAD_GATEWAY, "provider-internal"))
        }
    }
}

fn establish(cause: &EstablishError, homeserver: &ServerName, error: &FinishError) -> PageProblem {
    let (loudness, problem) = match cause {
        EstablishError::Store(cause) => return store(cause, error),
        EstablishError::Closed => {
            (Loudness::Warn, PageProblem::new(StatusCode::FORBIDDEN, "closed").about(homeserver.as_str()))
        }
        EstablishError::Adopt(cause) => (
            adoption(cause),
            PageProblem::new(StatusCode::FORBIDDEN, "not-adopted").about(homeserver.as_str()),
        ),
        EstablishError::Mapping(_) => (Loudness::Error, PageProblem::new(StatusCode::FORBIDDEN, "mapping")),
        EstablishError::NamesTaken(_) => {
            (Loudness::Error, PageProblem::new(StatusCode::CONFLICT, "names-taken"))
        }
        EstablishError::Removed(user) => {
            (Loudness::Warn, PageProblem::new(StatusCode::FORBIDDEN, "removed").about(user.as_str()))
        }
        EstablishError::NotServed => (
            Loudness::Error,
            PageProblem::new(StatusCode::FORBIDDEN, "homeserver-gone").about(homeserver.as_str()),
        ),
        EstablishError::Homeserver(cause) | EstablishError::Register(RegisterError::Call(cause)) => {
            (Loudness::Error, call(cause).about(homeserver.as_str()))
        }
        EstablishError::Register(RegisterError::Exclusive(_) | RegisterError::InvalidUsername(_)) => {
            let problem = PageProblem::new(StatusCode::BAD_GATEWAY, "homeserver-refuses");
            (Loudness::Error, problem.about(homeserver.as_str()))
        }
        EstablishError::Contended => {
            (Loudness::Warn, PageProblem::retry(StatusCode::SERVICE_UNAVAILABLE, "database"))
        }
    };
    log(loudness, error);
    problem
}

/// All of them are for an operator to mend, but not all are a mistake of theirs.
fn adoption(cause: &AdoptError) -> Loudness {
    match cause {
        AdoptError::SeveralValues
        | AdoptError::Localpart(_)
        | AdoptError::Known(_)
        | AdoptError::Unproven { .. } => Loudness::Error,
        AdoptError::Reserved(_) | AdoptError::Administrator(_) => Loudness::Warn,
    }
}

fn call(cause: &CallError) -> PageProblem {
    match cause {
        CallError::NotConnected(_)
        | CallError::Ambiguous(_)
        | CallError::RateLimited { .. }
        | CallError::ServerError { .. }
        | CallError::Misbehaved(_) => {
            PageProblem::retry(StatusCode::SERVICE_UNAVAILABLE, "homeserver-unavailable")
        }
        CallError::NotAllowed(_) | CallError::Looped | CallError::ForeignUser => {
            PageProblem::new(StatusCode::BAD_GATEWAY, "homeserver-refuses")
        }
    }
}

fn store(cause: &StoreError, error: &dyn Error) -> PageProblem {
    log(Loudness::Error, error);
    match cause {
        StoreError::Unavailable(_) => PageProblem::retry(StatusCode::SERVICE_UNAVAILABLE, "database"),
        StoreError::Corrupt(_) | StoreError::Rejected(_) => {
            PageProblem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal")
        }
    }
}

impl From<&RedeemError> for MatrixError {
    fn from(error: &RedeemError) -> Self {
        let forbidden = |sentence: &str| Self::new(StatusCode::FORBIDDEN, "M_FORBIDDEN", sentence);
        let (loudness, answer) = match error {
            RedeemError::Handoff { error: cause, .. } => handoff(cause),
            RedeemError::Limited(limited) => return Self::from(*limited),
            RedeemError::BadToken => (
                Loudness::Debug,
                forbidden("The login token is not valid, or was used before: sign in again"),
            ),
            RedeemError::Leased { retry_after } => (
                Loudness::Info,
                Self::limited("The login token is being used by another request", *retry_after),
            ),
            RedeemError::HomeserverGone(_) => {
                (Loudness::Error, forbidden("Your homeserver is not served here any more"))
            }
            RedeemError::LeaseLost => (
                Loudness::Warn,
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "M_UNKNOWN",
                    "Your homeserver answered too late: try again",
                ),
            ),
            RedeemError::Store(StoreError::Unavailable(_)) => (Loudness::Error, unavailable()),
            RedeemError::Store(StoreError::Corrupt(_) | StoreError::Rejected(_)) => {
                (Loudness::Error, internal())
            }
        };
        log(loudness, error);
        answer
    }
}

fn handoff(cause: &HandoffError) -> (Loudness, MatrixError) {
    let bad_gateway = |sentence: &str| MatrixError::new(StatusCode::BAD_GATEWAY, "M_UNKNOWN", sentence);
    match cause {
        HandoffError::NotConnected(_) | HandoffError::ServerError { .. } => {
            (Loudness::Error, not_answering())
        }
        HandoffError::Ambiguous(_) => (Loudness::Error, not_in_time()),
        HandoffError::RateLimited { retry_after } => {
            (Loudness::Warn, busy(retry_after.unwrap_or(DEFAULT_RETRY_AFTER)))
        }
        HandoffError::Misbehaved(_)
        | HandoffError::NotAllowed(_)
        | HandoffError::Looped
        | HandoffError::ForeignUser
        | HandoffError::AnotherUser { .. } => (
            Loudness::Error,
            bad_gateway("Your homeserver did not sign you in, and only its operators can mend that"),
        ),
        HandoffError::Deactivated => (
            Loudness::Info,
            MatrixError::new(
                StatusCode::FORBIDDEN,
                "M_USER_DEACTIVATED",
                "Your account has been deactivated",
            ),
        ),
        HandoffError::Locked { soft_logout } => {
            let locked =
                MatrixError::new(StatusCode::UNAUTHORIZED, "M_USER_LOCKED", "Your account has been locked");
            (Loudness::Info, MatrixError { soft_logout: *soft_logout, ..locked })
        }
        HandoffError::UnknownUser(_) => (
            Loudness::Error,
            MatrixError::new(
                StatusCode::FORBIDDEN,
                "M_FORBIDDEN",
                "Your account does not exist on your homeserver any more: ask your help desk",
            ),
        ),
    }
}

impl From<&PassError> for MatrixError {
    fn from(error: &PassError) -> Self {
        let (loudness, answer) = match error {
            PassError::Relay(RelayError::Target(_)) => (
                Loudness::Debug,
                Self::new(StatusCode::BAD_REQUEST, "M_UNRECOGNIZED", "This address cannot be passed on"),
            ),
            PassError::Relay(RelayError::NotConnected(_)) => (Loudness::Error, not_answering()),
            PassError::Relay(RelayError::Cut(_)) | PassError::Upgraded => (
                Loudness::Error,
                Self::new(
                    StatusCode::BAD_GATEWAY,
                    "M_UNKNOWN",
                    "Your homeserver gave no answer that can be understood: try again in a few minutes",
                ),
            ),
            PassError::Relay(RelayError::Silent(_)) => (Loudness::Error, not_in_time()),
            PassError::Relay(RelayError::Stalled(_)) => (
                Loudness::Debug,
                Self::new(StatusCode::REQUEST_TIMEOUT, "M_UNKNOWN", "The request did not come whole in time"),
            ),
            PassError::Relay(RelayError::Broken) | PassError::HungUp => (
                Loudness::Debug,
                Self::new(StatusCode::BAD_REQUEST, "M_UNKNOWN", "The request did not come whole"),
            ),
        };
        log(loudness, error);
        answer
    }
}

/// Asking a homeserver how people log in there.
impl From<&CallError> for MatrixError {
    fn from(error: &CallError) -> Self {
        let (loudness, answer) = match error {
            CallError::NotConnected(_) | CallError::ServerError { .. } => (Loudness::Error, not_answering()),
            CallError::Ambiguous(_) => (Loudness::Error, not_in_time()),
            CallError::RateLimited { retry_after } => {
                (Loudness::Warn, busy(retry_after.unwrap_or(DEFAULT_RETRY_AFTER)))
            }
            CallError::Looped => (
                Loudness::Error,
                Self::new(
                    StatusCode::LOOP_DETECTED,
                    "M_UNKNOWN",
                    "homeservers[].upstream_url leads to Usher itself: it must be the homeserver's own address",
                ),
            ),
            CallError::Misbehaved(_) | CallError::NotAllowed(_) | CallError::ForeignUser => (
                Loudness::Error,
                Self::new(
                    StatusCode::BAD_GATEWAY,
                    "M_UNKNOWN",
                    "Your homeserver does not say how people log in there, and only its operators can mend that",
                ),
            ),
        };
        log(loudness, error);
        answer
    }
}

/// What the homeserver says, said on.
fn refusal_of(refusal: &usher_homeserver::Refusal) -> MatrixError {
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_GATEWAY);
    MatrixError::new(status, refusal.errcode.clone(), refusal.error.clone())
}

/// Where a homeserver does not say how long to wait.
const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(5);

fn busy(retry_after: Duration) -> MatrixError {
    MatrixError::limited("Your homeserver is busy: try again later", retry_after)
}

fn not_answering() -> MatrixError {
    MatrixError::new(
        StatusCode::BAD_GATEWAY,
        "M_UNKNOWN",
        "Your homeserver does not answer at the moment: try again in a few minutes",
    )
}

fn not_in_time() -> MatrixError {
    MatrixError::new(
        StatusCode::GATEWAY_TIMEOUT,
        "M_UNKNOWN",
        "Your homeserver did not answer in time: try again in a minute",
    )
}

/// 503: something Usher depends on is away.
pub(crate) fn unavailable() -> MatrixError {
    MatrixError::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "M_UNKNOWN",
        "This portal is out of order for the moment: try again in a few minutes",
    )
}

fn internal() -> MatrixError {
    MatrixError::new(StatusCode::INTERNAL_SERVER_ERROR, "M_UNKNOWN", "Something went wrong here")
}
