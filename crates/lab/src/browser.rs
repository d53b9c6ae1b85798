//! A browser without a screen.
