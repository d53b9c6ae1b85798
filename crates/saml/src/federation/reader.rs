//! Starts the process that reads, and takes what it wrote.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::Command,
    sync::Semaphore,
    task::spawn_blocking,
    time::timeout,
};

use super::{
    index::{self, Federation, IndexError},
    job::{Answer, Job},
};

/// Fetching included.
pub(crate) const PATIENCE: Duration = Duration::from_mins(4);
/// What is told of what the process complained of.
const MAX_COMPLAINT: u64 = 2048;

/// A program that reads a federation's metadata, one at a time: it gets a job by its standard input and calls
/// [`read_federation`](super::read_federation).
#[derive(Clone, Debug)]
pub struct Reader {
    way: Way,
    turn: Arc<Semaphore>,
}

#[derive(Clone, Debug)]
enum Way {
    Program {
        path: PathBuf,
        arguments: Vec<String>,
    },
    /// In this process.
    #[cfg(test)]
    Here,
}

/// What became of a job.
#[derive(Debug)]
pub(crate) enum Loaded {
    New(Arc<Federation>),
    NotModified,
}

/// Why there is no index.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("the process that reads it cannot be started or talked to")]
    Process(#[source] std::io::Error),
    #[error("there is no place for its index")]
    NoPlace(#[source] std::io::Error),
    #[error("the process that reads it took too long")]
    TimedOut,
    #[error("the process that reads it died ({0})")]
    Died(String),
    #[error("what was read of it cannot be used")]
    Index(#[from] IndexError),
    /// The process said so.
    #[error("the document {0}")]
    Refused(String),
}

impl ReadError {
    /// Whether another try would find the same.
    pub(crate) fn is_about_the_document(&self) -> bool {
        matches!(self, Self::Refused(_))
    }
}

impl Reader {
    /// `path` with `arguments`.
    #[must_use]
    pub fn new(path: PathBuf, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        Self::of(Way::Program { path, arguments })
    }

    #[cfg(test)]
    pub(crate) fn here() -> Self {
        Self::of(Way::Here)
    }

    fn of(way: Way) -> Self {
        Self { way, turn: Arc::new(Semaphore::new(1)) }
    }

    /// Does `job`. The index is kept in `directory`, or else where the system has such files.
    pub(crate) async fn read(&self, job: &Job, directory: Option<&Path>) -> Result<Loaded, ReadError> {
        let _turn = self.turn.acquire().await.map_err(|_| ReadError::TimedOut)?;
        let directory = directory.map(Path::to_owned);
        let file = in_background(move || match directory {
            Some(directory) => tempfile::tempfile_in(directory),
            None => tempfile::tempfile(),
        });
        let file = file.await.map_err(ReadError::NoPlace)?;
        let job = serde_json::to_vec(job).map_err(|error| ReadError::Process(error.into()))?;
        timeout(PATIENCE, self.work(&job, &file)).await.map_err(|_| ReadError::TimedOut)??;
        let loaded = spawn_blocking(move || match index::answer(&file)? {
            Answer::Read(report) => Ok(Loaded::New(Arc::new(Federation::open(file, report)?))),
            Answer::NotModified => Ok(Loaded::NotModified),
            Answer::Failed(reason) => Err(ReadError::Refused(reason)),
        });
        loaded.await.map_err(|panicked| ReadError::Died(panicked.to_string()))?
    }

    /// Until the process is gone. Whoever stops waiting kills it.
    async fn work(&self, job: &[u8], output: &File) -> Result<(), ReadError> {
        let (path, arguments) = match &self.way {
            Way::Program { path, arguments } => (path, arguments),
            #[cfg(test)]
            Way::Here => return super::read_federation(job, output).await.map_err(ReadError::Process),
        };
        let output = output.try_clone().map_err(ReadError::Process)?;
        let mut child = Command::new(path)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(ReadError::Process)?;
        let (mut stdin, stderr) = (child.stdin.take(), child.stderr.take());
        let given = async {
            if let Some(stdin) = &mut stdin {
                // One that has died already says why below.
                let _ = stdin.write_all(job).await;
            }
            drop(stdin);
        };
        let complained = async {
            let mut complaint = Vec::new();
            if let Some(mut stderr) = stderr {
                let _ = (&mut stderr).take(MAX_COMPLAINT).read_to_end(&mut complaint).await;
                // What is more is read and forgotten, so that the process does not wait for a reader.
                let _ = tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await;
            }
            String::from_utf8_lossy(&complaint).trim().to_owned()
        };
        let ((), complaint, status) = tokio::join!(given, complained, child.wait());
        let status = status.map_err(ReadError::Process)?;
        match (status.success(), complaint.as_str()) {
            (true, _) => Ok(()),
            (false, "") => Err(ReadError::Died(status.to_string())),
            (false, complaint) => Err(ReadError::Died(format!("{status}: {complaint}"))),
        }
    }
}

async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> std::io::Result<T> {
    spawn_blocking(work).await.unwrap_or_else(|panicked| Err(std::io::Error::other(panicked)))
}
