//! JSON answers and Matrix errors (client-server API v1.19, "API Standards").

use std::{borrow::Cow, time::Duration};

use actix_web::{
    HttpResponse,
    http::{StatusCode, header},
};
use serde_json::{Map, Value, json};

/// What a client is told about a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MatrixError {
    /// The HTTP status.
    pub status: StatusCode,
    /// The `errcode`.
    pub errcode: Cow<'static, str>,
    /// The `error`: a sentence for the person in front of the client.
    pub error: String,
    /// `Retry-After`, and the deprecated `retry_after_ms`.
    pub retry_after: Option<Duration>,
    /// `soft_logout` of a 401, where a homeserver said it.
    pub soft_logout: bool,
    /// `Allow` of a 405.
    pub allow: Option<&'static str>,
}

/// What the sender of a logout notice is told (OpenID Connect Back-Channel Logout 1.0 section 2.8, RFC 6749 section 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoticeProblem {
    /// The HTTP status.
    pub status: StatusCode,
    /// `error`.
    pub error: &'static str,
    /// `error_description`.
    pub description: &'static str,
}

impl NoticeProblem {
    /// The answer.
    pub(crate) fn response(self) -> HttpResponse {
        let Self { status, error, description } = self;
        json(status, &json!({ "error": error, "error_description": description }))
    }
}

/// A JSON answer; never cached.
#[must_use]
pub(crate) fn json(status: StatusCode, body: &Value) -> HttpResponse {
    HttpResponse::build(status)
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .content_type("application/json")
        .body(body.to_string())
}

impl MatrixError {
    /// An error with nothing more to say.
    pub(crate) fn new(
        status: StatusCode,
        errcode: impl Into<Cow<'static, str>>,
        error: impl Into<String>,
    ) -> Self {
        let (errcode, error) = (errcode.into(), error.into());
        Self { status, errcode, error, retry_after: None, soft_logout: false, allow: None }
    }

    /// 429 `M_LIMIT_EXCEEDED`.
    pub(crate) fn limited(error: impl Into<String>, retry_after: Duration) -> Self {
        let error = Self::new(StatusCode::TOO_MANY_REQUESTS, "M_LIMIT_EXCEEDED", error);
        Self { retry_after: Some(retry_after), ..error }
    }

    /// 404 `M_UNRECOGNIZED`: no such endpoint here.
    #[must_use]
    pub(crate) fn unrecognized() -> Self {
        Self::new(StatusCode::NOT_FOUND, "M_UNRECOGNIZED", "There is no such endpoint here")
    }

    /// 405 `M_UNRECOGNIZED`: the endpoint has no such method, but these.
    #[must_use]
    pub(crate) fn wrong_method(allow: &'static str) -> Self {
        let sentence = "This endpoint does not have this method";
        let error = Self::new(StatusCode::METHOD_NOT_ALLOWED, "M_UNRECOGNIZED", sentence);
        Self { allow: Some(allow), ..error }
    }

    /// The answer.
    #[must_use]
    pub(crate) fn response(&self) -> HttpResponse {
        let mut body = Map::from_iter([
            ("errcode".to_owned(), json!(self.errcode)),
            ("error".to_owned(), json!(self.error)),
        ]);
        if self.soft_logout {
            body.insert("soft_logout".to_owned(), json!(true));
        }
        if let Some(retry_after) = self.retry_after {
            let millis = u64::try_from(retry_after.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
            body.insert("retry_after_ms".to_owned(), json!(millis));
        }
        let mut response = json(self.status, &Value::Object(body));
        let headers = response.headers_mut();
        if let Some(retry_after) = self.retry_after {
            headers.insert(header::RETRY_AFTER, whole_seconds(retry_after));
        }
        if let Some(allow) = self.allow {
            headers.insert(header::ALLOW, header::HeaderValue::from_static(allow));
        }
        response
    }
}

/// `Retry-After` in seconds, rounded up: who is told too little comes back too early.
pub(super) fn whole_seconds(span: Duration) -> header::HeaderValue {
    let seconds = span.as_secs() + u64::from(span.subsec_nanos() > 0);
    header::HeaderValue::from(seconds)
}
