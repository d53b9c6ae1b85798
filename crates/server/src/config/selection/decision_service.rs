//! `decision_service`: where it is, what it is told, and how it knows us.

use std::{path::Path, time::Duration};

use schemars::JsonSchema;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;
use usher_http::{Outgoing, header::HeaderValue};

use crate::config::{Problems, fields::Fields as _, is_loopback};

/// Longest answer that is read: a list of every homeserver's name fits many times.
const MAX_ANSWER: usize = 64 * 1024;

/// A service that decides, validated.
#[derive(Clone, Debug)]
pub struct DecisionServiceConfig {
    /// Where it is asked.
    pub url: Url,
    /// What Usher shows it, as a bearer token.
    pub token: Option<SecretString>,
    /// The attributes it is told.
    pub attributes: Vec<String>,
    /// How it is called: its authorities, its deadline, its bound.
    pub outgoing: Outgoing,
}

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawDecisionService {
    /// Where it is asked: a URL that takes `POST` with JSON. Required.
    url: Option<String>,
    /// What Usher shows it, as `Authorization: Bearer`. Default: nothing.
    token: Option<String>,
    /// A file with it.
    token_file: Option<String>,
    /// The attributes it is told, by the names the provider releases them under. Default: none.
    attributes: Vec<String>,
    /// How long it may take. Default: 5s.
    timeout: Option<String>,
    /// A PEM file with the certificate authorities to trust for it instead of the system's.
    ca_file: Option<String>,
}

impl RawDecisionService {
    pub(super) fn validate(
        self,
        path: &str,
        portal: Option<&Url>,
        directory: &Path,
        problems: &mut Problems,
    ) -> Option<DecisionServiceConfig> {
        let at = |key: &str| format!("{path}.{key}");
        let url = problems.base_url(&at("url"), self.url.as_deref());
        if url.as_ref().is_some_and(|url| url.scheme() == "http" && !is_loopback(url)) {
            problems
                .warn(at("url"), "is plain http: whoever is on the way decides where people go; use https");
        }
        // At another port there may be another program.
        let is_here = |url: &Url| portal.is_some_and(|portal| portal.origin() == url.origin());
        if url.as_ref().is_some_and(is_here) {
            problems.error(
                at("url"),
                "is Usher's own public_base_url; everything there is Usher's, and it decides nothing",
            );
        }
        let is_given = self.token.is_some() || self.token_file.is_some();
        let token = is_given
            .then(|| problems.secret(&at("token"), self.token, self.token_file.as_deref(), directory));
        let is_bad = |token: &SecretString| HeaderValue::from_str(token.expose_secret()).is_err();
        if matches!(&token, Some(Some(token)) if is_bad(token)) {
            problems
                .error(at("token"), "has characters that no HTTP header has; make one with `usher secret`");
        }
        for (index, name) in self.attributes.iter().enumerate() {
            if name.is_empty() || self.attributes[..index].contains(name) {
                problems.error(at(&format!("attributes[{index}]")), "is empty or stands twice");
            }
        }
        let bounds = (Duration::from_millis(100), Duration::from_mins(1));
        let timeout =
            problems.duration(&at("timeout"), self.timeout.as_deref(), Duration::from_secs(5), bounds);
        let ca_pem = match self.ca_file.as_deref() {
            None => None,
            Some(file) => Some(problems.file(&at("ca_file"), file, directory)?),
        };
        let outgoing = Outgoing::new(ca_pem.as_deref(), timeout, MAX_ANSWER)
            .map_err(|error| problems.error(at("ca_file"), error.to_string()))
            .ok()?;
        // A token that was given and could not be read: said above.
        let token = match token {
            None => None,
            Some(token) => Some(token?),
        };
        Some(DecisionServiceConfig { url: url?, token, attributes: self.attributes, outgoing })
    }
}
