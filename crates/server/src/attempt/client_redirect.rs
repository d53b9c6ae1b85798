//! Where a client wants its login token: the `redirectUrl` of `GET /login/sso/redirect`
//! (client-server API v1.19, "Client login via SSO").
//!
//! Kept byte for byte. The parsed form is looked at, never sent: browsers follow what we were given.

use percent_encoding::percent_decode_str;
use url::{Host, Url, form_urlencoded};
use usher_core::Purpose;

use crate::config::ClientSite;

/// Longer ones do not fit an attempt's cookie.
const MAX_BYTES: usize = 2000;
/// Schemes whose "redirect" runs or reads something in the browser, or stays in it.
pub(crate) const FORBIDDEN_SCHEMES: [&str; 14] = [
    "javascript",
    "data",
    "vbscript",
    "file",
    "blob",
    "about",
    "filesystem",
    "intent",
    "view-source",
    "ms-msdt",
    "ws",
    "wss",
    "ftp",
    "mailto",
];
const TOKEN: &str = "loginToken";

/// A validated `redirectUrl`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientRedirect {
    raw: String,
    url: Url,
}

/// Why a `redirectUrl` was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientRedirectError {
    /// Not there, or empty.
    #[error("redirectUrl is missing")]
    Missing,
    /// There more than once.
    #[error("redirectUrl is repeated")]
    Repeated,
    /// Over 2,000 bytes.
    #[error("redirectUrl is longer than 2,000 bytes")]
    TooLong,
    /// Not an absolute URI, or with characters no URI has.
    #[error("redirectUrl is not an absolute URI")]
    NotAbsolute,
    /// With a user name or password: it exists to mislead the reader.
    #[error("redirectUrl contains a user name or password")]
    UserInfo,
    /// A scheme that is no client.
    #[error("redirectUrl has a scheme that is not allowed")]
    Scheme,
}

impl ClientRedirect {
    /// Reads it out of a request's raw query. Only percent-encoding is undone: a `+` stays a `+`, since
    /// clients that encode nothing at all send it so, and a URI has no spaces.
    pub fn from_query(query: &str) -> Result<Self, ClientRedirectError> {
        let mut values = query.split('&').filter_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (name == "redirectUrl").then_some(value)
        });
        let value = values.next().ok_or(ClientRedirectError::Missing)?;
        if values.next().is_some() {
            return Err(ClientRedirectError::Repeated);
        }
        let decoded =
            percent_decode_str(value).decode_utf8().map_err(|_| ClientRedirectError::NotAbsolute)?;
        Self::parse(&decoded)
    }

    /// Where a login goes back to; `None` of what is no login.
    #[must_use]
    pub(super) fn of(purpose: &Purpose) -> Option<Self> {
        match purpose {
            // It was validated before it was sealed.
            Purpose::Login { client_redirect_url, .. } => Self::parse(client_redirect_url).ok(),
            Purpose::UiAuth { .. } => None,
        }
    }

    /// Validates `raw`.
    pub fn parse(raw: &str) -> Result<Self, ClientRedirectError> {
        if raw.is_empty() {
            return Err(ClientRedirectError::Missing);
        }
        if raw.len() > MAX_BYTES {
            return Err(ClientRedirectError::TooLong);
        }
        // A URL parser drops tabs and newlines and trims spaces: what it judged would not be what is sent.
        // A backslash is a slash to browsers and a character to others. A quotation mark is in no URI (RFC 3986 section 2).
        if raw.chars().any(|c| c.is_control() || c.is_whitespace() || matches!(c, '\\' | '"')) {
            return Err(ClientRedirectError::NotAbsolute);
        }
        let url = Url::parse(raw).map_err(|_| ClientRedirectError::NotAbsolute)?;
        if FORBIDDEN_SCHEMES.contains(&url.scheme()) {
            return Err(ClientRedirectError::Scheme);
        }
        // As written: a parser drops a user name that is empty, and the reader may take it for the host all the same.
        if authority(raw).contains('@') {
            return Err(ClientRedirectError::UserInfo);
        }
        // `https:app` and `https:///app` are relative or hostless to the letter, though a lenient parser finds a host.
        let is_web = matches!(url.scheme(), "https" | "http");
        let has_authority = raw[url.scheme().len()..].starts_with("://")
            && !raw[url.scheme().len() + 3..].starts_with('/')
            && url.has_host();
        if is_web && !has_authority {
            return Err(ClientRedirectError::NotAbsolute);
        }
        // The host goes into a Content-Security-Policy, and a browser must find the one that was judged here: plain
        // characters, in the spelling that was given.
        if is_web && !has_plain_host(raw, &url) {
            return Err(ClientRedirectError::NotAbsolute);
        }
        Ok(Self { raw: raw.to_owned(), url })
    }

    /// As given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.raw
    }

    /// Whether it lies within one of `sites`.
    #[must_use]
    pub fn is_trusted(&self, sites: &[ClientSite]) -> bool {
        sites.iter().any(|site| site.contains(&self.url))
    }

    /// What a person is told about where they are going: the host, or the scheme of an app.
    #[must_use]
    pub fn site(&self) -> String {
        match (self.url.scheme(), self.url.host_str()) {
            ("https", Some(host)) => self.url.port().map_or(host.to_owned(), |port| format!("{host}:{port}")),
            ("http", Some(_)) => self.url.origin().ascii_serialization(),
            (scheme, _) => format!("{scheme}:"),
        }
    }

    /// Whether an app on the person's device answers to it: it is on no web site.
    #[must_use]
    pub fn is_app(&self) -> bool {
        !matches!(self.url.scheme(), "https" | "http")
    }

    /// A source expression for `form-action`: Chromium applies it to the redirect that follows a POST.
    #[must_use]
    pub fn csp_source(&self) -> String {
        match (self.url.scheme(), self.url.host()) {
            // An IPv6 address is no host-source (CSP Level 3, section 2.3.1): browsers would follow the redirect nowhere.
            ("https" | "http", Some(Host::Domain(_) | Host::Ipv4(_))) => {
                self.url.origin().ascii_serialization()
            }
            (scheme, _) => format!("{scheme}:"),
        }
    }

    /// With `loginToken` in its query, before any `#`; one that was there is taken out. All else stays as it is.
    #[must_use]
    pub fn with_token(&self, token: &str) -> String {
        let (before, fragment) = match self.raw.split_once('#') {
            Some((before, fragment)) => (before, Some(fragment)),
            None => (self.raw.as_str(), None),
        };
        let (path, query) = match before.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (before, None),
        };
        let is_token = |pair: &&str| {
            let name = pair.split_once('=').map_or(*pair, |(name, _)| name);
            form_urlencoded::parse(name.as_bytes()).next().is_some_and(|(name, _)| name == TOKEN)
        };
        let kept =
            query.map(|query| query.split('&').filter(|pair| !is_token(pair)).collect::<Vec<_>>().join("&"));
        let kept = kept.filter(|kept| !kept.is_empty()).map_or(String::new(), |kept| format!("{kept}&"));
        let fragment = fragment.map_or(String::new(), |fragment| format!("#{fragment}"));
        format!("{path}?{kept}{TOKEN}={token}{fragment}")
    }
}

