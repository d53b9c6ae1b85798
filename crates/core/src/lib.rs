//! Vocabulary and ports of Usher: who authenticated ([`Identity`]), how that is proven
//! ([`SsoProvider`]), whether it is enough for why we asked ([`accept`]), which homeserver a person
//! belongs to ([`HomeserverSelector`]) and what they are called there ([`mapping`]).
//!
//! This crate does no I/O: no HTTP, SQL, runtime, file or wall clock. Time and randomness are arguments.

mod accept;
mod entropy;
pub mod mapping;
pub mod provider;
mod purpose;
mod require;
pub mod select;
#[cfg(feature = "testing")]
pub mod testing;
mod time;

pub use accept::{Refusal, accept};
pub use entropy::Entropy;
pub use provider::{
    Backend, Callback, Challenge, ConfigError, ConfigProblem, Ctx, Demand, Descriptor, Evidence, Handle,
    Identity, Issuer, Outcome, Proof, ProviderError, ProviderId, SsoProvider, Subject,
};
pub use purpose::{Freshness, Purpose};
pub use require::{Condition, Requirement};
pub use select::{Ballot, Candidate, HomeserverSelector, SelectError, Selection};
pub use time::Timestamp;
