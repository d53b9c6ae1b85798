//! `usher saml`: what can be given to an identity provider's operator before there is anything of theirs.

use anyhow::{Context as _, bail};
use clap::Subcommand;
use rustix::process::{Resource, Rlimit, nice, setrlimit};
use usher_core::ProviderId;

use super::{print, start::ConfigFile};

/// As low a priority as is worth something (nice(2)).
const NICENESS: i32 = 10;
/// Bytes of addresses: several times what the largest federation takes.
const MAX_ADDRESSES: u64 = 4 << 30;

#[derive(Debug, Subcommand)]
pub(super) enum SamlCommand {
    /// Print Usher's SAML metadata, which is also at `/_usher/saml/{id}/metadata` once Usher runs. The identity provider's
    /// own need not be there yet.
    Metadata {
        /// The provider's `id`. Without it: the only SAML provider there is.
        #[arg(long)]
        provider: Option<ProviderId>,
    },
    /// Read the metadata of a federation for another `usher`, which says by standard input which.
    #[command(hide = true)]
    ReadFederation,
}

pub(super) async fn run(file: &ConfigFile, command: SamlCommand) -> anyhow::Result<()> {
    match command {
        SamlCommand::Metadata { provider } => metadata(file, provider.as_ref()),
        SamlCommand::ReadFederation => read_federation().await,
    }
}

/// As little of the machine as can be: whoever signs in comes first, and if memory runs out, it is this process that goes.
async fn read_federation() -> anyhow::Result<()> {
    // Neither is there everywhere, or allowed, and both can be done without.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    let _ = nice(NICENESS);
    let limit = Rlimit { current: Some(MAX_ADDRESSES), maximum: Some(MAX_ADDRESSES) };
    setrlimit(Resource::As, limit).context("memory cannot be limited")?;
    let output = std::io::stdout().lock();
    usher_saml::read_federation(std::io::stdin().lock(), output).await.context("the index cannot be written")
}

fn metadata(file: &ConfigFile, provider: Option<&ProviderId>) -> anyhow::Result<()> {
    let introductions = file.introductions("saml")?;
    let known = || introductions.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>().join(", ");
    let chosen = match (provider, &introductions[..]) {
        (Some(wanted), all) => all
            .iter()
            .find(|(id, _)| id == wanted)
            .with_context(|| format!("{wanted} is not one of the SAML providers; there are: {}", known()))?,
        (None, [only]) => only,
        (None, []) => bail!("there is no SAML provider in {}", file.path().display()),
        (None, _) => bail!("there are several SAML providers; name one with --provider: {}", known()),
    };
    let document = chosen.1.as_ref().map_err(Clone::clone)?;
    print(std::str::from_utf8(&document.body).context("metadata is UTF-8")?)
}
