//! Real components.
