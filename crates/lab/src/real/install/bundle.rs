//! Libraries for browsers from the npm registry, each made into one module that a page imports. What bundles them
//! (esbuild, <https://esbuild.github.io/api/>) is a package like the others, and all of them are pinned by a lock file.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, bail, ensure};
use tokio::process::Command;

use super::{Progress, debian::said};

/// A library, and how it becomes one module.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bundle {
    /// What the module is called, before `.js`.
    pub(super) name: &'static str,
    /// `package.json`.
    pub(super) manifest: &'static str,
    /// `package-lock.json`: every package with its version and digest, and no registry's address.
    pub(super) lock: &'static str,
    /// What the module exports is exported by this file of a package.
    pub(super) entry: &'static str,
    /// Files of packages that the module fetches when it runs, and where it looks for them from where it is.
    pub(super) fetches: &'static [(&'static str, &'static str)],
    pub(super) about_seconds: u32,
}

impl Bundle {
    /// Where the module and what it fetches are, if they were made whole and of these packages.
    pub(super) fn directory(&self, lab: &Path) -> anyhow::Result<PathBuf> {
        let stamp = fs::read_to_string(self.prefix(lab).join("stamp")).unwrap_or_default();
        ensure!(stamp == self.stamp(), "{} is missing or made of other packages", self.name);
        Ok(self.prefix(lab).join("bundle"))
    }

    fn prefix(&self, lab: &Path) -> PathBuf {
        lab.join(format!("npm-{}", self.name))
    }

    fn stamp(&self) -> String {
        format!("{}\n{}\n{:?}", self.lock, self.entry, self.fetches)
    }

    /// Makes it from nothing. The caller holds the lock.
    pub(super) async fn make(&self, lab: &Path, progress: &Progress) -> anyhow::Result<()> {
        progress.installing(self.name, self.about_seconds, self.make_at(self.prefix(lab))).await
    }

    async fn make_at(&self, prefix: PathBuf) -> anyhow::Result<()> {
        if prefix.exists() {
            fs::remove_dir_all(&prefix).with_context(|| format!("cannot remove {}", prefix.display()))?;
        }
        fs::create_dir_all(&prefix).with_context(|| format!("cannot make {}", prefix.display()))?;
        for (name, text) in [("package.json", self.manifest), ("package-lock.json", self.lock)] {
            fs::write(prefix.join(name), text).with_context(|| format!("cannot write {name}"))?;
        }
        run(Command::new("npm").args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]), &prefix).await?;

        let packages = prefix.join("node_modules");
        let module = format!("--outfile=bundle/{}.js", self.name);
        let mut esbuild = Command::new(packages.join(".bin/esbuild"));
        esbuild.arg(packages.join(self.entry));
        esbuild.args(["--bundle", "--minify", "--platform=browser", "--format=esm", "--log-level=warning"]);
        run(esbuild.arg(module), &prefix).await?;
        for (file, place) in self.fetches {
            let place = prefix.join("bundle").join(place);
            fs::create_dir_all(place.parent().context("it is below the bundle's directory")?)?;
            fs::copy(packages.join(file), place).with_context(|| format!("cannot copy {file}"))?;
        }
        fs::remove_dir_all(&packages).context("cannot remove the packages")?;
        // Last: whatever was interrupted before has no stamp and is made anew.
        fs::write(prefix.join("stamp"), self.stamp()).context("cannot write the stamp")
    }
}

async fn run(command: &mut Command, directory: &Path) -> anyhow::Result<()> {
    let output = command.current_dir(directory).stdin(Stdio::null()).kill_on_drop(true).output().await;
    let name = command.as_std().get_program().display();
    let output = output.with_context(|| format!("{name} cannot be run"))?;
    if !output.status.success() {
        bail!("{name} failed: {}", said(&output));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::Bundle;

    const LIBRARY: Bundle = Bundle {
        name: "library",
        manifest: "{}",
        lock: "{ \"lockfileVersion\": 3 }",
        entry: "library/index.js",
        fetches: &[],
        about_seconds: 1,
    };

    #[test]
    fn a_bundle_counts_only_when_it_was_finished_and_of_the_same_packages() {
        let lab = tempfile::tempdir().expect("a temporary directory");
        let prefix = LIBRARY.prefix(lab.path());
        fs::create_dir_all(prefix.join("bundle")).expect("it can be made");
        assert!(LIBRARY.directory(lab.path()).is_err(), "half finished");
        fs::write(prefix.join("stamp"), LIBRARY.stamp()).expect("it can be written");
        assert_eq!(LIBRARY.directory(lab.path()).expect("it is there"), prefix.join("bundle"));
        for (name, other) in [
            ("other packages", Bundle { lock: "{}", ..LIBRARY }),
            ("another file of them", Bundle { entry: "library/browser.js", ..LIBRARY }),
            ("more to fetch", Bundle { fetches: &[("library/a.wasm", "a.wasm")], ..LIBRARY }),
        ] {
            assert!(other.directory(lab.path()).is_err(), "{name}");
        }
    }
}
