//! `usher config check` and `usher config schema`

use std::path::Path;

use usher_http::Outgoing;

use super::{THIS_PROGRAM, print, start::ConfigFile};
use crate::{config, registry::Backends};

pub(super) async fn check(file: &ConfigFile) -> anyhow::Result<()> {
    let checked = file.check().await?;
    print(&format!(
        "{}{}: ok ({} provider(s), {} homeserver(s))\n",
        checked.warnings,
        file.path().display(),
        checked.config.providers.len(),
        checked.config.homeservers.len(),
    ))
}

pub(super) fn schema() -> anyhow::Result<()> {
    let outgoing = Outgoing::new(None, std::time::Duration::from_secs(1), 1)?;
    let schema = config::schema(&Backends::compiled_in(&outgoing, Path::new(THIS_PROGRAM)));
    print(&format!("{}\n", serde_json::to_string_pretty(&schema)?))
}
