//! A real browser: Chromium without a screen, driven by chromedriver (WebDriver, <https://www.w3.org/TR/webdriver2/>)
//! and, where WebDriver has no words for it, by Chromium's own devtools protocol.
//!
//! One driver opens any number of browsers, each with a profile of its own: no cookies, no history. All of them end
//! with this process, however it ends: the kernel kills the driver, and a browser whose driver is gone finds its pipe
//! closed and ends by itself.

mod look;
mod session;
mod window;

use std::time::Duration;

use anyhow::Context as _;
use serde_json::json;
use tempfile::TempDir;
use url::Url;

use super::{
    Progress, free_port,
    process::{self, Process},
};
use crate::browser::loopback_client;
pub use look::Look;
use session::Session;
pub use window::{Request, Tab, Window};

const START_DEADLINE: Duration = Duration::from_secs(30);
/// For one command. A page that loads for longer is a failure.
const COMMAND_DEADLINE: Duration = Duration::from_mins(1);

/// Nothing of the machine's is needed, and nothing but the page is asked for.
const FLAGS: [&str; 14] = [
    "--headless",
    // The tests run as root in containers, where the sandbox cannot be set up. The pages are ours.
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-breakpad",
    "--disable-crash-reporter",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    // Instead of a port: the pipe is closed when the driver ends.
    "--remote-debugging-pipe",
];

/// A running chromedriver.
#[derive(Debug)]
pub struct Chromium {
    url: Url,
    http: reqwest::Client,
    process: Process,
    // After the process: it must be gone before its files are.
    data: TempDir,
}

impl Chromium {
    /// Starts a driver and waits until it answers. Fails with the end of its log if it does not come up.
    pub async fn start(progress: &Progress) -> anyhow::Result<Self> {
        let port = free_port().context("no port for chromedriver")?;
        let url = Url::parse(&format!("http://127.0.0.1:{port}/"))?;
        let data = tempfile::tempdir().context("no temporary directory for chromedriver")?;
        let mut command = process::command("chromedriver");
        command.arg(format!("--port={port}")).current_dir(data.path());
        let launch = async {
            let mut process = Process::spawn("chromedriver", command, &data.path().join("chromedriver.log"))?;
            process.ready(&url.join("status")?, START_DEADLINE).await?;
            anyhow::Ok(process)
        };
        let process = progress.starting("chromedriver", launch).await?;
        Ok(Self { url, http: loopback_client(COMMAND_DEADLINE)?, process, data })
    }

    /// Opens a new browser. It closes when the window is dropped.
    pub async fn open(&self) -> anyhow::Result<Window> {
        let profile = tempfile::tempdir_in(self.data.path()).context("no directory for a profile")?;
        let profile_flag = format!("--user-data-dir={}", profile.path().display());
        let flags: Vec<&str> = FLAGS.into_iter().chain([profile_flag.as_str()]).collect();
        let capabilities = json!({
            "browserName": "chrome",
            "goog:chromeOptions": { "args": flags },
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        });
        let session = Session::open(self.http.clone(), &self.url, &capabilities, profile).await;
        let session = session.with_context(|| {
            format!("Chromium cannot be opened. chromedriver says:\n{}", self.process.log_tail())
        })?;
        Ok(Window::new(session))
    }

    /// Where the profiles of its browsers are; it stands in their command lines.
    #[must_use]
    pub fn profile_directory(&self) -> String {
        self.data.path().display().to_string()
    }

    /// `kill -9` of the driver alone, as the kernel does it when this process dies.
    pub fn kill_driver(&self) -> anyhow::Result<()> {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.process.id())?);
        let pid = pid.context("the driver has a process id")?;
        rustix::process::kill_process(pid, rustix::process::Signal::KILL)
            .context("the driver cannot be killed")
    }
}
