//! The process that reads a federation's metadata. It serves nobody, and may be killed at any moment.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, BufWriter, Write},
    time::Duration,
};

use roxmltree::Node;
use usher_core::Timestamp;

use super::{
    index::{Entry, Key, Member},
    job::{Answer, DocumentAt, Filter, Job, OLDER, Report, Unreached, Validators},
    search,
};
use crate::{
    hardening,
    metadata::{self, Bounds, Idp, MAX_FEDERATION_BYTES, Shown},
    regular,
    upkeep::{Fetch, Fetched, copy},
};

/// Reasons that are told one by one.
const MAX_EXAMPLES: usize = 5;
/// Names that are told of those for which there is one reason.
const MAX_UNREACHED: usize = 20;
/// From connecting to the last byte.
const TIMEOUT: Duration = Duration::from_mins(2);

/// A document as it came.
struct Source {
    bytes: Vec<u8>,
    validators: Validators,
}

/// What is left of a document.
#[derive(Default)]
struct Found {
    /// What is searched of each, and its record as JSON, by name and key.
    records: BTreeMap<(String, Key), Record>,
    valid_until: Option<Timestamp>,
    cache_duration: Option<Duration>,
    published: Option<Timestamp>,
    passed_over: usize,
    examples: Vec<String>,
    unreached: Unreached,
}

struct Record {
    json: Vec<u8>,
    words: String,
    is_hidden: bool,
    /// Its entity id, if it wants signed requests.
    wants_signed: Option<String>,
}

/// Does the one job that stands on `input`, and writes an index to `output`. What went wrong is written there too; an error means
/// that not even that could be done.
pub async fn run(input: impl io::Read, output: impl Write) -> io::Result<()> {
    let mut output = BufWriter::new(output);
    let answer = match serde_json::from_reader(input) {
        Ok(job) => work(job, &mut output).await?,
        Err(error) => Answer::Failed(format!("was not looked at: this is no job ({error})")),
    };
    let json = serde_json::to_vec(&answer).map_err(io::Error::other)?;
    output.write_all(&json)?;
    output.write_all(&u32::try_from(json.len()).map_err(io::Error::other)?.to_le_bytes())?;
    output.flush()
}

async fn work(job: Job, output: &mut impl Write) -> io::Result<Answer> {
    let source = match document(&job).await {
        Ok(Some(source)) => source,
        Ok(None) => return Ok(Answer::NotModified),
        Err(reason) => return Ok(Answer::Failed(reason)),
    };
    let found = match read(&source.bytes, &job) {
        Ok(found) if !found.records.is_empty() => found,
        Ok(found) => return Ok(Answer::Failed(found.why_nobody())),
        Err(reason) => return Ok(Answer::Failed(reason)),
    };
    let not_kept = match &job.from {
        DocumentAt::Url { copy: Some(path), .. } => copy::write(path, &source.bytes).err(),
        DocumentAt::Url { copy: None, .. } | DocumentAt::File(_) | DocumentAt::Copy(_) => None,
    };
    let report = Report {
        valid_until: found.valid_until,
        cache_duration: found.cache_duration,
        published: found.published,
        validators: source.validators,
        passed_over: found.passed_over,
        examples: found.examples.clone(),
        unreached: found.unreached.clone(),
        bytes: source.bytes.len(),
        not_kept: not_kept.map(|error| error.to_string()),
        ..Report::default()
    };
    drop(source.bytes);
    let report = write(found, report, output)?;
    Ok(Answer::Read(Report { peak_kib: peak_kib(), ..report }))
}

