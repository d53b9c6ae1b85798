//! `usher link`: who has which account, looked at and changed in the database itself. Usher may be running: every change is
//! one transaction, and what it relies on is checked inside it.

mod list;
mod migrate;
mod pin;
mod remove;
mod show;

use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use ruma_common::{OwnedServerName, OwnedUserId};
use usher_core::{Issuer, ProviderId, Subject, Timestamp};
use usher_store::{Options, PersonKey, Store};

use super::start::{Checked, ConfigFile};
use crate::app::Providers;

#[derive(Debug, Subcommand)]
pub(super) enum LinkCommand {
    /// List links, one a line, narrowed by what is given.
    List(list::Arguments),
    /// Show an account: its state, who is linked to it, the sessions Usher opened, what it is still to be given.
    Show(show::Arguments),
    /// Link a person to an account that exists on its homeserver, or restore a link that was removed.
    Pin(pin::Arguments),
    /// Take a link away; an account that loses its last one is given to nobody else.
    Remove(remove::Arguments),
    /// Move everybody to a provider's new issuer, after its address or entity id has changed. Stop Usher first.
    Migrate(migrate::Arguments),
}

/// A person, as the provider knows them.
#[derive(Debug, Args)]
struct PersonArguments {
    /// The provider's `id`.
    #[arg(long)]
    provider: ProviderId,
    /// Who vouches inside the provider; not needed where it has one fixed issuer, as a CAS server has.
    #[arg(long)]
    issuer: Option<Issuer>,
    /// The provider's name for the person.
    #[arg(long)]
    subject: Subject,
}

/// The same with the issuer known.
struct Person {
    provider: ProviderId,
    issuer: Issuer,
    subject: Subject,
}

impl PersonArguments {
    fn resolve(self, providers: &Providers) -> anyhow::Result<Person> {
        let Self { provider, issuer, subject } = self;
        let issuer = resolve_issuer(&provider, issuer, providers)?;
        Ok(Person { provider, issuer, subject })
    }
}

impl Person {
    fn key(&self) -> PersonKey<'_> {
        PersonKey { provider: &self.provider, issuer: &self.issuer, subject: &self.subject }
    }
}

pub(super) async fn run(file: &ConfigFile, command: LinkCommand) -> anyhow::Result<()> {
    let checked = file.check().await?;
    let patience = match &command {
        // One transaction over everybody.
        LinkCommand::Migrate(_) => Duration::from_mins(30),
        LinkCommand::List(_) | LinkCommand::Show(_) | LinkCommand::Pin(_) | LinkCommand::Remove(_) => {
            Duration::from_secs(30)
        }
    };
    let store = open(&checked, patience).await?;
    let result = match command {
        LinkCommand::List(arguments) => list::run(&store, &arguments).await,
        LinkCommand::Show(arguments) => show::run(&checked, &store, &arguments).await,
        LinkCommand::Pin(arguments) => pin::run(&checked, &store, arguments).await,
        LinkCommand::Remove(arguments) => remove::run(&checked, &store, arguments).await,
        LinkCommand::Migrate(arguments) => migrate::run(&checked, &store, &arguments).await,
    };
    store.close().await;
    result
}

async fn open(checked: &Checked, statement_timeout: Duration) -> anyhow::Result<Store> {
    let options = Options {
        max_connections: 2,
        statement_timeout,
        ..Options::new(checked.config.database.url.clone())
    };
    let store = Store::connect(&options).await.context("database.url: the database cannot be used")?;
    store.check_migrated().await.context("the database is not up to date")?;
    Ok(store)
}

/// The issuer that was given, or the only one the provider has.
fn resolve_issuer(
    provider: &ProviderId,
    given: Option<Issuer>,
    providers: &Providers,
) -> anyhow::Result<Issuer> {
    let configured = providers.get(provider);
    let own = configured.and_then(|configured| configured.provider.issuer()).cloned();
    match (given, own, configured) {
        (Some(given), _, _) => Ok(given),
        (None, Some(own), _) => Ok(own),
        (None, None, Some(_)) => bail!("provider {provider} has several issuers; say which with --issuer"),
        (None, None, None) => {
            let known: Vec<_> =
                providers.iter().map(|known| known.provider.descriptor().id.to_string()).collect();
            bail!("{provider} is not one of `providers`, so give --issuer; there are: {}", known.join(", "))
        }
    }
}

/// `2026-11-24T20:00:00Z`
fn spell(at: Timestamp) -> String {
    let since = Duration::from_millis(u64::try_from(at.as_millis()).unwrap_or_default());
    humantime::format_rfc3339_seconds(SystemTime::UNIX_EPOCH + since).to_string()
}

/// What to type to have a link back.
fn pin_command(person: &PersonKey<'_>, mxid: &OwnedUserId) -> String {
    let quote = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
    format!(
        "usher link pin --provider {} --issuer {} --subject {} {}",
        person.provider,
        quote(person.issuer.as_str()),
        quote(person.subject.as_str()),
        quote(mxid.as_str()),
    )
}

/// A homeserver that is named has to be one of the config's, or a typo would look like "nothing there".
fn check_served(checked: &Checked, server_name: &OwnedServerName) -> anyhow::Result<()> {
    if checked.homeservers.get(server_name).is_some() {
        return Ok(());
    }
    let known: Vec<_> =
        checked.homeservers.iter().map(|known| known.config.server_name.to_string()).collect();
    bail!("{server_name} is not one of `homeservers`; there are: {}", known.join(", "))
}

#[cfg(test)]
mod tests {
    use ruma_common::user_id;

    use super::*;

    #[test]
    fn a_command_that_is_printed_can_be_pasted_into_a_shell() {
        let person = Person {
            provider: ProviderId::parse("corp").expect("an id"),
            issuer: Issuer::parse("https://cas.ac.cdl/cas").expect("an issuer"),
            subject: Subject::parse("o'neil; rm").expect("a subject"),
        };
        assert_eq!(
            pin_command(&person.key(), &user_id!("@oneil:eng.ac.cdl").to_owned()),
            r"usher link pin --provider corp --issuer 'https://cas.ac.cdl/cas' --subject 'o'\''neil; rm' '@oneil:eng.ac.cdl'"
        );
    }

    #[test]
    fn times_are_spelled_in_full() {
        assert_eq!(spell(Timestamp::from_secs(1_800_000_000)), "2027-01-15T08:00:00Z");
    }
}
