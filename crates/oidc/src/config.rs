//! The `oidc` section of a provider: as written ([`Section`]), and as a value that cannot be wrong ([`Settings`]).

mod credentials;
mod places;
mod rules;
mod section;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use serde_json::Value;
use url::{Origin, Url};
use usher_core::{ConfigError, ConfigProblem, Issuer};

pub(crate) use credentials::{Credentials, SecretPlace};
pub(crate) use places::{Places, is_of_this_machine};
pub(crate) use section::{
    Algorithm, AssertionAudience, GroupsOverage, PassThrough, Pkce, Protocol, ResponseMode, RsaAlgorithm,
    Section, When,
};

use crate::{claims::ClaimPath, signing_key::SigningKey};

/// A section whose every value was checked.
pub(crate) struct Settings {
    /// To the letter, as the provider must say it.
    pub(crate) issuer: Issuer,
    pub(crate) client_id: String,
    pub(crate) credentials: Credentials,
    /// Published and no more.
    pub(crate) published_keys: Vec<SigningKey>,
    pub(crate) assertion_audience: AssertionAudience,
    pub(crate) protocol: Protocol,
    /// Where the discovery document is; `None` if there is none.
    pub(crate) discovery_url: Option<Url>,
    pub(crate) endpoints: Places,
    /// Where discovered endpoints may be without being public and encrypted: the issuer's origin and the allowed ones.
    pub(crate) trusted_origins: Vec<Origin>,
    pub(crate) scopes: Vec<String>,
    pub(crate) pkce: Pkce,
    pub(crate) pushed: When,
    pub(crate) response_mode: ResponseMode,
    pub(crate) parameters: BTreeMap<String, String>,
    pub(crate) acr_values: Vec<String>,
    pub(crate) pass_through: BTreeSet<PassThrough>,
    pub(crate) algorithms: Vec<Algorithm>,
    pub(crate) additional_audiences: BTreeSet<String>,
    pub(crate) userinfo: When,
    pub(crate) userinfo_must_be_signed: bool,
    pub(crate) subject: ClaimPath,
    pub(crate) claims: BTreeMap<String, ClaimPath>,
    pub(crate) groups: Groups,
    pub(crate) refresh: Duration,
    pub(crate) timeout: Duration,
    /// The contents of `ca_file`.
    pub(crate) ca_pem: Option<Vec<u8>>,
}

/// What becomes of people with too many groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Groups {
    Refuse,
    Ignore,
    Follow(Url),
}

const MAX_TIMEOUT: Duration = Duration::from_mins(1);
const REFRESH: (Duration, Duration) = (Duration::from_mins(1), Duration::from_hours(24));

/// Notes what is wrong, where.
pub(crate) type Report<'a> = dyn FnMut(&str, String) + 'a;

impl Settings {
    /// Reads a section, and the files that it names. Tells everything that is wrong, not the first thing alone.
    pub(crate) fn read(config: Value) -> Result<Self, ConfigError> {
        let mut problems = Vec::new();
        let section = Section::read(config, &mut problems)?;
        let mut report = |path: &str, message: String| {
            problems.push(ConfigProblem { path: path.to_owned(), message });
        };
        let settings = Self::validate(section, &mut report);
        match settings {
            Some(settings) if problems.is_empty() => Ok(settings),
            _ => Err(ConfigError { problems: without_echoes(problems) }),
        }
    }

