//! `usher link pin`: on the operator's word, a person has an account.

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use ruma_common::{OwnedUserId, UserId};
use usher_core::Timestamp;
use usher_homeserver::Probe;
use usher_store::{AccountState, Origin, Store, Tx, accounts, choices, links, people};

use super::{Person, PersonArguments, check_served, pin_command};
use crate::{
    cli::{print, start::Checked},
    clock::{Clock as _, SystemClock},
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    person: PersonArguments,
    /// Their account, such as `@alice:eng.ac.cdl`. It has to exist, and must not be an administrator's.
    mxid: OwnedUserId,
    /// Send the person to this homeserver from now on, in place of another they were sent to.
    #[arg(long)]
    choose: bool,
}

pub(super) async fn run(checked: &Checked, store: &Store, arguments: Arguments) -> anyhow::Result<()> {
    let Arguments { person, mxid, choose } = arguments;
    ensure!(
        checked.providers.get(&person.provider).is_some(),
        "{} is not one of `providers`",
        person.provider
    );
    let person = person.resolve(&checked.providers)?;
    check_account(checked, &mxid).await?;
    let now = SystemClock.now();
    let mut tx = store.begin().await?;
    let is_new = link(&mut tx, &person, &mxid, now).await?;
    let key = person.key();
    if choose {
        choices::set(&mut tx, &key, mxid.server_name(), now).await?;
    } else {
        choices::insert(&mut tx, &key, mxid.server_name(), now).await?;
    }
    tx.commit().await?;
    print(&format!(
        "{} of {} {} {mxid}\n",
        person.subject,
        person.provider,
        if is_new { "now has" } else { "already had" },
    ))?;
    let chosen = people::find(store, &person.key()).await?.choice;
    if let Some(chosen) = chosen.filter(|chosen| *chosen != *mxid.server_name()) {
        eprintln!("they are sent to {chosen} by `sticky` all the same; --choose changes that");
    }
    Ok(())
}

/// Of the homeserver: everything that adoption asks, too.
async fn check_account(checked: &Checked, mxid: &UserId) -> anyhow::Result<()> {
    let server_name = mxid.server_name().to_owned();
    check_served(checked, &server_name)?;
    let homeserver = checked.homeservers.get(&server_name).context("it was served a moment ago")?;
    ensure!(mxid.validate_strict().is_ok(), "{mxid} is not spelled as Matrix accounts are today");
    ensure!(
        !homeserver.reserved.contains(mxid.localpart()),
        "{} is reserved: it is the service's own user, or in `mapping.reserved`",
        mxid.localpart()
    );
    match homeserver.client.probe(mxid).await.context("the homeserver could not be asked")? {
        Probe::Free => bail!("{server_name} has no account {mxid}"),
        Probe::Taken => {}
    }
    let is_administrator = homeserver.client.is_administrator(mxid).await;
    let is_administrator =
        is_administrator.context("the homeserver does not say whether it is an administrator's account")?;
    ensure!(
        !is_administrator,
        "{mxid} is an administrator of {server_name}; administrators do not sign in here"
    );
    Ok(())
}

/// Whether the link is new.
async fn link(tx: &mut Tx, person: &Person, mxid: &OwnedUserId, now: Timestamp) -> anyhow::Result<bool> {
    if !accounts::insert_active(&mut *tx, mxid, Origin::Pinned, now).await? {
        let state = accounts::find(&mut *tx, mxid).await?.map(|account| account.state);
        match state {
            Some(AccountState::Active) => {}
            Some(AccountState::Removed) => {
                accounts::advance(&mut *tx, mxid, AccountState::Removed, AccountState::Active, now).await?;
            }
            Some(AccountState::Reserved | AccountState::Registering) | None => {
                bail!("{mxid} is being made for somebody by a sign-in; let them finish, then try again")
            }
        }
    }
    if links::insert(&mut *tx, &person.key(), mxid, now).await? {
        return Ok(true);
    }
    let links = people::find(&mut *tx, &person.key()).await?.links;
    match links.into_iter().find(|link| link.server_name == *mxid.server_name()) {
        Some(link) if link.mxid == *mxid => Ok(false),
        Some(link) => bail!(
            "{} of {} has {} there, and a person has one account on a homeserver; take that away first:\n  \
             usher link remove --provider {} --subject '{}' --homeserver {}\nit can be had back:\n  {}",
            person.subject,
            person.provider,
            link.mxid,
            person.provider,
            person.subject,
            link.server_name,
            pin_command(&person.key(), &link.mxid),
        ),
        None => bail!("somebody else changed this person's links at the same moment; try again"),
    }
}
