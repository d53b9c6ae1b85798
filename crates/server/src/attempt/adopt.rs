//! A first visit of somebody who has an account from before Usher, which an attribute names: adopted, if the operator
//! has declared that attribute immutable for this provider and this homeserver.
//!
//! Whoever has the value gets the account, so everything that is not clear is a refusal: the account must be there, be
//! nobody's whom Usher knows (a second link is the operator's to make), be neither reserved nor the service's own, and not
//! an administrator's. A name that is free at the homeserver is no account: the person goes the way of newcomers.

use ruma_common::{OwnedUserId, UserId};
use usher_core::{
    Identity,
    mapping::{LocalpartError, localpart},
};
use usher_homeserver::{CallError, Misbehaviour, Probe};
use usher_store::{Origin, PersonKey, StoreError, accounts, choices, links, people};

use super::EstablishError;
use crate::{
    app::{App, ServedHomeserver},
    config::AdoptRule,
};

/// Why an account that an attribute names is not the person's to come into.
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    /// Which of them it is, nobody can say.
    #[error("the attribute has several values")]
    SeveralValues,
    /// No account can be called that.
    #[error("the attribute's value is no localpart")]
    Localpart(#[from] LocalpartError),
    /// The service's own user, or a name that nobody gets.
    #[error("the name {0} is reserved")]
    Reserved(OwnedUserId),
    /// Somebody is or was linked to it: `usher link pin` makes a second link.
    #[error("Usher knows {0} as somebody else's account")]
    Known(OwnedUserId),
    /// Its owner could do anything on the homeserver.
    #[error("{0} is an administrator of the homeserver")]
    Administrator(OwnedUserId),
    /// The homeserver has not said that it is nobody special.
    #[error("the homeserver does not say whether {user} is an administrator")]
    Unproven {
        /// The account.
        user: OwnedUserId,
        /// What it said instead.
        #[source]
        error: CallError,
    },
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Adoption {
    /// No rule, no attribute, or no such account: the person is a newcomer.
    NothingThere,
    /// The account is adopted, or another visit of the same person was faster.
    LookAgain,
}

/// Adopts the account that the config's attribute names, if there is one.
pub(super) async fn adopt(
    app: &App,
    identity: &Identity,
    homeserver: &ServedHomeserver,
) -> Result<Adoption, EstablishError> {
    let Some(user) = claimed(identity, homeserver)? else { return Ok(Adoption::NothingThere) };
    if accounts::find(&app.store, &user).await?.is_some() {
        return known(app, identity, user).await;
    }
    match homeserver.client.probe(&user).await? {
        Probe::Free => return Ok(Adoption::NothingThere),
        Probe::Taken => {}
    }
    refuse_administrator(homeserver, &user).await?;
    take(app, identity, &user).await?;
    Ok(Adoption::LookAgain)
}

/// The account that the person's attribute names.
fn claimed(identity: &Identity, homeserver: &ServedHomeserver) -> Result<Option<OwnedUserId>, AdoptError> {
    let is_believed = |rule: &&AdoptRule| {
        rule.provider == identity.provider
            && rule.issuer.as_ref().is_none_or(|issuer| *issuer == identity.issuer)
    };
    let rule = homeserver.config.adopt.iter().find(is_believed);
    let value = match rule.map(|rule| identity.values(&rule.attribute)) {
        None | Some([]) => return Ok(None),
        // Providers release attributes of people who have none as empty.
        Some([value]) if value.trim().is_empty() => return Ok(None),
        Some([value]) => value,
        Some(_) => return Err(AdoptError::SeveralValues),
    };
    let user = localpart(value, &homeserver.config.server_name)?;
    if homeserver.reserved.contains(user.localpart()) {
        return Err(AdoptError::Reserved(user));
    }
    Ok(Some(user))
}

/// Another visit of the same person may have made or adopted it a moment ago; anybody else's it stays.
async fn known(app: &App, identity: &Identity, user: OwnedUserId) -> Result<Adoption, EstablishError> {
    let person = people::find(&app.store, &PersonKey::from(identity)).await?;
    if person.links.iter().any(|link| link.server_name == *user.server_name()) {
        return Ok(Adoption::LookAgain);
    }
    Err(AdoptError::Known(user).into())
}

async fn refuse_administrator(homeserver: &ServedHomeserver, user: &UserId) -> Result<(), EstablishError> {
    match homeserver.client.is_administrator(user).await {
        Ok(false) => Ok(()),
        Ok(true) => Err(AdoptError::Administrator(user.to_owned()).into()),
        // It will say the same the next time.
        Err(
            error @ (CallError::NotAllowed(_) | CallError::Misbehaved(Misbehaviour::NoSuchEndpoint { .. })),
        ) => Err(AdoptError::Unproven { user: user.to_owned(), error }.into()),
        Err(error) => Err(error.into()),
    }
}

/// Account, link and choice at once. Of two people with the same value one is faster; the other finds a row.
async fn take(app: &App, identity: &Identity, user: &UserId) -> Result<(), StoreError> {
    let (key, now) = (PersonKey::from(identity), app.clock.now());
    let mut tx = app.store.begin().await?;
    if !accounts::insert_active(&mut tx, user, Origin::Adopted, now).await?
        || !links::insert(&mut tx, &key, user, now).await?
    {
        return Ok(());
    }
    choices::insert(&mut tx, &key, user.server_name(), now).await?;
    tx.commit().await?;
    tracing::info!(user.mxid = %user, provider.id = %identity.provider, "account adopted");
    Ok(())
}