    fn validate(mut section: Section, report: &mut Report<'_>) -> Option<Self> {
        let issuer = check(places::issuer(section.issuer.as_deref()), "issuer", report);
        let client_id = check(rules::client_id(section.client_id.take()), "client_id", report);
        let credentials = Credentials::read(&mut section, report);
        let published_keys = credentials::published(&section, report);
        let endpoints = Places::read(&section.endpoints, report);
        let discovery_url = issuer.as_ref().and_then(|(_, url)| places::discovery_url(&section, url, report));
        let trusted_origins =
            places::origins(&section.allowed_origins, issuer.as_ref().map(|(_, url)| url), report);
        let scopes = rules::scopes(&section, report);
        rules::parameters(&section.parameters, report);
        rules::words("acr_values", &section.acr_values, report);
        let algorithms = rules::algorithms(&section, credentials.as_ref(), report);
        let refresh = check(duration(&section.refresh, REFRESH), "refresh", report);
        let timeout =
            check(duration(&section.timeout, (Duration::from_millis(1), MAX_TIMEOUT)), "timeout", report);
        let subject = rules::subject(&section, report);
        let claims = rules::claims(&section.claims, report);
        let groups = rules::groups(&section, report);
        let ca_pem = section.ca_file.as_deref().map(credentials::file).transpose();
        let ca_pem = check(ca_pem, "ca_file", report);
        rules::consistency(&section, &endpoints, report);
        let (issuer, _) = issuer?;
        Some(Self {
            issuer,
            client_id: client_id?,
            credentials: credentials?,
            published_keys,
            assertion_audience: section.assertion_audience,
            protocol: section.protocol,
            discovery_url,
            endpoints,
            trusted_origins,
            scopes,
            pkce: section.pkce,
            pushed: section.pushed_authorization_requests,
            response_mode: section.response_mode,
            parameters: section.parameters,
            acr_values: section.acr_values,
            pass_through: section.pass_through,
            algorithms,
            additional_audiences: section.additional_audiences,
            userinfo: section.userinfo,
            userinfo_must_be_signed: section.userinfo_must_be_signed,
            subject: subject?,
            claims,
            groups: groups?,
            refresh: refresh?,
            timeout: timeout?,
            ca_pem: ca_pem?,
        })
    }

    /// Whether nobody signs in without the provider's word that an address is theirs.
    pub(crate) fn is_subject_an_email(&self) -> bool {
        self.subject.is_claim("email")
    }

    /// The public halves of the client's keys.
    pub(crate) fn public_keys(&self) -> impl Iterator<Item = Value> {
        let own = match &self.credentials {
            Credentials::Key(key) => Some(key),
            Credentials::Secret { .. } | Credentials::SecretJwt(_) | Credentials::None => None,
        };
        own.into_iter().chain(&self.published_keys).map(SigningKey::public_jwk)
    }

    /// Every URL of the section at which anything travels unencrypted to another machine, by its key.
    pub(crate) fn in_the_clear(&self) -> Vec<String> {
        let issuer = Url::parse(self.issuer.as_str()).ok();
        let named = [("issuer", issuer.as_ref()), ("discovery_url", self.discovery_url.as_ref())];
        let own = named.into_iter().filter_map(|(key, url)| Some((key.to_owned(), url?)));
        let groups = match &self.groups {
            Groups::Follow(url) => Some(("groups_endpoint".to_owned(), url)),
            Groups::Refuse | Groups::Ignore => None,
        };
        let all = own
            .chain(groups)
            .chain(self.endpoints.iter().map(|(key, url)| (format!("endpoints.{key}"), url)));
        all.filter(|(_, url)| url.scheme() == "http" && !is_of_this_machine(url))
            .map(|(key, _)| key)
            .collect()
    }
}

/// Names and choices; no secret.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("issuer", &self.issuer)
            .field("client_id", &self.client_id)
            .field("credentials", &self.credentials)
            .finish_non_exhaustive()
    }
}

/// A key that could not be read counts as absent from then on, which may be a second problem but no second
/// mistake: one problem a key, the first.
fn without_echoes(problems: Vec<ConfigProblem>) -> Vec<ConfigProblem> {
    let mut kept: Vec<ConfigProblem> = Vec::new();
    for problem in problems {
        if kept.iter().all(|earlier| earlier.path != problem.path) {
            kept.push(problem);
        }
    }
    kept
}

/// The value, or a note at `path` of why there is none.
pub(crate) fn check<T>(
    value: Result<T, impl Into<String>>,
    path: &str,
    report: &mut Report<'_>,
) -> Option<T> {
    value.map_err(|message| report(path, message.into())).ok()
}

fn duration(written: &str, bounds: (Duration, Duration)) -> Result<Duration, String> {
    let duration = humantime::parse_duration(written)
        .map_err(|error| format!("is no duration ({error}); write something like `10s`"))?;
    if duration < bounds.0 || duration > bounds.1 {
        let (least, most) = (humantime::format_duration(bounds.0), humantime::format_duration(bounds.1));
        return Err(format!("is {written}; write something from `{least}` to `{most}`"));
    }
    Ok(duration)
}

#[cfg(test)]
mod tests;
