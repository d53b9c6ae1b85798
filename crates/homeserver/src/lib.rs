//! The client side of a Matrix homeserver: is a name free, register it, log a person in, whose an access token is, and
//! what is done in a person's name. Client-server API v1.19, mostly as an application service; two files speak Synapse's
//! admin API, for what the specification has no words for.
//!
//! - <https://spec.matrix.org/v1.19/client-server-api/>
//! - <https://spec.matrix.org/v1.19/application-service-api/#client-server-api-extensions>
//!
//! One endpoint a file. This crate knows no database, no config file and no clock; it decides no policy (which name,
//! whether to try again), and it logs nothing: what went wrong is in the error, once.

mod act;
mod administrator;
mod as_person;
mod call;
mod capabilities;
mod cross_signing;
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
mod ui_auth;
mod whoami;

pub use act::{Act, ActError};
pub use as_person::AsPersonError;
pub use call::{CallError, Misbehaviour, Refusal};
pub use cross_signing::Asked;
pub use devices::Device;
pub use email::AddedEmail;
pub use flows::LoginFlows;
pub use homeserver::{Handoff, Homeserver, InvalidHomeserver};
pub use login::{HandoffError, LogIn, Session};
pub use probe::Probe;
pub use register::{RegisterError, Registered};
pub use whoami::WhoAmI;
