//! `usher config check` and `usher config schema`

use usher_http::Outgoing;

use super::start::ConfigFile;
use crate::{config, registry::Backends};

pub(super) async fn check(file: &ConfigFile) -> anyhow::Result<()> {
    let checked = file.check().await?;
    print!("{}", checked.warnings);
    println!(
        "{}: ok ({} provider(s), {} homeserver(s))",
        file.path().display(),
        checked.config.providers.len(),
        checked.config.homeservers.len(),
    );
    Ok(())
}

pub(super) fn schema() -> anyhow::Result<()> {
    let outgoing = Outgoing::new(None, std::time::Duration::from_secs(1), 1)?;
    let schema = config::schema(&Backends::compiled_in(&outgoing));
    println!("{}", serde_json::to_string_pretty(&schema)?);
    Ok(())
}
