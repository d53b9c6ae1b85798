//! How long a homeserver asks us to wait: <https://spec.matrix.org/v1.19/client-server-api/#rate-limiting>.
//!
//! `Retry-After` (RFC 9110 section 10.2.3) is seconds or a date; the deprecated `retry_after_ms` counts where the
//! header is missing or unreadable.

use std::time::Duration;

use serde::Deserialize;
use usher_http::{
    Answer,
    header::{DATE, HeaderMap, HeaderName, RETRY_AFTER},
};

pub(crate) fn retry_after(answer: &Answer) -> Option<Duration> {
    from_header(&answer.headers).or_else(|| from_body(&answer.body))
}

fn from_header(headers: &HeaderMap) -> Option<Duration> {
    let value = text(headers, &RETRY_AFTER)?;
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    // A date is compared with the answer's own date: the two clocks that matter are the same one.
    let until = httpdate::parse_http_date(value).ok()?;
    let now = httpdate::parse_http_date(text(headers, &DATE)?).ok()?;
    Some(until.duration_since(now).unwrap_or(Duration::ZERO))
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

fn from_body(body: &[u8]) -> Option<Duration> {
    #[derive(Deserialize)]
    struct Limited {
        retry_after_ms: u64,
    }

    let limited: Limited = serde_json::from_slice(body).ok()?;
    Some(Duration::from_millis(limited.retry_after_ms))
}
