//! What accounts are given on their homeserver besides existing: a display name, an e-mail address, rooms.
//!
//! Never on the way of a sign-in, except the first display name: what is to be given is a row, left in the transaction
//! that makes the account active, and a task of each replica works off the rows of each homeserver until they are done.

mod gifts;
mod up_to_date;
mod worker;

pub(crate) use gifts::Gifts;
pub(crate) use up_to_date::keep_up_to_date;
pub(crate) use worker::Provisioning;
