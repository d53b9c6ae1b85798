//! SAML 2.0 service provider: sends a browser to an identity provider and verifies the response it brings back, as the web
//! browser SSO profile has it (<https://docs.oasis-open.org/security/saml/v2.0/saml-profiles-2.0-os.pdf>, section 4.1).
//!
//! # Who checks what
//!
//! [`samael`] and xmlsec verify and make XML signatures; nothing else of theirs is used, because what they leave open is most
//! of the protocol. Before they see a message it passes the gate (`gate`), and they are made harmless at start
//! (`hardening`). What they return is the text that was signed, and that alone is read (`response`). Everything else is checked
//! here, and none of it is left to a default:
//!
//! | What | Where it is demanded | Where it is checked |
//! | --- | --- | --- |
//! | shape and size of the message, UTF-8, no DTD, comments, CDATA | profiles 4.1.4.5 (a message of the profile) | `gate` |
//! | one response, one assertion, unique IDs | profiles 4.1.4.2, core 1.3.4 | `gate` |
//! | shape of signatures, references, transforms, SHA-2 | core 5.4 | `gate::signature` |
//! | signatures by a key of the metadata | core 5.4, profiles 4.1.4.3 | `response::verify` |
//! | encryption: algorithms, and signed around CBC; an `EncryptedID` only where a signature was verified | core 2.2.4, 6, xmlenc-core1 5.2.2, 6.1 | `encryption` |
//! | what has to be signed and encrypted | profiles 4.1.4.5, the operator | `response::check` |
//! | `Status` | core 3.2.2.2 | `response::message` |
//! | `Version`, `IssueInstant` of both | core 3.2.2, 2.3.3 | `response::check` |
//! | `Destination` | bindings 3.5.5.2 | `response::check` |
//! | `InResponseTo` of response and confirmation | profiles 4.1.4.2, 4.1.4.3 | `response::check` |
//! | `Issuer` of response and assertion, with `Format` | profiles 4.1.4.2, core 2.2.5 | `response::check` |
//! | a bearer confirmation with `Recipient` and `NotOnOrAfter`, without `NotBefore` | profiles 4.1.4.2 | `response::check` |
//! | `Conditions`: times, every `AudienceRestriction`, unknown ones | core 2.5.1 | `response::check` |
//! | `AuthnStatement`: there, not in the future, session not over, class | profiles 4.1.4.2, core 2.7.2, 3.3.2.2.1 | `response::check` |
//! | each assertion once | profiles 4.1.4.5 | `person::one_time`, the server's database |
//! | this browser, this attempt | profiles 4.1.5 (no unsolicited responses) | `provider`, the server's sealed cookie |
//! | `NameID`: format, qualifiers | core 2.2.2, 8.3.7 | `person` |
//! | scopes | shibmd | `person` |
//! | expired metadata | metadata 2.3.1, 2.4.1 | `upkeep` |
//! | the signature of metadata, by a key of the operator's | metadata 3.1 | `gate::metadata`, `metadata::signature` |
//! | of a federation, the identity provider that the browser was sent to | profiles 4.1.4.2 | `provider`, the sealed cookie |
//! | of a federation, scopes that the metadata gives | shibmd | `person` |
//! | of a `LogoutRequest` and a `LogoutResponse`: signature, version, instants, destination, issuer, what it is about, what it answers | profiles 4.4.4, bindings 3.4.4.1, core 3.7 | `logout` |
//!
//! What people choose on the page that asks where they are from, or at a discovery service, decides whom they are sent to and nothing
//! else: `discovery`. A federation's metadata is verified and read by a process of its own: `federation`.
//!
//! Not here: artifact and PAOS bindings, ECP, holder-of-key, unsolicited responses, `EncryptedAttribute` (it counts as
//! not released), an `EncryptedID` anywhere but in a subject and in a `LogoutRequest`, SHA-1.

mod backend;
mod config;
mod discovery;
mod document;
mod encryption;
mod federation;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod gate;
mod hardening;
mod keys;
mod listing;
mod logout;
mod metadata;
mod names;
mod person;
mod processors;
mod provider;
mod regular;
mod request;
mod response;
mod sending;
mod service;
#[cfg(test)]
mod testing;
mod time;
mod upkeep;
mod xml;

pub use backend::backend;
pub use federation::{Reader, read_federation};
pub use listing::{Listing, ListingError, list_federation};
