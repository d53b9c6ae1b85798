//! `usher`: see [`usher_server::cli`].

use std::{process::ExitCode, time::Duration};

use tokio::runtime::Builder;
use usher_server::{cli, threads};

fn main() -> ExitCode {
    match Builder::new_multi_thread().worker_threads(threads::of_either_half()).enable_all().build() {
        Ok(runtime) => {
            let code = runtime.block_on(cli::run(std::env::args_os(), std::env::vars_os()));
            // A thread that works on something for ever does not keep the process.
            runtime.shutdown_timeout(Duration::from_secs(5));
            code
        }
        Err(error) => {
            eprintln!("usher: the runtime cannot be started: {error}");
            ExitCode::FAILURE
        }
    }
}
