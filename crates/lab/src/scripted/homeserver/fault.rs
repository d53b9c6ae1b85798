//! What can go wrong at an endpoint.

use hyper::body::Bytes;
use serde_json::Value;

use crate::scripted::Reply;

/// A fault of one endpoint.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Does nothing and says this.
    Says(Reply),
    /// Does what it was asked and says this instead of the answer.
    ActsAndSays(Reply),
    /// Does what it was asked and answers with this `user_id`.
    NamesAnotherUser(String),
}

impl Fault {
    /// Never answers; nothing happens.
    #[must_use]
    pub fn hang() -> Self {
        Self::Says(Reply::Hang)
    }

    /// Closes the connection; nothing happens.
    #[must_use]
    pub fn cut() -> Self {
        Self::Says(Reply::Cut)
    }

    /// The effect happens and the answer never comes.
    #[must_use]
    pub fn act_but_never_answer() -> Self {
        Self::ActsAndSays(Reply::Hang)
    }

    /// The effect happens and the connection is cut.
    #[must_use]
    pub fn act_but_cut() -> Self {
        Self::ActsAndSays(Reply::Cut)
    }

    /// A Matrix error.
    #[must_use]
    pub fn error(status: u16, errcode: &str, error: &str) -> Self {
        Self::Says(super::endpoint::error(status, errcode, error))
    }

    /// 500 as Synapse says it.
    #[must_use]
    pub fn server_error() -> Self {
        Self::error(500, "M_UNKNOWN", "Internal server error")
    }

    /// 429 with `Retry-After`.
    #[must_use]
    pub fn rate_limited(retry_after: &str) -> Self {
        let mut reply = super::endpoint::error(429, "M_LIMIT_EXCEEDED", "Too Many Requests");
        if let Reply::Answer { headers, .. } = &mut reply {
            headers.push(("retry-after".to_owned(), retry_after.to_owned()));
        }
        Self::Says(reply)
    }

    /// 429 that does not say for how long.
    #[must_use]
    pub fn rate_limited_without_a_time() -> Self {
        Self::error(429, "M_LIMIT_EXCEEDED", "Too Many Requests")
    }

    /// 502 with a proxy's page.
    #[must_use]
    pub fn bad_gateway() -> Self {
        Self::Says(Reply::new(502, "text/html", "<html><title>502 Bad Gateway</title></html>"))
    }

    /// 200 with a proxy's page.
    #[must_use]
    pub fn html() -> Self {
        Self::Says(Reply::new(200, "text/html", "<!DOCTYPE html><title>Welcome</title>"))
    }

    /// 200 with 10 MB of JSON.
    #[must_use]
    pub fn huge() -> Self {
        let mut body = vec![b' '; 10_000_000];
        body.extend_from_slice(b"{}");
        Self::Says(Reply::new(200, "application/json", body))
    }

    /// 200 with a body that never ends.
    #[must_use]
    pub fn endless() -> Self {
        Self::Says(Reply::Endless)
    }

    /// 200 with a body that comes so slowly that it never ends.
    #[must_use]
    pub fn drip() -> Self {
        Self::Says(Reply::Drip)
    }

    /// 200 with a body of which only the first half comes.
    #[must_use]
    pub fn cut_short() -> Self {
        Self::Says(Reply::CutShort { body: Bytes::from_static(br#"{"user_id": "@cut:short.example"}"#) })
    }

    /// 404 as Synapse says it of a user that it does not have.
    #[must_use]
    pub fn not_found() -> Self {
        Self::error(404, "M_UNKNOWN", "No row found (users)")
    }
}

/// `reply` with another `user_id`.
pub(super) fn naming(user: &str, mut reply: Reply) -> Reply {
    if let Reply::Answer { body, .. } = &mut reply
        && let Ok(Value::Object(mut said)) = serde_json::from_slice(body)
    {
        said.insert("user_id".to_owned(), user.into());
        *body = Bytes::from(Value::Object(said).to_string());
    }
    reply
}
