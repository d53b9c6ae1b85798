//! Login tokens: single use, by a lease (`POST /login` with `m.login.token`,
//! <https://spec.matrix.org/v1.19/client-server-api/#token-based-user-interactive-authentication>).
//!
//! `issued` -> [`claim`] -> `claimed` -> [`redeem`] -> `redeemed`; or back by [`release`], or by the end of the
//! lease. A row also spends the attempt it came from. Whether a token is good is decided inside the statement
//! that claims it, so two requests can never both hold it.

use ruma_common::{DeviceId, OwnedDeviceId, OwnedServerName, OwnedUserId, ServerName, UserId};
use usher_core::{Issuer, ProviderId, Subject, Timestamp};

use crate::{
    AttemptHash, Db, Lease, PersonKey, SWEEP_BATCH, StoreError, TokenHash, UpstreamSessionHash,
    db::{execute, fetch},
    logouts::has_ended,
    person::parsed,
};

/// A token to be issued. Its audience is the homeserver in `mxid`.
#[derive(Clone, Copy, Debug)]
pub struct NewLoginToken<'a> {
    /// The token.
    pub token: &'a TokenHash,
    /// The attempt that it spends.
    pub attempt: &'a AttemptHash,
    /// The account that it opens.
    pub mxid: &'a UserId,
    /// Who signed in.
    pub person: PersonKey<'a>,
    /// The provider's session they signed in with.
    pub upstream_session: Option<&'a UpstreamSessionHash>,
    /// When they were sent to the provider: a logout since then is about this login too.
    pub begun_at: Timestamp,
    /// When.
    pub issued_at: Timestamp,
    /// The first instant at which it opens nothing, if it is not claimed before.
    pub expires_at: Timestamp,
    /// The first instant at which the attempt's cookie opens nothing. Until then the attempt stays spent; no
    /// token lives longer.
    pub keep_until: Timestamp,
}

/// A request for a lease.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// The token.
    pub token: &'a TokenHash,
    /// The name of the new lease.
    pub lease: &'a Lease,
    /// The device to log in on, unless an earlier claim has chosen one.
    pub device_id: &'a DeviceId,
    /// At a homeserver's own host: only a token for this homeserver.
    pub audience: Option<&'a ServerName>,
    /// The time.
    pub now: Timestamp,
    /// The first instant at which another may claim the token.
    pub lease_until: Timestamp,
}

/// What a claimed token opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// The account.
    pub mxid: OwnedUserId,
    /// The device to log in on: the one proposed, or that of an earlier claim whose outcome is not known.
    pub device_id: OwnedDeviceId,
    /// Which provider the person signed in at.
    pub provider: ProviderId,
    /// Who vouched for them.
    pub issuer: Issuer,
    /// Their name there.
    pub subject: Subject,
    /// The provider's session.
    pub upstream_session: Option<UpstreamSessionHash>,
    /// When they were sent to the provider.
    pub begun_at: Timestamp,
}

impl Claimed {
    /// Who signed in.
    #[must_use]
    pub fn person(&self) -> PersonKey<'_> {
        PersonKey { provider: &self.provider, issuer: &self.issuer, subject: &self.subject }
    }
}

/// Why a token could not be claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Unknown, expired, redeemed, for another homeserver, or its link or account is no longer good: for good.
    Invalid,
    /// Another request holds it.
    Leased {
        /// When its lease ends; the time asked about, if it was released meanwhile.
        until: Timestamp,
    },
}

/// The person is still linked to the account, the account can be logged in to, and the person has not been logged out at the
/// provider since their login began.
macro_rules! account_is_good {
    () => {
        concat!(
            "EXISTS (SELECT 1 FROM links JOIN accounts ON accounts.mxid = links.mxid
             WHERE links.provider = login_tokens.provider AND links.issuer = login_tokens.issuer
                 AND links.subject = login_tokens.subject AND links.server_name = login_tokens.audience
                 AND links.mxid = login_tokens.mxid AND accounts.state = 'active') AND NOT ",
            has_ended!(
                "login_tokens.upstream_session_hash",
                "login_tokens.provider",
                "login_tokens.issuer",
                "login_tokens.subject",
                "COALESCE(login_tokens.begun_at, login_tokens.issued_at)"
            )
        )
    };
}

