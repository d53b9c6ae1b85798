//! People sign in again for what is dangerous, and exactly that is done (MSC2454): with the real binary, and real parties
//! wherever a moment need not be hit exactly.

mod accounts;
mod alone;
mod bypass;
mod desk;
mod devices;
mod every_step;
mod every_write;
mod flood;
pub(crate) mod keys;
mod others;
mod outages;
mod pages;
mod popup;
mod problems;
mod replicas;
mod synapses_own;
mod walk;

use crate::{at_host::App, world::World};

/// The devices of an app's person, as the homeserver itself says.
pub(crate) async fn devices(world: &World, app: &App) -> anyhow::Result<Vec<String>> {
    let devices = world.components().eng.devices(app.access_token()).await?;
    let mut ids: Vec<_> = devices.into_iter().map(|device| device.device_id).collect();
    ids.sort();
    Ok(ids)
}

/// The request that deletes an app's device.
fn deletion_of(app: &App) -> String {
    format!("DELETE v3/devices/{}", app.device)
}
