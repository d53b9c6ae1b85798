//! Ends sessions at their homeservers, by deleting the device as its person, until it is done.
//!
//! A row is claimed under a lease. Before the homeserver is asked, the session must still be the one that was meant: a login
//! on the same device since then is another session. A request that its person denied (`ui_auth::deny`) leaves a row, too, and
//! has tried it once by then.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Duration,
};

use ruma_common::OwnedServerName;
use tokio::{sync::Notify, task::JoinSet};
use usher_homeserver::{Act, ActError, CallError};
use usher_store::{
    Lease, StoreError,
    endings::{self, Ending},
};

use crate::{
    app::{App, ServedHomeserver},
    errands::{Errands, pause_after},
    error::chain,
};

/// Calls to one homeserver at once.
const BATCH: usize = 8;
/// What is left of a lease when the call has timed out.
const LEASE_MARGIN: Duration = Duration::from_secs(30);
/// Nobody's client asked for it: Usher itself does.
const OURSELVES: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Sessions that are to be ended.
pub(crate) struct Endings;

impl Errands for Endings {
    const WHAT: &'static str = "sessions that are to be ended";

    fn wake(homeserver: &ServedHomeserver) -> &Arc<Notify> {
        &homeserver.endings
    }

    async fn list_due(app: &App) -> Result<Vec<OwnedServerName>, StoreError> {
        let now = app.clock.now();
        // A session that was opened while its logout came was not there yet when it did.
        endings::insert_due(&app.store, now).await?;
        endings::list_due(&app.store, now).await
    }

    async fn round(app: &Arc<App>, homeserver: &ServedHomeserver) -> Result<Option<Duration>, StoreError> {
        let mut pause: Option<Duration> = None;
        loop {
            let (lease, now) = (Lease::generate(&*app.entropy), app.clock.now());
            let lease_until = now.plus(homeserver.config.timeout + LEASE_MARGIN);
            let server_name = &homeserver.config.server_name;
            let mut claimed = Vec::with_capacity(BATCH);
            while claimed.len() < BATCH {
                match endings::claim(&app.store, server_name, &lease, now, lease_until).await? {
                    Some(ending) => claimed.push(ending),
                    None => break,
                }
            }
            let is_last = claimed.len() < BATCH;
            let mut ending = JoinSet::new();
            for row in claimed {
                let (app, homeserver, lease) = (Arc::clone(app), homeserver.clone(), lease.clone());
                ending.spawn(async move { end(&app, &homeserver, &lease, &row).await });
            }
            let mut fault = None;
            while let Some(ended) = ending.join_next().await {
                match ended {
                    Ok(Ok(None)) => {}
                    Ok(Ok(Some(again))) => pause = Some(pause.map_or(again, |pause| pause.min(again))),
                    // The lease of that one runs out; the others go on.
                    Ok(Err(error)) => fault = Some(error),
                    Err(_) => tracing::error!(homeserver = %server_name, "the end of a session panicked"),
                }
            }
            if let Some(error) = fault {
                return Err(error);
            }
            if is_last {
                return Ok(pause);
            }
        }
    }
}

/// Ends one; after which time to try again, if that failed.
async fn end(
    app: &App,
    homeserver: &ServedHomeserver,
    lease: &Lease,
    ending: &Ending,
) -> Result<Option<Duration>, StoreError> {
    if !endings::is_open(&app.store, ending).await? {
        endings::delete(&app.store, ending, lease).await?;
        return Ok(None);
    }
    let act = Act::DeleteDevices(vec![ending.device_id.clone()]);
    let said = homeserver.client.act(&ending.mxid, OURSELVES, &act).await.map(drop);
    settle(app, lease, ending, &said).await
}

/// Notes what the homeserver said; after which time to try again, if it did not do it.
pub(crate) async fn settle(
    app: &App,
    lease: &Lease,
    ending: &Ending,
    said: &Result<(), ActError>,
) -> Result<Option<Duration>, StoreError> {
    match said {
        Ok(()) => {
            let mut tx = app.store.begin().await?;
            if !endings::delete(&mut tx, ending, lease).await? {
                // Another replica's by now; it finds the device gone.
                return Ok(None);
            }
            endings::note_ended(&mut tx, ending, app.clock.now()).await?;
            tx.commit().await?;
            tracing::info!(
                user.mxid = %ending.mxid,
                device.id = ?ending.device_id.as_str(),
                attempts = ending.attempts,
                "a session was ended: its person {}",
                if ending.is_denial { "denied a request of it" } else { "was logged out at their provider" }
            );
            Ok(None)
        }
        Err(error) => {
            let (code, call) = reason(error);
            let pause = pause_after(ending.attempts, call, &*app.entropy);
            endings::postpone(&app.store, ending, lease, app.clock.now().plus(pause), code).await?;
            tracing::warn!(
                user.mxid = %ending.mxid,
                device.id = ?ending.device_id.as_str(),
                attempts = ending.attempts,
                cause = chain(error),
                again = %humantime::format_duration(Duration::from_secs(pause.as_secs())),
                "a session could not be ended yet"
            );
            Ok(Some(pause))
        }
    }
}

fn reason(error: &ActError) -> (&str, Option<&CallError>) {
    match error {
        ActError::Call(call) => (call.code(), Some(call)),
        ActError::Refused(refusal) => (&refusal.errcode, None),
    }
}
