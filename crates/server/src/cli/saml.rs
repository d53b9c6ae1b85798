//! `usher saml`: what can be given to an identity provider's operator before there is anything of theirs, and who is in a federation.

use std::{fmt::Write as _, path::Path};

use anyhow::{Context as _, bail};
use clap::Subcommand;
use rustix::process::{Resource, Rlimit, Signal, nice, set_parent_process_death_signal, setrlimit};
use usher_core::{Ctx, ProviderId};
use usher_saml::ListingError;

use super::{THIS_PROGRAM, print, start::ConfigFile};
use crate::{
    clock::{Clock as _, OsEntropy, SystemClock},
    registry::federation_reader,
};

/// As low a priority as is worth something (nice(2)).
const NICENESS: i32 = 10;
/// Bytes of addresses: several times what the largest federation takes.
const MAX_ADDRESSES: u64 = 2 << 30;
/// Seconds of a processor.
const MAX_PROCESSOR: u64 = 180;

#[derive(Debug, Subcommand)]
pub(super) enum SamlCommand {
    /// Print Usher's SAML metadata, which is also at `/_usher/saml/{id}/metadata` once Usher runs. The identity provider's
    /// own need not be there yet.
    Metadata {
        /// The provider's `id`. Without it: the only SAML provider there is.
        #[arg(long)]
        provider: Option<ProviderId>,
    },
    /// Read the metadata of a provider with `federation` now, and print who is in it: entity id, name, domain.
    Federation {
        /// The provider's `id`. Without it: the only SAML provider there is.
        #[arg(long)]
        provider: Option<ProviderId>,
        /// Only those that people find by these words.
        #[arg(long, default_value = "")]
        search: String,
        /// At most so many.
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// Read the metadata of a federation for another `usher`, which says by standard input which.
    #[command(hide = true)]
    ReadFederation,
}

pub(super) async fn run(file: &ConfigFile, command: SamlCommand) -> anyhow::Result<()> {
    match command {
        SamlCommand::Metadata { provider } => metadata(file, provider.as_ref()),
        SamlCommand::Federation { provider, search, limit } => {
            federation(file, provider.as_ref(), &search, limit).await
        }
        SamlCommand::ReadFederation => read_federation().await,
    }
}

/// As little of the machine as can be: whoever signs in comes first, and if memory runs out, it is this process that goes.
async fn read_federation() -> anyhow::Result<()> {
    // Neither is there everywhere, or allowed, and both can be done without.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    let _ = nice(NICENESS);
    // Whoever waits for the answer is gone, and so is the file that it is for.
    set_parent_process_death_signal(Some(Signal::KILL)).context("this process would outlive the other")?;
    let limit = Rlimit { current: Some(MAX_ADDRESSES), maximum: Some(MAX_ADDRESSES) };
    setrlimit(Resource::As, limit).context("memory cannot be limited")?;
    let limit = Rlimit { current: Some(MAX_PROCESSOR), maximum: Some(MAX_PROCESSOR) };
    setrlimit(Resource::Cpu, limit).context("processor time cannot be limited")?;
    let output = std::io::stdout().lock();
    usher_saml::read_federation(std::io::stdin().lock(), output).await.context("the index cannot be written")
}

fn metadata(file: &ConfigFile, provider: Option<&ProviderId>) -> anyhow::Result<()> {
    let introductions = file.introductions("saml")?;
    let (_, document) = the_one(file, &introductions, |(id, _)| id, provider)?;
    let document = document.as_ref().map_err(Clone::clone)?;
    print(std::str::from_utf8(&document.body).context("metadata is UTF-8")?)
}

async fn federation(
    file: &ConfigFile,
    provider: Option<&ProviderId>,
    search: &str,
    limit: usize,
) -> anyhow::Result<()> {
    let configured = file.providers("saml")?;
    let chosen = the_one(file, &configured, |configured| &configured.descriptor.id, provider)?;
    let (id, section) = (&chosen.descriptor.id, chosen.section.clone());
    let ctx = Ctx { now: SystemClock.now(), skew: chosen.skew, entropy: &OsEntropy };
    let listed = usher_saml::list_federation(
        &ctx,
        id,
        section,
        federation_reader(Path::new(THIS_PROGRAM)),
        search,
        limit,
    )
    .await;
    let listing = listed.map_err(|error| match error {
        ListingError::Config(error) => file.wrong_section(chosen, error).into(),
        error => anyhow::Error::new(error),
    })?;
    let mut text = String::new();
    for [entity_id, name, domain] in &listing.found {
        writeln!(text, "{entity_id}\t{name}\t{domain}")?;
    }
    print(&text)?;
    let (passed_over, reasons) = &listing.passed_over;
    eprintln!(
        "{} of {} that fit, of {} identity providers",
        listing.found.len(),
        listing.total,
        listing.count
    );
    if *passed_over > 0 {
        eprintln!("{passed_over} passed over, such as:\n  {}", reasons.join("\n  "));
    }
    let (left_out, names) = &listing.unreached;
    if *left_out > 0 {
        let names = names.join("\n  ");
        eprintln!(
            "{left_out} left out because they want signed requests, and there are no `keys` to sign with, such as:\n  {names}"
        );
    }
    Ok(())
}

/// Of the SAML providers that there are, the one that is meant.
fn the_one<'a, T>(
    file: &ConfigFile,
    all: &'a [T],
    id_of: impl Fn(&T) -> &ProviderId,
    wanted: Option<&ProviderId>,
) -> anyhow::Result<&'a T> {
    let known = || all.iter().map(|one| id_of(one).as_str()).collect::<Vec<_>>().join(", ");
    match (wanted, all) {
        (Some(wanted), all) => all
            .iter()
            .find(|one| id_of(one) == wanted)
            .with_context(|| format!("{wanted} is not one of the SAML providers; there are: {}", known())),
        (None, [only]) => Ok(only),
        (None, []) => bail!("there is no SAML provider in {}", file.path().display()),
        (None, _) => bail!("there are several SAML providers; name one with --provider: {}", known()),
    }
}