/// Issues a token and spends its attempt. `false`: the attempt was spent before, or the person has been logged out at the
/// provider meanwhile.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn insert(db: impl Into<Db<'_>>, new: &NewLoginToken<'_>) -> Result<bool, StoreError> {
    let expires_at = new.expires_at.min(new.keep_until).max(new.issued_at);
    let inserted = execute!(
        db,
        concat!(
            "INSERT INTO login_tokens
             (token_hash, attempt_hash, mxid, audience, provider, issuer, subject, upstream_session_hash,
              state, issued_at, lifetime, expires_at, keep_until, begun_at)
         SELECT $1, $2, $3, $4, $5, $6, $7, $8, 'issued', $9, $10, $11, $12, $13
         WHERE NOT ",
            has_ended!("$8", "$5", "$6", "$7", "$13"),
            " ON CONFLICT DO NOTHING"
        ),
        new.token.as_str(),
        new.attempt.as_str(),
        new.mxid.as_str(),
        new.mxid.server_name().as_str(),
        new.person.provider.as_str(),
        new.person.issuer.as_str(),
        new.person.subject.as_str(),
        new.upstream_session.map(UpstreamSessionHash::as_str),
        new.issued_at.as_millis(),
        expires_at.as_millis().saturating_sub(new.issued_at.as_millis()),
        expires_at.as_millis(),
        new.keep_until.as_millis(),
        new.begun_at.as_millis(),
    )?;
    Ok(inserted == 1)
}

/// Takes a lease on a token that is issued, or whose lease has ended. `None`: [`find_refusal`] says why.
///
/// The token then lives as long after the end of the lease as it did when it was issued, but not longer than its
/// attempt: a homeserver that stayed silent for the whole lease must not cost the person their login.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn claim(db: impl Into<Db<'_>>, claim: &Claim<'_>) -> Result<Option<Claimed>, StoreError> {
    let rows = fetch!(
        db,
        writer,
        ClaimedRow,
        concat!(
            "UPDATE login_tokens SET
                 state = 'claimed', lease = $2, claimed_until = $3, device_id = COALESCE(device_id, $4),
                 expires_at = CASE WHEN $3 > keep_until - lifetime THEN keep_until ELSE $3 + lifetime END
             WHERE token_hash = $1 AND expires_at > $5
                 AND (state = 'issued' OR (state = 'claimed' AND claimed_until <= $5))
                 AND ($6 IS NULL OR audience = $6) AND ",
            account_is_good!(),
            " RETURNING mxid, device_id, provider, issuer, subject, upstream_session_hash,
                 COALESCE(begun_at, issued_at) AS begun_at"
        ),
        claim.token.as_str(),
        claim.lease.as_str(),
        claim.lease_until.as_millis(),
        claim.device_id.as_str(),
        claim.now.as_millis(),
        claim.audience.map(ServerName::as_str),
    )?;
    rows.into_iter().next().map(Claimed::try_from).transpose()
}

/// Whether this very token was issued for `mxid` (and not another one for the same attempt).
#[tracing::instrument(level = "debug", skip_all)]
pub async fn is_issued(db: impl Into<Db<'_>>, token: &TokenHash, mxid: &UserId) -> Result<bool, StoreError> {
    let rows = fetch!(
        db,
        reader,
        (i64,),
        "SELECT COUNT(*) FROM login_tokens WHERE token_hash = $1 AND mxid = $2",
        token.as_str(),
        mxid.as_str(),
    )?;
    Ok(rows.first().is_some_and(|(count,)| *count > 0))
}

/// The homeserver of the token that spent an attempt; `None` if it is not spent.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn find_audience(
    db: impl Into<Db<'_>>,
    attempt: &AttemptHash,
) -> Result<Option<OwnedServerName>, StoreError> {
    let rows = fetch!(
        db,
        reader,
        (String,),
        "SELECT audience FROM login_tokens WHERE attempt_hash = $1",
        attempt.as_str(),
    )?;
    let audience = rows.into_iter().next();
    audience.map(|(audience,)| parsed("login_tokens.audience", audience)).transpose()
}

/// Why a claim at `now` failed.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn find_refusal(
    db: impl Into<Db<'_>>,
    token: &TokenHash,
    audience: Option<&ServerName>,
    now: Timestamp,
) -> Result<Refused, StoreError> {
    let rows = fetch!(
        db,
        reader,
        (Option<i64>,),
        concat!(
            "SELECT claimed_until FROM login_tokens
             WHERE token_hash = $1 AND expires_at > $2 AND state <> 'redeemed'
                 AND ($3 IS NULL OR audience = $3) AND ",
            account_is_good!()
        ),
        token.as_str(),
        now.as_millis(),
        audience.map(ServerName::as_str),
    )?;
    Ok(match rows.first() {
        None => Refused::Invalid,
        Some(&(until,)) => Refused::Leased { until: until.map_or(now, Timestamp::from_millis).max(now) },
    })
}

