//! What Usher is tested against and shown with. `scripted`: servers in this process that say exactly what a
//! test wants, lies included. `real`: the real components (Synapse, django-cas-server, Postgres), installed
//! and started from nothing. `browser`: a browser without a screen. `cross_signing`: keys as a client has them. `lines`: what
//! was logged. `usher`: the binary under test

pub mod browser;
pub mod cross_signing;
pub mod lines;
pub mod real;
pub mod scripted;
pub mod usher;
