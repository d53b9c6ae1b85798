//! The whole server over HTTP, in this process, against scripted providers and homeservers.
//!
//! One test binary: linking is what takes time.

mod adoption;
mod app;
mod callback;
mod canonical_host;
mod choosing;
mod clocks;
mod confirmation;
mod decision_service;
mod discovery;
mod establishing;
mod gateway_faults;
mod gateway_login;
mod gateway_passing;
mod limits;
mod login_flows;
mod login_token;
mod logouts;
mod mentions;
mod oidc;
mod organisations;
mod pages;
mod ports;
mod provisioning;
mod proxies;
mod redirect;
mod requirements;
mod selection;
mod two_providers;
mod ui_auth;
mod upstream;
