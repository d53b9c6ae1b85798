//! A component's process: logged to a file, gone when it is dropped and when this process dies, however it dies.

use std::{
    ffi::OsStr,
    fs::{self, File, OpenOptions},
    io,
    net::SocketAddr,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{LazyLock, mpsc},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::net::TcpStream;
use url::Url;

use crate::browser::loopback_client;

/// Between two looks at a process that is starting or ending.
const POLL: Duration = Duration::from_millis(30);
/// As much of a log as an error shows.
const TAIL_LINES: usize = 25;

/// A command that the kernel kills when this process dies (`setpriv --pdeathsig`, util-linux).
///
/// Give it to [`Process::spawn`]: the kernel's rule is about the *thread* that started the child.
#[must_use]
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

/// A running component. Dropped: killed, with its whole process group.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    pid: Pid,
    log: PathBuf,
    ended: Option<ExitStatus>,
}

impl Process {
    /// Starts `command` in a process group of its own. Both its outputs are appended to the file `log`; `name` is what
    /// errors call it.
    pub fn spawn(name: &str, mut command: Command, log: &Path) -> anyhow::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(log);
        let file: File = file.with_context(|| format!("cannot open the log {}", log.display()))?;
        let second = file.try_clone().context("cannot share the log file")?;
        command.stdin(Stdio::null()).stdout(file).stderr(second).process_group(0);
        let program = command.get_program().display().to_string();
        let child = spawn_from_nursery(command)
            .with_context(|| format!("{name} cannot be started: {program} cannot be run"))?;
        let pid = Pid::from_child(&child);
        Ok(Self { name: name.to_owned(), child, pid, log: log.to_owned(), ended: None })
    }

    /// Its process id, which is also that of its group.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended; `None` while it runs.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait()?;
        }
        Ok(self.ended)
    }

    /// Waits until `url` answers with a 2xx status. Fails if the process ends first or `deadline` passes: the error
    /// holds the last lines of the log.
    pub async fn ready(&mut self, url: &Url, deadline: Duration) -> anyhow::Result<()> {
        let client = loopback_client(Duration::from_secs(2))
            .context("the client that asks whether a component is up cannot be made")?;
        let began = Instant::now();
        loop {
            let answer = client.get(url.clone()).send().await;
            if let Some(status) = self.ended()? {
                bail!("{} ended ({status}) before it was up. {}", self.name, self.last_words());
            }
            let seen = match answer {
                Ok(answer) if answer.status().is_success() => return Ok(()),
                Ok(answer) => answer.status().to_string(),
                Err(error) => error.without_url().to_string(),
            };
            if began.elapsed() > deadline {
                bail!(
                    "{} was not up after {} s: {url} said: {seen}. {}",
                    self.name,
                    deadline.as_secs(),
                    self.last_words()
                );
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Waits until somebody accepts a connection at `address`. Fails like [`Process::ready`].
    pub async fn listening(&mut self, address: SocketAddr, deadline: Duration) -> anyhow::Result<()> {
        let began = Instant::now();
        loop {
            let connected = TcpStream::connect(address).await;
            if let Some(status) = self.ended()? {
                bail!("{} ended ({status}) before it was up. {}", self.name, self.last_words());
            }
            let Err(error) = connected else { return Ok(()) };
            if began.elapsed() > deadline {
                let seconds = deadline.as_secs();
                bail!(
                    "{} was not up after {seconds} s: {address}: {error}. {}",
                    self.name,
                    self.last_words()
                );
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// SIGTERM, then SIGKILL if it has not ended after `grace`.
    pub async fn stop(&mut self, grace: Duration) -> anyhow::Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        let began = Instant::now();
        while began.elapsed() < grace {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            tokio::time::sleep(POLL).await;
        }
        self.kill()
    }

    /// SIGKILL, as `kill -9` would: nothing is finished, nothing is written.
    pub fn kill(&mut self) -> anyhow::Result<ExitStatus> {
        self.signal(Signal::KILL)?;
        let status = self.child.wait().with_context(|| format!("cannot wait for {}", self.name))?;
        self.ended = Some(status);
        Ok(status)
    }

    /// SIGSTOP: it keeps its connections and answers nothing, as a machine that hangs.
    pub fn pause(&mut self) -> anyhow::Result<()> {
        self.signal(Signal::STOP)
    }

    /// SIGCONT: it goes on where it was paused.
    pub fn resume(&mut self) -> anyhow::Result<()> {
        self.signal(Signal::CONT)
    }

    /// The file both outputs go to.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The last lines of the log.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }

    fn last_words(&self) -> String {
        match self.log_tail() {
            tail if tail.is_empty() => "Its log is empty.".to_owned(),
            tail => format!("The end of its log:\n{tail}"),
        }
    }

    fn signal(&mut self, signal: Signal) -> anyhow::Result<()> {
        // The id of a process that was waited for may already be another's.
        if self.ended()?.is_some() {
            return Ok(());
        }
        kill_process_group(self.pid, signal).with_context(|| format!("cannot signal {}", self.name))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nobody to tell; the kernel does it when this process ends.
        let _ = self.kill();
    }
}

type Job = (Command, mpsc::SyncSender<io::Result<Child>>);

/// Starts `command` from a thread that never ends: with `--pdeathsig` a child dies with the *thread* that started it,
/// and those of a runtime or a test come and go.
fn spawn_from_nursery(command: Command) -> io::Result<Child> {
    static NURSERY: LazyLock<mpsc::Sender<Job>> = LazyLock::new(|| {
        let (jobs, queue) = mpsc::channel::<Job>();
        let serve = move || {
            for (mut command, answer) in queue {
                let _ = answer.send(command.spawn());
            }
        };
        // Without the thread the queue is closed, and every start fails with that reason.
        let _ = std::thread::Builder::new().name("lab-nursery".to_owned()).spawn(serve);
        jobs
    });
    let gone = || io::Error::other("the thread that starts processes is gone");
    let (answer, started) = mpsc::sync_channel(1);
    NURSERY.send((command, answer)).map_err(|_| gone())?;
    started.recv().map_err(|_| gone())?
}

#[cfg(test)]
mod tests;
