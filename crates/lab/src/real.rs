//! The real components, installed and started from nothing on Debian 12.
//!
//! [`install`] brings what is missing, [`process`] runs it, and each component has a module that knows how to
//! configure it, when it is up, and what it can be asked. A further component is a variant of [`install::Component`]
//! and a module. Nothing here knows Usher.

use std::{
    io,
    net::{Ipv4Addr, TcpListener},
    ops::Range,
    sync::atomic::{AtomicUsize, Ordering},
};

pub mod axe;
pub mod caddy;
pub mod cas_server;
pub mod chromium;
pub mod haproxy;
pub mod install;
pub mod matrix_js_sdk;
pub mod nginx;
pub mod oidc_provider;
pub mod people;
pub mod postgres;
pub mod process;
mod progress;
pub mod pysaml2;
pub mod reverse_proxy;
pub mod simplesamlphp;
pub mod synapse;

pub use progress::Progress;

/// A port of 127.0.0.1 that nobody listens at.
///
/// Taken from below the range that the kernel uses for outgoing connections, so that it stays free until the
/// component that was promised it has started; processes that run at the same time begin at different places.
pub fn free_port() -> io::Result<u16> {
    const RANGE: Range<u16> = 20_000..32_000;
    static TAKEN: AtomicUsize = AtomicUsize::new(0);
    let of_process = usize::try_from(std::process::id()).map_or(0, |id| id * 61);
    for _ in RANGE {
        let place = of_process + TAKEN.fetch_add(1, Ordering::Relaxed);
        let port = RANGE.clone().nth(place % RANGE.len());
        if let Some(port) = port.filter(|port| is_free(*port)) {
            return Ok(port);
        }
    }
    Err(io::Error::other("no free port between 20000 and 32000 on 127.0.0.1"))
}

/// Whether a server could listen at `port` of 127.0.0.1 now.
#[must_use]
pub fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}
