//! The homeserver client against the scripted homeserver.

mod accounts;
mod answers;
mod lab;
mod login;
mod newcomers;
mod requests;
mod scripted;
mod secrets;
