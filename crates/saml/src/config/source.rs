//! Where the identity provider's metadata comes from, and what makes it believable.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use openssl::x509::X509;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;
use usher_core::{ConfigProblem, Issuer, Timestamp};

use super::{Section, read::check};
use crate::{
    federation::Filter,
    keys::IdpKey,
    metadata::{Idp, MAX_BYTES, MetadataError},
    regular, time,
};

/// Keys that may sign metadata: two while one takes over from the other, and some more.
const MAX_SIGNERS: usize = 4;
/// Without `metadata_refresh`.
const REFRESH: Duration = Duration::from_hours(1);
const REFRESH_BOUNDS: (Duration, Duration) = (Duration::from_mins(1), Duration::from_hours(24));

/// The metadata of one identity provider or of many, as the operator says where it is.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) whose: Whose,
    pub(crate) place: Place,
    /// One of them has to have signed the document; empty: nobody has to.
    pub(crate) signers: Vec<IdpKey>,
    /// Where files may be made: the last good copy, an index.
    pub(crate) cache_dir: Option<PathBuf>,
    /// Whether Usher signs its requests, which some identity providers want.
    pub(crate) signs_requests: bool,
}

/// Whose metadata it is.
#[derive(Clone, Debug)]
pub(crate) enum Whose {
    /// Of one identity provider, by its entity id.
    One(Issuer),
    /// Of a federation.
    Many(Filter),
}

impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(entity_id) => entity_id.fmt(f),
            Self::Many(_) => f.write_str("a federation"),
        }
    }
}

/// Where it is.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// What it said when the section was read, and when the file was written then; nothing if it was too long to be read then.
    File { path: PathBuf, first: Option<Box<Idp>>, stamp: Option<Stamp> },
    /// To be fetched.
    Url {
        /// What names it in the config.
        key: &'static str,
        url: Url,
        ca_pem: Option<Vec<u8>>,
        refresh: Duration,
    },
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

    /// Whether the file can be read where people wait.
    pub(crate) fn is_short(self) -> bool {
        self.length <= MAX_BYTES as u64
    }
}

impl Source {
    /// The identity provider, if it is known without asking anybody.
    pub(super) fn first(&self) -> Option<&Idp> {
        match &self.place {
            Place::File { first, .. } => first.as_deref(),
            Place::Url { .. } => None,
        }
    }

