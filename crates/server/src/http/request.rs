//! What routes read of a request besides its path, query and body.

use actix_web::{
    HttpMessage as _, HttpRequest,
    http::header::{ACCEPT_LANGUAGE, COOKIE},
};

use crate::{attempt::Jar, pages::Locale};

/// Names one request in the log and on error pages.
#[derive(Clone, Debug)]
pub(crate) struct RequestId(pub String);

/// The request's id.
#[must_use]
pub(crate) fn request_id(request: &HttpRequest) -> String {
    request.extensions().get::<RequestId>().map_or_else(String::new, |id| id.0.clone())
}

/// The attempts' cookies that came with it.
#[must_use]
pub(crate) fn jar(request: &HttpRequest) -> Jar {
    Jar::parse(cookies(request))
}

/// `name=value` of each cookie. One that is not ASCII is none of ours, and no reason to look at no other: any host of
/// the organisation can set one for all of them.
pub(super) fn cookies(request: &HttpRequest) -> impl Iterator<Item = &str> {
    let pairs =
        request.headers().get_all(COOKIE).flat_map(|value| value.as_bytes().split(|byte| *byte == b';'));
    pairs.filter_map(|pair| str::from_utf8(pair).ok().filter(|pair| pair.is_ascii()))
}

/// The person's language.
#[must_use]
pub(crate) fn locale(request: &HttpRequest) -> Locale {
    Locale::negotiate(request.headers().get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()))
}
