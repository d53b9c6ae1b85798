//! What failures of UI auth mean to the client that asks, and to the person at the page.

use actix_web::http::StatusCode;
use usher_homeserver::{CallError, Refusal};
use usher_store::StoreError;

use super::{DEFAULT_RETRY_AFTER, Loudness, busy, internal, log, refusal_of, store, unavailable};
use crate::{
    http::{MatrixError, PageProblem},
    ui_auth::{BodyError, ConfirmationError, PageError, ShapeError, UiAuthError},
};

impl From<&UiAuthError> for MatrixError {
    fn from(error: &UiAuthError) -> Self {
        let forbidden = |sentence: &str| Self::new(StatusCode::FORBIDDEN, "M_FORBIDDEN", sentence);
        let bad =
            |errcode: &'static str, sentence: String| Self::new(StatusCode::BAD_REQUEST, errcode, sentence);
        let (loudness, answer) = match error {
            UiAuthError::Token(refusal) => (Loudness::Debug, relayed(refusal)),
            UiAuthError::Refused(refusal) => refused(refusal),
            UiAuthError::Homeserver(cause) => homeserver(cause),
            UiAuthError::ForeignUser(_) => (Loudness::Error, nonsense()),
            UiAuthError::Body(BodyError::NotJson) => {
                (Loudness::Debug, bad("M_NOT_JSON", "The body is not JSON".to_owned()))
            }
            UiAuthError::Body(cause) => (Loudness::Debug, bad("M_BAD_JSON", sentence(cause))),
            UiAuthError::Shape(cause @ ShapeError::Missing(_)) => {
                (Loudness::Debug, bad("M_MISSING_PARAM", sentence(cause)))
            }
            UiAuthError::Shape(cause @ ShapeError::Type(_)) => {
                (Loudness::Debug, bad("M_BAD_JSON", sentence(cause)))
            }
            UiAuthError::NoPassword => (
                Loudness::Info,
                forbidden(
                    "You sign in with your organisation's single sign-on, so your account has no password: change it there",
                ),
            ),
            UiAuthError::UnknownSession => (
                Loudness::Debug,
                bad("M_UNKNOWN", "There is no such session here, or none any more: begin again".to_owned()),
            ),
            UiAuthError::Expired => {
                (Loudness::Info, bad("M_UNKNOWN", "The session has expired: begin again".to_owned()))
            }
            UiAuthError::Mismatch => (
                Loudness::Warn,
                forbidden("The session was begun for another request, and is good for that one alone"),
            ),
            UiAuthError::Spent => {
                (Loudness::Info, forbidden("The session was used already, and is good once: begin again"))
            }
            UiAuthError::Denied => {
                (Loudness::Warn, forbidden("The owner of the account has refused this request"))
            }
            UiAuthError::InUse { retry_after } => {
                (Loudness::Info, Self::limited("This very request is being done", *retry_after))
            }
            UiAuthError::TooManyOpen { retry_after } => (
                Loudness::Warn,
                Self::limited("Too many requests of this device are confirmed and not used", *retry_after),
            ),
            UiAuthError::Limited(limited) => return Self::from(*limited),
            UiAuthError::Store(StoreError::Unavailable(_)) => (Loudness::Error, unavailable()),
            UiAuthError::Corrupt | UiAuthError::Store(StoreError::Corrupt(_) | StoreError::Rejected(_)) => {
                (Loudness::Error, internal())
            }
        };
        log(loudness, error);
        answer
    }
}

/// The words of an error as a sentence.
fn sentence(error: &dyn std::error::Error) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// What the homeserver says to the person's own token is for them.
fn relayed(refusal: &Refusal) -> MatrixError {
    let answer = refusal_of(refusal);
    MatrixError { soft_logout: refusal.soft_logout, ..answer }
}

/// What the homeserver says to the application service that acts for the person: about the request, it is for the client;
/// about the application service, it is for an operator.
fn refused(refusal: &Refusal) -> (Loudness, MatrixError) {
    match refusal.status {
        401 | 403 => (Loudness::Error, nonsense()),
        _ => (Loudness::Info, refusal_of(refusal)),
    }
}

