//! `usher link list`

use std::{
    fmt::Write as _,
    io::{ErrorKind, Write as _},
};

use anyhow::Context as _;
use clap::Args;
use ruma_common::{OwnedServerName, OwnedUserId};
use serde_json::json;
use usher_core::{Issuer, ProviderId, Subject};
use usher_store::{
    Store,
    links::{self, Filter, LinkRow},
};

use super::spell;

/// Rows in memory at once.
const PAGE: u32 = 500;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Only accounts on this homeserver.
    #[arg(long)]
    homeserver: Option<OwnedServerName>,
    /// Only people of this provider.
    #[arg(long)]
    provider: Option<ProviderId>,
    /// Only people vouched for by this issuer.
    #[arg(long)]
    issuer: Option<Issuer>,
    /// Only people of this name at their provider.
    #[arg(long)]
    subject: Option<Subject>,
    /// Only links to this account.
    #[arg(long)]
    mxid: Option<OwnedUserId>,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(store: &Store, arguments: &Arguments) -> anyhow::Result<()> {
    let filter = Filter {
        server_name: arguments.homeserver.as_deref(),
        provider: arguments.provider.as_ref(),
        issuer: arguments.issuer.as_ref(),
        subject: arguments.subject.as_ref(),
        mxid: arguments.mxid.as_deref(),
    };
    if !arguments.json && !write("PROVIDER\tISSUER\tSUBJECT\tACCOUNT\tSTATE\tORIGIN\tSINCE\n")? {
        return Ok(());
    }
    let mut last: Option<LinkRow> = None;
    loop {
        let page = links::list(store, &filter, last.as_ref(), PAGE).await?;
        let mut text = String::new();
        for link in &page {
            let line = if arguments.json { as_json(link) } else { as_text(link) };
            writeln!(text, "{line}").expect("writing to a String cannot fail");
        }
        let has_more = page.len() == usize::try_from(PAGE).unwrap_or(usize::MAX);
        if !write(&text)? || !has_more {
            return Ok(());
        }
        last = page.into_iter().last();
    }
}

/// None of them has a tab in it.
fn as_text(link: &LinkRow) -> String {
    let LinkRow { provider, issuer, subject, mxid, state, origin, created_at } = link;
    format!("{provider}\t{issuer}\t{subject}\t{mxid}\t{state}\t{origin}\t{}", spell(*created_at))
}

fn as_json(link: &LinkRow) -> String {
    json!({
        "provider": link.provider.as_str(),
        "issuer": link.issuer.as_str(),
        "subject": link.subject.as_str(),
        "mxid": link.mxid,
        "homeserver": link.mxid.server_name(),
        "state": link.state.to_string(),
        "origin": link.origin.to_string(),
        "since": spell(link.created_at),
    })
    .to_string()
}

/// `false`: the reader has seen enough (`| head`), and nothing more need be looked up.
fn write(text: &str) -> anyhow::Result<bool> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error).context("standard output cannot be written"),
    }
}
