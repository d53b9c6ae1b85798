//! `cargo xtask generate`: the files that are made from the code, `docs/usher.schema.json` (what `usher config schema`
//! prints) and `docs/configuration.md` (the same, to be read).

mod reference;

use std::{fs, path::PathBuf, process::ExitCode};

use anyhow::{Context as _, bail};
use usher_lab::real::{Progress, process};

use crate::workspace;

/// A generated file: its path in the workspace, and what should be in it.
struct Generated {
    path: &'static str,
    content: String,
}

impl Generated {
    fn file(&self) -> PathBuf {
        workspace::root().join(self.path)
    }
}

/// Writes them all.
pub fn run() -> anyhow::Result<ExitCode> {
    for generated in generate()? {
        let file = generated.file();
        fs::write(&file, &generated.content)
            .with_context(|| format!("{} cannot be written", file.display()))?;
        println!("wrote {}", generated.path);
    }
    Ok(ExitCode::SUCCESS)
}

/// The paths of those that are missing or not what they should be.
pub fn stale() -> anyhow::Result<Vec<&'static str>> {
    let is_stale =
        |generated: &Generated| fs::read_to_string(generated.file()).ok() != Some(generated.content.clone());
    Ok(generate()?.into_iter().filter(is_stale).map(|generated| generated.path).collect())
}

fn generate() -> anyhow::Result<Vec<Generated>> {
    let schema = schema()?;
    let value = serde_json::from_str(&schema).context("the schema is no JSON")?;
    Ok(vec![
        Generated { path: "docs/configuration.md", content: reference::render(&value)? },
        Generated { path: "docs/usher.schema.json", content: schema },
    ])
}

/// As the binary of all default features prints it.
fn schema() -> anyhow::Result<String> {
    let runtime = tokio::runtime::Runtime::new().context("the runtime cannot be started")?;
    let binary = runtime.block_on(workspace::build_usher(&Progress::silent()))?;
    let output = process::command(&binary).args(["config", "schema"]).output();
    let output = output.with_context(|| format!("{} cannot be run", binary.display()))?;
    if !output.status.success() {
        bail!("usher config schema failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    String::from_utf8(output.stdout).context("the schema is no text")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generated_files_are_what_the_code_says() -> anyhow::Result<()> {
        let stale = stale()?;
        assert!(stale.is_empty(), "run `cargo xtask generate`: {stale:?}");
        Ok(())
    }
}
