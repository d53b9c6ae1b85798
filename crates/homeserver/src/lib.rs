//! The client side of a Matrix homeserver: is a name free, register it, log a person in, and the little that is
//! done in their name. Client-server API v1.19, as an application service; two files speak Synapse's admin API, for
//! what the specification has no words for.
//!
//! - <https://spec.matrix.org/v1.19/client-server-api/>
//! - <https://spec.matrix.org/v1.19/application-service-api/#client-server-api-extensions>
//!
//! One endpoint a file. This crate knows no database, no config file and no clock; it decides no policy (which name,
//! whether to try again), and it logs nothing: what went wrong is in the error, once.

mod administrator;
mod call;
mod devices;
mod display_name;
mod email;
mod flows;
mod homeserver;
mod join;
mod login;
mod probe;
mod register;
mod retry_after;

pub use call::{CallError, Misbehaviour, Refusal};
pub use email::AddedEmail;
pub use flows::LoginFlows;
pub use homeserver::{Handoff, Homeserver, InvalidHomeserver};
pub use login::{HandoffError, LogIn, Session};
pub use probe::Probe;
pub use register::{RegisterError, Registered};
