//! All SQL of Usher: accounts, links, sticky choices, login tokens, people between two pages, opened
//! sessions, requests that wait for UI auth and spent keys, on SQLite (a file) and on Postgres with one text for both.
//!
//! A module is a table, a function is one statement. Functions take anything that becomes a [`Db`]: `&Store`
//! (the statement stands alone) or `&mut Tx` (the caller's transaction). Single use is SQL: an insert or update
//! that says whether it happened. "Not found" is `None` or `false`; what that means is the caller's matter.
//!
//! Values that open something are kept as SHA-256 only ([`TokenHash`] and kin). This crate reads no clock.

pub mod accounts;
pub mod choices;
mod db;
pub mod endings;
mod error;
mod hash;
pub mod issuers;
mod lease;
pub mod links;
pub mod login_tokens;
pub mod logouts;
mod migrations;
mod options;
pub mod pending;
pub mod people;
mod person;
mod pools;
pub mod provisioning;
pub mod sessions;
pub mod spent;
#[cfg(feature = "count-statements")]
mod sqlite_trace;
mod store;
pub mod turns;
pub mod ui_auth_sessions;
mod words;

pub use accounts::{AccountState, Origin};
pub use db::{Db, Tx};
pub use error::{Fault, OpenError, StoreError};
pub use hash::{
    AttemptHash, EndedSessionHash, SpentKey, TokenHash, UiAuthHandleHash, UiAuthSessionHash,
    UpstreamSessionHash,
};
pub use lease::Lease;
pub use options::Options;
pub use person::PersonKey;
#[cfg(feature = "count-statements")]
pub use sqlite_trace::statements;
pub use store::Store;

/// How many rows one call of a sweep (`delete_expired`) removes at most, so that it never holds SQLite's one
/// writer, or a row of Postgres, for long. Call again while it returns as many as it was allowed.
pub const SWEEP_BATCH: u32 = 500;
