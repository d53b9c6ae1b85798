//! A scripted CAS server.
