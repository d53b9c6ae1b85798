//! `usher link remove`: a person has an account no more. The account stays on its homeserver, and its sessions with it.

use std::fmt::Write as _;

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use ruma_common::{OwnedServerName, OwnedUserId, UserId};
use usher_core::{Issuer, ProviderId, Subject, Timestamp};
use usher_store::{
    AccountState, Store, Tx, accounts, choices,
    links::{self, LinkRow},
    provisioning,
};

use super::{Person, pin_command, resolve_issuer};
use crate::{
    cli::{print, start::Checked},
    clock::{Clock as _, SystemClock},
};

/// More people than one account has.
const MOST: u32 = 1000;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// All links to this account; or say whose, with the options.
    #[arg(
        required_unless_present = "subject",
        conflicts_with_all = ["provider", "issuer", "subject", "homeserver"]
    )]
    mxid: Option<OwnedUserId>,
    /// The provider's `id`.
    #[arg(long, requires = "subject")]
    provider: Option<ProviderId>,
    /// Who vouches inside the provider; not needed where it has one fixed issuer, as a CAS server has.
    #[arg(long, requires = "subject")]
    issuer: Option<Issuer>,
    /// The provider's name for the person.
    #[arg(long, requires_all = ["provider", "homeserver"])]
    subject: Option<Subject>,
    /// The homeserver of the account.
    #[arg(long, requires = "subject")]
    homeserver: Option<OwnedServerName>,
    /// Also if the account was still to be given something, which it will not be given again.
    #[arg(long)]
    yes: bool,
}

pub(super) async fn run(checked: &Checked, store: &Store, arguments: Arguments) -> anyhow::Result<()> {
    let yes = arguments.yes;
    let now = SystemClock.now();
    let mut tx = store.begin().await?;
    let found = find(&mut tx, checked, arguments).await?;
    let mut text = String::new();
    for link in &found {
        links::delete(&mut tx, &link.person(), &link.mxid).await?;
        choices::delete_unused(&mut tx, &link.person(), link.mxid.server_name()).await?;
        writeln!(text, "{} of {} has {} no more; to undo it:", link.subject, link.provider, link.mxid)?;
        writeln!(text, "  {}", pin_command(&link.person(), &link.mxid))?;
    }
    // All of them are links to one account.
    if let Some(link) = found.first()
        && links::count_of(&mut tx, &link.mxid).await? == 0
    {
        bury(&mut tx, &link.mxid, link.state, yes, now).await?;
        writeln!(text, "{} has nobody now, and is kept from everybody", link.mxid)?;
    }
    tx.commit().await?;
    print(&text)
}

async fn find(tx: &mut Tx, checked: &Checked, arguments: Arguments) -> anyhow::Result<Vec<LinkRow>> {
    let Arguments { mxid, provider, issuer, subject, homeserver, yes: _ } = arguments;
    if let Some(mxid) = mxid {
        let found = links::list_of(&mut *tx, &mxid, MOST).await?;
        ensure!(!found.is_empty(), "nobody is linked to {mxid}");
        return Ok(found);
    }
    let (Some(provider), Some(subject), Some(server_name)) = (provider, subject, homeserver) else {
        bail!("say whose link, or to which account");
    };
    let issuer = resolve_issuer(&provider, issuer, &checked.providers)?;
    let person = Person { provider, issuer, subject };
    let found = links::find(&mut *tx, &person.key(), &server_name).await?;
    let found = found.with_context(|| format!("there is no link of {} there", person.subject))?;
    Ok(vec![found])
}

/// The name is never given to anybody else, and the account is given nothing more.
async fn bury(
    tx: &mut Tx,
    mxid: &UserId,
    state: AccountState,
    yes: bool,
    now: Timestamp,
) -> anyhow::Result<()> {
    let lost = provisioning::delete_all(&mut *tx, mxid).await?;
    ensure!(
        lost == 0 || yes,
        "{mxid} was still to be given {lost} thing(s), as `usher link show {mxid}` says; they would be lost. \
         Nothing was changed; --yes does it"
    );
    let is_moved = accounts::advance(&mut *tx, mxid, state, AccountState::Removed, now).await?;
    ensure!(is_moved, "a sign-in changed {mxid} at the same moment; nothing was done, try again");
    Ok(())
}
