//! What the process is given, and what it says of the document.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};
use url::Url;
use usher_core::Timestamp;

use crate::keys::IdpKey;

/// What is wrong with a document that was made before `newest`, after "the document".
pub(crate) const OLDER: &str = "was made before the one that is known: somebody on the way may have kept it";

/// One document to read.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Job {
    pub(crate) from: DocumentAt,
    /// One of them has to have signed it; empty: nobody has to.
    pub(crate) signers: Vec<IdpKey>,
    pub(crate) filter: Filter,
    /// Whether identity providers are left out that want signed requests, because they would not get any.
    pub(crate) is_unsigned: bool,
    /// When the newest was made that is known: an older one is refused before it takes the place of the copy.
    pub(crate) newest: Option<Timestamp>,
    pub(crate) now: Timestamp,
}

/// Where it is.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) enum DocumentAt {
    File(PathBuf),
    /// What an earlier reading has kept.
    Copy(PathBuf),
    Url {
        url: Url,
        ca_pem: Option<String>,
        /// Of the document that is known already.
        known: Validators,
        /// Where it is kept for the next start, once it is known to be good.
        copy: Option<PathBuf>,
    },
}

/// Which of its identity providers count.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct Filter {
    /// Entity ids; empty: all.
    pub(crate) idps: Vec<String>,
    /// Who registered them; empty: whoever.
    pub(crate) registered_by: Vec<String>,
}

/// What tells a server whether a document has changed (RFC 9110 section 8.8).
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct Validators {
    pub(crate) etag: Option<String>,
    pub(crate) last_modified: Option<String>,
}

/// The last thing that the process writes.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) enum Answer {
    Read(Report),
    /// It is what is known already.
    NotModified,
    /// What went wrong, in a sentence that reads on after "the document".
    Failed(String),
}

/// Identity providers that nobody can be sent to as things are, though nothing is wrong with them.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Unreached {
    pub(crate) count: usize,
    /// The entity ids of the first of them.
    pub(crate) examples: Vec<String>,
}

/// What was read.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Report {
    /// Where the directory begins in the index.
    pub(crate) directory: u64,
    /// How many identity providers it has.
    pub(crate) count: usize,
    /// Bytes of words, which follow the directory.
    pub(crate) words: usize,
    /// The latest instant at which any of it counts.
    pub(crate) valid_until: Option<Timestamp>,
    pub(crate) cache_duration: Option<Duration>,
    /// When the document was made, if it says so.
    pub(crate) published: Option<Timestamp>,
    pub(crate) validators: Validators,
    /// Identity providers that were passed over.
    pub(crate) passed_over: usize,
    /// The first few of them, and why.
    pub(crate) examples: Vec<String>,
    /// Those that were left out because they want signed requests.
    pub(crate) unreached: Unreached,
    /// Why there is no copy for the next start, though there should be one.
    pub(crate) not_kept: Option<String>,
    /// Bytes of the document.
    pub(crate) bytes: usize,
    /// The most memory that the process had, in KiB; 0 where the system does not say.
    pub(crate) peak_kib: u64,
}