/// The document; `None` if it is known already.
async fn document(job: &Job) -> Result<Option<Source>, String> {
    let file = |read: io::Result<Vec<u8>>| {
        let bytes = read.map_err(|error| format!("cannot be read: {error}"))?;
        Ok(Some(Source { bytes, validators: Validators::default() }))
    };
    match &job.from {
        DocumentAt::File(path) => file(regular::read(path, MAX_FEDERATION_BYTES)),
        DocumentAt::Copy(path) => {
            file(regular::read_own(path, MAX_FEDERATION_BYTES, !job.signers.is_empty()))
        }
        DocumentAt::Url { url, ca_pem, known, .. } => {
            let ca_pem = ca_pem.as_ref().map(String::as_bytes);
            let fetch = Fetch::new(url.clone(), ca_pem, TIMEOUT, MAX_FEDERATION_BYTES);
            let fetch = fetch.map_err(|error| {
                let problems = error.problems.iter().map(|problem| problem.message.as_str());
                format!("cannot be fetched: {}", problems.collect::<Vec<_>>().join("; "))
            })?;
            match fetch.document(known).await {
                Ok(Fetched::Document(bytes, validators)) => Ok(Some(Source { bytes, validators })),
                Ok(Fetched::NotModified) => Ok(None),
                Err(error) => Err(format!("cannot be fetched: {}", crate::upkeep::chain(&error))),
            }
        }
    }
}

/// Writes an index of `document` to `output`.
#[cfg(feature = "fuzzing")]
pub(crate) fn read_into(document: &[u8], job: &Job, output: &mut impl Write) -> Result<Report, String> {
    let found = read(document, job)?;
    write(found, Report::default(), output).map_err(|error| error.to_string())
}

fn read(document: &[u8], job: &Job) -> Result<Found, String> {
    hardening::harden().map_err(|error| format!("cannot be verified here: {error}"))?;
    let text =
        metadata::trusted(document, Bounds::FEDERATION, &job.signers).map_err(|error| error.to_string())?;
    let parsed = metadata::parse(&text, Bounds::FEDERATION).map_err(|error| error.to_string())?;
    let root = parsed.root_element();
    if metadata::valid_until(root).map_err(|error| error.to_string())?.is_some_and(|until| until <= job.now) {
        return Err("has expired".to_owned());
    }
    let published = metadata::published(root).map_err(|error| error.to_string())?;
    if published.zip(job.newest).is_some_and(|(made, newest)| made < newest) {
        return Err(OLDER.to_owned());
    }
    let mut gathering = Gathering::default();
    // Of the whole alone: each member could have it read all the time.
    gathering.found.cache_duration = metadata::cache_duration(root).map_err(|error| error.to_string())?;
    gathering.found.published = published;
    for entity in metadata::entities(&parsed).map_err(|error| error.to_string())? {
        gathering.see(entity, job);
    }
    if job.is_unsigned {
        gathering.found.leave_out_who_wants_signatures();
    }
    Ok(gathering.found)
}

impl Found {
    /// In the end, since one that stands there twice counts for none, whatever either wants.
    fn leave_out_who_wants_signatures(&mut self) {
        let Self { records, unreached, .. } = self;
        records.retain(|_, record| {
            let Some(name) = record.wants_signed.take() else { return true };
            unreached.count += 1;
            if unreached.examples.len() < MAX_UNREACHED {
                unreached.examples.push(printable(&name));
            }
            false
        });
    }

    /// A sentence that reads on after "the document", of one without identity providers that count.
    fn why_nobody(&self) -> String {
        let unreached = self.unreached.examples.iter();
        let unreached = unreached
            .map(|name| format!("{name}: it wants signed requests, and there are no `keys` to sign with"));
        let reasons: Vec<_> = self.examples.iter().cloned().chain(unreached.take(MAX_EXAMPLES)).collect();
        if reasons.is_empty() {
            return "has no SAML 2.0 identity provider that is wanted".to_owned();
        }
        format!("has no identity provider that can be used: {}", reasons.join("; "))
    }
}

/// The entities so far.
#[derive(Default)]
struct Gathering {
    found: Found,
    /// Where each is among the records. `None`: its name stands for several, and none of them counts.
    names: BTreeMap<Key, Option<String>>,
}

