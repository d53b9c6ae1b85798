//! What a process takes of the machine, as the kernel counts it (`proc(5)`).

use std::fs;

use anyhow::{Context as _, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use usher_lab::usher::Usher;

/// A look at one process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Footprint {
    /// Memory in use, in kB.
    pub(crate) resident: u64,
    /// The most that was in use since [`Footprint::forget_peak`], in kB.
    pub(crate) peak: u64,
    /// Open files, sockets and the like.
    pub(crate) descriptors: usize,
}

impl Footprint {
    pub(crate) fn of(usher: &Usher) -> anyhow::Result<Self> {
        let id = usher.id().context("usher does not run")?;
        let status = fs::read_to_string(format!("/proc/{id}/status")).context("the process is gone")?;
        let kilobytes = |name: &str| -> anyhow::Result<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            let number = line.and_then(|line| line.split_whitespace().next());
            number.and_then(|number| number.parse().ok()).with_context(|| format!("no {name}"))
        };
        let descriptors = fs::read_dir(format!("/proc/{id}/fd")).context("the process is gone")?.count();
        Ok(Self { resident: kilobytes("VmRSS")?, peak: kilobytes("VmHWM")?, descriptors })
    }

    /// From now on the peak is counted anew.
    pub(crate) fn forget_peak(usher: &Usher) -> anyhow::Result<()> {
        let id = usher.id().context("usher does not run")?;
        fs::write(format!("/proc/{id}/clear_refs"), "5").context("the peak cannot be forgotten")
    }
}

/// Lets this process, and those that it starts from now on, have as many descriptors as the machine allows; an error
/// if that is less than `wanted`.
pub(crate) fn allow_descriptors(wanted: u64) -> anyhow::Result<()> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_some_and(|current| current < wanted) {
        ensure!(maximum.is_none_or(|maximum| maximum >= wanted), "ulimit -Hn must be at least {wanted}");
        setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum })?;
    }
    Ok(())
}

/// Lets a running Usher have no more descriptors than this (`prlimit`, util-linux).
pub(crate) fn limit_descriptors(usher: &Usher, limit: usize) -> anyhow::Result<()> {
    prlimit(usher, &format!("--nofile={limit}"))
}

/// Lets a running Usher write no file beyond this many bytes: a full disk; `None`: as many as it likes.
pub(crate) fn limit_file_size(usher: &Usher, limit: Option<u64>) -> anyhow::Result<()> {
    let limit = limit.map_or_else(|| "unlimited".to_owned(), |limit| limit.to_string());
    prlimit(usher, &format!("--fsize={limit}:unlimited"))
}

fn prlimit(usher: &Usher, limit: &str) -> anyhow::Result<()> {
    let id = usher.id().context("usher does not run")?.to_string();
    let status = std::process::Command::new("prlimit").args(["--pid", &id, limit]).status();
    ensure!(status.context("prlimit cannot be run")?.success(), "prlimit {limit}");
    Ok(())
}
