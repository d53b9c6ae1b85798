//! How long Usher takes from its start to its first answer, on a database that is up to date.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use hyper::StatusCode;
use usher_lab::{
    real::process::{self, Process},
    usher::Usher,
};

use super::{connection::Connection, figures::median, portal::millis};

const STARTS: usize = 11;
/// Between two tries to connect: short beside what is measured, long enough to leave the processor to Usher.
const POLL: Duration = Duration::from_millis(1);
const DEADLINE: Duration = Duration::from_secs(30);

/// The median of several starts of `binary` in `directory`, where it has run as `usher` before.
pub(super) async fn median_ms(binary: &Path, directory: &Path, usher: &Usher) -> anyhow::Result<f64> {
    let origin = usher.address().origin().ascii_serialization();
    let mut starts = Vec::new();
    for _ in 0..STARTS {
        let mut command = process::command(binary);
        command.current_dir(directory).arg("serve");
        let began = Instant::now();
        let mut process = Process::spawn("usher", command, &directory.join("usher.log"))?;
        let mut connection = loop {
            if let Ok(connection) = Connection::open(&origin).await {
                break connection;
            }
            ensure!(began.elapsed() < DEADLINE, "usher did not start:\n{}", process.log_tail());
            tokio::time::sleep(POLL).await;
        };
        connection.get("/_matrix/client/v3/login", None).await?.expect(StatusCode::OK)?;
        starts.push(millis(began.elapsed()));
        let status = process.stop(DEADLINE).await.context("usher cannot be stopped")?;
        ensure!(status.success(), "usher ended with {status}");
    }
    Ok(median(starts))
}
