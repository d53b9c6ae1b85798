//! The metadata of an identity provider while Usher runs: read again when its file changes, fetched again when its time is
//! over, and kept as it was when that fails.
//!
//! A look at it happens in the background alone. What people sign in by is what the last good look found, until its
//! `validUntil` has passed; an identity provider whose metadata could not be had yet is away, and no obstacle to anything
//! else.

pub(crate) mod copy;
mod expiry;
mod fetch;
mod known;
mod telling;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use tokio::{sync::Mutex, task::spawn_blocking};
use url::Url;
use usher_core::{ConfigError, Ctx, Entropy, Issuer, ProviderId, Timestamp};

use crate::{
    config::{Place, Source, Stamp, Whose},
    federation::{
        DocumentAt, Federation, Filter, IndexError, Job, Loaded, OLDER, ReadError, Reader, Validators,
    },
    keys::IdpKey,
    metadata::{Idp, MAX_BYTES, MetadataError},
    processors::{NotWorked, Processors},
    regular,
};
use copy::LastCopy;
use expiry::Expiry;
use fetch::FetchError;
pub(crate) use fetch::{Fetch, Fetched};
use known::Known;
pub(crate) use telling::chain;

/// Between two looks at a file's date.
const FILE_PAUSE: Duration = Duration::from_secs(5);
/// Between two looks at a URL, whatever the metadata says.
const LEAST_PAUSE: Duration = Duration::from_mins(1);
/// After the first failure in a row; twice as long after each further one.
const RETRY: Duration = Duration::from_secs(10);
/// How far the clock of whoever makes documents may be before ours.
const AHEAD: Duration = Duration::from_mins(5);
/// For a document of one identity provider, from connecting to the last byte.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is known of the identity provider, or of all those of a federation.
#[derive(Debug)]
pub(crate) struct Upkeep {
    /// What it is called in the config, and in every line of the log.
    provider: ProviderId,
    whose: Whose,
    signers: Vec<IdpKey>,
    signs_requests: bool,
    known: RwLock<Known>,
    /// When the newest document was made that has been known; by a clock that can be right.
    newest: std::sync::Mutex<Option<Timestamp>>,
    way: Way,
    /// Where files may be made.
    directory: Option<PathBuf>,
    processors: Processors,
    reader: Reader,
    /// Held by whoever looks.
    looks: Mutex<Looks>,
}

#[derive(Debug)]
enum Way {
    File(PathBuf),
    Url(Box<Address>),
}

#[derive(Debug)]
struct Address {
    /// What names it in the config.
    key: &'static str,
    url: Url,
    ca_pem: Option<Vec<u8>>,
    /// For what is short.
    fetch: Fetch,
    refresh: Duration,
    copy: Option<LastCopy>,
}

#[derive(Debug)]
struct Looks {
    /// Of the file that was read last.
    stamp: Option<Stamp>,
    /// Whether the copy of another run was looked at.
    has_tried_copy: bool,
    /// In a row.
    failures: u32,
    /// Of the document that is known.
    validators: Validators,
    /// Of what is known.
    expiry: Expiry,
}

/// Why nobody can be sent to the identity provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unknown {
    #[error("the metadata of the identity provider has not been fetched yet")]
    NotYet,
    #[error("the metadata of the identity provider has expired")]
    Expired,
}

