//! UI auth (MSC2454): a dangerous request waits until its person has signed in again, and then exactly that request is
//! done, once. <https://spec.matrix.org/v1.19/client-server-api/#user-interactive-authentication-api>
//!
//! `identify` whoever asks, `challenge` what needs a person, show them on a `page` what it is, begin an attempt at their
//! click, `confirm` the session when they have proven themselves, `resume` when the client repeats its request, and
//! `perform` it as the person. Nothing here knows HTTP: the gateway and the routes extract and render.

mod body;
mod challenge;
mod confirm;
mod deny;
mod description;
mod endpoint;
mod error;
mod failure;
mod identify;
mod page;
mod page_devices;
mod perform;
mod resume;
mod session_id;

pub(crate) use body::{Auth, BodyError, Parsed};
pub(crate) use challenge::{Asked, Challenged, Origin, challenge};
pub use confirm::ConfirmationError;
pub(crate) use confirm::{confirm, still_open};
pub(crate) use deny::deny;
pub use deny::{AskingDevice, Denied};
pub(crate) use endpoint::{Endpoint, ShapeError};
pub(crate) use error::UiAuthError;
pub(crate) use failure::note_failure;
pub(crate) use identify::{Identified, identify};
pub use page::PageView;
pub(crate) use page::{
    Clicked, HANDLE_PARAMETER, Looked, PageError, Shown, Wanted, click, look, look_by_session, view,
};
pub use page_devices::PageDevice;
pub(crate) use resume::resume;
pub(crate) use session_id::{STOP_PARAMETER, claims_to_be_ours, completion_url, page_path, stop_path};
