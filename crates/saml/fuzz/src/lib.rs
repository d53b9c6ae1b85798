//! What the fuzz targets share: an identity provider and a service with keys that never change ([`world`]), messages to begin
//! with ([`seeds`]), changes that know what an element is ([`mutate`]), a second opinion by libxml2 ([`compare`]), and what
//! must not happen whatever is read ([`guard`]).
//!
//! The keys are for this alone, and known to everybody.

pub mod compare;
pub mod guard;
pub mod mutate;
pub mod seeds;
pub mod world;
