//! axe-core: looks at a page in a browser for what keeps people from using it (WCAG 2.2 and good practice).

use std::fs;

use anyhow::Context as _;
use serde_json::Value;

use super::{chromium::Window, install};

/// Runs every rule and gives what it found: rule, why, and the elements. Nothing is fetched for it: that would be against
/// the policy of the pages.
const RUN: &str = "
const found = await axe.run(document, { resultTypes: ['violations'], preload: false });
const told = (rule) => `${rule.id} (${rule.impact}): ${rule.help}: ` +
  rule.nodes.map((node) => `${node.target.join(' ')}: ${node.failureSummary}`).join(' | ');
return { violations: found.violations.map(told), passes: found.passes.length };";

/// The audit's program, to be run in pages.
#[derive(Debug)]
pub struct Axe {
    script: String,
}

impl Axe {
    /// Reads the program; [`install::Component::Axe`] brings it.
    pub fn read() -> anyhow::Result<Self> {
        let path = install::axe_script()?;
        let program = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Self { script: format!("{program}\nreturn (async () => {{{RUN}}})();") })
    }

    /// What is wrong with the page that `window` shows; nothing, if all is well.
    pub async fn violations(&self, window: &Window) -> anyhow::Result<Vec<String>> {
        let found = window.run(&self.script).await?;
        anyhow::ensure!(found["passes"].as_u64() > Some(5), "the audit looked at nothing: {found}");
        let violations = found["violations"].as_array().context("the audit gives a list")?;
        Ok(violations.iter().filter_map(Value::as_str).map(str::to_owned).collect())
    }
}