/// Why a look found nothing that can be used.
#[derive(Debug, thiserror::Error)]
enum LookError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("the file cannot be read")]
    File(#[source] std::io::Error),
    #[error("the document {0}")]
    Metadata(#[from] MetadataError),
    #[error("the document has expired")]
    Expired,
    #[error("the document {}", OLDER)]
    Older,
    #[error(transparent)]
    NotWorked(#[from] NotWorked),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("the index cannot be read")]
    Index(#[from] IndexError),
}

impl Upkeep {
    /// Of what the operator named. `id` names the copy too.
    pub(crate) fn new(
        source: Source,
        id: &ProviderId,
        processors: Processors,
        reader: Reader,
    ) -> Result<Self, ConfigError> {
        let Source { whose, place, signers, cache_dir, signs_requests } = source;
        let (known, way, stamp) = match place {
            Place::File { path, first, stamp } => {
                let known = first.map_or(Known::Nothing, |first| Known::One(Arc::from(first)));
                (known, Way::File(path), stamp)
            }
            Place::Url { key, url, ca_pem, refresh } => {
                let copy = cache_dir.as_deref().map(|directory| LastCopy::new(directory, id, &url));
                let fetch = Fetch::new(url.clone(), ca_pem.as_deref(), PATIENCE, MAX_BYTES)?;
                let address = Address { key, url, ca_pem, fetch, refresh, copy };
                (Known::Nothing, Way::Url(Box::new(address)), None)
            }
        };
        let looks = Looks {
            stamp,
            has_tried_copy: false,
            failures: 0,
            validators: Validators::default(),
            expiry: Expiry::default(),
        };
        let (known, looks) = (RwLock::new(known), Mutex::new(looks));
        let newest = std::sync::Mutex::new(None);
        let provider = id.clone();
        Ok(Self {
            provider,
            whose,
            signers,
            signs_requests,
            known,
            newest,
            way,
            directory: cache_dir,
            processors,
            reader,
            looks,
        })
    }

    /// The entity id of the one identity provider; `None` of a federation.
    pub(crate) fn entity_id(&self) -> Option<&Issuer> {
        match &self.whose {
            Whose::One(entity_id) => Some(entity_id),
            Whose::Many(_) => None,
        }
    }

    /// The one identity provider, if its metadata still says anything (SAML metadata 2.3.1).
    pub(crate) fn idp(&self, now: Timestamp) -> Result<Arc<Idp>, Unknown> {
        match self.known() {
            Known::One(idp) if idp.is_valid(now) => Ok(idp),
            Known::One(_) => Err(Unknown::Expired),
            Known::Nothing | Known::Many(_) => Err(Unknown::NotYet),
        }
    }

    /// The federation, if any of its metadata still says anything.
    pub(crate) fn federation(&self, now: Timestamp) -> Result<Arc<Federation>, Unknown> {
        match self.known() {
            Known::Many(federation) if federation.is_valid(now) => Ok(federation),
            Known::Many(_) => Err(Unknown::Expired),
            Known::Nothing | Known::One(_) => Err(Unknown::NotYet),
        }
    }

    /// Whether the one identity provider has a place where people sign out, as far as is known.
    pub(crate) fn may_sign_out(&self) -> bool {
        match self.known() {
            Known::One(idp) => idp.single_logout.is_somewhere(),
            Known::Nothing | Known::Many(_) => true,
        }
    }

    fn known(&self) -> Known {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks at it anew. How long until the next time.
    pub(crate) async fn look(&self, ctx: &Ctx<'_>) -> Duration {
        let mut looks = self.looks.lock().await;
        let pause = self.look_by(&mut looks, ctx).await;
        if let Some(end) = looks.expiry.due(self.known().valid_until(), self.is_fetched(), ctx.now) {
            self.tell_end(end);
        }
        pause
    }

    async fn look_by(&self, looks: &mut Looks, ctx: &Ctx<'_>) -> Duration {
        match &self.way {
            Way::File(path) => {
                self.look_at_file(path, looks, ctx.now).await;
                if looks.failures == 0 { FILE_PAUSE } else { self.pause(LEAST_PAUSE, looks.failures, ctx) }
            }
            Way::Url(address) => {
                if let Some(copy) = address.copy.as_ref().filter(|_| !looks.has_tried_copy) {
                    looks.has_tried_copy = true;
                    self.look_at_copy(copy, ctx.now).await;
                }
                if let Some(copy) = &address.copy {
                    copy.sweep(ctx.now).await;
                }
                match self.look_at_url(address, &looks.validators, ctx.now).await {
                    Ok(validators) => {
                        looks.failures = 0;
                        looks.validators = validators;
                    }
                    Err(cause) => {
                        looks.failures = looks.failures.saturating_add(1);
                        // Whatever is known: the next time it is to be sent whole.
                        looks.validators = Validators::default();
                        self.tell_failure(&cause, address.key, ctx.now);
                    }
                }
                self.pause(address.refresh, looks.failures, ctx)
            }
        }
    }

    /// Reads it once, whatever is known or kept already. Why it cannot be used is a sentence.
    pub(crate) async fn read_now(&self, ctx: &Ctx<'_>) -> Result<(), String> {
        let from = match &self.way {
            Way::File(path) => DocumentAt::File(path.clone()),
            // Without a copy: whoever asks may be another user than the one that serves.
            Way::Url(address) => {
                let ca_pem = address.ca_pem.as_ref().map(|pem| String::from_utf8_lossy(pem).into_owned());
                DocumentAt::Url { url: address.url.clone(), ca_pem, known: Validators::default(), copy: None }
            }
        };
        let read = self.take_apart(from, ctx.now).await;
        read.map(drop).map_err(|error| chain(&error))
    }

    async fn look_at_file(&self, path: &Path, looks: &mut Looks, now: Timestamp) {
        let own = path.to_owned();
        let stamp = spawn_blocking(move || Stamp::of(&own)).await.ok().flatten();
        if stamp == looks.stamp {
            return;
        }
        looks.stamp = stamp;
        let taken = match &self.whose {
            Whose::One(entity_id) if stamp.is_none_or(Stamp::is_short) => {
                self.take_file(path, entity_id, now).await
            }
            Whose::One(_) | Whose::Many(_) => {
                self.take_apart(DocumentAt::File(path.to_owned()), now).await.map(drop)
            }
        };
        let was_read = match &taken {
            Err(LookError::NotWorked(_) | LookError::File(_)) => false,
            Err(LookError::Read(error)) => error.is_about_the_document(),
            Ok(()) | Err(_) => true,
        };
        if was_read {
            looks.failures = 0;
        } else {
            looks.stamp = None;
            looks.failures = looks.failures.saturating_add(1);
        }
        match taken {
            Ok(()) => self.tell_changed(),
            Err(cause) => self.tell_failure(&cause, "metadata_file", now),
        }
    }

    async fn take_file(&self, path: &Path, entity_id: &Issuer, now: Timestamp) -> Result<(), LookError> {
        let own = path.to_owned();
        let read = spawn_blocking(move || regular::read(&own, MAX_BYTES)).await;
        let read = read.unwrap_or_else(|panicked| Err(std::io::Error::other(panicked)));
        self.take(Arc::new(read.map_err(LookError::File)?), entity_id, now).await
    }

    async fn look_at_copy(&self, copy: &LastCopy, now: Timestamp) {
        let path = copy.path().to_owned();
        let taken = match &self.whose {
            Whose::One(entity_id) => {
                let Some(document) = copy.read(!self.signers.is_empty()).await else { return };
                match self.take(Arc::new(document), entity_id, now).await {
                    Err(LookError::Metadata(MetadataError::TooLong(_))) => {
                        self.take_apart(DocumentAt::Copy(path), now).await.map(drop)
                    }
                    taken => taken,
                }
            }
            Whose::Many(_) if path.symlink_metadata().is_err() => return,
            Whose::Many(_) => self.take_apart(DocumentAt::Copy(path), now).await.map(drop),
        };
        match taken {
            Ok(()) => self.tell_copy_is_used(),
            Err(cause) => self.tell_failure(&cause, "metadata_cache_dir", now),
        }
    }

    async fn look_at_url(
        &self,
        address: &Address,
        known: &Validators,
        now: Timestamp,
    ) -> Result<Validators, LookError> {
        let Address { url, ca_pem, fetch, copy, .. } = address;
        if let Whose::One(entity_id) = &self.whose {
            match fetch.document(&Validators::default()).await {
                Ok(Fetched::Document(document, _)) => {
                    let document = Arc::new(document);
                    self.take(Arc::clone(&document), entity_id, now).await?;
                    if let Some(copy) = copy {
                        copy.keep(document).await;
                    }
                    return Ok(Validators::default());
                }
                Ok(Fetched::NotModified) => return Ok(Validators::default()),
                Err(error) if error.is_too_long() => {}
                Err(error) => return Err(error.into()),
            }
        }
        let ca_pem = ca_pem.as_ref().map(|pem| String::from_utf8_lossy(pem).into_owned());
        let copy = copy.as_ref().map(|copy| copy.path().to_owned());
        let taken = self
            .take_apart(DocumentAt::Url { url: url.clone(), ca_pem, known: known.clone(), copy }, now)
            .await?;
        Ok(taken.unwrap_or_else(|| known.clone()))
    }

    /// Has `document` be what is known, if it is one that can be.
    async fn take(
        &self,
        document: Arc<Vec<u8>>,
        entity_id: &Issuer,
        now: Timestamp,
    ) -> Result<(), LookError> {
        let (wanted, signers) = (entity_id.clone(), self.signers.clone());
        let read = self.processors.run(move || Idp::read_signed(&document, Some(wanted.as_str()), &signers));
        self.learn(Known::One(Arc::new(read.await??)), now)
    }

    /// The same of one that is too long to be read here. The document's validators, unless it is known already.
    async fn take_apart(&self, from: DocumentAt, now: Timestamp) -> Result<Option<Validators>, LookError> {
        let filter = match &self.whose {
            Whose::One(entity_id) => {
                Filter { idps: vec![entity_id.as_str().to_owned()], ..Filter::default() }
            }
            Whose::Many(filter) => filter.clone(),
        };
        // The one that is named counts whatever it wants: who is to act is told.
        let is_unsigned = !self.signs_requests && matches!(self.whose, Whose::Many(_));
        // None has been known of a file.
        let newest = *self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let job = Job { from, signers: self.signers.clone(), filter, is_unsigned, newest, now };
        let federation = match self.reader.read(&job, self.directory.as_deref()).await? {
            Loaded::New(federation) => federation,
            Loaded::NotModified if self.is_over(now) => return Err(LookError::Expired),
            Loaded::NotModified => return Ok(None),
        };
        self.tell_read(&federation);
        let validators = federation.report.validators.clone();
        match &self.whose {
            Whose::Many(_) => self.learn(Known::Many(federation), now)?,
            Whose::One(entity_id) => {
                let (wanted, federation) = (entity_id.clone(), Arc::clone(&federation));
                let found = self.processors.run(move || federation.find_named(wanted.as_str())).await??;
                let missing = || MetadataError::NoSuchEntity(entity_id.as_str().to_owned());
                self.learn(Known::One(Arc::new(found.ok_or_else(missing)?.idp)), now)?;
            }
        }
        Ok(Some(validators))
    }

    fn is_fetched(&self) -> bool {
        matches!(self.way, Way::Url(_))
    }

    fn is_over(&self, now: Timestamp) -> bool {
        self.known().valid_until().is_some_and(|until| until <= now)
    }

    fn learn(&self, known: Known, now: Timestamp) -> Result<(), LookError> {
        let is_valid = match &known {
            Known::Nothing => true,
            Known::One(idp) => idp.is_valid(now),
            Known::Many(federation) => federation.is_valid(now),
        };
        if !is_valid {
            return Err(LookError::Expired);
        }
        // Whoever writes a file has decided what is in it; on the way from a URL it may be what was true once.
        if self.is_fetched() {
            let before = self.known();
            let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
            if known.published().zip(*newest).is_some_and(|(new, newest)| new < newest) {
                return Err(LookError::Older);
            }
            // One that does not say when it was made is none to compare with, and makes nobody forget. Nor is one from the
            // future: all honest ones would be refused until then because of one wrong clock.
            *newest = (*newest).max(known.published().filter(|made| *made <= now.plus(AHEAD)));
            drop(newest);
            if matches!(before, Known::Nothing) && !self.signers.is_empty() && known.valid_until().is_none() {
                self.tell_endless();
            }
        }
        let is_unwilling = known.wants_signed_requests() && !self.signs_requests;
        if is_unwilling && !self.known().wants_signed_requests() {
            self.tell_unsigned();
        }
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = known;
        Ok(())
    }

    /// Less than the operator says if the metadata says so, a little less by chance, so that replicas do not all come at
    /// once; soon after a failure, and then less and less soon.
    fn pause(&self, refresh: Duration, failures: u32, ctx: &Ctx<'_>) -> Duration {
        if let Some(earlier) = failures.checked_sub(1) {
            let longer = 2_u32.saturating_pow(earlier.min(16));
            return shortened(RETRY.saturating_mul(longer).min(refresh), ctx.entropy);
        }
        let known = self.known();
        let half_of_life = known.valid_until().map(|until| until.since(ctx.now) / 2);
        let mut pause = refresh;
        for limit in [known.cache_duration(), half_of_life].into_iter().flatten() {
            pause = pause.min(limit);
        }
        shortened(pause.max(LEAST_PAUSE), ctx.entropy)
    }
}

/// By up to a tenth.
fn shortened(pause: Duration, entropy: &dyn Entropy) -> Duration {
    let mut byte = [0];
    entropy.fill(&mut byte);
    pause.saturating_sub(pause / 10 * u32::from(byte[0]) / 255)
}

#[cfg(test)]
mod tests;
