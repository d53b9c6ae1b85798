//! `GET /_matrix/client/v3/account/whoami?user_id=`: whether a name is free, asked before it is registered.
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3accountwhoami>
//!
//! The specification says 403 `M_FORBIDDEN` when "the appservice cannot masquerade as the user or has not registered
//! them": the same code for a free name and for a namespace that is too small, and only the words differ. A name that
//! is wrongly called free could end in somebody taking over an account, one wrongly called taken only in a refusal.
//! So nothing is free but what is said in words that a server is known to use after it looked for this very user:
//!
//! - Synapse (seen, 1.163): `Application service has not registered this user (@alice:eng.ac.cdl)`. It is said of
//!   users that do not exist, whoever would have made them; deactivated and locked users are 200.
//! - Conduit (its source): `User does not exist.`; a namespace that is too small is `M_EXCLUSIVE` there.
//!
//! Everything else is an error. Synapse's `Application service cannot masquerade as this user` is a registration
//! file that does not cover the user. Dendrite's `appservice has not registered this user` is also what it says when
//! its database fails and when a user exists outside the namespace, so it proves nothing. Recent Conduit forks
//! (Tuwunel, Continuwuity) say 200 for every name in the namespace. On those Usher makes no new accounts: they are
//! adopted or pinned.

use ruma_common::{OwnedUserId, UserId};
use serde::Deserialize;

use crate::{
    CallError, Homeserver, Misbehaviour, Refusal,
    call::{Said, bounded, read},
};

/// Whether a name can be registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// The homeserver has no such user and never had one.
    Free,
    /// Somebody has that name, or had it (a deactivated user), whoever made the account.
    Taken,
}

#[derive(Deserialize)]
struct WhoAmI {
    user_id: OwnedUserId,
}

impl Homeserver {
    /// Whether `user` exists. An unclear answer is an error, never [`Probe::Free`].
    pub async fn probe(&self, user: &UserId) -> Result<Probe, CallError> {
        self.check_own(user)?;
        match self.get(self.endpoint_as(user, &["account", "whoami"])).await? {
            Said::Done(body) => match read::<WhoAmI>(&body)?.user_id {
                got if got == user => Ok(Probe::Taken),
                got => Err(CallError::Misbehaved(Misbehaviour::AnotherUser { got })),
            },
            Said::Refused(refusal) if says_unregistered(&refusal, user) => Ok(Probe::Free),
            Said::Refused(refusal) => Err(CallError::NotAllowed(refusal)),
        }
    }
}

/// Whole sentences, not parts of them: the homeserver repeats the user id, which is made of what people chose.
fn says_unregistered(refusal: &Refusal, user: &UserId) -> bool {
    let synapse = bounded(&format!("Application service has not registered this user ({user})"));
    let conduit = "User does not exist.";
    refusal.status == 403
        && refusal.errcode == "M_FORBIDDEN"
        && (refusal.error == synapse || refusal.error == conduit)
}
