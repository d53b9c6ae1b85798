//! `usher link show`

use std::fmt::Write as _;

use anyhow::Context as _;
use clap::Args;
use ruma_common::OwnedUserId;
use usher_store::{Store, accounts, links, provisioning, sessions};

use super::{check_served, spell};
use crate::{
    cli::{print, start::Checked},
    error::chain,
};

/// Nobody has more that an operator would read.
const MOST: u32 = 100;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The account, such as `@alice:eng.ac.cdl`.
    mxid: OwnedUserId,
    /// Ask the homeserver as well: whether the account exists, and whether it is an administrator's.
    #[arg(long)]
    ask: bool,
}

pub(super) async fn run(checked: &Checked, store: &Store, arguments: &Arguments) -> anyhow::Result<()> {
    let mxid = &arguments.mxid;
    let account = accounts::find(store, mxid).await?;
    let account = account.with_context(|| format!("Usher knows no account {mxid}"))?;
    let mut text = format!(
        "{mxid}\n  {}, {}, since {}; in this state since {}\n",
        account.state,
        account.origin,
        spell(account.created_at),
        spell(account.updated_at),
    );
    if arguments.ask {
        writeln!(text, "  {}", asked(checked, mxid).await?)?;
    }
    let linked = links::list_of(store, mxid, MOST).await?;
    let lines = linked.iter().map(|link| {
        format!("{} of {} ({}), since {}", link.subject, link.provider, link.issuer, spell(link.created_at))
    });
    section(&mut text, "linked", "nobody", lines);
    let open = sessions::list_open(store, mxid, MOST).await?;
    let lines = open.iter().map(|(device, at)| format!("{device:?}, since {}", spell(*at)));
    section(&mut text, "sessions opened by Usher", "none", lines);
    let pending = provisioning::list(store, mxid).await?;
    let lines = pending.iter().map(|row| {
        let last = row.last_error.as_deref().map_or_else(String::new, |error| format!(", last: {error}"));
        format!("{} {}: tried {}×, again {}{last}", row.kind, row.value, row.attempts, spell(row.not_before))
    });
    section(&mut text, "still to be given", "nothing", lines);
    print(&text)
}

fn section(text: &mut String, title: &str, nothing: &str, lines: impl Iterator<Item = String>) {
    let before = text.len();
    for line in lines {
        writeln!(text, "    {line}").expect("writing to a String cannot fail");
    }
    if text.len() == before {
        writeln!(text, "  {title}: {nothing}").expect("writing to a String cannot fail");
    } else {
        text.insert_str(before, &format!("  {title}:\n"));
    }
}

async fn asked(checked: &Checked, mxid: &OwnedUserId) -> anyhow::Result<String> {
    let server_name = mxid.server_name().to_owned();
    check_served(checked, &server_name)?;
    let homeserver = checked.homeservers.get(&server_name).context("it was served a moment ago")?;
    match homeserver.client.probe(mxid).await.context("the homeserver could not be asked")? {
        usher_homeserver::Probe::Free => return Ok("the homeserver has no such account".to_owned()),
        usher_homeserver::Probe::Taken => {}
    }
    Ok(match homeserver.client.is_administrator(mxid).await {
        Ok(true) => "the homeserver has it: an ADMINISTRATOR".to_owned(),
        Ok(false) => "the homeserver has it: no administrator".to_owned(),
        Err(error) => format!("the homeserver has it; whether it is an administrator's: {}", chain(&error)),
    })
}
