//! Turns: counters of weighted round-robins, exact however many replicas draw.

use crate::{Db, StoreError, db::fetch};

/// Draws the next turn of `counter`: 0, 1, 2, … each of them once.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn draw(db: impl Into<Db<'_>>, counter: &str) -> Result<u64, StoreError> {
    let rows = fetch!(
        db,
        writer,
        (i64,),
        "INSERT INTO turns (counter, turn) VALUES ($1, 0)
         ON CONFLICT (counter) DO UPDATE SET turn = turns.turn + 1
         RETURNING turn",
        counter,
    )?;
    let turn = rows.first().and_then(|(turn,)| u64::try_from(*turn).ok());
    turn.ok_or_else(|| StoreError::corrupt("turns.turn"))
}
