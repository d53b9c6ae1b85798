//! Where the identity provider's metadata comes from, and what makes it believable.

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use openssl::x509::X509;
use url::Url;
use usher_core::{ConfigProblem, Issuer};

use super::{Section, read::check};
use crate::{
    keys::IdpKey,
    metadata::{Idp, MetadataError},
};

/// Keys that may sign metadata: two while one takes over from the other, and some more.
const MAX_SIGNERS: usize = 4;
/// Without `metadata_refresh`.
const REFRESH: Duration = Duration::from_hours(1);
const REFRESH_BOUNDS: (Duration, Duration) = (Duration::from_mins(1), Duration::from_hours(24));

/// The metadata of one identity provider, as the operator says where it is.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// Whose it is.
    pub(crate) entity_id: Issuer,
    pub(crate) place: Place,
    /// One of them has to have signed the document; empty: nobody has to.
    pub(crate) signers: Vec<IdpKey>,
}

/// Where it is.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// What it said when the section was read, and when the file was written then.
    File { path: PathBuf, first: Box<Idp>, stamp: Option<Stamp> },
    /// To be fetched.
    Url { url: Url, ca_pem: Option<Vec<u8>>, refresh: Duration, cache_dir: Option<PathBuf> },
}

/// What tells one content of a file from the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
}

impl Stamp {
    /// Of the file at `path`; `None` if there is none.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let found = std::fs::metadata(path).ok()?;
        Some(Self { modified: found.modified().ok(), length: found.len() })
    }
}

impl Source {
    /// The identity provider, if it is known without asking anybody.
    pub(super) fn first(&self) -> Option<&Idp> {
        match &self.place {
            Place::File { first, .. } => Some(first),
            Place::Url { .. } => None,
        }
    }

    /// What is allowed, and should be meant.
    pub(crate) fn warnings(&self) -> Vec<ConfigProblem> {
        let mut warnings = Vec::new();
        let mut warn = |path: &str, message: &str| {
            warnings.push(ConfigProblem { path: path.to_owned(), message: message.to_owned() });
        };
        if let Place::Url { cache_dir, .. } = &self.place {
            if self.signers.is_empty() {
                warn(
                    "metadata_url",
                    "is believed because of https alone: whoever can answer for its host signs in as anybody. If the \
                     metadata is signed, name the signer's certificate with `metadata_certificate_file`",
                );
            }
            if cache_dir.is_none() {
                warn(
                    "metadata_cache_dir",
                    "is missing: after a restart, nobody signs in until `metadata_url` answers",
                );
            }
        }
        warnings
    }
}

/// Reads what the section says of it.
pub(super) fn read(section: &Section, report: &mut impl FnMut(&str, String)) -> Option<Source> {
    if let Some(Err(error)) = section.idp.as_deref().map(Issuer::parse) {
        report("idp", format!("is no entity id: {error}"));
        return None;
    }
    let signers = signers(section.metadata_certificate_file.as_deref(), report);
    let (place, entity_id) = match (&section.metadata_file, &section.metadata_url) {
        (None, None) => {
            let message = "is missing; write the path of the identity provider's metadata, or `metadata_url`";
            report("metadata_file", message.to_owned());
            return None;
        }
        (Some(_), Some(_)) => {
            report("metadata_url", "stands beside `metadata_file`; keep one of them".to_owned());
            return None;
        }
        (Some(path), None) => {
            let fetching = [
                ("metadata_ca_file", section.metadata_ca_file.is_some()),
                ("metadata_refresh", section.metadata_refresh.is_some()),
                ("metadata_cache_dir", section.metadata_cache_dir.is_some()),
            ];
            for (key, _) in fetching.into_iter().filter(|(_, is_there)| *is_there) {
                report(key, "is about `metadata_url`, which is not there; leave it out".to_owned());
            }
            let signers = signers.as_deref()?;
            let stamp = Stamp::of(path);
            let first = read_file(path, section.idp.as_deref(), signers, report)?;
            let entity_id = first.entity_id.clone();
            (Place::File { path: path.clone(), first: Box::new(first), stamp }, entity_id)
        }
        (None, Some(url)) => {
            let Some(entity_id) = section.idp.as_deref().and_then(|idp| Issuer::parse(idp).ok()) else {
                report("idp", "is missing; write the entity id of the identity provider".to_owned());
                return None;
            };
            (fetched(url, section, report)?, entity_id)
        }
    };
    Some(Source { entity_id, place, signers: signers? })
}

