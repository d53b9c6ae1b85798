//! `cargo xtask compose`: `docker-compose.yml` on a real engine, from nothing to a login.
//!
//! The engine is one of our own: `dockerd` in namespaces (network, mounts, processes) that end with this command, with a
//! data directory below `target`. The machine's own engine, network and firewall are not touched. There, no registry can
//! be reached, and none is needed: images are made from Debian's packages under the names the files use, the build image
//! with this machine's Rust and the crates of `Cargo.lock`.
//!
//! - Outside ([`run`]): installs what is missing and makes what needs the network.
//! - Inside (`inside`): the same program again, in the namespaces.
//!
//! Where no engine can be started this fails and says why.

mod engine;
mod forward;
mod images;
mod inside;
mod operator;
mod organisation;

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{ExitCode, Stdio},
    time::Instant,
};

use anyhow::{Context as _, bail, ensure};
use tokio::signal::unix::{SignalKind, signal};
use usher_lab::real::{
    Progress,
    install::{self, Component},
    process,
};

use crate::workspace;

/// What an interrupted command says in its exit code: 128 and the number of SIGINT.
const INTERRUPTED: u8 = 130;
/// Of the engine's containers, so that those of another engine are not touched.
const CONTROL_GROUP: &str = "usher-compose";
/// In the namespaces, where the engine's containers and this program can both reach what this program runs.
const LAB_ADDRESS: &str = "10.99.0.1";

/// What `unshare` makes anew; it kills what is in them when it is killed.
const NAMESPACES: [&str; 8] =
    ["--net", "--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child", "--mount-proc"];

/// How to prove it.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Build the image optimised, as an operator does, instead of quickly.
    #[arg(long)]
    release: bool,
    /// Keep the file systems of the images below `target` for the next time, which then begins four minutes sooner.
    #[arg(long)]
    keep_images: bool,
    /// The part that runs in the namespaces.
    #[arg(long, hide = true)]
    inside: Option<PathBuf>,
}

/// Runs the proof. Whatever happens, nothing is left running, and no file but those that were to be kept.
pub fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Runtime::new().context("the runtime cannot be started")?;
    if let Some(directory) = &options.inside {
        runtime.block_on(inside::prove(&Place::new(directory.clone()), options.release))?;
        return Ok(ExitCode::SUCCESS);
    }
    let is_root = rustix::process::geteuid().is_root();
    ensure!(is_root, "no engine can be started here: namespaces and dockerd need root; run this as root");
    let began = Instant::now();
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let place = Place::new(workspace::target_directory()?.join("compose"));
        let lock = place.lock()?;
        place.clear()?;
        let proven = tokio::select! {
            proven = outside(&place, options) => Some(proven),
            _ = interrupt.recv() => None,
            _ = terminate.recv() => None,
        };
        // The namespaces have ended with the future, and every process in them.
        println!("\n== Removing what was made");
        place.clear().context("something is left behind")?;
        if !options.keep_images {
            place.forget_images()?;
        }
        drop(lock);
        match proven {
            Some(Ok(())) => {
                println!("\ncompose: ok, in {:.0} s", began.elapsed().as_secs_f32());
                Ok(ExitCode::SUCCESS)
            }
            Some(Err(error)) => Err(error),
            None => {
                println!("Interrupted. Everything that was started has been stopped.");
                Ok(ExitCode::from(INTERRUPTED))
            }
        }
    })
}

/// The directories of the proof.
#[derive(Debug)]
struct Place {
    root: PathBuf,
}

impl Place {
    fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// What is made anew each time, and removed.
    fn run(&self) -> PathBuf {
        self.root.join("run")
    }

    /// The clone of the repository in which an operator works.
    fn repository(&self) -> PathBuf {
        self.run().join("usher")
    }

    /// File systems of images, as debootstrap makes them.
    fn images(&self) -> PathBuf {
        self.root.join("images")
    }

