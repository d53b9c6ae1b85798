//! The last good copy of a fetched document, in a directory of the operator's, for the time after a restart.
//!
//! It is as it was fetched, so that whoever reads it verifies the signature again. It is written whole under another name
//! and then renamed, readable and writable by its owner alone: without a signature, whoever writes it says who is who.

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use openssl::sha::sha256;
use tokio::task::spawn_blocking;
use url::Url;
use usher_core::ProviderId;

use crate::metadata::MAX_BYTES;

#[derive(Clone, Debug)]
pub(super) struct LastCopy {
    path: PathBuf,
}

impl LastCopy {
    /// Of what is at `url`. Another URL has another copy: what was believed there is not believed here.
    pub(super) fn new(directory: &Path, id: &ProviderId, url: &Url) -> Self {
        let tag = data_encoding::HEXLOWER.encode(&sha256(format!("{id} {url}").as_bytes())[..12]);
        let path = directory.join(format!("saml-metadata-{tag}.xml"));
        Self { path }
    }

    /// The copy of an earlier run, if there is one. A longer one than is read here is cut, which is no metadata.
    pub(super) async fn read(&self) -> Option<Vec<u8>> {
        let path = self.path.clone();
        let read = spawn_blocking(move || read(&path, MAX_BYTES)).await;
        match read.unwrap_or_else(|panicked| Err(io::Error::other(panicked))) {
            Ok(document) => Some(document),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(cause) => {
                tracing::warn!(path = %self.path.display(), %cause, "the last good copy of metadata cannot be read");
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
                %path,
                %cause,
                "metadata cannot be kept for the next start, when nobody will sign in until it is fetched"
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
    if read(path, document.len()).is_ok_and(|kept| kept == document) {
        return Ok(());
    }
    let directory = path.parent().unwrap_or(Path::new("."));
    // `tempfile` makes files of mode 0600.
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(document)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    File::open(directory)?.sync_all()
}

fn read(path: &Path, longest: usize) -> io::Result<Vec<u8>> {
    let mut document = Vec::new();
    // One byte more than is taken, so that it is refused and not cut.
    File::open(path)?.take(longest as u64 + 1).read_to_end(&mut document)?;
    Ok(document)
}
