//! `usher serve`

use std::{io::IsTerminal as _, sync::Arc};

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::start::{Checked, ConfigFile, connect};
use crate::{
    app::App,
    clock::{OsEntropy, SystemClock},
    config::{LogConfig, LogFormat},
    serve::{bind, serve},
};

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
    ignore_hangup()?;
    let listeners = bind(&config.listen)?;
    for listener in &listeners {
        tracing::info!(address = %listener.local_addr()?, portal = %config.public_base_url, "listening");
    }
    let app = App::new(config, providers, homeservers, store, Arc::new(SystemClock), Arc::new(OsEntropy));
    let app = Arc::new(app);
    serve(Arc::clone(&app), listeners)?.await.context("the server stopped")?;
    app.store.close().await;
    #[cfg(feature = "count-statements")]
    tracing::info!(statements = usher_store::statements(), "SQLite statements run");
    tracing::info!("stopped");
    Ok(())
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
