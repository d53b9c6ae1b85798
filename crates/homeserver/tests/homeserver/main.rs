//! The homeserver client against the scripted homeserver, and against a real one.

mod accounts;
mod acting;
mod answers;
mod lab;
mod login;
mod newcomers;
mod persons;
mod requests;
mod scripted;
mod secrets;
mod synapse;
