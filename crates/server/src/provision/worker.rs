//! Works off what accounts are still to be given.
//!
//! A row is claimed under a lease, the call is made, the row goes. Whatever fails is tried again until it is done, the
//! account is removed, or the config does not want it any more. A process that is killed leaves a lease that runs out.
//! Nothing that is given does harm if it is given twice.

use std::{sync::Arc, time::Duration};

use ruma_common::{OwnedServerName, RoomOrAliasId};
use tokio::{sync::Notify, task::JoinSet};
use usher_homeserver::{AddedEmail, CallError};
use usher_store::{
    Lease, StoreError,
    provisioning::{self, Gift, Kind, Task},
};

use crate::{
    app::{App, ServedHomeserver},
    errands::{Errands, pause_after},
    error::chain,
};

/// Calls to one homeserver at once.
const BATCH: u32 = 8;
/// What one gift may take at most, in calls.
const MAX_CALLS: u32 = 3;
/// What is left of a lease when the last call has timed out.
const LEASE_MARGIN: Duration = Duration::from_secs(30);

/// What became of a row.
enum Outcome {
    Given,
    /// The config has changed since.
    NotWanted,
    Failed(Failure),
}

enum Failure {
    Call(CallError),
    /// The address is another account's.
    EmailInUse,
    /// What the row says cannot be asked for.
    Unreadable,
}

/// What accounts are still to be given.
pub(crate) struct Provisioning;

impl Errands for Provisioning {
    const WHAT: &'static str = "what accounts are still to be given";

    fn wake(homeserver: &ServedHomeserver) -> &Arc<Notify> {
        &homeserver.newcomers
    }

    async fn list_due(app: &App) -> Result<Vec<OwnedServerName>, StoreError> {
        provisioning::list_due(&app.store, app.clock.now()).await
    }

    async fn round(app: &Arc<App>, homeserver: &ServedHomeserver) -> Result<Option<Duration>, StoreError> {
        round(app, homeserver).await
    }
}

/// Everything that is due, a few at a time; after which time something that failed is due again.
async fn round(app: &Arc<App>, homeserver: &ServedHomeserver) -> Result<Option<Duration>, StoreError> {
    let mut pause: Option<Duration> = None;
    let mut fault = None;
    loop {
        let (lease, now) = (Lease::generate(&*app.entropy), app.clock.now());
        let lease_until = now.plus(homeserver.config.timeout * MAX_CALLS + LEASE_MARGIN);
        let server_name = &homeserver.config.server_name;
        let tasks = provisioning::claim(&app.store, server_name, &lease, now, lease_until, BATCH).await?;
        let is_last = tasks.len() < usize::try_from(BATCH).unwrap_or(usize::MAX);
        let mut giving = JoinSet::new();
        for task in tasks {
            let (app, homeserver, lease) = (Arc::clone(app), homeserver.clone(), lease.clone());
            giving.spawn(async move { give(&app, &homeserver, &lease, &task).await });
        }
        while let Some(given) = giving.join_next().await {
            match given {
                Ok(Ok(None)) => {}
                Ok(Ok(Some(again))) => pause = Some(pause.map_or(again, |pause| pause.min(again))),
                // The lease of that one runs out; the others go on.
                Ok(Err(error)) => fault = Some(error),
                // Its lease runs out.
                Err(_) => tracing::error!(homeserver = %server_name, "a task of provisioning panicked"),
            }
        }
        if let Some(error) = fault {
            return Err(error);
        }
        if is_last {
            return Ok(pause);
        }
    }
}

