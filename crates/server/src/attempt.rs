//! One trip of one browser to one provider: begun with nothing but a sealed cookie, finished with a person
//! on their homeserver and a login token for their client.
//!
//! Nothing here knows HTTP: routes extract and render.

mod admission;
mod adopt;
mod ask;
mod begin;
mod choose;
mod client_redirect;
mod confirm;
mod establish;
mod finish;
mod hand_over;
mod jar;
mod keepsake;
mod keyring;
mod land;
mod sealed;
mod select;

pub(crate) use admission::{is_admitted, meets};
pub use adopt::AdoptError;
pub(crate) use begin::begin_ui_auth;
pub use begin::{BeginError, Begun, begin};
pub use choose::{ChooseForm, choose};
pub use client_redirect::{ClientRedirect, ClientRedirectError};
pub use confirm::{ConfirmError, ConfirmForm, Confirmed, confirm};
pub use establish::EstablishError;
pub use finish::{Failed, FinishError, Finished, finish};
pub use jar::{Jar, SameSite, SetCookie};
pub use keepsake::Occasion;
pub(crate) use keepsake::{forget, keep as keep_keepsake, open as open_keepsake};
pub use keyring::KeyRing;
pub(crate) use keyring::MARKED_BYTES;
pub use sealed::{Attempt, Choice, Confirmation, Step};
