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
    Jar::parse(request.headers().get_all(COOKIE).filter_map(|value| value.to_str().ok()))
}

/// The person's language.
#[must_use]
pub(crate) fn locale(request: &HttpRequest) -> Locale {
    Locale::negotiate(request.headers().get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()))
}
