//! How many threads do the work: one for each processor, half of them for connections (actix's workers), half for use
//! cases (the main runtime).
//!
//! A request goes back and forth between the two halves, and each spends about as long on it. More threads would not do
//! more work, but wake each other more often, which costs more than much of the work does.

use std::{num::NonZero, thread::available_parallelism};

/// For either half; at least one.
#[must_use]
pub fn of_either_half() -> usize {
    // Unknown only where there are no limits to ask about; two threads are right almost everywhere.
    available_parallelism().map_or(1, NonZero::get).div_ceil(2)
}
