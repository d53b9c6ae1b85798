//! Why nobody has confirmed a session yet, for its client to tell.

use usher_core::Timestamp;

use crate::{Db, StoreError, UiAuthHandleHash, db::execute, words::words};

/// Why a try to sign in for a session came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The provider signed nobody in.
    NotSignedIn,
    /// Somebody else than its account's person did.
    AnotherPerson,
    /// It was not proven that they had just done so.
    NotFresh,
    /// They do not meet what their provider or homeserver requires.
    NotAdmitted,
}

words!(Failure {
    NotSignedIn = "not_signed_in",
    AnotherPerson = "another_person",
    NotFresh = "not_fresh",
    NotAdmitted = "not_admitted",
});

/// Notes why a try came to nothing. `false`: the same is noted already, or the session does not wait any more. Whoever
/// repeats a try that fails in the same way writes once.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn note_failure(
    db: impl Into<Db<'_>>,
    handle: &UiAuthHandleHash,
    failure: Failure,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let noted = execute!(
        db,
        "UPDATE ui_auth_sessions SET failure = $2
         WHERE handle_hash = $1 AND state = 'pending' AND expires_at > $3
             AND (failure IS NULL OR failure <> $2)",
        handle.as_str(),
        failure.as_str(),
        now.as_millis(),
    )?;
    Ok(noted == 1)
}
