//! What is left of a federation's metadata: a file that has no name, read an entity at a time.
//!
//! ```text
//! record ... record | directory: one entry each, in the order of their names | words | answer (JSON) | its length, 4 bytes
//! ```
//!
//! It is as trustworthy as the process that wrote it: nobody else can open it.

use std::{fs::File, io, os::unix::fs::FileExt as _};

use data_encoding::BASE64URL_NOPAD;
use openssl::sha::sha256;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use usher_core::Timestamp;

use super::{
    job::{Answer, Report},
    search,
};
use crate::metadata::{Idp, Shown};

/// What names an entity in links, in cookies and in the directory: the beginning of its entity id's digest. The id itself may have
/// a thousand characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Key([u8; 16]);

/// An identity provider of the federation.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Member {
    pub(crate) idp: Idp,
    pub(crate) shown: Shown,
}

/// What of it people are shown. Its keys and patterns are not even looked at: whoever searches would have all of them read.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub(crate) entity_id: String,
    pub(crate) shown: Shown,
}

/// The part of a [`Member`] that is.
#[derive(Deserialize)]
struct Front {
    idp: Named,
    shown: Shown,
}

#[derive(Deserialize)]
struct Named {
    entity_id: String,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Federation {
    file: File,
    /// In the order of their names.
    entries: Vec<Entry>,
    /// Positions in `entries`, in the order of their keys.
    by_key: Vec<u32>,
    /// What is searched: each entry's own part.
    words: String,
    pub(crate) report: Report,
}

/// One of them in the directory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) key: Key,
    pub(super) offset: u64,
    pub(super) length: u32,
    /// Of its words.
    pub(super) words_end: u32,
    pub(super) is_hidden: bool,
}

/// Why an index cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IndexError {
    #[error("the index cannot be read")]
    Io(#[from] io::Error),
    #[error("the index is not one")]
    Malformed,
}

impl Key {
    pub(crate) fn of(entity_id: &str) -> Self {
        let digest = sha256(entity_id.as_bytes());
        let mut key = [0; 16];
        key.copy_from_slice(&digest[..16]);
        Self(key)
    }

    /// As it is written.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
        bytes.try_into().ok().map(Self)
    }
}

impl TryFrom<String> for Key {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("is no key of an entity")
    }
}

impl std::convert::From<Key> for String {
    fn from(key: Key) -> Self {
        BASE64URL_NOPAD.encode(&key.0)
    }
}

impl Entry {
    const BYTES: usize = 16 + 8 + 4 + 4 + 1;

    pub(super) fn write(self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.key.0);
        bytes.extend_from_slice(&self.offset.to_le_bytes());
        bytes.extend_from_slice(&self.length.to_le_bytes());
        bytes.extend_from_slice(&self.words_end.to_le_bytes());
        bytes.push(self.is_hidden.into());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (key, rest) = bytes.split_first_chunk()?;
        let (offset, rest) = rest.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let (words_end, rest) = rest.split_first_chunk()?;
        Some(Self {
            key: Key(*key),
            offset: u64::from_le_bytes(*offset),
            length: u32::from_le_bytes(*length),
            words_end: u32::from_le_bytes(*words_end),
            is_hidden: *rest.first()? != 0,
        })
    }
}

/// The answer at the end of a file that a process wrote.
pub(super) fn answer(file: &File) -> Result<Answer, IndexError> {
    let end = file.metadata()?.len();
    let mut length = [0; 4];
    let at = end.checked_sub(4).ok_or(IndexError::Malformed)?;
    file.read_exact_at(&mut length, at)?;
    let length = u64::from(u32::from_le_bytes(length));
    let start = at.checked_sub(length).filter(|_| length <= 64 * 1024).ok_or(IndexError::Malformed)?;
    let mut json = vec![0; usize::try_from(length).map_err(|_| IndexError::Malformed)?];
    file.read_exact_at(&mut json, start)?;
    serde_json::from_slice(&json).map_err(|_| IndexError::Malformed)
}

impl Federation {
    /// Of a file that a process wrote, and its report on it.
    pub(crate) fn open(file: File, report: Report) -> Result<Self, IndexError> {
        let mut directory = vec![0; report.count.checked_mul(Entry::BYTES).ok_or(IndexError::Malformed)?];
        file.read_exact_at(&mut directory, report.directory)?;
        let entries: Option<Vec<_>> = directory.chunks_exact(Entry::BYTES).map(Entry::read).collect();
        let entries = entries.ok_or(IndexError::Malformed)?;
        let mut words = vec![0; report.words];
        file.read_exact_at(&mut words, report.directory + directory.len() as u64)?;
        let words = String::from_utf8(words).map_err(|_| IndexError::Malformed)?;
        let are_parts = entries.is_sorted_by_key(|entry| entry.words_end)
            && entries.iter().all(|entry| words.is_char_boundary(entry.words_end as usize));
        if !are_parts {
            return Err(IndexError::Malformed);
        }
        let mut by_key: Vec<u32> =
            (0..u32::try_from(entries.len()).map_err(|_| IndexError::Malformed)?).collect();
        by_key.sort_unstable_by_key(|position| entries[*position as usize].key);
        Ok(Self { file, entries, by_key, words, report })
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The identity provider of that key.
    pub(crate) fn find(&self, key: Key) -> Result<Option<Member>, IndexError> {
        self.position(key).map(|position| self.record(position)).transpose()
    }

    /// What people are shown of it.
    pub(crate) fn find_listed(&self, key: Key) -> Result<Option<Listed>, IndexError> {
        self.position(key).map(|position| self.listed(position)).transpose()
    }

    fn position(&self, key: Key) -> Option<usize> {
        let found = self.by_key.binary_search_by_key(&key, |position| self.entries[*position as usize].key);
        found.ok().map(|at| self.by_key[at] as usize)
    }

    /// The identity provider of that name.
    pub(crate) fn find_named(&self, entity_id: &str) -> Result<Option<Member>, IndexError> {
        let found = self.find(Key::of(entity_id))?;
        Ok(found.filter(|member| member.idp.entity_id.as_str() == entity_id))
    }

    /// Those that fit what somebody typed, the best `limit` of them, and how many there are. Whoever is to be hidden is none of them.
    pub(crate) fn search(&self, typed: &str, limit: usize) -> Result<(Vec<Listed>, usize), IndexError> {
        let query = search::Query::new(typed);
        let mut start = 0;
        let parts = self.entries.iter().map(|entry| {
            let part = &self.words[start..entry.words_end as usize];
            start = entry.words_end as usize;
            (!entry.is_hidden).then_some(part)
        });
        let (best, total) = query.best(parts, limit);
        let found = best.into_iter().map(|position| self.listed(position)).collect::<Result<_, _>>()?;
        Ok((found, total))
    }

    /// Whether all of it has expired.
    pub(crate) fn is_valid(&self, now: Timestamp) -> bool {
        self.report.valid_until.is_none_or(|until| now < until)
    }

    fn listed(&self, position: usize) -> Result<Listed, IndexError> {
        let Front { idp: Named { entity_id }, shown } = self.record(position)?;
        Ok(Listed { entity_id, shown })
    }

    fn record<T: DeserializeOwned>(&self, position: usize) -> Result<T, IndexError> {
        let entry = self.entries[position];
        let mut record = vec![0; entry.length as usize];
        self.file.read_exact_at(&mut record, entry.offset)?;
        serde_json::from_slice(&record).map_err(|_| IndexError::Malformed)
    }
}
