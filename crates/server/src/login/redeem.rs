//! Redeems a login token: a lease on it, a session on the homeserver, and the token is gone.
//!
//! The lease stores the device id before the homeserver is asked, so that a repeat lands on the same device. A
//! definite failure gives the token back at once; an ambiguous one (timeout, cut, a process that died) leaves
//! the lease to run out. At most one access token per login token is ever *delivered*: the session is answered
//! only after the lease's holder has marked the token as redeemed.

use std::{net::IpAddr, time::Duration};

use ruma_common::{OwnedDeviceId, OwnedServerName, OwnedUserId, ServerName};
use usher_core::{Entropy, Timestamp};
use usher_homeserver::{HandoffError, LogIn, Session};
use usher_store::{
    Lease, StoreError, TokenHash, endings,
    login_tokens::{self, ChosenDevice, Claim, Claimed, Refused},
    sessions::{self, NewSession},
};

use super::issue::is_ours;
use crate::{
    app::{App, ServedHomeserver},
    limits::Limited,
};

/// Beyond the homeserver's deadline: what is left of the lease marks the token as redeemed.
const LEASE_MARGIN: Duration = Duration::from_secs(5);

/// A client's `m.login.token`.
#[derive(Clone)]
pub struct TokenLogin {
    /// The login token: a bearer value.
    pub token: String,
    /// The device to log in on; a new one if absent.
    pub device_id: Option<OwnedDeviceId>,
    /// What that device is called.
    pub initial_device_display_name: Option<String>,
    /// Whether the client can use refresh tokens.
    pub refresh_token: bool,
    /// Where the client is.
    pub client: IpAddr,
    /// At a homeserver's own host: only a token for this homeserver.
    pub audience: Option<OwnedServerName>,
}

/// A session on the person's own homeserver.
#[derive(Debug)]
pub struct LoggedIn {
    /// The homeserver's answer.
    pub session: Session,
    /// Whose homeserver it is, for `well_known`.
    pub homeserver: OwnedServerName,
}

