//! The `cas` section of a provider: as written ([`Section`]), and as a value that cannot be wrong ([`Settings`]).

use std::{path::PathBuf, time::Duration};

use schemars::{JsonSchema, Schema};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use url::{Host, Url};
use usher_core::{ConfigError, ConfigProblem, Issuer};

/// A CAS server, as its clients see it. The service to register there is `https://<portal>/_usher/cas/<id>/callback/`
/// followed by anything.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "cas", transform = require_base_url)]
pub(crate) struct Section {
    /// Where the CAS server is, up to the part before `/login`: `https://sso.ac.cdl/cas`. It is also the name by
    /// which people from there are remembered, so that changing it later makes everybody a stranger.
    #[schemars(with = "String", url)]
    base_url: Option<String>,
    /// The protocol version, 2 or 3. Version 2 answers with the user alone, version 3 with attributes.
    #[schemars(range(min = 2, max = 3))]
    version: u8,
    /// The attribute that names a person for good, such as `employeeNumber`. Without it, the CAS user does.
    subject: Option<String>,
    /// The chains of proxies through which a person may come, each a list of exact proxy URLs, nearest first.
    /// Without any, proxy tickets are refused.
    proxies: Vec<Vec<String>>,
    /// How long the CAS server may take to validate a ticket, such as `10s`: from 1 millisecond to 1 minute.
    timeout: String,
    /// A PEM file with the certificate authorities to trust instead of the system's.
    ca_file: Option<PathBuf>,
}

/// A section whose every value was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Without a slash at the end, without query and fragment.
    pub(crate) base_url: Url,
    /// The base URL as WHATWG URLs are normalised (scheme and host in lower case, no default port), without a
    /// slash at the end.
    pub(crate) issuer: Issuer,
    pub(crate) has_attributes: bool,
    pub(crate) subject: Option<String>,
    pub(crate) proxies: Vec<Vec<String>>,
    pub(crate) timeout: Duration,
    /// The contents of `ca_file`.
    pub(crate) ca_pem: Option<Vec<u8>>,
}

const MAX_TIMEOUT: Duration = Duration::from_mins(1);

impl Default for Section {
    fn default() -> Self {
        Self {
            base_url: None,
            version: 3,
            subject: None,
            proxies: Vec::new(),
            timeout: "10s".to_owned(),
            ca_file: None,
        }
    }
}

/// Its absence is reported like any other mistake, so that for serde alone it may be absent.
fn require_base_url(schema: &mut Schema) {
    if let Some(base_url) = schema.pointer_mut("/properties/base_url").and_then(Value::as_object_mut) {
        base_url.remove("default");
    }
    schema.insert("required".to_owned(), json!(["base_url"]));
}

impl Settings {
    /// Reads a section, and its `ca_file`. Tells everything that is wrong, not the first thing alone.
    pub(crate) fn read(config: Value) -> Result<Self, ConfigError> {
        let mut problems = Vec::new();
        let section = read_section(config, &mut problems)?;
        let mut report = |path: &str, message: String| {
            problems.push(ConfigProblem { path: path.to_owned(), message });
        };
        let base = check(base_url(section.base_url.as_deref()), "base_url", &mut report);
        if !matches!(section.version, 2 | 3) {
            report("version", format!("is {}; write 2 or 3", section.version));
        }
        if section.subject.as_ref().is_some_and(|name| name.trim() != name || name.is_empty()) {
            report("subject", "is no attribute name; leave it out to use the CAS user".to_owned());
        } else if section.subject.is_some() && section.version == 2 {
            report(
                "subject",
                "needs attributes, which version 2 does not have; write `version: 3`".to_owned(),
            );
        }
        for (index, chain) in section.proxies.iter().enumerate() {
            check(proxy_chain(chain), &format!("proxies[{index}]"), &mut report);
        }
        let timeout = check(timeout(&section.timeout), "timeout", &mut report);
        let ca_pem = section.ca_file.map(|path| {
            std::fs::read(&path).map_err(|error| format!("{} cannot be read: {error}", path.display()))
        });
        let ca_pem = check(ca_pem.transpose(), "ca_file", &mut report);
        match (base, timeout, ca_pem) {
            (Some((base_url, issuer)), Some(timeout), Some(ca_pem)) if problems.is_empty() => Ok(Self {
                base_url,
                issuer,
                has_attributes: section.version == 3,
                subject: section.subject,
                proxies: section.proxies,
                timeout,
                ca_pem,
            }),
            _ => Err(ConfigError { problems: without_echoes(problems) }),
        }
    }

