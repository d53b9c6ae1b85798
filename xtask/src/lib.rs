//! What `cargo xtask` does, one module a command. `workspace`: where everything is, and cargo itself; `blocks`: the
//! commands in the documents, for the test that runs them.

pub mod bench;
pub mod blocks;
pub mod check;
pub mod demo;
pub mod generate;
pub mod test;
pub mod workspace;