fn homeserver(cause: &CallError) -> (Loudness, MatrixError) {
    match cause {
        CallError::NotConnected(_) | CallError::ServerError { .. } | CallError::Ambiguous(_) => {
            let sentence = "Your homeserver does not answer at the moment: try again in a minute";
            (Loudness::Error, MatrixError::new(StatusCode::SERVICE_UNAVAILABLE, "M_UNKNOWN", sentence))
        }
        CallError::RateLimited { retry_after } => {
            (Loudness::Warn, busy(retry_after.unwrap_or(DEFAULT_RETRY_AFTER)))
        }
        CallError::Looped => {
            let sentence =
                "homeservers[].upstream_url leads to Usher itself: it must be the homeserver's own address";
            (Loudness::Error, MatrixError::new(StatusCode::LOOP_DETECTED, "M_UNKNOWN", sentence))
        }
        CallError::Misbehaved(_) | CallError::NotAllowed(_) | CallError::ForeignUser => {
            (Loudness::Error, nonsense())
        }
    }
}

fn nonsense() -> MatrixError {
    MatrixError::new(
        StatusCode::BAD_GATEWAY,
        "M_UNKNOWN",
        "Your homeserver did not do this for you, and only its operators can mend that",
    )
}

impl From<&PageError> for PageProblem {
    fn from(error: &PageError) -> Self {
        let (loudness, problem) = match error {
            PageError::Unknown => (Loudness::Debug, Self::new(StatusCode::BAD_REQUEST, "ui-auth-unknown")),
            PageError::Expired => (Loudness::Info, Self::new(StatusCode::BAD_REQUEST, "ui-auth-expired")),
            PageError::Spent => (Loudness::Info, Self::new(StatusCode::BAD_REQUEST, "ui-auth-spent")),
            PageError::Denied => (Loudness::Info, Self::new(StatusCode::FORBIDDEN, "ui-auth-denied")),
            PageError::TooLate => (Loudness::Warn, Self::new(StatusCode::CONFLICT, "ui-auth-too-late")),
            PageError::NoProvider => {
                (Loudness::Warn, Self::new(StatusCode::BAD_REQUEST, "ui-auth-no-provider"))
            }
            PageError::HomeserverGone(user) => (
                Loudness::Error,
                Self::new(StatusCode::FORBIDDEN, "homeserver-gone").about(user.server_name().as_str()),
            ),
            PageError::Csrf => (Loudness::Warn, Self::retry(StatusCode::FORBIDDEN, "ui-auth-form")),
            PageError::Begin(cause) => return Self::from(cause),
            PageError::Limited(limited) => return Self::from(*limited),
            PageError::Store(cause) => return store(cause, error),
        };
        log(loudness, error);
        problem
    }
}

/// Who has come back for a request and did not confirm it.
pub(super) fn confirmation(cause: &ConfirmationError, error: &dyn std::error::Error) -> PageProblem {
    use usher_core::Refusal as NotEnough;

    let (loudness, problem) = match cause {
        ConfirmationError::Refused(
            NotEnough::FreshnessUnstated | NotEnough::NotFresh | NotEnough::FromTheFuture,
        ) => (Loudness::Warn, PageProblem::retry(StatusCode::FORBIDDEN, "stale")),
        ConfirmationError::Refused(NotEnough::NotLinked | NotEnough::AnotherPerson) => {
            (Loudness::Warn, PageProblem::retry(StatusCode::FORBIDDEN, "another-person").or_sign_out())
        }
        ConfirmationError::NotAdmitted => {
            (Loudness::Warn, PageProblem::new(StatusCode::FORBIDDEN, "not-admitted"))
        }
        ConfirmationError::NotAllowed(name) => {
            (Loudness::Warn, PageProblem::new(StatusCode::FORBIDDEN, "not-allowed").about(name.as_str()))
        }
        ConfirmationError::Unknown => {
            (Loudness::Info, PageProblem::new(StatusCode::BAD_REQUEST, "ui-auth-unknown"))
        }
        ConfirmationError::Expired => {
            (Loudness::Info, PageProblem::new(StatusCode::BAD_REQUEST, "ui-auth-expired"))
        }
        ConfirmationError::AlreadyUsed => {
            (Loudness::Warn, PageProblem::new(StatusCode::BAD_REQUEST, "ui-auth-spent"))
        }
        ConfirmationError::Denied => {
            (Loudness::Info, PageProblem::new(StatusCode::FORBIDDEN, "ui-auth-denied"))
        }
        ConfirmationError::Store(cause) => return store(cause, error),
    };
    log(loudness, error);
    problem
}
