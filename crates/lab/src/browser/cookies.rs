//! A cookie jar that keeps and sends what Chromium would. Rules: <https://httpwg.org/http-extensions/draft-ietf-httpbis-rfc6265bis.html>
//! (sections 5.6 to 5.8) with what Chromium adds: loopback names are trustworthy over plain http.
//!
//! Left out: partitioned cookies, the public suffix list (a site is a host's last two labels, which is right for
//! `portal.localhost` and `matrix.ac.cdl`), and Chromium's grace of two minutes in which a cookie without `SameSite`
//! still goes with a cross-site POST: who needs that grace has a bug.

use std::time::{Duration, Instant};

use url::{Host, Url};

/// A cookie whose name and value together are longer is dropped, silently, as browsers do.
const MAX_COOKIE_BYTES: usize = 4096;

/// When a cookie goes along with a request that another site caused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SameSite {
    None,
    Lax,
    Strict,
}

#[derive(Clone)]
struct Cookie {
    name: String,
    value: String,
    host: String,
    /// Whether `host` stands for its subdomains too (a `Domain` attribute was given).
    with_subdomains: bool,
    path: String,
    secure: bool,
    same_site: SameSite,
    /// `None`: until the browser is closed.
    expires: Option<Instant>,
}

/// The request cookies are looked up for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Occasion<'a> {
    /// Where it goes.
    pub(super) url: &'a Url,
    /// The page that caused it; `None` if the person typed the address.
    pub(super) initiator: Option<&'a Url>,
    /// Whether its method is one that changes nothing (GET, HEAD).
    pub(super) is_safe: bool,
}

/// The cookies of one browser.
#[derive(Default)]
pub(super) struct Jar {
    cookies: Vec<Cookie>,
}

impl Jar {
    /// Takes in the `Set-Cookie` header `line` of an answer from `url`. `date`: the answer's `Date` header, against
    /// which `Expires` is read, so that the server's clock counts.
    pub(super) fn store(&mut self, url: &Url, line: &str, date: Option<&str>) {
        let Some(cookie) = parse(url, line, date) else { return };
        let is_same = |other: &Cookie| {
            (&other.name, &other.host, &other.path) == (&cookie.name, &cookie.host, &cookie.path)
                && other.with_subdomains == cookie.with_subdomains
        };
        let place = self.cookies.iter().position(is_same);
        let is_gone = cookie.expires.is_some_and(|at| at <= Instant::now());
        match (place, is_gone) {
            (Some(place), true) => drop(self.cookies.remove(place)),
            // Replaced where it stands: order of creation is kept.
            (Some(place), false) => self.cookies[place] = cookie,
            (None, true) => {}
            (None, false) => self.cookies.push(cookie),
        }
    }

    /// The value of the `Cookie` header; `None` if no cookie goes along.
    pub(super) fn header(&self, occasion: Occasion<'_>) -> Option<String> {
        let now = Instant::now();
        let mut sent: Vec<&Cookie> = self
            .cookies
            .iter()
            .filter(|cookie| cookie.expires.is_none_or(|at| at > now) && cookie.goes_with(occasion))
            .collect();
        // Longest path first; the sort is stable, so creation order decides the rest.
        sent.sort_by_key(|cookie| std::cmp::Reverse(cookie.path.len()));
        let pairs: Vec<String> =
            sent.iter().map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }

    /// The cookies a host's own page would be sent at any path, as `(name, value)`.
    pub(super) fn at_host(&self, host: &str) -> Vec<(String, String)> {
        let at_host = self.cookies.iter().filter(|cookie| cookie.host == host);
        at_host.map(|cookie| (cookie.name.clone(), cookie.value.clone())).collect()
    }

    /// Forgets everything, or what one host set.
    pub(super) fn clear(&mut self, host: Option<&str>) {
        self.cookies.retain(|cookie| host.is_some_and(|host| cookie.host != host));
    }
}

impl Cookie {
    fn goes_with(&self, occasion: Occasion<'_>) -> bool {
        let host = occasion.url.host_str().unwrap_or_default();
        let is_for_host = self.host == host || (self.with_subdomains && is_below(host, &self.host));
        is_for_host
            && is_under(occasion.url.path(), &self.path)
            && (!self.secure || is_trustworthy(occasion.url))
            && self.same_site.lets_through(occasion)
    }
}

impl SameSite {
    fn lets_through(self, occasion: Occasion<'_>) -> bool {
        let is_same_site = occasion.initiator.is_none_or(|from| site(from) == site(occasion.url));
        match self {
            Self::None => true,
            // Every request of this browser is a top-level navigation.
            Self::Lax => is_same_site || occasion.is_safe,
            Self::Strict => is_same_site,
        }
    }
}

