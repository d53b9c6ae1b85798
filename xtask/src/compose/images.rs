//! Images without a registry, from Debian's packages, under the names that `Dockerfile` and `docker-compose.yml` use.
//!
//! - `debian:bookworm-slim` is what it says, Debian's base system, and the one package that `Dockerfile` would install there:
//!   within the engine there is no network.
//! - `rust:1-bookworm`, `postgres:17-bookworm` and `haproxy:3.0-bookworm` are one stand-in: the base system with a C
//!   compiler, what SAML is built with, Debian's Postgres and `HAProxy`, this machine's Rust and the crates of `Cargo.lock`.
//!   Its entry point keeps to the part of the official Postgres image's contract that the file relies on.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, bail, ensure};
use tokio::process::Command;
use usher_lab::real::Progress;

use super::{Place, engine::Engine};
use crate::workspace::{self, cargo};

const SUITE: &str = "bookworm";
/// As `Dockerfile` and `docker-compose.yml` name them by default.
const RUNTIME: &str = "debian:bookworm-slim";
const STAND_INS: [&str; 3] = ["rust:1-bookworm", "postgres:17-bookworm", "haproxy:3.0-bookworm"];
const BASE_PACKAGES: &str = "libxmlsec1-openssl";
const STAND_IN_PACKAGES: &str = "ca-certificates,gcc,libc6-dev,haproxy,postgresql,\
    libxmlsec1-dev,libxml2-dev,libssl-dev,pkg-config,libclang-dev";
const ENTRYPOINT: &str = include_str!("entrypoint.sh");
/// Cargo in the build image: every crate is there already, and `dev` is built as quickly as can be.
const CARGO_CONFIG: &str = r#"
[source.crates-io]
replace-with = "vendored"
[source.vendored]
directory = "/cargo/vendor"
[net]
offline = true
[profile.dev]
debug = false
[profile.dev.package."*"]
opt-level = 0
"#;

/// Makes what needs the network: file systems and crates.
pub(super) async fn prepare(place: &Place, progress: &Progress) -> anyhow::Result<()> {
    let (base, stand_in) = (base(place), stand_in(place));
    if !base.exists() {
        progress.installing("a base system", 70, debootstrap(&base, BASE_PACKAGES)).await?;
    }
    if !stand_in.exists() {
        let work = debootstrap(&stand_in, STAND_IN_PACKAGES);
        progress.installing("the same with a C compiler, Postgres and HAProxy", 200, work).await?;
    }
    let files = files(place);
    fs::create_dir_all(files.join("cargo"))?;
    fs::write(files.join("cargo/config.toml"), CARGO_CONFIG)?;
    fs::write(files.join("entrypoint.sh"), ENTRYPOINT)?;
    fs::set_permissions(files.join("entrypoint.sh"), fs::Permissions::from_mode(0o755))?;
    progress.installing("the crates of Cargo.lock", 10, vendor(&files.join("cargo/vendor"))).await
}

/// Gives them to the engine.
pub(super) async fn import(place: &Place, engine: &Engine) -> anyhow::Result<()> {
    let base = base(place);
    engine.import(&["-C", path(&base)?, "."], &[], RUNTIME).await?;
    let (stand_in, files, rust) = (stand_in(place), files(place), rust().await?);
    let (home, name) =
        (rust.parent().context("Rust is somewhere")?, rust.file_name().context("Rust is named")?);
    let name = name.to_str().context("Rust is in a directory with an odd name")?;
    let share = format!("--exclude={name}/share");
    let trees = [
        &share,
        "-C",
        path(&stand_in)?,
        ".",
        "-C",
        path(&files)?,
        "cargo",
        "entrypoint.sh",
        "-C",
        path(home)?,
        name,
    ];
    let search = format!(
        "ENV PATH=/{name}/bin:/usr/lib/postgresql/15/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    );
    let changes =
        [&search, "ENV CARGO_HOME=/cargo", r#"ENTRYPOINT ["/entrypoint.sh"]"#, r#"CMD ["postgres"]"#];
    engine.import(&trees, &changes, STAND_INS[0]).await?;
    for name in &STAND_INS[1..] {
        engine.docker(&["tag", STAND_INS[0], name]).await?;
    }
    Ok(())
}

fn base(place: &Place) -> PathBuf {
    place.images().join("base-with-xmlsec")
}

fn stand_in(place: &Place) -> PathBuf {
    place.images().join("stand-in-with-xmlsec")
}

fn files(place: &Place) -> PathBuf {
    place.run().join("files")
}

fn path(path: &Path) -> anyhow::Result<&str> {
    path.to_str().with_context(|| format!("{} is no text", path.display()))
}

/// A Debian of `packages`, from where this machine has its own packages.
async fn debootstrap(to: &Path, packages: &str) -> anyhow::Result<()> {
    let half = to.with_extension("half");
    super::remove(&half)?;
    let packages_kept = to.with_file_name("packages");
    fs::create_dir_all(&packages_kept)?;
    let mut command = Command::new("debootstrap");
    command.arg("--variant=minbase").arg(format!("--cache-dir={}", packages_kept.display()));
    command.arg(format!("--include={packages}"));
    command.arg(SUITE).arg(&half).arg(mirror().await?);
    run(&mut command).await?;
    fs::rename(&half, to).context("the file system cannot be put in place")
}

/// Where apt has Debian's packages from.
async fn mirror() -> anyhow::Result<String> {
    let mut command = Command::new("apt-get");
    command.args(["indextargets", "--format", "$(CODENAME) $(REPO_URI)", "Created-By: Packages"]);
    let targets = run(&mut command).await?;
    let of_suite = |line: &str| line.strip_prefix(SUITE)?.strip_prefix(' ').map(str::to_owned);
    let mirror = targets.lines().find_map(of_suite);
    mirror.with_context(|| format!("apt knows no Debian {SUITE}: this needs a machine with Debian 12"))
}

async fn vendor(to: &Path) -> anyhow::Result<()> {
    let mut command = Command::from(cargo(&["vendor", "--locked", "--quiet"]));
    run(command.arg(to).stdin(Stdio::null())).await.map(drop)
}

/// The directory of the Rust that builds the workspace.
async fn rust() -> anyhow::Result<PathBuf> {
    let sysroot =
        run(Command::new("rustc").args(["--print", "sysroot"]).current_dir(workspace::root())).await?;
    let sysroot = PathBuf::from(sysroot.trim());
    let is_whole = sysroot.join("bin/cargo").exists() && sysroot != Path::new("/usr");
    ensure!(is_whole, "{} is no Rust that rustup installed", sysroot.display());
    Ok(sysroot)
}

async fn run(command: &mut Command) -> anyhow::Result<String> {
    command.kill_on_drop(true);
    let name = command.as_std().get_program().display().to_string();
    let output = command.output().await.with_context(|| format!("{name} cannot be run"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if !output.status.success() {
        let said = text(&[output.stdout, output.stderr].concat());
        let lines: Vec<&str> = said.lines().collect();
        bail!("{name} failed ({}):\n{}", output.status, lines[lines.len().saturating_sub(15)..].join("\n"));
    }
    Ok(text(&output.stdout))
}