fn fetched(url: &str, section: &Section, report: &mut impl FnMut(&str, String)) -> Option<Place> {
    let is_signed = section.metadata_certificate_file.is_some();
    let url = check(address(url, is_signed), "metadata_url", report);
    let refresh = match section.metadata_refresh.as_deref() {
        None => Some(REFRESH),
        Some(written) => check(refresh(written), "metadata_refresh", report),
    };
    let mut is_readable = true;
    let ca_pem = section.metadata_ca_file.as_ref().and_then(|path| {
        let read = std::fs::read(path).map_err(|error| format!("{} cannot be read: {error}", path.display()));
        let read = check(read, "metadata_ca_file", report);
        is_readable = read.is_some();
        read
    });
    if !is_readable {
        return None;
    }
    Some(Place::Url { url: url?, ca_pem, refresh: refresh?, cache_dir: section.metadata_cache_dir.clone() })
}

fn address(written: &str, is_signed: bool) -> Result<Url, String> {
    let url = Url::parse(written).map_err(|error| format!("is no URL: {error}"))?;
    match url.scheme() {
        "https" => {}
        "http" if is_signed => {}
        "http" => {
            return Err("is not https: whoever is on the way would say who is who. Use https, or name the certificate of \
                        its signer with `metadata_certificate_file`"
                .to_owned());
        }
        _ => return Err("must begin with https://".to_owned()),
    }
    let is_plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    if is_plain { Ok(url) } else { Err("must have no user name, password or fragment".to_owned()) }
}

fn refresh(written: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(written)
        .map_err(|error| format!("is no duration ({error}); write something like `1h`"))?;
    let (least, most) = REFRESH_BOUNDS;
    if duration < least || duration > most {
        let (least, most) = (humantime::format_duration(least), humantime::format_duration(most));
        return Err(format!("must be from {least} to {most}"));
    }
    Ok(duration)
}

/// The keys of the certificates in a PEM file; none if there is no file to read.
fn signers(path: Option<&Path>, report: &mut impl FnMut(&str, String)) -> Option<Vec<IdpKey>> {
    let Some(path) = path else { return Some(Vec::new()) };
    let read = || {
        let pem =
            std::fs::read(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
        let certificates = X509::stack_from_pem(&pem).unwrap_or_default();
        if certificates.is_empty() || certificates.len() > MAX_SIGNERS {
            return Err(format!(
                "{} has {} certificates in PEM; it must have 1 to {MAX_SIGNERS}",
                path.display(),
                certificates.len()
            ));
        }
        let key = |certificate: &X509| {
            let der = certificate.to_der().map_err(|error| error.to_string())?;
            IdpKey::read(&der).map_err(|error| format!("{}: a certificate {error}", path.display()))
        };
        certificates.iter().map(key).collect::<Result<Vec<_>, String>>()
    };
    check(read(), "metadata_certificate_file", report)
}

fn read_file(
    path: &Path,
    wanted: Option<&str>,
    signers: &[IdpKey],
    report: &mut impl FnMut(&str, String),
) -> Option<Idp> {
    let document = match std::fs::read(path) {
        Ok(document) => document,
        Err(error) => {
            report("metadata_file", format!("{} cannot be read: {error}", path.display()));
            return None;
        }
    };
    match Idp::read_signed(&document, wanted, signers) {
        Ok(idp) => Some(idp),
        Err(error @ (MetadataError::NoSuchEntity(_) | MetadataError::NotOne(2..))) => {
            report("idp", format!("{} {error}", path.display()));
            None
        }
        Err(error) => {
            report("metadata_file", format!("{} {error}", path.display()));
            None
        }
    }
}
