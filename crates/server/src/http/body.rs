//! Request bodies: bounded in size and in time.

use std::time::Duration;

use actix_web::web;
use futures_util::StreamExt as _;

/// Longer than any client needs to send a body of 64 KiB, shorter than a stranger would like to hold a connection.
const DEADLINE: Duration = Duration::from_secs(10);
/// So much of a body that is too large is read and forgotten: whoever sends it looks for an answer only when it is sent, and a
/// connection that is closed before takes the answer with it (RFC 9112 section 9.6).
const FORGOTTEN: usize = 16 << 20;

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
    tokio::time::timeout(DEADLINE, read_all(payload, limit)).await.unwrap_or(Err(BodyError::Incomplete))
}

async fn read_all(mut payload: web::Payload, limit: usize) -> Result<web::Bytes, BodyError> {
    let mut body = web::BytesMut::new();
    let mut length = 0_usize;
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| BodyError::Incomplete)?;
        length = length.saturating_add(chunk.len());
        if length <= limit {
            body.extend_from_slice(&chunk);
        } else if length <= limit.saturating_add(FORGOTTEN) {
            body = web::BytesMut::new();
        } else {
            break;
        }
    }
    if length <= limit { Ok(body.freeze()) } else { Err(BodyError::TooLarge) }
}
