//! The process that reads a federation's metadata, as the kernel sees it (`proc(5)`): what it may take of the machine, and that it
//! does not outlive who waits for it.

use std::{
    fs,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::Notify;
use usher_lab::scripted::{Reply, ScriptedServer};

use crate::{
    components::{eventually, run},
    federation::Metadata,
    world::BINARY,
};

/// `usher saml federation`, whose reader waits for a server that never answers.
struct Waiting {
    usher: Child,
    _place: ScriptedServer,
    _directory: TempDir,
}

impl Waiting {
    async fn start() -> anyhow::Result<Self> {
        let came = Arc::new(Notify::new());
        let comes = Arc::clone(&came);
        let place = ScriptedServer::start(move |_| {
            comes.notify_one();
            std::future::ready(Reply::Hang)
        })
        .await?;
        let directory = tempfile::tempdir()?;
        let mut saml = Metadata::new()?.section();
        saml["metadata_file"] = json!(null);
        saml["metadata_url"] = json!(place.url());
        let config = json!({ "public_base_url": "https://matrix.ac.cdl", "providers": [{
            "id": "corp", "name": "Canadialand", "saml": saml,
        }] });
        fs::write(directory.path().join("usher.yaml"), config.to_string())?;
        let usher = Command::new(BINARY)
            .args(["saml", "federation"])
            .current_dir(directory.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("usher cannot be started")?;
        // Whoever asks has set its bounds before.
        tokio::time::timeout(Duration::from_mins(1), came.notified()).await?;
        Ok(Self { usher, _place: place, _directory: directory })
    }

    /// The process that reads.
    fn reader(&self) -> anyhow::Result<u32> {
        let parent = format!("PPid:\t{}", self.usher.id());
        for entry in fs::read_dir("/proc")? {
            let Some(id) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            // Others come and go meanwhile.
            let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
            if status.lines().any(|line| line == parent) && reads(id) {
                return Ok(id);
            }
        }
        anyhow::bail!("usher has started nobody")
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let _ = self.usher.kill();
        let _ = self.usher.wait();
    }
}

/// Whether that process lives and reads a federation: one that has ended and is not waited for has no command line.
fn reads(id: u32) -> bool {
    let line = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
    line.ends_with(b"saml\0read-federation\0")
}

#[test]
fn the_process_that_reads_a_federation_has_bounds_and_ends_with_who_started_it() -> anyhow::Result<()> {
    run(async {
        let mut waiting = Waiting::start().await?;
        let reader = waiting.reader()?;
        let limits = fs::read_to_string(format!("/proc/{reader}/limits"))?;
        for (name, bound, unit) in
            [("Max address space", "2147483648", "bytes"), ("Max cpu time", "180", "seconds")]
        {
            let line = limits.lines().find_map(|line| line.strip_prefix(name));
            let words: Vec<_> = line.context("a limit")?.split_whitespace().collect();
            assert_eq!(words, [bound, bound, unit], "{name}");
        }
        // SIGKILL: it can do nothing about its child any more.
        waiting.usher.kill()?;
        waiting.usher.wait()?;
        eventually("the reader ends", async || Ok((!reads(reader)).then_some(()))).await
    })
}
