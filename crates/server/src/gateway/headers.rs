//! Which headers pass through, and what we say in place of some.
//!
//! RFC 9110 section 7.6.1: headers of the connection, and those that `Connection` names, end here. Where a request
//! came from is said by us alone: a homeserver that believes its proxy must not be told by a stranger.

use actix_web::http::header::{HeaderMap as ClientHeaders, HeaderValue as ClientValue};
use usher_http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::http::Arrival;

/// Of one connection, whether `Connection` names them or not.
const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Of a request, besides: `Host` is the upstream's, we have answered `Expect`, where the request came from is ours to
/// say, and a method or a path that stands in a header would be another than the one we looked at.
const NOT_PASSED_ON: [&str; 10] = [
    "host",
    "expect",
    "forwarded",
    "x-real-ip",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-method",
    "x-original-url",
    "x-rewrite-url",
];

/// All that say where a request came from.
const FORWARDED: &str = "x-forwarded-";

/// Nobody can have these taken out by naming them in `Connection`: one frames the body, by the other we found whose the
/// request is, and without it the homeserver might find somebody else.
const END_TO_END: [&str; 2] = ["content-length", "authorization"];

/// The headers of a request as the homeserver is to see them. `scheme`: how clients reach it, if no proxy says.
pub(super) fn of_request(headers: &ClientHeaders, arrival: &Arrival, scheme: &'static str) -> HeaderMap {
    let named = named(headers.get_all("connection").map(ClientValue::as_bytes));
    let mut passed = HeaderMap::with_capacity(headers.len() + 5);
    for (name, value) in headers {
        // Some servers take one for the other.
        let dashed = name.as_str().replace('_', "-");
        let is_ours = NOT_PASSED_ON.contains(&dashed.as_str()) || dashed.starts_with(FORWARDED);
        if is_ours || !is_end_to_end(name.as_str(), &named) {
            continue;
        }
        let name = HeaderName::from_bytes(name.as_str().as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value.as_bytes())) {
            passed.append(name, value);
        }
    }
    let host = arrival.host.as_ref().map(ToString::to_string).unwrap_or_default();
    for (name, value) in [
        ("x-forwarded-for", arrival.client.to_string()),
        ("x-forwarded-host", host),
        ("x-forwarded-proto", arrival.scheme.unwrap_or(scheme).to_owned()),
    ] {
        // An address, a host that was parsed, a word of ours.
        if let Ok(value) = HeaderValue::from_str(&value) {
            passed.insert(HeaderName::from_static(name), value);
        }
    }
    passed
}

/// The headers of an answer that go back to the client, in their order.
pub(super) fn of_answer(headers: &HeaderMap) -> impl Iterator<Item = (&str, &[u8])> {
    let named = named(headers.get_all("connection").iter().map(HeaderValue::as_bytes));
    headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .filter(move |(name, _)| is_end_to_end(name, &named))
}

fn is_end_to_end(name: &str, named: &[String]) -> bool {
    !HOP_BY_HOP.contains(&name) && (END_TO_END.contains(&name) || !named.iter().any(|named| named == name))
}

/// What `Connection` names, in lower case.
fn named<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Vec<String> {
    lines
        .filter_map(|line| str::from_utf8(line).ok())
        .flat_map(|line| line.split(','))
        .map(|option| option.trim().to_ascii_lowercase())
        .filter(|option| !option.is_empty())
        .collect()
}

#[cfg(test)]
mod tests;
