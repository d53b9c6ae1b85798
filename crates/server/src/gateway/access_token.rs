//! The access token of a request, read in one way only.
//! <https://spec.matrix.org/v1.19/client-server-api/#client-authentication>
//!
//! A homeserver that found another token than we did would do what its owner never confirmed, so there has to be exactly
//! one, in a form that nobody reads otherwise. Twisted, and with it Synapse, takes a semicolon in a query for an
//! ampersand, and a form in the body of a POST for more of the query, which it puts in the place of what stands there; a
//! body can be a form and JSON at once. A token in `Authorization` is the only one: beside it, Synapse refuses any other.

use actix_web::{
    HttpRequest,
    http::{StatusCode, header},
};
use secrecy::{ExposeSecret as _, SecretString};
use url::form_urlencoded;

use crate::http::MatrixError;

/// Longer than any homeserver's.
const MAX_BYTES: usize = 4096;

/// What a request has of an access token.
pub(super) enum AccessToken {
    /// Nothing: it is nobody's.
    None,
    /// One.
    One(SecretString),
    /// Several, something that is none, or none where another may see one.
    Unreadable,
}

/// Reads `Authorization` and `access_token`.
pub(super) fn access_token(request: &HttpRequest) -> AccessToken {
    let mut found = Vec::new();
    for value in request.headers().get_all(header::AUTHORIZATION) {
        match value.to_str().ok().and_then(bearer) {
            Some(token) => found.push(token.to_owned()),
            None => return AccessToken::Unreadable,
        }
    }
    let is_in_header = !found.is_empty();
    let query = request.query_string();
    let in_query: Vec<_> = tokens(query).collect();
    if !query.split(';').flat_map(tokens).eq(in_query.iter().cloned()) {
        return AccessToken::Unreadable;
    }
    found.extend(in_query);
    match <[String; 1]>::try_from(found) {
        Ok([token]) if is_token(&token) && (is_in_header || !has_form(request)) => {
            AccessToken::One(SecretString::from(token))
        }
        Err(found) if found.is_empty() && !has_form(request) => AccessToken::None,
        Ok(_) | Err(_) => AccessToken::Unreadable,
    }
}

fn tokens(query: &str) -> impl Iterator<Item = String> {
    form_urlencoded::parse(query.as_bytes())
        .filter(|(name, _)| name == "access_token")
        .map(|(_, value)| value.into_owned())
}

/// Whether the body says that it is a form, of whichever kind: no endpoint of ours has one.
fn has_form(request: &HttpRequest) -> bool {
    request
        .headers()
        .get_all(header::CONTENT_TYPE)
        .any(|value| String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase().contains("form"))
}

/// RFC 9110 section 11.1: the scheme's case does not matter.
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn is_token(token: &str) -> bool {
    (1..=MAX_BYTES).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic())
}

/// 401, as a homeserver would say it.
pub(super) fn unreadable() -> MatrixError {
    MatrixError::new(
        StatusCode::UNAUTHORIZED,
        "M_UNKNOWN_TOKEN",
        "The request must have exactly one access token, as a Bearer token in Authorization",
    )
}

/// For tests of what is never shown.
impl std::fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::One(token) => write!(f, "One({} bytes)", token.expose_secret().len()),
            Self::Unreadable => f.write_str("Unreadable"),
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn there_is_one_token_or_none_or_it_is_refused() {
        let read = |headers: &[&str], query: &str| {
            let mut request = TestRequest::with_uri(&format!("/x{query}"));
            for header in headers {
                request = request.append_header(("authorization", *header));
            }
            match access_token(&request.to_http_request()) {
                AccessToken::None => "none".to_owned(),
                AccessToken::One(token) => token.expose_secret().to_owned(),
                AccessToken::Unreadable => "unreadable".to_owned(),
            }
        };
        let long = "x".repeat(MAX_BYTES + 1);
        for (name, headers, query, expected) in [
            ("nothing", &[][..], "", "none"),
            ("a header", &["Bearer syt_a"], "", "syt_a"),
            ("another case", &["bEARER syt_a"], "", "syt_a"),
            ("a query", &[], "?x=y&access_token=syt%5Fa", "syt_a"),
            ("both", &["Bearer syt_a"], "?access_token=syt_a", "unreadable"),
            ("two headers", &["Bearer syt_a", "Bearer syt_b"], "", "unreadable"),
            ("two in the query", &[], "?access_token=a&access%5Ftoken=b", "unreadable"),
            ("another scheme", &["Basic syt_a"], "", "unreadable"),
            ("no scheme", &["syt_a"], "", "unreadable"),
            ("an empty one", &["Bearer "], "", "unreadable"),
            ("an empty one in the query", &[], "?access_token=", "unreadable"),
            ("a blank in it", &["Bearer a b"], "", "unreadable"),
            ("beyond ASCII", &[], "?access_token=%C3%B6", "unreadable"),
            ("a long one", &[], &format!("?access_token={long}"), "unreadable"),
            ("a semicolon elsewhere", &["Bearer syt_a"], "?x=1;y=2", "syt_a"),
            ("one after a semicolon", &[], "?x;access_token=syt_a", "unreadable"),
            ("beside a header", &["Bearer syt_a"], "?x;access_token=syt_b", "unreadable"),
            ("before another", &[], "?x;access_token=syt_b&access_token=syt_a", "unreadable"),
            ("one with a semicolon in it", &[], "?access_token=syt_a;b", "unreadable"),
            ("escaped, it is in the token", &[], "?access_token=syt_a%3Bb", "syt_a;b"),
        ] {
            assert_eq!(read(headers, query), expected, "{name}");
        }
    }

    #[test]
    fn a_form_is_not_taken_for_nobodys_and_may_hold_another_token_than_the_query() {
        let json = "application/json";
        for (name, types, is_nobodys) in [
            ("no type", &[][..], true),
            ("JSON", &[json], true),
            ("plain text", &["text/plain;charset=UTF-8"], true),
            ("a form", &["application/x-www-form-urlencoded"], false),
            ("in another case, with a parameter", &["Application/X-WWW-Form-Urlencoded; a=b"], false),
            ("in parts", &["multipart/form-data; boundary=x"], false),
            ("beside JSON", &[json, "application/x-www-form-urlencoded"], false),
        ] {
            let request = || {
                let add =
                    |request: TestRequest, value: &&str| request.append_header(("content-type", *value));
                types.iter().fold(TestRequest::post(), add)
            };
            let read = access_token(&request().to_http_request());
            assert_eq!(matches!(read, AccessToken::None), is_nobodys, "{name}");
            let with_token = request().append_header(("authorization", "Bearer syt_a")).to_http_request();
            assert!(matches!(access_token(&with_token), AccessToken::One(_)), "{name}");
            let in_query = request().uri("/x?access_token=syt_a").to_http_request();
            let is_read = matches!(access_token(&in_query), AccessToken::One(_));
            assert_eq!(is_read, is_nobodys, "{name}, beside a token in the query");
        }
    }
}
