//! The metadata of an identity provider while Usher runs: read again when its file changes, fetched again when its time is
//! over, and kept as it was when that fails.
//!
//! A look at it happens in the background alone. What people sign in by is what the last good look found, until its
//! `validUntil` has passed; an identity provider whose metadata could not be had yet is away, and no obstacle to anything
//! else.

mod copy;
mod fetch;

use std::{
    path::Path,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use tokio::{sync::Mutex, task::spawn_blocking};
use usher_core::{ConfigError, Ctx, Entropy, Issuer, ProviderId, Timestamp};

use crate::{
    config::{Place, Source, Stamp},
    keys::IdpKey,
    metadata::{Idp, MetadataError},
    processors::{NotWorked, Processors},
};
use copy::LastCopy;
use fetch::{Fetch, FetchError};

/// Between two looks at a file's date.
const FILE_PAUSE: Duration = Duration::from_secs(5);
/// Between two looks at a URL, whatever the metadata says.
const LEAST_PAUSE: Duration = Duration::from_mins(1);
/// After the first failure in a row; twice as long after each further one.
const RETRY: Duration = Duration::from_secs(10);

/// What is known of the identity provider.
#[derive(Debug)]
pub(crate) struct Upkeep {
    entity_id: Issuer,
    signers: Vec<IdpKey>,
    known: RwLock<Option<Arc<Idp>>>,
    way: Way,
    processors: Processors,
    /// Held by whoever looks.
    looks: Mutex<Looks>,
}

#[derive(Debug)]
enum Way {
    File(std::path::PathBuf),
    Url { fetch: Fetch, refresh: Duration, copy: Option<LastCopy> },
}

#[derive(Debug)]
struct Looks {
    /// Of the file that was read last.
    stamp: Option<Stamp>,
    /// Whether the copy of another run was looked at.
    has_tried_copy: bool,
    /// In a row.
    failures: u32,
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
    #[error(transparent)]
    NotWorked(#[from] NotWorked),
}

impl Upkeep {
    /// Of what the operator named. `id` names the copy.
    pub(crate) fn new(source: Source, id: &ProviderId, processors: Processors) -> Result<Self, ConfigError> {
        let Source { entity_id, place, signers } = source;
        let (known, way, stamp) = match place {
            Place::File { path, first, stamp } => (Some(Arc::from(first)), Way::File(path), stamp),
            Place::Url { url, ca_pem, refresh, cache_dir } => {
                let copy = cache_dir.map(|directory| LastCopy::new(directory, id, &url));
                (None, Way::Url { fetch: Fetch::new(url, ca_pem.as_deref())?, refresh, copy }, None)
            }
        };
        let looks = Mutex::new(Looks { stamp, has_tried_copy: false, failures: 0 });
        Ok(Self { entity_id, signers, known: RwLock::new(known), way, processors, looks })
    }

    /// Whose metadata it is.
    pub(crate) fn entity_id(&self) -> &Issuer {
        &self.entity_id
    }

    /// The identity provider, if its metadata still says anything (SAML metadata 2.3.1).
    pub(crate) fn idp(&self, now: Timestamp) -> Result<Arc<Idp>, Unknown> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let idp = known.as_ref().ok_or(Unknown::NotYet)?;
        if idp.is_valid(now) { Ok(Arc::clone(idp)) } else { Err(Unknown::Expired) }
    }

    /// Looks at it anew. How long until the next time.
    pub(crate) async fn look(&self, ctx: &Ctx<'_>) -> Duration {
        let mut looks = self.looks.lock().await;
        match &self.way {
            Way::File(path) => {
                self.look_at_file(path, &mut looks, ctx.now).await;
                FILE_PAUSE
            }
            Way::Url { fetch, refresh, copy } => {
                if let Some(copy) = copy.as_ref().filter(|_| !looks.has_tried_copy) {
                    looks.has_tried_copy = true;
                    self.look_at_copy(copy, ctx.now).await;
                }
                match self.look_at_url(fetch, ctx.now).await {
                    Ok(document) => {
                        looks.failures = 0;
                        if let Some(copy) = copy {
                            copy.keep(document).await;
                        }
                    }
                    Err(cause) => {
                        looks.failures = looks.failures.saturating_add(1);
                        self.tell(&cause, "metadata_url");
                    }
                }
                self.pause(*refresh, looks.failures, ctx)
            }
        }
    }

    async fn look_at_file(&self, path: &Path, looks: &mut Looks, now: Timestamp) {
        let own = path.to_owned();
        let stamp = spawn_blocking(move || Stamp::of(&own)).await.ok().flatten();
        if stamp == looks.stamp {
            return;
        }
        looks.stamp = stamp;
        let own = path.to_owned();
        let read = spawn_blocking(move || std::fs::read(own)).await;
        let read = read.unwrap_or_else(|panicked| Err(std::io::Error::other(panicked)));
        let taken = match read {
            Ok(document) => self.take(Arc::new(document), now).await,
            Err(error) => Err(LookError::File(error)),
        };
        if let Err(LookError::NotWorked(_)) = &taken {
            // It was not looked at.
            looks.stamp = None;
        }
        match taken {
            Ok(()) => tracing::info!(idp = %self.entity_id, "the metadata has changed and was read again"),
            Err(cause) => self.tell(&cause, "metadata_file"),
        }
    }

    async fn look_at_copy(&self, copy: &LastCopy, now: Timestamp) {
        let Some(document) = copy.read().await else { return };
        match self.take(Arc::new(document), now).await {
            Ok(()) => {
                tracing::info!(idp = %self.entity_id, "the metadata of the last run is used until it is fetched anew");
            }
            Err(cause) => self.tell(&cause, "metadata_cache_dir"),
        }
    }

    async fn look_at_url(&self, fetch: &Fetch, now: Timestamp) -> Result<Arc<Vec<u8>>, LookError> {
        let document = Arc::new(fetch.document().await?);
        self.take(Arc::clone(&document), now).await?;
        Ok(document)
    }

    /// Has `document` be what is known, if it is one that can be.
    async fn take(&self, document: Arc<Vec<u8>>, now: Timestamp) -> Result<(), LookError> {
        let (wanted, signers) = (self.entity_id.clone(), self.signers.clone());
        let read = self.processors.run(move || Idp::read_signed(&document, Some(wanted.as_str()), &signers));
        let idp = read.await??;
        if !idp.is_valid(now) {
            return Err(LookError::Expired);
        }
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(idp));
        Ok(())
    }

    /// Less than the operator says if the metadata says so, a little less by chance, so that replicas do not all come at
    /// once; soon after a failure, and then less and less soon.
    fn pause(&self, refresh: Duration, failures: u32, ctx: &Ctx<'_>) -> Duration {
        if let Some(earlier) = failures.checked_sub(1) {
            let longer = 2_u32.saturating_pow(earlier.min(16));
            return shortened(RETRY.saturating_mul(longer).min(refresh), ctx.entropy);
        }
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner).clone();
        let mut pause = refresh;
        if let Some(idp) = known {
            let half_of_life = idp.valid_until.map(|until| until.since(ctx.now) / 2);
            for limit in [idp.cache_duration, half_of_life].into_iter().flatten() {
                pause = pause.min(limit);
            }
        }
        shortened(pause.max(LEAST_PAUSE), ctx.entropy)
    }

    fn tell(&self, cause: &LookError, key: &str) {
        let mut chain = cause.to_string();
        let mut source = std::error::Error::source(cause);
        while let Some(error) = source {
            chain = format!("{chain}: {error}");
            source = error.source();
        }
        let is_known = self.known.read().unwrap_or_else(PoisonError::into_inner).is_some();
        let idp = &self.entity_id;
        if is_known {
            tracing::warn!(%idp, key, cause = chain, "metadata could not be renewed; what is known is used");
        } else {
            tracing::error!(%idp, key, cause = chain, "metadata cannot be had, so that nobody signs in there");
        }
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
