//! Logouts: what providers said about sessions that ended. A row is kept for as long as a login that was under way then
//! could still be finished: such a login is refused wherever it has come to (`login_tokens`), and a session that was
//! opened at that very moment is found by looking once more ([`endings::insert_due`](crate::endings::insert_due)).

use usher_core::{Entropy, Handle, Issuer, ProviderId, Subject, Timestamp};

use crate::{
    AttemptHash, Db, EndedSessionHash, SWEEP_BATCH, StoreError, UpstreamSessionHash,
    db::{execute, fetch},
};

/// What a provider said.
#[derive(Clone, Copy, Debug)]
pub struct NewLogout<'a> {
    /// Which provider.
    pub provider: &'a ProviderId,
    /// Who vouches inside it.
    pub issuer: &'a Issuer,
    /// Whose sessions; of whomever the session is, if absent.
    pub subject: Option<&'a Subject>,
    /// Which session; all that the subject has had until now, if absent. One of the two is there. If both are, what is the
    /// subject's and has no session's name is meant too (Back-Channel Logout 1.0 section 2.4: either identifies it).
    pub upstream_session: Option<&'a EndedSessionHash>,
    /// Whether sessions at homeservers end, too.
    pub ends_sessions: bool,
    /// When.
    pub received_at: Timestamp,
    /// The first instant at which no login that was under way then can be finished any more.
    pub keep_until: Timestamp,
}

/// The provider's session of a login token's row has ended, or all that its subject began before a logout; if a logout names a
/// session, all that has no session's name. A session of a group, whose name may come again, has ended if it was begun before
/// a logout of it or of its group.
macro_rules! has_ended {
    ($upstream_session:literal, $provider:literal, $issuer:literal, $subject:literal, $begun_at:literal) => {
        concat!(
            "(EXISTS (SELECT 1 FROM logouts WHERE logouts.upstream_session_hash IN (",
            $upstream_session,
            ", substr(",
            $upstream_session,
            ", 1, 32)) AND (substr(",
            $upstream_session,
            ", 1, 1) <> 'g' OR logouts.received_at >= ",
            $begun_at,
            ")) OR EXISTS (SELECT 1 FROM logouts WHERE logouts.provider = ",
            $provider,
            " AND logouts.issuer = ",
            $issuer,
            " AND logouts.subject = ",
            $subject,
            " AND (logouts.upstream_session_hash IS NULL OR ",
            $upstream_session,
            " IS NULL) AND logouts.received_at >= ",
            $begun_at,
            "))"
        )
    };
}

pub(crate) use has_ended;

/// Remembers a logout.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn insert(
    db: impl Into<Db<'_>>,
    logout: &NewLogout<'_>,
    entropy: &dyn Entropy,
) -> Result<(), StoreError> {
    execute!(
        db,
        "INSERT INTO logouts
             (logout_id, provider, issuer, subject, upstream_session_hash, ends_sessions, received_at, keep_until)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        entropy.base64url::<16>(),
        logout.provider.as_str(),
        logout.issuer.as_str(),
        logout.subject.map(Subject::as_str),
        logout.upstream_session.map(EndedSessionHash::as_str),
        i64::from(logout.ends_sessions),
        logout.received_at.as_millis(),
        logout.keep_until.as_millis(),
    )?;
    Ok(())
}

/// Whether a provider's session is one that Usher knows: of a session that is open, of a login token, of a request that was
/// confirmed, or of somebody who is being asked something. What nobody vouches for and nobody knows need not be remembered.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn is_known(
    db: impl Into<Db<'_>>,
    upstream_session: &UpstreamSessionHash,
    attempt: &Handle,
) -> Result<bool, StoreError> {
    let rows = fetch!(
        db,
        reader,
        (i64,),
        "SELECT (SELECT COUNT(*) FROM sessions WHERE upstream_session_hash = $1 AND ended_at IS NULL)
             + (SELECT COUNT(*) FROM login_tokens WHERE attempt_hash = $2 AND upstream_session_hash = $1)
             + (SELECT COUNT(*) FROM pending WHERE attempt_hash = $2)
             + (SELECT COUNT(*) FROM ui_auth_sessions
                WHERE attempt_hash = $2 AND upstream_session_hash = $1)",
        upstream_session.as_str(),
        AttemptHash::of(attempt).as_str(),
    )?;
    Ok(rows.first().is_some_and(|(count,)| *count > 0))
}

/// Forgets logouts that no login under way can be concerned by, at most `limit` and at most [`SWEEP_BATCH`]; how many.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn delete_expired(db: impl Into<Db<'_>>, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
    execute!(
        db,
        "DELETE FROM logouts WHERE logout_id IN
             (SELECT logout_id FROM logouts WHERE keep_until <= $1 ORDER BY keep_until LIMIT $2)",
        now.as_millis(),
        i64::from(limit.min(SWEEP_BATCH)),
    )
}