/// What becomes of the device that a claim has chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChosenDevice {
    /// The homeserver did nothing: the next claim chooses anew.
    Forgotten,
    /// There may be a session on it that nobody knows: the next claim lands on it again.
    Kept,
}

/// Gives a token back at once: no session of this lease will be delivered. The token lives as long as after the
/// end of a lease. `false`: the lease is another's by now.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn release(
    db: impl Into<Db<'_>>,
    token: &TokenHash,
    lease: &Lease,
    device: ChosenDevice,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let released = execute!(
        db,
        "UPDATE login_tokens SET
             state = 'issued', lease = NULL, claimed_until = NULL,
             device_id = CASE WHEN $4 = 1 THEN device_id ELSE NULL END,
             expires_at = CASE WHEN $3 > keep_until - lifetime THEN keep_until ELSE $3 + lifetime END
         WHERE token_hash = $1 AND state = 'claimed' AND lease = $2",
        token.as_str(),
        lease.as_str(),
        now.as_millis(),
        i64::from(device == ChosenDevice::Kept),
    )?;
    Ok(released == 1)
}

/// Ends a token for good: its access token may be delivered. `false`: the lease is another's by now, or the person has been
/// logged out at the provider, and nothing may be delivered. A lease that ended but that nobody took over is still good for this.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn redeem(db: impl Into<Db<'_>>, token: &TokenHash, lease: &Lease) -> Result<bool, StoreError> {
    let redeemed = execute!(
        db,
        concat!(
            "UPDATE login_tokens SET state = 'redeemed', lease = NULL, claimed_until = NULL
             WHERE token_hash = $1 AND state = 'claimed' AND lease = $2 AND NOT ",
            has_ended!(
                "login_tokens.upstream_session_hash",
                "login_tokens.provider",
                "login_tokens.issuer",
                "login_tokens.subject",
                "COALESCE(login_tokens.begun_at, login_tokens.issued_at)"
            )
        ),
        token.as_str(),
        lease.as_str(),
    )?;
    Ok(redeemed == 1)
}

/// Ends a token for good although its person has been logged out at the provider, so that what the homeserver opened is not
/// delivered but known, and can be ended. `false`: the lease is another's by now.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn spend(db: impl Into<Db<'_>>, token: &TokenHash, lease: &Lease) -> Result<bool, StoreError> {
    let spent = execute!(
        db,
        "UPDATE login_tokens SET state = 'redeemed', lease = NULL, claimed_until = NULL
         WHERE token_hash = $1 AND state = 'claimed' AND lease = $2",
        token.as_str(),
        lease.as_str(),
    )?;
    Ok(spent == 1)
}

/// Forgets tokens whose attempt's cookie opens nothing any more and that nobody holds, at most `limit` and at most [`SWEEP_BATCH`];
/// how many.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn delete_expired(db: impl Into<Db<'_>>, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
    execute!(
        db,
        "DELETE FROM login_tokens WHERE token_hash IN
             (SELECT token_hash FROM login_tokens
              WHERE keep_until <= $1 AND (claimed_until IS NULL OR claimed_until <= $1)
              ORDER BY keep_until LIMIT $2)",
        now.as_millis(),
        i64::from(limit.min(SWEEP_BATCH)),
    )
}

#[derive(sqlx::FromRow)]
struct ClaimedRow {
    mxid: String,
    device_id: String,
    provider: String,
    issuer: String,
    subject: String,
    upstream_session_hash: Option<String>,
    begun_at: i64,
}

impl TryFrom<ClaimedRow> for Claimed {
    type Error = StoreError;

    fn try_from(row: ClaimedRow) -> Result<Self, StoreError> {
        let upstream_session = row
            .upstream_session_hash
            .map(|hex| {
                UpstreamSessionHash::from_row(hex)
                    .ok_or_else(|| StoreError::corrupt("login_tokens.upstream_session_hash"))
            })
            .transpose()?;
        Ok(Self {
            mxid: parsed("login_tokens.mxid", row.mxid)?,
            device_id: row.device_id.into(),
            provider: parsed("login_tokens.provider", row.provider)?,
            issuer: parsed("login_tokens.issuer", row.issuer)?,
            subject: parsed("login_tokens.subject", row.subject)?,
            upstream_session,
            begun_at: Timestamp::from_millis(row.begun_at),
        })
    }
}