/// What stands between `//` and the path (RFC 3986 section 3.2); empty where there is none.
fn authority(raw: &str) -> &str {
    let (_, after_scheme) = raw.split_once(':').unwrap_or_default();
    let authority = after_scheme.strip_prefix("//").unwrap_or_default();
    authority.split(['/', '?', '#']).next().unwrap_or_default()
}

fn has_plain_host(raw: &str, url: &Url) -> bool {
    let authority = authority(raw);
    let is_plain =
        |host: &str| host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
    authority.is_ascii()
        && match url.host() {
            Some(Host::Domain(host)) => is_plain(host),
            Some(Host::Ipv4(_) | Host::Ipv6(_)) => true,
            None => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirect_urls_are_absolute_and_lead_to_a_client() {
        use ClientRedirectError::{Missing, NotAbsolute, Scheme, TooLong, UserInfo};
        let long = |length: usize| format!("https://app/?{}", "x".repeat(length - "https://app/?".len()));
        for (name, raw, expected) in [
            ("https", "https://app.ac.cdl/?x#/frag".to_owned(), Ok(())),
            ("a custom scheme", "element://connect".to_owned(), Ok(())),
            ("a custom scheme without //", "im.fluffychat:login".to_owned(), Ok(())),
            ("loopback", "http://localhost:8080/cb".to_owned(), Ok(())),
            ("UTF-8", "https://app/?q=föö".to_owned(), Ok(())),
            ("2,000 bytes", long(2000), Ok(())),
            ("2,001 bytes", long(2001), Err(TooLong)),
            ("empty", String::new(), Err(Missing)),
            ("relative", "/app".to_owned(), Err(NotAbsolute)),
            ("scheme-relative", "//evil.example/".to_owned(), Err(NotAbsolute)),
            ("hostless", "https:///app".to_owned(), Err(NotAbsolute)),
            ("no slashes", "https:app".to_owned(), Err(NotAbsolute)),
            ("one slash", "https:/app".to_owned(), Err(NotAbsolute)),
            ("backslashes", "https:\\\\evil.example".to_owned(), Err(NotAbsolute)),
            ("a user name", "https://app.ac.cdl@evil.example/".to_owned(), Err(UserInfo)),
            ("a password", "https://:x@evil.example/".to_owned(), Err(UserInfo)),
            ("an empty user name", "https://@evil.example/".to_owned(), Err(UserInfo)),
            ("an empty password too", "https://:@evil.example/".to_owned(), Err(UserInfo)),
            ("a user name for an app", "element://app.ac.cdl@evil/".to_owned(), Err(UserInfo)),
            ("an @ in the path", "https://app/@alice".to_owned(), Ok(())),
            ("an @ in the query", "https://app?user=@alice:x".to_owned(), Ok(())),
            ("an @ without an authority", "im.fluffychat:login@home".to_owned(), Ok(())),
            ("javascript", "javascript:alert(1)".to_owned(), Err(Scheme)),
            ("javascript in capitals", "JavaScript:alert(1)".to_owned(), Err(Scheme)),
            ("data", "data:text/html,x".to_owned(), Err(Scheme)),
            ("vbscript", "vbscript:x".to_owned(), Err(Scheme)),
            ("file", "file:///etc/passwd".to_owned(), Err(Scheme)),
            ("blob", "blob:https://x/y".to_owned(), Err(Scheme)),
            ("about", "about:blank".to_owned(), Err(Scheme)),
            ("an address", "http://[::1]:8080/cb".to_owned(), Ok(())),
            ("a host that is a policy", "https://x;sandbox/".to_owned(), Err(NotAbsolute)),
            ("a host that is everybody", "https://*/".to_owned(), Err(NotAbsolute)),
            ("a host in another alphabet", "https://äpp.example/".to_owned(), Err(NotAbsolute)),
            ("an intent", "intent://x#Intent;end".to_owned(), Err(Scheme)),
            ("a newline", "https://app/\r\nSet-Cookie: x".to_owned(), Err(NotAbsolute)),
            ("a tab inside the scheme", "java\tscript:alert(1)".to_owned(), Err(NotAbsolute)),
            ("a quotation mark", "https://app/?\"".to_owned(), Err(NotAbsolute)),
            ("a leading space", " javascript:alert(1)".to_owned(), Err(NotAbsolute)),
        ] {
            assert_eq!(ClientRedirect::parse(&raw).map(|_| ()), expected, "{name}");
        }
    }

    #[test]
    fn the_token_goes_into_the_query_and_all_else_stays() {
        for (name, raw, expected) in [
            ("plain", "https://app/", "https://app/?loginToken=T"),
            ("no path", "https://app", "https://app?loginToken=T"),
            ("a fragment", "https://app/#/login", "https://app/?loginToken=T#/login"),
            ("an empty query", "https://app/?#f", "https://app/?loginToken=T#f"),
            (
                "order, duplicates, no values",
                "https://app/?b&a=1&b&a=2",
                "https://app/?b&a=1&b&a=2&loginToken=T",
            ),
            ("a token that was there", "https://app/?loginToken=old&x=1", "https://app/?x=1&loginToken=T"),
            ("the same, encoded", "https://app/?login%54oken=old", "https://app/?loginToken=T"),
            ("one like it", "https://app/?xloginToken=1", "https://app/?xloginToken=1&loginToken=T"),
            (
                "a ? in the fragment",
                "https://app/#/?loginToken=1",
                "https://app/?loginToken=T#/?loginToken=1",
            ),
            ("an encoded byte", "https://app/?q=%C3%B6+ö", "https://app/?q=%C3%B6+ö&loginToken=T"),
            (
                "Element's session id",
                "element://x?element-desktop-ssoid=1",
                "element://x?element-desktop-ssoid=1&loginToken=T",
            ),
        ] {
            let redirect = ClientRedirect::parse(raw).expect(name);
            assert_eq!(redirect.with_token("T"), expected, "{name}");
        }
    }

    #[test]
    fn it_is_read_once_and_only_percent_decoded() {
        for (name, query, expected) in [
            ("encoded", "redirectUrl=https%3A%2F%2Fapp%2F%3Fx%3D1%26y", Ok("https://app/?x=1&y")),
            ("not encoded", "redirectUrl=http://localhost:1/cb", Ok("http://localhost:1/cb")),
            ("a plus", "redirectUrl=https://app/?a+b", Ok("https://app/?a+b")),
            ("among others", "a=1&redirectUrl=https://app/&b=2", Ok("https://app/")),
            ("missing", "a=1", Err(ClientRedirectError::Missing)),
            ("no value", "redirectUrl", Err(ClientRedirectError::Missing)),
            ("twice", "redirectUrl=https://a/&redirectUrl=https://b/", Err(ClientRedirectError::Repeated)),
            ("not UTF-8", "redirectUrl=https://app/%FF", Err(ClientRedirectError::NotAbsolute)),
            ("a newline", "redirectUrl=https://app/%0d%0ax", Err(ClientRedirectError::NotAbsolute)),
        ] {
            let read = ClientRedirect::from_query(query);
            assert_eq!(read.as_ref().map(ClientRedirect::as_str).map_err(|error| *error), expected, "{name}");
        }
    }

    #[test]
    fn a_person_is_told_the_site() {
        for (raw, site, source) in [
            ("https://app.ac.cdl/x?y", "app.ac.cdl", "https://app.ac.cdl"),
            ("https://app.ac.cdl:8443/", "app.ac.cdl:8443", "https://app.ac.cdl:8443"),
            ("http://localhost:8080/cb", "http://localhost:8080", "http://localhost:8080"),
            ("element://connect", "element:", "element:"),
            ("http://127.0.0.1:8080/cb", "http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://[::1]:8080/cb", "http://[::1]:8080", "http:"),
        ] {
            let redirect = ClientRedirect::parse(raw).expect(raw);
            assert_eq!((redirect.site().as_str(), redirect.csp_source().as_str()), (site, source), "{raw}");
        }
    }
}
