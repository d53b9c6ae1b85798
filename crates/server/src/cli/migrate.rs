//! `usher migrate`

use anyhow::Context as _;

use super::{
    print,
    start::{ConfigFile, connect},
};

pub(super) async fn run(file: &ConfigFile) -> anyhow::Result<()> {
    let store = connect(&file.check().await?.config).await?;
    store.migrate().await.context("the database could not be brought up to date")?;
    store.close().await;
    print("the database is up to date\n")
}
