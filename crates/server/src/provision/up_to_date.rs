//! Display names that follow the provider, where the config says so.
//!
//! What was given last is remembered as a hash, so that a sign-in that changes nothing costs one statement and no call,
//! and a name that somebody chose themselves is overwritten only when the provider has a new one.

use ruma_common::UserId;
use usher_core::Identity;
use usher_store::{
    StoreError,
    provisioning::{self, Gift, Kind},
};

use super::gifts::display_name;
use crate::{
    app::{App, ServedHomeserver},
    error::chain,
};

/// Leaves a row if `user` is to be called something new. A failure costs nobody their sign-in: the next one tries again.
pub(crate) async fn keep_up_to_date(
    app: &App,
    identity: &Identity,
    homeserver: &ServedHomeserver,
    user: &UserId,
) {
    if !homeserver.config.profile.updates_display_name {
        return;
    }
    let Some(name) = display_name(identity, homeserver) else { return };
    match leave(app, user, &Gift { kind: Kind::DisplayName, value: &name }).await {
        Ok(true) => homeserver.newcomers.notify_one(),
        Ok(false) => {}
        Err(error) => {
            tracing::warn!(user.mxid = %user, cause = chain(&error), "a changed display name was not noted");
        }
    }
}

async fn leave(app: &App, user: &UserId, gift: &Gift<'_>) -> Result<bool, StoreError> {
    if provisioning::is_given(&app.store, user, gift).await? {
        return Ok(false);
    }
    provisioning::upsert(&app.store, user, gift, app.clock.now()).await?;
    Ok(true)
}