/// Why there is no session. One variant per answer to the client.
#[derive(Debug, thiserror::Error)]
pub enum RedeemError {
    /// The token is unknown, spent or expired; which, nobody is told.
    #[error("the login token is not good")]
    BadToken,
    /// Another request is redeeming it.
    #[error("the login token is in use")]
    Leased {
        /// When it can be tried again, if it is not spent by then.
        retry_after: Duration,
    },
    /// The homeserver of the account is no longer configured.
    #[error("the homeserver of {0} is not served")]
    HomeserverGone(OwnedUserId),
    /// The homeserver gave no session.
    #[error("the homeserver gave no session to {user}")]
    Handoff {
        /// For whom.
        user: OwnedUserId,
        /// Why.
        #[source]
        error: HandoffError,
    },
    /// The homeserver gave a session too late: the lease had run out.
    #[error("the lease ran out before the session came")]
    LeaseLost,
    /// The address or the account redeems too many tokens. This one was not touched, or given back.
    #[error("the address or the account is limited")]
    Limited(#[from] Limited),
    /// The database.
    #[error("the database did not answer")]
    Store(#[from] StoreError),
}

/// Trades a login token for a session.
pub async fn redeem(app: &App, login: &TokenLogin) -> Result<LoggedIn, RedeemError> {
    if !is_ours(&app.keyring, &login.token) {
        return Err(RedeemError::BadToken);
    }
    // Only now: whoever sends garbage uses up nothing of those who share their address.
    app.limits.login(login.client)?;
    let token_hash = TokenHash::of(&login.token);
    let lease = Lease::generate(&*app.entropy);
    let proposed = login.device_id.clone().unwrap_or_else(|| new_device_id(&*app.entropy));
    let audience = login.audience.as_deref();
    let now = app.clock.now();
    // The longest deadline of any homeserver: which one it will be is in the row.
    let longest =
        app.homeservers.iter().map(|homeserver| homeserver.config.timeout).max().unwrap_or_default();
    let lease_until = now.plus(longest + LEASE_MARGIN);
    let claim = Claim { token: &token_hash, lease: &lease, device_id: &proposed, audience, now, lease_until };
    let Some(claimed) = login_tokens::claim(&app.store, &claim).await? else {
        return Err(why_not(app, &token_hash, audience, now).await?);
    };
    let span = tracing::Span::current();
    span.record("user.mxid", claimed.mxid.as_str()).record("homeserver", claimed.mxid.server_name().as_str());
    let Some(homeserver) = app.homeservers.get(claimed.mxid.server_name()) else {
        release(app, &token_hash, &lease, ChosenDevice::Forgotten).await;
        return Err(RedeemError::HomeserverGone(claimed.mxid));
    };
    if let Err(limited) = app.limits.redeem(&claimed.mxid) {
        // A device of an earlier try, of which nobody knows whether it was opened, is still to be landed on.
        let is_new = claimed.device_id == proposed;
        let device = if is_new { ChosenDevice::Forgotten } else { ChosenDevice::Kept };
        release(app, &token_hash, &lease, device).await;
        return Err(RedeemError::Limited(limited));
    }
    match hand_off(homeserver, &claimed, login).await {
        Ok(session) => {
            finish(app, homeserver, &token_hash, &lease, &claimed, &session).await?;
            tracing::info!(user.mxid = %claimed.mxid, device.id = ?session.device_id.as_str(), "session opened");
            Ok(LoggedIn { session, homeserver: claimed.mxid.server_name().to_owned() })
        }
        Err(error) => {
            if error.is_definite() {
                let kept = error.may_have_opened();
                let device = if kept { ChosenDevice::Kept } else { ChosenDevice::Forgotten };
                release(app, &token_hash, &lease, device).await;
            }
            Err(RedeemError::Handoff { user: claimed.mxid, error })
        }
    }
}

async fn hand_off(
    homeserver: &ServedHomeserver,
    claimed: &Claimed,
    login: &TokenLogin,
) -> Result<Session, HandoffError> {
    let request = LogIn {
        user: &claimed.mxid,
        device_id: &claimed.device_id,
        initial_device_display_name: login.initial_device_display_name.as_deref(),
        refresh_token: login.refresh_token,
        client: Some(login.client),
    };
    homeserver.client.log_in(&request).await
}

/// Marks the token as redeemed and remembers the session. Only then may the access token leave.
///
/// Whoever was logged out at the provider meanwhile is given nothing; what the homeserver has opened is remembered all the same, so
/// that it ends.
async fn finish(
    app: &App,
    homeserver: &ServedHomeserver,
    token_hash: &TokenHash,
    lease: &Lease,
    claimed: &Claimed,
    session: &Session,
) -> Result<(), RedeemError> {
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    let is_good = login_tokens::redeem(&mut tx, token_hash, lease).await?;
    if !is_good && !login_tokens::spend(&mut tx, token_hash, lease).await? {
        return Err(RedeemError::LeaseLost);
    }
    let opened = NewSession {
        mxid: &claimed.mxid,
        device_id: &session.device_id,
        person: claimed.person(),
        upstream_session: claimed.upstream_session.as_ref(),
        begun_at: claimed.begun_at,
        opened_at: now,
    };
    sessions::insert(&mut tx, &opened).await?;
    if is_good {
        tx.commit().await?;
        return Ok(());
    }
    endings::insert_due(&mut tx, now).await?;
    tx.commit().await?;
    homeserver.endings.notify_one();
    tracing::info!(user.mxid = %claimed.mxid, "logged out at the provider while the session was opened: it ends");
    Err(RedeemError::BadToken)
}

/// Gives the token back. If the database is away the lease runs out by itself.
async fn release(app: &App, token_hash: &TokenHash, lease: &Lease, device: ChosenDevice) {
    if let Err(error) = login_tokens::release(&app.store, token_hash, lease, device, app.clock.now()).await {
        tracing::warn!(%error, "a login token could not be given back; its lease will run out");
    }
}

/// Only on the way to a refusal: tells a token in use from one that is not good.
async fn why_not(
    app: &App,
    token_hash: &TokenHash,
    audience: Option<&ServerName>,
    now: Timestamp,
) -> Result<RedeemError, StoreError> {
    Ok(match login_tokens::find_refusal(&app.store, token_hash, audience, now).await? {
        Refused::Leased { until } => {
            RedeemError::Leased { retry_after: until.since(now).max(Duration::from_secs(1)) }
        }
        Refused::Invalid => RedeemError::BadToken,
    })
}

/// Ten letters, as homeservers make them.
fn new_device_id(entropy: &dyn Entropy) -> OwnedDeviceId {
    let mut bytes = [0_u8; 10];
    entropy.fill(&mut bytes);
    // 26 does not divide 256; a device id need not be uniform, only not met by chance.
    bytes.iter().map(|byte| char::from(b'A' + byte % 26)).collect::<String>().into()
}