    /// What is allowed at `now`, and should be meant.
    pub(crate) fn warnings(&self, now: Timestamp) -> Vec<ConfigProblem> {
        let mut warnings = Vec::new();
        let mut warn = |path: &str, message: &str| {
            warnings.push(ConfigProblem { path: path.to_owned(), message: message.to_owned() });
        };
        if let Some(until) = self.first().and_then(|idp| idp.valid_until).filter(|until| *until <= now) {
            let until = time::format(until);
            let message =
                format!("has expired (`validUntil` {until}): nobody can sign in until there is a newer one");
            warn("metadata_file", &message);
        }
        let fetched_by = match &self.place {
            Place::Url { key, .. } => Some(*key),
            Place::File { .. } => None,
        };
        if let Some(key) = fetched_by.filter(|_| self.signers.is_empty()) {
            warn(
                key,
                "is believed because of https alone: whoever can answer for its host signs in as anybody. If the metadata is \
                 signed, name the signer's certificate with `metadata_certificate_file`",
            );
        }
        // Of one identity provider by file there is none.
        if let Some(Err(error)) = self.cache_dir.as_ref().map(tempfile::tempfile_in) {
            let cost = match self.whose {
                Whose::One(_) => "",
                Whose::Many(_) => ", so that the federation's index has no place and nobody can sign in",
            };
            warn("metadata_cache_dir", &format!("cannot be written to: {error}{cost}"));
        }
        if let Some(key) = fetched_by {
            if let Some(who) = self.cache_dir.as_deref().and_then(regular::who_else_writes) {
                let message = format!("{who}: give Usher a directory of its own, with mode 0700");
                warn("metadata_cache_dir", &message);
            }
            if self.cache_dir.is_none() {
                let message = format!("is missing: after a restart, nobody signs in until `{key}` answers");
                warn("metadata_cache_dir", &message);
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
    let filter = filter(section, report)?;
    let (whose, place) = match places(section) {
        [None, None, None] => {
            let message = "is missing; write the path of the identity provider's metadata, or `metadata_url`, or `mdq_url`";
            report("metadata_file", message.to_owned());
            return None;
        }
        [Some(path), None, None] => in_file(Path::new(path), section, filter, signers.as_deref()?, report)?,
        [None, Some(url), None] => {
            let whose = match filter {
                Some(filter) => Whose::Many(filter),
                None => Whose::One(named(section, report)?),
            };
            (whose, fetched("metadata_url", url, section, report)?)
        }
        [None, None, Some(url)] => {
            if filter.is_some() {
                report(
                    "mdq_url",
                    "answers about one identity provider; for `federation`, use `metadata_url`".to_owned(),
                );
                return None;
            }
            let entity_id = named(section, report)?;
            let url = check(entity_url(url, &entity_id), "mdq_url", report)?;
            (Whose::One(entity_id), fetched("mdq_url", url.as_str(), section, report)?)
        }
        [file, url, _] => {
            let (second, first) = match (file, url) {
                (Some(_), Some(_)) => ("metadata_url", "metadata_file"),
                (Some(_), None) => ("mdq_url", "metadata_file"),
                (None, _) => ("mdq_url", "metadata_url"),
            };
            report(second, format!("stands beside `{first}`; keep one of them"));
            return None;
        }
    };
    let signs_requests = section.signs_requests();
    Some(Source {
        whose,
        place,
        signers: signers?,
        cache_dir: section.metadata_cache_dir.clone(),
        signs_requests,
    })
}

fn places(section: &Section) -> [Option<&str>; 3] {
    let file = section.metadata_file.as_deref().map(|path| path.to_str().unwrap_or_default());
    [file, section.metadata_url.as_deref(), section.mdq_url.as_deref()]
}

/// Which identity providers count, if there are to be many.
#[expect(clippy::option_option, reason = "wrong, absent and there are three things")]
fn filter(section: &Section, report: &mut impl FnMut(&str, String)) -> Option<Option<Filter>> {
    let Some(federation) = &section.federation else { return Some(None) };
    if section.idp.is_some() {
        report(
            "idp",
            "stands beside `federation`, which is about many; keep one of them, or write `federation.idps`"
                .to_owned(),
        );
        return None;
    }
    let mut is_good = true;
    for (key, names) in [("idps", &federation.idps), ("registered_by", &federation.registered_by)] {
        for (index, name) in names.iter().enumerate() {
            if let Err(error) = Issuer::parse(name.as_str()) {
                report(&format!("federation.{key}[{index}]"), format!("is no name of an entity: {error}"));
                is_good = false;
            }
        }
    }
    let filter = Filter { idps: federation.idps.clone(), registered_by: federation.registered_by.clone() };
    is_good.then_some(Some(filter))
}

/// The identity provider's name, which must be there.
fn named(section: &Section, report: &mut impl FnMut(&str, String)) -> Option<Issuer> {
    let named = section.idp.as_deref().and_then(|idp| Issuer::parse(idp).ok());
    if named.is_none() {
        let message = "is missing; write the entity id of the identity provider, or `federation: {}` if people are to be asked \
                       for theirs";
        report("idp", message.to_owned());
    }
    named
}

fn in_file(
    path: &Path,
    section: &Section,
    filter: Option<Filter>,
    signers: &[IdpKey],
    report: &mut impl FnMut(&str, String),
) -> Option<(Whose, Place)> {
    let fetching = [
        ("metadata_ca_file", section.metadata_ca_file.is_some()),
        ("metadata_refresh", section.metadata_refresh.is_some()),
        ("metadata_cache_dir", section.metadata_cache_dir.is_some() && filter.is_none()),
    ];
    for (key, _) in fetching.into_iter().filter(|(_, is_there)| *is_there) {
        report(key, "is about `metadata_url`, which is not there; leave it out".to_owned());
    }
    if std::fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        report("metadata_file", format!("{} is not a file", path.display()));
        return None;
    }
    let stamp = Stamp::of(path);
    let is_long = stamp.is_some_and(|stamp| !stamp.is_short());
    let unread = Place::File { path: path.to_owned(), first: None, stamp: None };
    match (filter, is_long) {
        (Some(filter), _) => {
            let open = regular::read(path, 0);
            let open = open.map_err(|error| format!("{} cannot be read: {error}", path.display()));
            check(open, "metadata_file", report)?;
            Some((Whose::Many(filter), unread))
        }
        (None, true) => Some((Whose::One(named(section, report)?), unread)),
        (None, false) => {
            let first = read_file(path, section.idp.as_deref(), signers, report)?;
            let whose = Whose::One(first.entity_id.clone());
            Some((whose, Place::File { path: path.to_owned(), first: Some(Box::new(first)), stamp }))
        }
    }
}

/// Where a metadata query service has one entity's metadata (draft-young-md-query-saml, section 2; draft-young-md-query, 3.2.2).
fn entity_url(base: &str, entity_id: &Issuer) -> Result<Url, String> {
    let mut url = Url::parse(base).map_err(|error| format!("is no URL: {error}"))?;
    if url.query().is_some() {
        return Err("must have no query".to_owned());
    }
    let id = utf8_percent_encode(entity_id.as_str(), UNRESERVED);
    url.set_path(&format!("{}/entities/{id}", url.path().trim_end_matches('/')));
    Ok(url)
}

/// RFC 3986, 2.3.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

fn fetched(
    key: &'static str,
    url: &str,
    section: &Section,
    report: &mut impl FnMut(&str, String),
) -> Option<Place> {
    let is_signed = section.metadata_certificate_file.is_some();
    let url = check(address(url, is_signed), key, report);
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
    Some(Place::Url { key, url: url?, ca_pem, refresh: refresh? })
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
    let document = match regular::read(path, MAX_BYTES) {
        Ok(document) => document,
        Err(error) => {
            report("metadata_file", format!("{} cannot be read: {error}", path.display()));
            return None;
        }
    };
    match Idp::read_signed(&document, wanted, signers) {
        Ok(idp) => Some(idp),
        Err(
            error @ (MetadataError::NoSuchEntity(_) | MetadataError::Another(..) | MetadataError::NotOne(_)),
        ) => {
            report("idp", format!("{} {error}", path.display()));
            None
        }
        Err(error) => {
            report("metadata_file", format!("{} {error}", path.display()));
            None
        }
    }
}