/// A cookie if the browser would keep it: RFC 6265bis, sections 5.6 and 5.7.
fn parse(url: &Url, line: &str, date: Option<&str>) -> Option<Cookie> {
    let mut parts = line.split(';');
    let (name, value) = parts.next()?.split_once('=')?;
    let (name, value) = (name.trim(), value.trim());
    if name.is_empty() || name.len() + value.len() > MAX_COOKIE_BYTES {
        return None;
    }
    let host = url.host_str()?.to_owned();
    let mut cookie = Cookie {
        name: name.to_owned(),
        value: value.to_owned(),
        host,
        with_subdomains: false,
        path: default_path(url),
        secure: false,
        same_site: SameSite::Lax,
        expires: None,
    };
    let (mut path_given, mut max_age_given) = (false, false);
    for attribute in parts {
        let (key, value) = attribute.split_once('=').unwrap_or((attribute, ""));
        let value = value.trim();
        match key.trim().to_ascii_lowercase().as_str() {
            "secure" => cookie.secure = true,
            "path" if value.starts_with('/') => (cookie.path, path_given) = (value.to_owned(), true),
            "domain" if !value.is_empty() => cookie.widen_to(url, value)?,
            "samesite" => cookie.same_site = SameSite::parse(value),
            "max-age" => {
                if let Ok(seconds) = value.parse::<i64>() {
                    cookie.expires = Some(after(seconds));
                    max_age_given = true;
                }
            }
            // Max-Age has precedence, whichever comes first.
            "expires" if !max_age_given => cookie.expires = expires(value, date),
            _ => {}
        }
    }
    let is_kept = (!cookie.secure || is_trustworthy(url))
        && (cookie.same_site != SameSite::None || cookie.secure)
        && cookie.keeps_its_prefix(path_given);
    is_kept.then_some(cookie)
}

impl SameSite {
    fn parse(value: &str) -> Self {
        match value.to_ascii_lowercase().as_str() {
            "none" => Self::None,
            "strict" => Self::Strict,
            // Absent and unknown values are Lax, as in Chromium.
            _ => Self::Lax,
        }
    }
}

impl Cookie {
    /// Applies a `Domain` attribute; `None` if the host may not set cookies there.
    fn widen_to(&mut self, url: &Url, domain: &str) -> Option<()> {
        let domain = domain.trim_start_matches('.').to_ascii_lowercase();
        if domain == self.host {
            // An address, or a name without a dot (a public suffix), stands for itself alone.
            self.with_subdomains = matches!(url.host(), Some(Host::Domain(name)) if name.contains('.'));
            return Some(());
        }
        let is_allowed = matches!(url.host(), Some(Host::Domain(name)) if is_below(name, &domain));
        if !is_allowed || !domain.contains('.') {
            return None;
        }
        (self.host, self.with_subdomains) = (domain, true);
        Some(())
    }

    /// What the names `__Host-` and `__Secure-` promise, in any case: RFC 6265bis, section 5.4.
    fn keeps_its_prefix(&self, path_given: bool) -> bool {
        let name = self.name.to_ascii_lowercase();
        if name.starts_with("__host-") {
            return self.secure && !self.with_subdomains && path_given && self.path == "/";
        }
        !name.starts_with("__secure-") || self.secure
    }
}

/// Whether `name` is a proper subdomain of `parent`.
fn is_below(name: &str, parent: &str) -> bool {
    name.strip_suffix(parent).is_some_and(|rest| rest.ends_with('.'))
}

/// Path matching: RFC 6265, section 5.1.4.
fn is_under(path: &str, cookie_path: &str) -> bool {
    path.strip_prefix(cookie_path)
        .is_some_and(|rest| rest.is_empty() || cookie_path.ends_with('/') || rest.starts_with('/'))
}

/// The directory of the request's path.
fn default_path(url: &Url) -> String {
    match url.path().rfind('/') {
        Some(0) | None => "/".to_owned(),
        Some(end) => url.path()[..end].to_owned(),
    }
}

/// <https://w3c.github.io/webappsec-secure-contexts/#is-origin-trustworthy>: https, and loopback over anything.
fn is_trustworthy(url: &Url) -> bool {
    url.scheme() == "https"
        || match url.host() {
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
}

/// Scheme and registrable domain; the port does not count.
fn site(url: &Url) -> (String, String) {
    let domain = match url.host() {
        Some(Host::Domain(name)) => {
            let labels: Vec<&str> = name.split('.').collect();
            labels[labels.len().saturating_sub(2)..].join(".")
        }
        host => host.map(|host| host.to_string()).unwrap_or_default(),
    };
    (url.scheme().to_owned(), domain)
}

fn after(seconds: i64) -> Instant {
    let now = Instant::now();
    // A lifetime the clock cannot hold is as good as for ever, and this browser does not live ten years.
    let seconds = u64::try_from(seconds).unwrap_or(0).min(10 * 365 * 86_400);
    now.checked_add(Duration::from_secs(seconds)).unwrap_or(now)
}

/// When a cookie that expires at `at` does so; `None` if either date cannot be read (then it stays).
fn expires(at: &str, date: Option<&str>) -> Option<Instant> {
    let at = seconds_of_date(at)?;
    // An answer without a date still deletes cookies: everybody does so with a date long gone.
    let now = date.and_then(seconds_of_date).unwrap_or(86_400);
    Some(after(at - now))
}

/// `Thu, 01 Jan 1970 00:00:00 GMT` (or with dashes) as Unix seconds: RFC 9110, section 5.6.7.
fn seconds_of_date(text: &str) -> Option<i64> {
    const MONTHS: [&str; 12] =
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let (_, rest) = text.split_once(", ")?;
    let mut parts = rest.split([' ', '-', ':']);
    let day: i64 = parts.next()?.parse().ok()?;
    let name = parts.next()?.to_ascii_lowercase();
    let month = i64::try_from(MONTHS.iter().position(|month| **month == name)?).ok()? + 1;
    let year: i64 = parts.next()?.parse().ok()?;
    let [hour, minute, second] = [parts.next()?, parts.next()?, parts.next()?].map(str::parse::<i64>);
    // Days since 1970-01-01 in the Gregorian calendar, the year beginning in March.
    let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468;
    Some(((days * 24 + hour.ok()?) * 60 + minute.ok()?) * 60 + second.ok()?)
}

#[cfg(test)]
mod tests;
