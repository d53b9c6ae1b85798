//! End to end: the `usher` binary as a process of its own, on SQLite and on Postgres, with the real components
//! (two Synapses, django-cas-server, oidc-provider, SimpleSAMLphp, pysaml2) and, where a moment must be hit exactly, with scripted ones.
//!
//! `cargo test -p usher-server --test e2e` installs what is missing (see `usher_lab::real::install`), starts the
//! shared components once, and takes some minutes on two cores when all is installed. The tests share nothing but
//! those: each has its own Usher, database and names, so they run in any order, alone, and on as many threads as
//! cargo likes; on a machine with little memory, `-- --test-threads 1` keeps to one Usher at a time.
//!
//! Nothing here waits for a fixed time. A process is known to have come to a point because the scripted homeserver
//! holds its call, or because Postgres says that it waits for a lock of the test's; everything else is looked at
//! until it is so, with a deadline.

mod at_host;
mod browser;
mod cas_faults;
mod client;
mod client_address;
mod clumsy;
mod components;
mod config;
mod confirmation;
mod crash_point;
mod crowd;
mod database;
mod database_faults;
mod establishing;
mod every_step;
mod every_write;
mod federation;
mod federation_reader;
mod flood;
mod footprint;
mod gateway;
mod getting_in;
mod giving;
mod health;
mod homeserver_faults;
mod js_sdk;
mod landing;
mod links;
mod logout;
mod names;
mod newcomers;
mod oidc;
mod operations;
mod outages;
mod person;
mod proxies;
mod redeeming;
mod refusals;
mod relay;
mod replicas;
mod saml;
mod saml_garbage;
mod saml_library;
mod saml_logout;
mod saml_metadata;
mod saml_protection;
mod saml_replicas;
mod scripted;
mod secrecy;
mod sweeping;
mod tabs;
mod ui_auth;
mod visitor;
mod wire;
mod world;
