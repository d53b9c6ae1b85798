//! A build without SAML links none of the C libraries that SAML needs: it runs where they are not installed.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, bail, ensure};

use crate::workspace::{self, cargo};

/// The whole workspace but the one crate, so that what the tests have compiled is used again.
const WITHOUT_SAML: [&str; 9] = [
    "build",
    "--workspace",
    "--exclude",
    "usher-saml",
    "--bin",
    "usher",
    "--no-default-features",
    "--features",
    "usher-server/cas,usher-server/oidc",
];
/// As the loader names them.
const LIBRARIES: [&str; 5] = ["libxml2", "libxmlsec1", "libxslt", "libcrypto", "libssl"];

/// Builds Usher without SAML and looks at what it links; and at what the build of all features does, to see that it
/// would be seen.
pub(super) fn come_with_saml_alone() -> anyhow::Result<()> {
    let binary = workspace::target_directory()?.join("debug/usher");
    let with_saml = linked(&binary)?;
    ensure!(with_saml.len() == LIBRARIES.len(), "with SAML, Usher should link all of them: {with_saml:?}");
    let status = cargo(&WITHOUT_SAML).stdin(Stdio::null()).status().context("cargo cannot be run")?;
    ensure!(status.success(), "Usher without SAML does not build");
    let without = linked(&binary)?;
    ensure!(without.is_empty(), "without SAML, Usher links {without:?}");
    Ok(())
}

/// Those of them that the loader would look for.
fn linked(binary: &Path) -> anyhow::Result<Vec<&'static str>> {
    let output = Command::new("ldd").arg(binary).output().context("ldd cannot be run")?;
    if !output.status.success() {
        bail!("ldd {}: {}", binary.display(), String::from_utf8_lossy(&output.stderr));
    }
    let told = String::from_utf8_lossy(&output.stdout);
    let is_linked = |library: &str| told.lines().any(|line| line.trim_start().starts_with(library));
    Ok(LIBRARIES.into_iter().filter(|library| is_linked(library)).collect())
}