    /// Whether tickets and answers travel unencrypted to another machine.
    pub(crate) fn is_in_the_clear(&self) -> bool {
        let is_here = match self.base_url.host() {
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        self.base_url.scheme() == "http" && !is_here
    }

    /// `path` under the base URL.
    pub(crate) fn url(&self, path: &str) -> Url {
        let mut url = self.base_url.clone();
        url.set_path(&format!("{}/{path}", self.base_url.path().trim_end_matches('/')));
        url
    }
}

/// Reads key by key, so that one unreadable value does not hide the next.
fn read_section(config: Value, problems: &mut Vec<ConfigProblem>) -> Result<Section, ConfigError> {
    let Value::Object(entries) = config else {
        return Err(ConfigError::at("", "must be a section of keys, with at least `base_url`"));
    };
    let alone = |key: &str, value: &Value| {
        let section = Value::Object(Map::from_iter([(key.to_owned(), value.clone())]));
        serde_path_to_error::deserialize::<_, Section>(section).map(drop)
    };
    let mut readable = Map::new();
    for (key, mut value) in entries {
        let mut read = alone(&key, &value);
        // A variable of the environment can only say a number as text.
        if let (Err(_), Some(number)) = (&read, value.as_str().and_then(|text| text.parse::<u64>().ok()))
            && alone(&key, &json!(number)).is_ok()
        {
            value = json!(number);
            read = Ok(());
        }
        match read {
            Ok(()) => {
                readable.insert(key, value);
            }
            Err(error) => {
                let path = if error.path().iter().next().is_some() { error.path().to_string() } else { key };
                problems.push(ConfigProblem::unreadable(path, error.inner()));
            }
        }
    }
    serde_path_to_error::deserialize(Value::Object(readable)).map_err(|error| ConfigError {
        problems: vec![ConfigProblem::unreadable(error.path().to_string(), error.inner())],
    })
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

fn check<T>(value: Result<T, String>, path: &str, report: &mut impl FnMut(&str, String)) -> Option<T> {
    value.map_err(|message| report(path, message)).ok()
}

fn base_url(written: Option<&str>) -> Result<(Url, Issuer), String> {
    const WANTED: &str = "write the CAS server's address, such as `https://sso.ac.cdl/cas`";
    let written = written.ok_or(format!("is missing; {WANTED}"))?;
    let mut url = Url::parse(written).map_err(|error| format!("is no URL ({error}); {WANTED}"))?;
    if !matches!(url.scheme(), "https" | "http") {
        return Err(format!("has the scheme `{}`; {WANTED}", url.scheme()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(format!("has a user name or password in it; {WANTED}"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(format!("has a `?` or `#` in it; {WANTED}"));
    }
    let path = url.path().trim_end_matches('/').to_owned();
    if path.ends_with("/login") {
        return Err("ends in `/login`; write the part before it".to_owned());
    }
    url.set_path(&path);
    let issuer = Issuer::parse(url.as_str().trim_end_matches('/'));
    issuer.map(|issuer| (url, issuer)).map_err(|error| format!("{error}; {WANTED}"))
}

fn proxy_chain(chain: &[String]) -> Result<(), String> {
    if chain.is_empty() {
        return Err(
            "is empty; list the URLs of the proxies, nearest first, or leave the chain out".to_owned()
        );
    }
    match chain.iter().find(|proxy| Url::parse(proxy).is_err()) {
        Some(proxy) => Err(format!("has `{proxy}`, which is no URL; write the proxy's URL as CAS shows it")),
        None => Ok(()),
    }
}

fn timeout(written: &str) -> Result<Duration, String> {
    let timeout = humantime::parse_duration(written)
        .map_err(|error| format!("is no duration ({error}); write something like `10s`"))?;
    if timeout.is_zero() || timeout > MAX_TIMEOUT {
        return Err(format!("is {written}; write something from `1ms` to `1m`"));
    }
    Ok(timeout)
}

#[cfg(test)]
mod tests;
