//! A real Chromium in front of the portal: what only a browser can show. Where cookies go and what a policy forbids,
//! what tabs, the back button and reload do, what the keyboard reaches, and how pages look.
//!
//! Every test has a browser of its own, with no past. Screenshots are written to `target/screenshots` and are for
//! people to look at.

mod apps;
pub(crate) mod audit;
mod chooser;
mod client_site;
mod discovery;
mod history;
mod journey;
pub(crate) mod keyboard;
mod logos;
pub(crate) mod pages;
mod post_binding;
pub(crate) mod visitor;
