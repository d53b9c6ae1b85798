//! The Usher portal: checks a person's ticket at the organisation's single sign-on and shows them to their
//! homeserver.
//!
//! `routes` extract and render, use cases (`attempt`, `login`, `ui_auth`) decide, `app` holds what they need, `config`
//! says how; `gateway` is what is answered at the homeservers' own hosts. The walk of a login is in `docs/ARCHITECTURE.md`.

pub mod app;
pub mod attempt;
pub mod cli;
pub mod clock;
pub mod config;
mod errands;
mod error;
mod gateway;
mod health;
mod http;
pub mod limits;
pub mod login;
mod logout;
mod paced;
pub mod pages;
#[cfg(feature = "time-polls")]
mod polls;
mod provision;
mod refresh;
pub mod registry;
mod routes;
mod select;
pub mod serve;
mod sign_out;
mod sweep;
pub mod threads;
pub mod ui_auth;
mod use_case;
