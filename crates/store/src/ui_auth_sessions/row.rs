//! Rows of `ui_auth_sessions`, and what is read of them.

use usher_core::Timestamp;

use super::{Confirmed, Session};
use crate::{StoreError, UpstreamSessionHash, person::parsed};

#[derive(sqlx::FromRow)]
pub(super) struct Row {
    mxid: String,
    device_id: String,
    operation: String,
    method: String,
    path: String,
    body: String,
    description: String,
    client: String,
    user_agent: String,
    state: String,
    provider: Option<String>,
    claimed_until: Option<i64>,
    failure: Option<String>,
    signed_out_at: Option<i64>,
    created_at: i64,
    expires_at: i64,
}

impl TryFrom<Row> for Session {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            mxid: parsed("ui_auth_sessions.mxid", row.mxid)?,
            device_id: row.device_id.into(),
            operation: parsed("ui_auth_sessions.operation", row.operation.as_str())?,
            method: row.method,
            path: row.path,
            body: row.body,
            description: row.description,
            client: row.client,
            user_agent: row.user_agent,
            state: parsed("ui_auth_sessions.state", row.state.as_str())?,
            provider: row.provider.map(|id| parsed("ui_auth_sessions.provider", id)).transpose()?,
            claimed_until: row.claimed_until.map(Timestamp::from_millis),
            failure: row.failure.map(|word| parsed("ui_auth_sessions.failure", word.as_str())).transpose()?,
            is_seen_to: row.signed_out_at.is_some(),
            created_at: Timestamp::from_millis(row.created_at),
            expires_at: Timestamp::from_millis(row.expires_at),
        })
    }
}

#[derive(sqlx::FromRow)]
pub(super) struct ConfirmedRow {
    provider: String,
    issuer: String,
    subject: String,
    upstream_session_hash: Option<String>,
    confirmed_at: i64,
}

impl TryFrom<ConfirmedRow> for Confirmed {
    type Error = StoreError;

    fn try_from(row: ConfirmedRow) -> Result<Self, StoreError> {
        let upstream_session = row.upstream_session_hash.map(|hex| {
            UpstreamSessionHash::from_row(hex)
                .ok_or_else(|| StoreError::corrupt("ui_auth_sessions.upstream_session_hash"))
        });
        Ok(Self {
            provider: parsed("ui_auth_sessions.provider", row.provider)?,
            issuer: parsed("ui_auth_sessions.issuer", row.issuer)?,
            subject: parsed("ui_auth_sessions.subject", row.subject)?,
            upstream_session: upstream_session.transpose()?,
            at: Timestamp::from_millis(row.confirmed_at),
        })
    }
}
