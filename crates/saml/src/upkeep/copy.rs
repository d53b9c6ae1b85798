//! The last good copy of a fetched document, in a directory of the operator's, for the time after a restart.
//!
//! It is as it was fetched, so that whoever reads it verifies the signature again. It is written whole under another name
//! and then renamed, readable and writable by its owner alone: without a signature, whoever writes it says who is who. A process
//! that is killed meanwhile leaves the other name behind, which is removed when nobody can be writing there any more.

use std::{
    fs::{self, DirEntry, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use openssl::sha::sha256;
use tempfile::NamedTempFile;
use tokio::task::spawn_blocking;
use url::Url;
use usher_core::{ProviderId, Timestamp};

use crate::{federation::PATIENCE, metadata::MAX_BYTES, regular};

/// How the names of all copies begin.
const NAME: &str = "saml-metadata-";
/// How the name ends of what is no copy yet.
const UNFINISHED: &str = ".part";
/// Since it was last written to. Other replicas write there too, some by another clock.
const ABANDONED: Duration = Duration::from_mins(15);
const _: () = assert!(PATIENCE.as_secs() < ABANDONED.as_secs(), "a process that may still live is writing");

#[derive(Clone, Debug)]
pub(super) struct LastCopy {
    path: PathBuf,
    /// Whose metadata it is.
    provider: ProviderId,
}

impl LastCopy {
    /// Of what is at `url`. Another URL has another copy: what was believed there is not believed here.
    pub(super) fn new(directory: &Path, id: &ProviderId, url: &Url) -> Self {
        let tag = data_encoding::HEXLOWER.encode(&sha256(format!("{id} {url}").as_bytes())[..12]);
        let path = directory.join(format!("{NAME}{tag}.xml"));
        Self { path, provider: id.clone() }
    }

    /// The copy of an earlier run, if there is one. A longer one than is read here is cut, which is no metadata. `is_signed`: whoever
    /// reads it verifies that.
    pub(super) async fn read(&self, is_signed: bool) -> Option<Vec<u8>> {
        let path = self.path.clone();
        let read = spawn_blocking(move || regular::read_own(&path, MAX_BYTES, is_signed)).await;
        match read.unwrap_or_else(|panicked| Err(io::Error::other(panicked))) {
            Ok(document) => Some(document),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(cause) => {
                let (provider, path) = (&self.provider, self.path.display());
                tracing::warn!(provider.id = %provider, %path, %cause, "the last good copy of metadata cannot be read");
                None
            }
        }
    }

    /// Replaces it. A disk that is full or must not be written to is told of, and costs nothing but the copy.
    pub(super) async fn keep(&self, document: Arc<Vec<u8>>) {
        let (own, path) = (self.path.clone(), self.path.display());
        let written = spawn_blocking(move || write(&own, &document)).await;
        if let Err(cause) = written.unwrap_or_else(|panicked| Err(io::Error::other(panicked))) {
            tracing::warn!(
                provider.id = %self.provider,
                %path,
                %cause,
                "metadata cannot be kept for the next start, when nobody will sign in until it is fetched"
            );
        }
    }

    /// Removes what processes have left in the directory that were killed while they wrote.
    pub(super) async fn sweep(&self, now: Timestamp) {
        let path = self.path.clone();
        let swept = spawn_blocking(move || sweep(directory_of(&path), now)).await;
        if let Err(cause) = swept.unwrap_or_else(|panicked| Err(io::Error::other(panicked))) {
            let (provider, path) = (&self.provider, self.path.display());
            tracing::warn!(
                provider.id = %provider,
                %path,
                %cause,
                "what a process has left unfinished beside this copy cannot be removed"
            );
        }
    }

    /// Where it is, or will be.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// Has `path` be a copy of `document`.
pub(crate) fn write(path: &Path, document: &[u8]) -> io::Result<()> {
    if regular::read_own(path, document.len(), false).is_ok_and(|kept| kept == document) {
        return Ok(());
    }
    let mut file = unfinished(path)?;
    file.write_all(document)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    File::open(directory_of(path))?.sync_all()
}

/// What becomes the copy at `path`, of mode 0600.
fn unfinished(path: &Path) -> io::Result<NamedTempFile> {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    tempfile::Builder::new().prefix(&format!("{name}-")).suffix(UNFINISHED).tempfile_in(directory_of(path))
}

fn directory_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("."))
}

fn sweep(directory: &Path, now: Timestamp) -> io::Result<()> {
    // Whoever cannot look, or finds no directory, leaves nothing there either.
    let Ok(entries) = fs::read_dir(directory) else { return Ok(()) };
    for entry in entries {
        let entry = entry?;
        if is_abandoned(&entry, now) {
            match fs::remove_file(entry.path()) {
                // Another replica was faster.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                removed => removed?,
            }
        }
    }
    Ok(())
}

/// Whether it is a file that was to become a copy of whatever metadata, and nobody has written to for long.
fn is_abandoned(entry: &DirEntry, now: Timestamp) -> bool {
    let name = entry.file_name();
    let is_ours = name.to_str().is_some_and(|name| name.starts_with(NAME) && name.ends_with(UNFINISHED));
    // Of the entry itself, not of what a link leads to.
    let Some(found) = is_ours.then(|| entry.metadata().ok()).flatten() else { return false };
    let written = found.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let age = written.map(|since_epoch| now.since(Timestamp::from_secs(0).plus(since_epoch)));
    found.is_file() && age.is_some_and(|age| age > ABANDONED)
}

#[cfg(test)]
mod tests;
