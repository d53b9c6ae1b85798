//! URLs of the section: the issuer, endpoints, and origins that are trusted.

use url::{Host, Origin, Url};
use usher_core::Issuer;

use super::{Report, Section, check, section::EndpointsSection};

/// The endpoints that the section names itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places {
    pub(crate) authorization: Option<Url>,
    pub(crate) token: Option<Url>,
    pub(crate) userinfo: Option<Url>,
    pub(crate) jwks: Option<Url>,
    pub(crate) pushed: Option<Url>,
    pub(crate) end_session: Option<Url>,
}

impl Places {
    pub(super) fn read(section: &EndpointsSection, report: &mut Report<'_>) -> Self {
        let mut place = |key: &str, written: &Option<String>| {
            let url = written.as_deref().map(endpoint).transpose();
            check(url, &format!("endpoints.{key}"), report).flatten()
        };
        Self {
            authorization: place("authorization", &section.authorization),
            token: place("token", &section.token),
            userinfo: place("userinfo", &section.userinfo),
            jwks: place("jwks", &section.jwks),
            pushed: place("pushed_authorization_request", &section.pushed_authorization_request),
            end_session: place("end_session", &section.end_session),
        }
    }

    /// Those that are there, by their keys.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, &Url)> {
        let all = [
            ("authorization", &self.authorization),
            ("token", &self.token),
            ("userinfo", &self.userinfo),
            ("jwks", &self.jwks),
            ("pushed_authorization_request", &self.pushed),
            ("end_session", &self.end_session),
        ];
        all.into_iter().filter_map(|(key, url)| Some((key, url.as_ref()?)))
    }
}

/// OpenID Connect Discovery 3: a URL "with no query or fragment components". It is compared to the letter, so it is kept as
/// written.
pub(super) fn issuer(written: Option<&str>) -> Result<(Issuer, Url), String> {
    const WANTED: &str = "write the issuer as the provider says it, such as `https://sso.ac.cdl/realms/ac`";
    let written = written.ok_or(format!("is missing; {WANTED}"))?;
    let url = http_url(written).map_err(|message| format!("{message}; {WANTED}"))?;
    if url.query().is_some() {
        return Err(format!("has a `?` in it; {WANTED}"));
    }
    if url.path().ends_with("/.well-known/openid-configuration") {
        return Err("is the discovery document's address; write the part before `/.well-known`".to_owned());
    }
    if written.contains(['{', '}']) {
        return Err("is a template; write the id of your own tenant in place of the braces".to_owned());
    }
    let issuer = Issuer::parse(written).map_err(|error| format!("{error}; {WANTED}"))?;
    Ok((issuer, url))
}

/// OpenID Connect Discovery 4.1: a slash at the issuer's end is removed before the rest is appended.
pub(super) fn discovery_url(section: &Section, issuer: &Url, report: &mut Report<'_>) -> Option<Url> {
    if !section.discovery {
        return None;
    }
    if let Some(written) = section.discovery_url.as_deref() {
        return check(endpoint(written), "discovery_url", report);
    }
    let mut url = issuer.clone();
    url.set_path(&format!("{}/.well-known/openid-configuration", issuer.path().trim_end_matches('/')));
    Some(url)
}

/// An endpoint: http(s), maybe with a query (RFC 6749 section 3.1), without anything else.
pub(super) fn endpoint(written: &str) -> Result<Url, String> {
    http_url(written)
        .map_err(|message| format!("{message}; write an address such as `https://sso.ac.cdl/token`"))
}

/// What an origin is trusted for is in `allowed_origins`.
pub(super) fn origins(written: &[String], issuer: Option<&Url>, report: &mut Report<'_>) -> Vec<Origin> {
    let mut origins: Vec<_> = issuer.map(Url::origin).into_iter().collect();
    for (index, written) in written.iter().enumerate() {
        let origin = http_url(written).and_then(|url| {
            let is_bare = url.path() == "/" && url.query().is_none();
            if is_bare { Ok(url.origin()) } else { Err("has more than scheme, host and port".to_owned()) }
        });
        let origin = origin
            .map_err(|message| format!("{message}; write something like `https://keycloak.internal:8443`"));
        origins.extend(check(origin, &format!("allowed_origins[{index}]"), report));
    }
    origins
}

fn http_url(written: &str) -> Result<Url, String> {
    let url = Url::parse(written).map_err(|error| format!("is no URL ({error})"))?;
    if !matches!(url.scheme(), "https" | "http") {
        return Err(format!("has the scheme `{}`", url.scheme()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("has a user name or password in it".to_owned());
    }
    if url.fragment().is_some() {
        return Err("has a `#` in it".to_owned());
    }
    Ok(url)
}

/// Whether nothing leaves this machine on the way there.
pub(crate) fn is_of_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
