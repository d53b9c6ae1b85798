//! `login`: lifetimes of logins under way, and the clients that need no confirmation page.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{Problems, fields::Fields as _, is_loopback};
use crate::attempt::{ClientRedirect, ClientRedirectError};

/// Lifetimes and trusted clients.
#[derive(Clone, Debug)]
pub struct LoginConfig {
    /// From the redirect to the provider to the way back.
    pub attempt_lifetime: Duration,
    /// From the way back to `POST /login`.
    pub token_lifetime: Duration,
    /// Sites that are given a login token without asking the person.
    pub trusted_clients: Vec<ClientSite>,
}

/// A site: scheme, host, port and path prefix, compared as parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSite(Url);

impl ClientSite {
    /// Whether `url` lies within the site: the prefix ends at a segment's end, so `/app` is not `/apple`.
    #[must_use]
    pub fn contains(&self, url: &Url) -> bool {
        let is_app = !matches!(self.0.scheme(), "https" | "http");
        if is_app && self.0.host_str().unwrap_or_default().is_empty() && self.0.path().is_empty() {
            // `element://`: every address of the app.
            return url.scheme() == self.0.scheme();
        }
        // Encoded slashes are a segment's characters here, and a way out of the prefix to some servers.
        let path = url.path().to_ascii_lowercase();
        if ["%2f", "%5c", "..", "%2e%2e"].iter().any(|trick| path.contains(trick)) {
            return false;
        }
        let same_place = url.scheme() == self.0.scheme()
            && url.host_str() == self.0.host_str()
            && url.port_or_known_default() == self.0.port_or_known_default();
        let prefix = self.0.path().trim_end_matches('/');
        let rest = url.path().strip_prefix(prefix);
        same_place && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawLogin {
    /// How long a person may take at the provider, at least 2m. Default: 15m.
    attempt_lifetime: Option<String>,
    /// How long a login token waits for its client, at least 90s. Default: 120s.
    token_lifetime: Option<String>,
    /// URLs of clients, such as `https://app.ac.cdl/` or `element://`, that are given a login token without a page that asks.
    trusted_clients: Vec<String>,
}

impl RawLogin {
    pub(super) fn validate(self, problems: &mut Problems) -> LoginConfig {
        let minute = Duration::from_mins(1);
        // A replica whose clock is a minute ahead has each of these a minute shorter; what is left must do.
        let attempt_lifetime = problems.duration(
            "login.attempt_lifetime",
            self.attempt_lifetime.as_deref(),
            15 * minute,
            (2 * minute, 60 * minute),
        );
        let token_lifetime = problems.duration(
            "login.token_lifetime",
            self.token_lifetime.as_deref(),
            2 * minute,
            (Duration::from_secs(90), 10 * minute),
        );
        let mut trusted_clients = Vec::new();
        for (index, raw) in self.trusted_clients.iter().enumerate() {
            let path = format!("login.trusted_clients[{index}]");
            trusted_clients.extend(client_site(raw, &path, problems));
        }
        LoginConfig { attempt_lifetime, token_lifetime, trusted_clients }
    }
}

fn client_site(raw: &str, path: &str, problems: &mut Problems) -> Option<ClientSite> {
    let url = problems.parsed::<Url>(path, raw, "a URL such as https://app.ac.cdl/")?;
    let is_web = matches!(url.scheme(), "https" | "http");
    let has_more = !url.username().is_empty()
        || url.password().is_some()
        || url.query().is_some()
        || url.fragment().is_some();
    let parsed = ClientRedirect::parse(raw);
    let wrong = if raw.contains('*') {
        "has a `*`, and there are no wildcards; list every client (each with all that is below it)"
    } else if has_more {
        "must have no user name, password, `?` or `#` part"
    } else if matches!(parsed, Err(ClientRedirectError::Scheme)) {
        "has a scheme that no client may have; give an https URL or an app's scheme"
    } else if parsed.is_err() {
        "is not a URL such as https://app.ac.cdl/"
    } else if !is_web && !is_app_scheme(raw, &url) {
        "has no `//`; give https://… of a site, and of an app a scheme such as element:// or im.fluffychat:"
    } else {
        if url.scheme() == "http" && !is_loopback(&url) {
            problems.warn(path, "is plain http: whoever is on the way can take the login token; use https");
        }
        return Some(ClientSite(url));
    };
    problems.error(path, wrong);
    None
}

/// `element://…`, or `im.fluffychat:…`, a domain backwards (RFC 8252 section 7.1). `localhost:8080` and
/// `app.ac.cdl:8080` are URLs to the letter, of the schemes `localhost` and `app.ac.cdl`, and nobody means those.
fn is_app_scheme(raw: &str, url: &Url) -> bool {
    let Some(rest) = raw.get(url.scheme().len() + 1..) else { return false };
    rest.starts_with("//") || (url.scheme().contains('.') && !rest.starts_with(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_is_compared_as_parsed_and_at_segments() {
        let contains = |site: &str, url: &str| {
            ClientSite(Url::parse(site).expect("a URL")).contains(&Url::parse(url).expect("a URL"))
        };
        for (name, site, url, expected) in [
            ("the site itself", "https://app.ac.cdl/", "https://app.ac.cdl/?x#/y", true),
            ("below it", "https://app.ac.cdl/web", "https://app.ac.cdl/web/index.html", true),
            ("with and without the slash", "https://app.ac.cdl/web/", "https://app.ac.cdl/web", true),
            ("default port", "https://app.ac.cdl:443/", "https://app.ac.cdl/", true),
            ("case of the host", "https://APP.ac.cdl/", "https://app.AC.cdl/", true),
            ("a custom scheme", "element://connect", "element://connect?x=1", true),
            ("any address of an app", "element://", "element://connect?x=1", true),
            ("an encoded way out", "https://app.ac.cdl/web", "https://app.ac.cdl/web/..%2fevil", false),
            ("inside a segment", "https://app.ac.cdl/web", "https://app.ac.cdl/webevil", false),
            ("a longer host", "https://app.ac.cdl/", "https://app.ac.cdl.evil.example/", false),
            (
                "userinfo that looks like the host",
                "https://app.ac.cdl/",
                "https://app.ac.cdl@evil.example/",
                false,
            ),
            (
                "dots lead out of the prefix",
                "https://app.ac.cdl/web",
                "https://app.ac.cdl/web/../evil",
                false,
            ),
            ("another scheme", "https://app.ac.cdl/", "http://app.ac.cdl/", false),
            ("another port", "https://app.ac.cdl/", "https://app.ac.cdl:8443/", false),
            ("another custom scheme", "element://connect", "elementx://connect", false),
        ] {
            assert_eq!(contains(site, url), expected, "{name}");
        }
    }
}
