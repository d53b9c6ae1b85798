//! Why a try to sign in for a request came to nothing: the page tells the person, and this the client, at its next try
//! (client-server API v1.19, "User-interactive API in the REST API": `errcode` and `error` beside the flows).
//!
//! Only a callback of an attempt that was begun at the page, opened with its own browser's cookie, can bring it about. It
//! changes one row that is there, which an access token of the account made; the same failure again changes nothing.

use usher_core::{Handle, ProviderError, Purpose, Refusal};
use usher_store::{
    UiAuthHandleHash,
    ui_auth_sessions::{self, Failure},
};

use super::ConfirmationError;
use crate::{
    app::App,
    attempt::{Attempt, FinishError},
    error::chain,
};

/// Notes why an attempt did not confirm its session, if it was for one and the person can try again.
pub(crate) async fn note_failure(app: &App, attempt: &Attempt, error: &FinishError) {
    let (Purpose::UiAuth { session, .. }, Some(failure)) = (&attempt.purpose, failure_of(error)) else {
        return;
    };
    let Ok(handle) = Handle::parse(session.as_str()) else { return };
    let handle = UiAuthHandleHash::of(&handle);
    if let Err(error) = ui_auth_sessions::note_failure(&app.store, &handle, failure, app.clock.now()).await {
        tracing::warn!(cause = chain(&error), "the client will not be told why nobody has confirmed");
    }
}

/// What the client is told; `None`: nothing that signing in once more would change, or nothing was said about the person.
fn failure_of(error: &FinishError) -> Option<Failure> {
    match error {
        FinishError::UiAuth(ConfirmationError::Refused(Refusal::NotLinked | Refusal::AnotherPerson)) => {
            Some(Failure::AnotherPerson)
        }
        FinishError::UiAuth(ConfirmationError::Refused(
            Refusal::FreshnessUnstated | Refusal::NotFresh | Refusal::FromTheFuture,
        )) => Some(Failure::NotFresh),
        FinishError::UiAuth(ConfirmationError::NotAdmitted | ConfirmationError::NotAllowed(_)) => {
            Some(Failure::NotAdmitted)
        }
        FinishError::Provider(
            ProviderError::Refused(_) | ProviderError::BadCredentials | ProviderError::Unverified(_),
        ) => Some(Failure::NotSignedIn),
        FinishError::Provider(
            ProviderError::Malformed(_) | ProviderError::Unavailable(_) | ProviderError::Internal(_),
        )
        | FinishError::UiAuth(
            ConfirmationError::Unknown
            | ConfirmationError::Expired
            | ConfirmationError::AlreadyUsed
            | ConfirmationError::Denied
            | ConfirmationError::Store(_),
        )
        | FinishError::Stray { .. }
        | FinishError::UnknownAttempt
        | FinishError::Expired
        | FinishError::AlreadyUsed
        | FinishError::TooLarge
        | FinishError::Refused(_)
        | FinishError::Csrf
        | FinishError::NotAdmitted
        | FinishError::NotAllowed(_)
        | FinishError::NotOffered
        | FinishError::NoHomeserver
        | FinishError::Contended
        | FinishError::Elsewhere(_)
        | FinishError::HomeserverGone(_)
        | FinishError::Select(_)
        | FinishError::Establish { .. }
        | FinishError::Limited(_)
        | FinishError::Store(_) => None,
    }
}
