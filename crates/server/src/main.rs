//! `usher`: see [`usher_server::cli`].

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    usher_server::cli::run(std::env::args_os(), std::env::vars_os()).await
}
