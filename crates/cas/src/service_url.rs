//! The service URL (CAS protocol 2.1.1, `service`): the one place that makes it, because the one at `/login` and
//! the one at validation must be equal byte for byte.
//!
//! It is made of the configured endpoints and the attempt's handle alone. Nothing that a request says (Host,
//! forwarding headers) can change it, and since it names the attempt, a ticket is good for one attempt.

use url::Url;
use usher_core::Handle;

const SEGMENT: &str = "callback";

/// `{endpoints}callback/{handle}`.
pub(crate) fn service_url(endpoints: &Url, handle: &Handle) -> String {
    let mut url = endpoints.clone();
    url.set_path(&format!("{}/{SEGMENT}/{handle}", endpoints.path().trim_end_matches('/')));
    url.into()
}

/// The handle in the path after the endpoints: exactly `callback/{handle}`.
pub(crate) fn handle_in(tail: &str) -> Option<Handle> {
    let handle = tail.strip_prefix(SEGMENT)?.strip_prefix('/')?;
    Handle::parse(handle).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_url_is_the_endpoints_and_the_handle() {
        let handle = Handle::parse("AAAAAAAAAAAAAAAAAAAA-w").expect("a handle");
        for (endpoints, expected) in [
            (
                "https://m.ac.cdl/_usher/cas/corp/",
                "https://m.ac.cdl/_usher/cas/corp/callback/AAAAAAAAAAAAAAAAAAAA-w",
            ),
            (
                "https://m.ac.cdl/_usher/cas/a~b",
                "https://m.ac.cdl/_usher/cas/a~b/callback/AAAAAAAAAAAAAAAAAAAA-w",
            ),
        ] {
            let endpoints = Url::parse(endpoints).expect("a URL");
            assert_eq!(service_url(&endpoints, &handle), expected);
        }
    }

    #[test]
    fn a_handle_is_read_from_exactly_one_path() {
        for (tail, is_read) in [
            ("callback/AAAAAAAAAAAAAAAAAAAAAA", true),
            ("callback/AAAAAAAAAAAAAAAAAAAAAA/", false),
            ("callback//AAAAAAAAAAAAAAAAAAAAAA", false),
            ("callbackAAAAAAAAAAAAAAAAAAAAAA", false),
            ("/callback/AAAAAAAAAAAAAAAAAAAAAA", false),
            ("callback/AAAAAAAAAAAAAAAAAAAAAB", false),
            ("callback/", false),
            ("callback", false),
            ("", false),
        ] {
            assert_eq!(handle_in(tail).is_some(), is_read, "{tail:?}");
        }
    }
}
