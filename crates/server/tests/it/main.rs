//! The whole server over HTTP, in this process, against scripted providers and homeservers.
//!
//! One test binary: linking is what takes time.

mod app;
mod callback;
mod canonical_host;
mod confirmation;
mod discovery;
mod establishing;
mod limits;
mod login_flows;
mod login_token;
mod pages;
mod ports;
mod proxies;
mod redirect;
mod selection;
mod two_providers;
