//! Servers in this process that say exactly what a test wants.

pub mod cas;
pub mod homeserver;
pub mod mail;
pub mod oidc;
#[cfg(feature = "saml")]
pub mod saml;
mod server;

pub use server::{Reply, Request, ScriptedServer};
