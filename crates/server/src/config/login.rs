//! `login`: lifetimes of logins under way, and the clients that need no confirmation page.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{Problems, fields::Fields as _};
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
    /// How long a person may take at the provider. Default: 15m.
    attempt_lifetime: Option<String>,
    /// How long a login token waits for its client. Default: 120s.
    token_lifetime: Option<String>,
    /// URLs of clients, such as `https://app.ac.cdl/` or `element://`, that are given a login token without a page that asks.
    trusted_clients: Vec<String>,
}

impl RawLogin {
    pub(super) fn validate(self, problems: &mut Problems) -> LoginConfig {
        let minute = Duration::from_mins(1);
        let attempt_lifetime = problems.duration(
            "login.attempt_lifetime",
            self.attempt_lifetime.as_deref(),
            15 * minute,
            (minute, 60 * minute),
        );
        let token_lifetime = problems.duration(
            "login.token_lifetime",
            self.token_lifetime.as_deref(),
            2 * minute,
            (Duration::from_secs(5), 10 * minute),
        );
        let mut trusted_clients = Vec::new();
        for (index, raw) in self.trusted_clients.iter().enumerate() {
            let path = format!("login.trusted_clients[{index}]");
            let Some(url) = problems.parsed::<Url>(&path, raw, "a URL such as https://app.ac.cdl/") else {
                continue;
            };
            let is_bare = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
            if matches!(ClientRedirect::parse(raw), Err(ClientRedirectError::Scheme)) {
                problems.error(
                    path,
                    "has a scheme that no client may have; give an https URL or an app's scheme",
                );
            } else if is_bare {
                trusted_clients.push(ClientSite(url));
            } else {
                problems.error(path, "must have no user name, `?` or `#` part");
            }
        }
        LoginConfig { attempt_lifetime, token_lifetime, trusted_clients }
    }
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
