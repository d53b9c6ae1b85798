//! Request bodies: bounded in size and in time.

use std::time::Duration;

use actix_web::web;

/// Longer than any client needs to send a body of 64 KiB, shorter than a stranger would like to hold a connection.
const DEADLINE: Duration = Duration::from_secs(10);

/// Why there is no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// More than `limit` bytes.
    TooLarge,
    /// Cut off, or slower than ten seconds.
    Incomplete,
}

/// Reads the whole body, at most `limit` bytes.
pub(crate) async fn read(payload: web::Payload, limit: usize) -> Result<web::Bytes, BodyError> {
    match tokio::time::timeout(DEADLINE, payload.to_bytes_limited(limit)).await {
        Ok(Ok(Ok(bytes))) => Ok(bytes),
        Ok(Err(_)) => Err(BodyError::TooLarge),
        Ok(Ok(Err(_))) | Err(_) => Err(BodyError::Incomplete),
    }
}
