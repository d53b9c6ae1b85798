//! What the kernel knows of a process: `/proc/PID` (proc(5)).

use std::{fs, time::Duration};

use anyhow::Context as _;

/// `USER_HZ`: 100 on every architecture that Rust's Linux targets with a standard library have today, whatever the
/// kernel's own tick.
const TICK: Duration = Duration::from_millis(10);

/// The processor time that all threads of a process, the ended ones too, have used: in user mode and in the kernel.
pub(super) fn cpu(pid: u32) -> anyhow::Result<Duration> {
    let stat = read(pid, "stat")?;
    cpu_in(&stat).context("/proc/PID/stat has another shape")
}

/// Whether it has ended, though nobody has asked yet how (a zombie).
#[cfg(feature = "saml")]
pub(super) fn has_ended(pid: u32) -> anyhow::Result<bool> {
    let stat = read(pid, "stat")?;
    Ok(stat.rsplit_once(')').is_none_or(|(_, rest)| rest.trim_start().starts_with(['Z', 'X'])))
}

/// Fields 14 and 15. The second, the name, may contain anything, but ends at the last `)`.
fn cpu_in(stat: &str) -> Option<Duration> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let (user, system): (u32, u32) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(TICK * user.checked_add(system)?)
}

/// The most memory it has had at once, in KiB, and its threads now.
pub(super) fn memory_and_threads(pid: u32) -> anyhow::Result<(u32, u32)> {
    let status = read(pid, "status")?;
    let of = |name: &str| field(&status, name).with_context(|| format!("/proc/PID/status has no {name}"));
    Ok((of("VmHWM")?, of("Threads")?))
}

/// The memory it has now, in KiB.
#[cfg(feature = "saml")]
pub(super) fn resident(pid: u32) -> anyhow::Result<u32> {
    field(&read(pid, "status")?, "VmRSS").context("/proc/PID/status has no VmRSS")
}

/// KiB as MiB.
pub(super) fn mebibytes(kibibytes: u32) -> f64 {
    f64::from(kibibytes) / 1024.0
}

/// How much more memory it takes at most while `work` is done, in KiB.
pub(super) async fn growth_during(
    pid: u32,
    work: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<u32> {
    // proc_pid_clear_refs(5): the most so far becomes what it is now.
    fs::write(format!("/proc/{pid}/clear_refs"), "5")
        .context("the peak of usher's memory cannot be reset")?;
    let (before, _) = memory_and_threads(pid)?;
    work.await?;
    let (most, _) = memory_and_threads(pid)?;
    Ok(most.saturating_sub(before))
}

/// Processors and load of this machine, for whoever reads the figures later.
pub(super) fn machine() -> anyhow::Result<String> {
    let processors = std::thread::available_parallelism().context("the processors cannot be counted")?;
    let load = fs::read_to_string("/proc/loadavg").context("/proc/loadavg cannot be read")?;
    let load: Vec<_> = load.split_whitespace().take(3).collect();
    Ok(format!("{processors} processors, load average {}", load.join(" ")))
}

fn field(status: &str, name: &str) -> Option<u32> {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

fn read(pid: u32, name: &str) -> anyhow::Result<String> {
    fs::read_to_string(format!("/proc/{pid}/{name}")).context("usher has ended")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_files_are_read_by_field() {
        let stat = "7 (a) b) c) S 1 7 7 0 -1 4194560 100 0 0 0 12 30 5 6 20 0 4 0 99";
        assert_eq!(cpu_in(stat), Some(Duration::from_millis(420)));
        assert_eq!(cpu_in("7 (a) S 1"), None);
        let status = "Name:\tusher\nVmHWM:\t   31744 kB\nThreads:\t5\n";
        assert_eq!((field(status, "VmHWM"), field(status, "Threads")), (Some(31744), Some(5)));
        assert_eq!(field(status, "VmH"), None);
    }
}
