//! `usher serve`

use std::{io::IsTerminal as _, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;
use usher_store::{Store, links};

use super::start::{Checked, ConfigFile, connect};
use crate::{
    app::{App, Providers},
    clock::{OsEntropy, SystemClock},
    config::{LogConfig, LogFormat},
    serve::{Listener, bind, serve},
};

/// How long connections may take to be given back and closed: all requests have ended by then, and what is still under
/// way in the background loses nothing.
const CLOSE_DEADLINE: Duration = Duration::from_secs(5);

pub(super) async fn run(file: &ConfigFile, no_migrate: bool) -> anyhow::Result<()> {
    let Checked { config, providers, homeservers, warnings } = file.check().await?;
    start_log(&config.log)?;
    for warning in warnings.iter() {
        tracing::warn!(key = warning.path, "{}", warning.message);
    }
    let store = connect(&config).await?;
    if no_migrate {
        store.check_migrated().await.context("the database is not up to date and --no-migrate was given")?;
    } else {
        store.migrate().await.context("the database could not be brought up to date")?;
    }
    refuse_moved_issuers(&providers, &store).await?;
    ignore_hangup()?;
    #[cfg(feature = "time-polls")]
    crate::polls::tell_when_asked()?;
    let ending = told_to_end()?;
    let listeners = bind(&config)?;
    for (socket, whose) in &listeners {
        let address = socket.local_addr()?;
        match whose {
            Listener::Shared => {
                tracing::info!(%address, portal = %config.public_base_url, "listening");
            }
            Listener::Homeserver(name) => tracing::info!(%address, homeserver = %name, "listening"),
        }
    }
    let app = App::new(config, providers, homeservers, store, Arc::new(SystemClock), Arc::new(OsEntropy));
    let app = Arc::new(app);
    serve(Arc::clone(&app), listeners, ending)?.await.context("the server stopped")?;
    if tokio::time::timeout(CLOSE_DEADLINE, app.store.close()).await.is_err() {
        tracing::warn!("the database did not let go in time");
    }
    #[cfg(feature = "count-statements")]
    tracing::info!(statements = usher_store::statements(), "SQLite statements run");
    tracing::info!("stopped");
    Ok(())
}

/// Somebody linked under an issuer that the provider has no more would be a stranger, and get a second account.
async fn refuse_moved_issuers(providers: &Providers, store: &Store) -> anyhow::Result<()> {
    for configured in providers.iter() {
        let Some(own) = configured.provider.issuer() else { continue };
        let id = &configured.provider.descriptor().id;
        if let Some(other) = links::find_other_issuer(store, id, own).await? {
            bail!(
                "people of provider {id} are linked under the issuer {other}, and the config's is {own}: they would \
                 all be strangers. If the provider has moved, run\n  \
                 usher link migrate --provider {id} --from '{other}' --to '{own}'\n\
                 and start again; if it is another provider, give it an id of its own"
            );
        }
    }
    Ok(())
}

/// SIGTERM, Ctrl-C or SIGQUIT, from now on: actix would catch them after it has taken the first connections, and whoever ends a
/// replica in between would kill it.
fn told_to_end() -> anyhow::Result<impl Future<Output = ()> + Send + 'static> {
    let caught = |kind| signal(kind).context("the signals that end Usher cannot be caught");
    let mut terminate = caught(SignalKind::terminate())?;
    let mut interrupt = caught(SignalKind::interrupt())?;
    let mut quit = caught(SignalKind::quit())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = quit.recv() => {}
        }
        tracing::info!("told to end: requests under way are finished");
    })
}

/// A closed terminal, or the habit of reloading, must not cut the sign-ins under way: the default is to die.
fn ignore_hangup() -> anyhow::Result<()> {
    let mut hangup = signal(SignalKind::hangup()).context("SIGHUP cannot be caught")?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            tracing::warn!("SIGHUP is ignored; restart Usher to have it read its config anew");
        }
    });
    Ok(())
}

fn start_log(config: &LogConfig) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&config.filter).context("log.filter")?;
    let stderr = std::io::stderr;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(stderr().is_terminal())
        .with_writer(stderr);
    match config.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    }
    .map_err(|error| anyhow::anyhow!("the log could not be started: {error}"))
}