    fn lock(&self) -> anyhow::Result<File> {
        fs::create_dir_all(&self.root).with_context(|| format!("cannot make {}", self.root.display()))?;
        let file = File::create(self.root.join("lock"))?;
        file.try_lock().context("another `cargo xtask compose` is at work")?;
        Ok(file)
    }

    fn clear(&self) -> anyhow::Result<()> {
        remove(&self.run())?;
        remove_control_groups()
    }

    fn forget_images(&self) -> anyhow::Result<()> {
        remove(&self.images())
    }
}

/// The engine's own, empty now: the kernel removes one when its directory is removed, those below it first.
fn remove_control_groups() -> anyhow::Result<()> {
    let root = Path::new("/sys/fs/cgroup");
    let mut roots = vec![root.join(CONTROL_GROUP)];
    for entry in fs::read_dir(root).into_iter().flatten() {
        roots.push(entry?.path().join(CONTROL_GROUP));
    }
    for group in roots.iter().filter(|group| group.is_dir()) {
        for entry in fs::read_dir(group)? {
            let below = entry?.path();
            if below.is_dir() {
                fs::remove_dir(&below).with_context(|| format!("cannot remove {}", below.display()))?;
            }
        }
        fs::remove_dir(group).with_context(|| format!("cannot remove {}", group.display()))?;
    }
    Ok(())
}

fn remove(directory: &Path) -> anyhow::Result<()> {
    if directory.exists() {
        fs::remove_dir_all(directory).with_context(|| format!("cannot remove {}", directory.display()))?;
    }
    Ok(())
}

async fn outside(place: &Place, options: &Options) -> anyhow::Result<()> {
    let progress = Progress::printing();
    println!("docker-compose.yml on a container engine of its own");
    println!("\n== What it needs");
    let components =
        [Component::Synapse, Component::CasServer, Component::DocumentTools, Component::ContainerEngine];
    install::ensure(&components, &progress).await.context("no engine can be started here")?;
    let probe = std::process::Command::new("unshare").args(NAMESPACES).arg("true").output();
    let probe = probe.context("unshare (util-linux) cannot be run")?;
    let said = String::from_utf8_lossy(&probe.stderr);
    ensure!(probe.status.success(), "no engine can be started here: no namespaces: {}", said.trim());
    images::prepare(place, &progress).await?;
    copy_repository(&place.repository()).context("the repository cannot be copied")?;

    println!("\n== The engine");
    let status = in_namespaces(place, options)?.wait().await?;
    if !status.success() {
        bail!("it does not hold, see above ({status})");
    }
    Ok(())
}

/// This program again, in namespaces that die with it and take every process along.
fn in_namespaces(place: &Place, options: &Options) -> anyhow::Result<tokio::process::Child> {
    // `/run` is empty there: another engine's sockets are not found, and nothing of ours stays.
    let enter = format!(
        "ip link set lo up && ip address add {LAB_ADDRESS}/32 dev lo && mount -t tmpfs tmpfs /run && \
         \"$0\" \"$@\"; exit $?"
    );
    let mut command = process::command("unshare");
    command
        .args(NAMESPACES)
        .args(["bash", "-c", &enter])
        .arg(std::env::current_exe()?)
        .args(["compose", "--inside"]);
    command.arg(&place.root).args(options.release.then_some("--release"));
    workspace::forget_cargo(&mut command);
    command.stdin(Stdio::null());
    let mut command = tokio::process::Command::from(command);
    command.kill_on_drop(true).spawn().context("unshare (util-linux) cannot be run")
}

/// What git knows of the working tree, as it is now: what an operator would have cloned.
fn copy_repository(to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    let script = "set -o pipefail; git ls-files -z --cached --others --exclude-standard --deduplicate \
                  | tar --create --null --files-from=- --ignore-failed-read | tar --extract --directory \"$0\"";
    let mut command = std::process::Command::new("bash");
    command.args(["-c", script]).arg(to).current_dir(workspace::root());
    let output = command.output().context("bash cannot be run")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
