//! CAS client: sends a browser to a CAS server and validates the ticket it brings back.
//!
//! Protocol versions 2 and 3:
//! <https://apereo.github.io/cas/7.2.x/protocol/CAS-Protocol-Specification.html>, sections 2.1 (`/login`), 2.5 and
//! 2.8 (`/serviceValidate`, `/p3/serviceValidate`), 2.6 and 2.9 (`/proxyValidate`), 3 (tickets) and appendix A
//! (the answer's schema).
//!
//! Not here: CAS 1 (`/validate` binds no attributes and cannot be told from a page), `gateway` (a person who is
//! not signed in is asked) and obtaining proxy tickets. Single logout (2.3.3) names a service ticket, which is kept as the
//! upstream session.

mod backend;
mod config;
mod logout;
mod provider;
mod response;
mod service_url;
mod ticket;
mod validate;

pub use backend::backend;
