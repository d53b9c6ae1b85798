//! `usher saml`: what can be given to an identity provider's operator before there is anything of theirs.

use anyhow::{Context as _, bail};
use clap::Subcommand;
use usher_core::ProviderId;

use super::{print, start::ConfigFile};

#[derive(Debug, Subcommand)]
pub(super) enum SamlCommand {
    /// Print Usher's SAML metadata, which is also at `/_usher/saml/{id}/metadata` once Usher runs. The identity provider's
    /// own need not be there yet.
    Metadata {
        /// The provider's `id`. Without it: the only SAML provider there is.
        #[arg(long)]
        provider: Option<ProviderId>,
    },
}

pub(super) fn run(file: &ConfigFile, command: SamlCommand) -> anyhow::Result<()> {
    let SamlCommand::Metadata { provider } = command;
    let introductions = file.introductions("saml")?;
    let known = || introductions.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>().join(", ");
    let chosen = match (&provider, &introductions[..]) {
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
