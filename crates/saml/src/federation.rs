//! The metadata of a federation: thousands of identity providers in one signed document (eduGAIN: 45 MB, 11,500 entities).
//!
//! ```text
//! Usher --job--> a process of its own: fetch, verify, read --index--> a file without a name --> Usher, an entity at a time
//! ```
//!
//! Verifying and reading such a document takes seconds of a processor and hundreds of megabytes, which an allocator does not
//! give back. So a short-lived process does it ([`child`]): this program once more, which gets what to do by its standard input
//! ([`job`]) and writes what is left of the document to its standard output, a file that has no name ([`index`]). Usher keeps
//! the words that people search in ([`search`]), and reads an entity when somebody chooses it.

mod child;
mod index;
mod job;
mod reader;
mod search;

pub use child::run as read_federation;
pub use reader::Reader;

pub(crate) use index::{Federation, IndexError, Key, Listed, Member};
pub(crate) use job::{DocumentAt, Filter, Job, OLDER, Validators};
pub(crate) use reader::{Loaded, PATIENCE, ReadError};

/// A job without conditions.
#[cfg(feature = "fuzzing")]
pub(crate) fn anything() -> Job {
    let now = usher_core::Timestamp::from_secs(0);
    Job {
        from: DocumentAt::File("".into()),
        signers: Vec::new(),
        filter: Filter::default(),
        is_unsigned: false,
        newest: None,
        now,
    }
}

#[cfg(feature = "fuzzing")]
pub(crate) use child::read_into;

#[cfg(test)]
mod tests;
