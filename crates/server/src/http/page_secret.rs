//! What makes a page's form this browser's: a random cookie that only the portal's own origin can set, and a token for each
//! form that is made from it. Nothing is remembered here, so any replica knows the form of any other.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{HeaderValue, SET_COOKIE},
};
use data_encoding::BASE64URL_NOPAD;
use sha2::{Digest as _, Sha256};
use usher_core::Entropy;

use super::request::cookies;

/// `__Host-` (RFC 6265bis section 4.1.3): no other host, nor plain http, can set it.
const NAME: &str = "__Host-usher-page";
const BYTES: usize = 16;

/// A browser's secret.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PageSecret(String);

impl PageSecret {
    /// A new one.
    pub(crate) fn generate(entropy: &dyn Entropy) -> Self {
        Self(entropy.base64url::<BYTES>())
    }

    /// The one that a browser sent; none if it sent several, or something that we did not make.
    pub(crate) fn of(request: &HttpRequest) -> Option<Self> {
        let pairs = cookies(request).filter_map(|pair| pair.trim().split_once('='));
        let mut values = pairs.filter(|(name, _)| *name == NAME);
        let (_, value) = values.next()?;
        let is_ours = BASE64URL_NOPAD.decode(value.as_bytes()).is_ok_and(|bytes| bytes.len() == BYTES);
        (is_ours && values.next().is_none()).then(|| Self(value.to_owned()))
    }

    /// The token of the form on the page called `page`.
    pub(crate) fn csrf(&self, page: &str) -> String {
        let digest = Sha256::new().chain_update(&self.0).chain_update([0]).chain_update(page).finalize();
        BASE64URL_NOPAD.encode(&digest)
    }

    /// `Lax`: it comes with the navigation from the homeserver's host, so that a second page does not replace it, and with
    /// no form of another site.
    pub(crate) fn set(&self, response: &mut HttpResponse) {
        let cookie = format!("{NAME}={}; Path=/; Secure; HttpOnly; SameSite=Lax", self.0);
        let value = HeaderValue::from_str(&cookie).expect("base64url and words of ours");
        response.headers_mut().append(SET_COOKIE, value);
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;
    use crate::clock::OsEntropy;

    #[test]
    fn a_form_is_of_one_browser_and_one_page() {
        let secret = PageSecret::generate(&OsEntropy);
        let read = |cookies: &[String]| {
            let mut request = TestRequest::default();
            for cookie in cookies {
                request = request.append_header(("cookie", cookie.as_str()));
            }
            PageSecret::of(&request.to_http_request()).map(|secret| secret.0)
        };
        let own = format!("{NAME}={}", secret.0);
        for (name, cookies, expected) in [
            ("none", vec![], None),
            ("ours", vec![own.clone()], Some(&secret.0)),
            ("beside one that is not ASCII", vec![format!("a=\u{f6}; {own}")], Some(&secret.0)),
            ("after what only Unicode takes for a blank", vec![format!("\u{2003}{own}")], None),
            ("among others", vec![format!("a=b; {own}; c")], Some(&secret.0)),
            ("twice", vec![format!("{own}; {own}")], None),
            ("twice in two lines", vec![own.clone(), own.clone()], None),
            ("another's", vec![format!("{NAME}=x")], None),
            ("an empty one", vec![format!("{NAME}=")], None),
        ] {
            assert_eq!(read(&cookies).as_ref(), expected, "{name}");
        }
        assert_ne!(secret.csrf("a"), secret.csrf("b"));
        assert_ne!(secret.csrf("a"), PageSecret::generate(&OsEntropy).csrf("a"));
        assert!(!secret.csrf("a").contains(&secret.0));
    }
}
