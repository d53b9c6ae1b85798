//! What every request and answer has in common, between the routes and actix.

mod arrival;
mod body;
mod hangup;
mod json;
mod outer;
mod page;
mod page_secret;
mod request;

pub(crate) use arrival::{Arrival, Forwarding, arrival};
pub(crate) use body::{BodyError, read as read_body};
pub(crate) use hangup::Hangup;
pub(crate) use json::{MatrixError, NoticeProblem, json};
pub(crate) use outer::outer;
pub(crate) use page::redirect;
pub(crate) use page::{PageProblem, framed_step, page, problem_page, step};
pub(crate) use page_secret::PageSecret;
pub(crate) use request::{RequestId, jar, locale, request_id};
