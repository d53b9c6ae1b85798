//! `usher link migrate`: a provider has a new issuer (a CAS server another address, an identity provider another entity id),
//! and its people are who they were.

use anyhow::{bail, ensure};
use clap::Args;
use usher_core::{Issuer, ProviderId};
use usher_store::{
    Store,
    issuers::{self, Move},
};

use crate::cli::{print, start::Checked};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The provider's `id`.
    #[arg(long)]
    provider: ProviderId,
    /// The issuer of before, as `usher link list` shows it.
    #[arg(long)]
    from: Issuer,
    /// The issuer from now on.
    #[arg(long)]
    to: Issuer,
}

pub(super) async fn run(checked: &Checked, store: &Store, arguments: &Arguments) -> anyhow::Result<()> {
    let Arguments { provider, from, to } = arguments;
    ensure!(from != to, "--from and --to are the same");
    let own = checked.providers.get(provider).and_then(|configured| configured.provider.issuer());
    if let Some(own) = own {
        ensure!(
            own == to,
            "the config says that the issuer of {provider} is {own}; write the new one there first, or give that as --to"
        );
    }
    let moved = Move { provider, from, to };
    // The writer's, so that nobody is linked between the look and the move.
    let mut tx = store.begin().await?;
    let conflicts = issuers::count_conflicts(&mut tx, &moved).await?;
    ensure!(
        conflicts == 0,
        "{conflicts} account(s) belong to people who have one under {to} on the same homeserver already; \
         `usher link list --provider {provider} --issuer '{to}'` shows them. Remove one of each two first. \
         Nothing was changed"
    );
    let links = issuers::move_links(&mut tx, &moved).await?;
    issuers::move_choices(&mut tx, &moved).await?;
    issuers::move_sessions(&mut tx, &moved).await?;
    issuers::move_login_tokens(&mut tx, &moved).await?;
    tx.commit().await?;
    if links == 0 {
        let known: Vec<_> = issuers::list(store, provider).await?.iter().map(ToString::to_string).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        bail!("nobody of {provider} is linked under {from}; the issuers are: {known}");
    }
    print(&format!("{links} link(s) of {provider} moved from {from} to {to}\n"))
}
