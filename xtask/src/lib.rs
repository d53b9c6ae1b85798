//! What `cargo xtask` does, one module a command. `workspace`: where everything is, and cargo itself; `blocks`: the
//! commands in the documents, for those who run them (`documents`).

pub mod bench;
pub mod blocks;
pub mod check;
pub mod compose;
pub mod demo;
pub mod documents;
pub mod fuzz;
pub mod generate;
pub mod test;
pub mod workspace;
