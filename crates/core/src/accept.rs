//! The only judge of freshness and of "the same person" (MSC2454, "one request only").

use std::time::Duration;

use ruma_common::UserId;

use crate::{Evidence, Freshness, Identity, Purpose, Timestamp};

/// Why a proven identity is not enough for the purpose it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The provider did not state when the person authenticated, and fresh authentication was demanded.
    #[error("the provider did not state when the person authenticated")]
    FreshnessUnstated,
    /// The provider stated an authentication before the demand.
    #[error("the person authenticated before they were asked to")]
    NotFresh,
    /// The provider stated an authentication in the future, beyond the permitted skew.
    #[error("the stated time of authentication lies in the future")]
    FromTheFuture,
    /// UI auth by somebody without an account on that homeserver. It never creates one.
    #[error("nobody is linked to this identity on that homeserver")]
    NotLinked,
    /// UI auth by somebody else than the owner of the access token.
    #[error("another person signed in")]
    AnotherPerson,
}

/// Judges whether `identity` is enough for `purpose`.
///
/// `freshness` is what was sealed when the attempt began, `linked` the account linked to the identity on
/// the purpose's homeserver, `skew` the permitted difference between the provider's clock and ours.
/// Whole seconds: a provider's instant counts as fresh from the start of the second the demand fell in.
pub fn accept(
    purpose: &Purpose,
    freshness: Freshness,
    identity: &Identity,
    linked: Option<&UserId>,
    skew: Duration,
    now: Timestamp,
) -> Result<(), Refusal> {
    if let Freshness::Since(demanded) = freshness {
        is_fresh(identity.evidence, demanded, skew, now)?;
    }
    match purpose {
        Purpose::Login { .. } => Ok(()),
        Purpose::UiAuth { expected, .. } => match linked {
            None => Err(Refusal::NotLinked),
            Some(user) if user != &**expected => Err(Refusal::AnotherPerson),
            Some(_) => Ok(()),
        },
    }
}

fn is_fresh(evidence: Evidence, demanded: Timestamp, skew: Duration, now: Timestamp) -> Result<(), Refusal> {
    match evidence {
        Evidence::Unstated => Err(Refusal::FreshnessUnstated),
        Evidence::AuthenticatedAt(instant) if instant < demanded.floor_to_second().minus(skew) => {
            Err(Refusal::NotFresh)
        }
        Evidence::AuthenticatedAt(instant) if instant > now.plus(skew) => Err(Refusal::FromTheFuture),
        // The backend says `CredentialsPresented` only of an answer bound to this very attempt (CAS: the
        // service URL contains the attempt id and the ticket was validated with `renew`).
        Evidence::AuthenticatedAt(_) | Evidence::CredentialsPresented => Ok(()),
    }
}

#[cfg(test)]
mod tests;