/// Gives one, and says in its row what became of it; after which time to try again, if it failed.
async fn give(
    app: &App,
    homeserver: &ServedHomeserver,
    lease: &Lease,
    task: &Task,
) -> Result<Option<Duration>, StoreError> {
    match attempt(homeserver, task).await {
        Outcome::NotWanted => {
            provisioning::delete(&app.store, task, lease).await?;
            tracing::info!(user.mxid = %task.mxid, kind = %task.kind, "not given: the config does not want it any more");
            Ok(None)
        }
        Outcome::Given => {
            note_given(app, lease, task).await?;
            tracing::info!(user.mxid = %task.mxid, kind = %task.kind, attempts = task.attempts, "given to an account");
            Ok(None)
        }
        Outcome::Failed(failure) => {
            let pause = pause_after(task.attempts, failure.call(), &*app.entropy);
            let not_before = app.clock.now().plus(pause);
            provisioning::postpone(&app.store, task, lease, not_before, failure.code()).await?;
            failure.log(homeserver, task, pause);
            Ok(Some(pause))
        }
    }
}

async fn attempt(homeserver: &ServedHomeserver, task: &Task) -> Outcome {
    let new_account = &homeserver.config.new_account;
    let is_wanted = match task.kind {
        Kind::DisplayName => new_account.display_name.is_some(),
        Kind::Email => new_account.email.is_some(),
        Kind::Join => new_account.join.iter().any(|room| *room == *task.value),
    };
    if !is_wanted {
        return Outcome::NotWanted;
    }
    let client = &homeserver.client;
    let done = match task.kind {
        Kind::DisplayName => client.set_display_name(&task.mxid, &task.value).await,
        Kind::Email => match client.add_email(&task.mxid, &task.value).await {
            Ok(AddedEmail::SomebodyElses) => return Outcome::Failed(Failure::EmailInUse),
            Ok(AddedEmail::Added | AddedEmail::Present) => Ok(()),
            Err(error) => Err(error),
        },
        Kind::Join => match <&RoomOrAliasId>::try_from(task.value.as_str()) {
            Ok(room) => client.join(&task.mxid, room).await,
            Err(_) => return Outcome::Failed(Failure::Unreadable),
        },
    };
    done.map_or_else(|error| Outcome::Failed(Failure::Call(error)), |()| Outcome::Given)
}

/// The row goes, and of a display name it is remembered which: unless there is a new one by now.
async fn note_given(app: &App, lease: &Lease, task: &Task) -> Result<(), StoreError> {
    let mut tx = app.store.begin().await?;
    if !provisioning::delete(&mut tx, task, lease).await? {
        return Ok(());
    }
    if task.kind == Kind::DisplayName {
        let gift = Gift { kind: task.kind, value: &task.value };
        provisioning::set_given(&mut tx, &task.mxid, &gift, app.clock.now()).await?;
    }
    tx.commit().await
}

impl Failure {
    fn call(&self) -> Option<&CallError> {
        match self {
            Self::Call(error) => Some(error),
            Self::EmailInUse | Self::Unreadable => None,
        }
    }

    fn code(&self) -> &str {
        match self {
            Self::Call(error) => error.code(),
            Self::EmailInUse => "email-in-use",
            Self::Unreadable => "unreadable",
        }
    }

    fn log(&self, homeserver: &ServedHomeserver, task: &Task, pause: Duration) {
        let cause = match self {
            Self::Call(error) => chain(error),
            Self::EmailInUse => "the e-mail address is another account's".to_owned(),
            Self::Unreadable => "the row is not about a room".to_owned(),
        };
        let again = humantime::format_duration(Duration::from_secs(pause.as_secs())).to_string();
        let (user, kind, attempts) = (&task.mxid, task.kind, task.attempts);
        if let (Kind::Email, Self::Call(CallError::NotAllowed(refusal))) = (kind, self)
            && refusal.errcode == "M_FORBIDDEN"
        {
            let path = &homeserver.config.path;
            tracing::error!(
                user.mxid = %user, cause, attempts, again,
                "no e-mail address: {path}.new_account.email needs the service's own user to be a server administrator"
            );
        } else {
            tracing::warn!(user.mxid = %user, %kind, cause, attempts, again, "an account has to wait for what it is given");
        }
    }
}
