//! A scripted homeserver.
