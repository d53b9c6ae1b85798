//! `cargo xtask check`: everything about the source that is not a test.

mod dependencies;
mod source;

use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, bail};

use usher_lab::real::Progress;

use crate::{
    generate,
    workspace::{self, cargo},
};

/// How to check.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Options {
    /// Mend what can be mended: format the source and write the generated files.
    #[arg(long)]
    fix: bool,
    /// Leave out licences, bans and advisories, for machines without cargo-deny.
    #[arg(long)]
    without_deny: bool,
}

/// Runs every check and says at the end which failed.
pub fn run(options: Options) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Runtime::new().context("the runtime cannot be started")?;
    runtime.block_on(workspace::ensure_libraries(&Progress::printing()))?;
    if options.fix {
        run_command(&mut cargo(&["fmt", "--all"]))?;
        generate::run()?;
    }
    let mut failed = Vec::new();
    let mut check = |name: &'static str, result: anyhow::Result<()>| match result {
        Ok(()) => println!("ok      {name}"),
        Err(error) => {
            println!("FAILED  {name}: {error:#}");
            failed.push(name);
        }
    };
    check("dependency rule", dependencies::check());
    check("unsafe code, file lengths", source::check(workspace::root()));
    check("format", run_command(&mut cargo(&["fmt", "--all", "--", "--check"])));
    check("lints", run_command(&mut clippy()));
    check("documentation", run_command(&mut doc()));
    check("generated files", generated());
    if options.without_deny {
        println!("skipped licences, bans, advisories (--without-deny)");
    } else {
        check("licences, bans, advisories", deny());
    }
    if failed.is_empty() {
        println!("check: ok");
        return Ok(ExitCode::SUCCESS);
    }
    println!("check: failed: {}", failed.join(", "));
    Ok(ExitCode::FAILURE)
}

fn clippy() -> Command {
    cargo(&["clippy", "--quiet", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"])
}

fn doc() -> Command {
    let mut command = cargo(&["doc", "--quiet", "--workspace", "--no-deps", "--all-features"]);
    command.env("RUSTDOCFLAGS", "-D warnings");
    command
}

fn generated() -> anyhow::Result<()> {
    let stale = generate::stale()?;
    if !stale.is_empty() {
        bail!("out of date: {}; run `cargo xtask generate`", stale.join(", "));
    }
    Ok(())
}

fn deny() -> anyhow::Result<()> {
    let version = cargo(&["deny", "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !version.is_ok_and(|status| status.success()) {
        bail!("cargo-deny is not there: `cargo install --locked cargo-deny`, or check `--without-deny`");
    }
    run_command(&mut cargo(&["deny", "--all-features", "check"]))
}

fn run_command(command: &mut Command) -> anyhow::Result<()> {
    let status = command.stdin(Stdio::null()).status().context("cargo cannot be run")?;
    if !status.success() {
        bail!("see above");
    }
    Ok(())
}