impl Gathering {
    fn see(&mut self, entity: Node<'_, '_>, job: &Job) {
        let name = entity.attribute("entityID").unwrap_or_default();
        let shown = Shown::read(entity);
        if !job.filter.wants(name, &shown) {
            return;
        }
        match Idp::of(entity) {
            Ok(idp) if idp.is_valid(job.now) => self.take(idp, shown),
            Ok(_) => self.pass_over(name, "it has expired"),
            Err(error) => self.pass_over(name, &format!("it {error}")),
        }
    }

    fn take(&mut self, idp: Idp, shown: Shown) {
        let name = idp.entity_id.as_str().to_owned();
        let key = Key::of(&name);
        let until = idp.valid_until;
        let first = if shown.names.is_empty() { &shown.detail } else { english(&shown) };
        let order = search::folded(first);
        let texts = shown.names.iter().map(|(_, name)| name).chain(&shown.words).chain([&name]);
        let words = search::words(texts.map(String::as_str));
        let is_hidden = shown.is_hidden;
        let wants_signed = idp.wants_signed_requests.then(|| name.clone());
        let json = serde_json::to_vec(&Member { idp, shown }).expect("plain values serialise");
        match self.names.get(&key) {
            None => {}
            // The same entity by way of two federations.
            Some(Some(known))
                if self.found.records.get(&(known.clone(), key)).is_some_and(|known| known.json == json) =>
            {
                return;
            }
            Some(_) => {
                if let Some(Some(known)) = self.names.insert(key, None) {
                    self.found.records.remove(&(known, key));
                    self.found.passed_over += 1;
                }
                self.pass_over(&name, "it stands there several times, and differently");
                return;
            }
        }
        let found = &mut self.found;
        // Of the whole: when the last of them expires.
        found.valid_until =
            if self.names.is_empty() { until } else { found.valid_until.zip(until).map(|(a, b)| a.max(b)) };
        self.names.insert(key, Some(order.clone()));
        found.records.insert((order, key), Record { json, words, is_hidden, wants_signed });
    }

    fn pass_over(&mut self, name: &str, reason: &str) {
        self.found.passed_over += 1;
        if self.found.examples.len() < MAX_EXAMPLES {
            self.found.examples.push(format!("{}: {reason}", printable(name)));
        }
    }
}

/// A name, on a line of its own and no longer than anybody reads.
fn printable(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(200).collect()
}

impl Filter {
    fn wants(&self, entity_id: &str, shown: &Shown) -> bool {
        let is_named = self.idps.is_empty() || self.idps.iter().any(|wanted| wanted == entity_id);
        let registrar = shown.registered_by.as_deref();
        let is_registered = self.registered_by.is_empty()
            || self.registered_by.iter().any(|wanted| Some(wanted.as_str()) == registrar);
        is_named && is_registered
    }
}

/// The name that they are ordered by, whatever language people have.
fn english(shown: &Shown) -> &str {
    let english = shown.names.iter().find(|(tag, _)| tag.split('-').next() == Some("en"));
    english.or(shown.names.first()).map_or("", |(_, name)| name.as_str())
}

fn write(found: Found, report: Report, output: &mut impl Write) -> io::Result<Report> {
    let (mut offset, mut directory, mut words) = (0_u64, Vec::new(), String::new());
    let count = found.records.len();
    for ((_, key), record) in found.records {
        output.write_all(&record.json)?;
        words.push_str(&record.words);
        let too_much = |_| io::Error::other("the federation is larger than an index can be");
        let entry = Entry {
            key,
            offset,
            length: u32::try_from(record.json.len()).map_err(too_much)?,
            words_end: u32::try_from(words.len()).map_err(too_much)?,
            is_hidden: record.is_hidden,
        };
        offset += record.json.len() as u64;
        entry.write(&mut directory);
    }
    output.write_all(&directory)?;
    output.write_all(words.as_bytes())?;
    Ok(Report { directory: offset, count, words: words.len(), ..report })
}

/// `VmHWM` (proc(5)).
fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}
