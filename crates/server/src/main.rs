//! `usher`: see [`usher_server::cli`].

use std::{process::ExitCode, thread::available_parallelism};

use tokio::runtime::Builder;

fn main() -> ExitCode {
    // Half as many threads as processors: actix has one for each processor besides, and what runs here waits most of
    // the time. More of them would wake each other for nothing.
    let threads = available_parallelism().map_or(1, |processors| processors.get().div_ceil(2));
    match Builder::new_multi_thread().worker_threads(threads).enable_all().build() {
        Ok(runtime) => runtime.block_on(usher_server::cli::run(std::env::args_os(), std::env::vars_os())),
        Err(error) => {
            eprintln!("usher: the runtime cannot be started: {error}");
            ExitCode::FAILURE
        }
    }
}
