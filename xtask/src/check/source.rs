//! Rules about the source that no compiler knows: where `unsafe` may be, and how long a file may grow.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};

/// The files that may switch the lint off, each because a C interface leaves no other way.
const MAY_BE_UNSAFE: [&str; 2] = ["crates/saml/src/hardening.rs", "crates/store/src/sqlite_trace.rs"];
/// The lint that `Cargo.toml` denies; in two pieces, so that this file does not name it.
const LINT: &str = concat!("unsafe", "_code");
/// Lines of a file below `src`; long tests move to a file of their own.
const MAX_LINES: usize = 500;

/// Looks at every Rust file of the workspace at `root`.
pub(super) fn check(root: &Path) -> anyhow::Result<()> {
    let mut problems = Vec::new();
    for file in rust_files(root)? {
        let name = file.strip_prefix(root).unwrap_or(&file).display().to_string();
        let text = fs::read_to_string(&file).with_context(|| format!("{name} cannot be read"))?;
        problems.extend(problems_of(&name, &text));
    }
    if !problems.is_empty() {
        bail!("{}", problems.join("; "));
    }
    Ok(())
}

fn problems_of(name: &str, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if text.contains(LINT) && !MAY_BE_UNSAFE.contains(&name) {
        problems.push(format!("{name} names the lint {LINT}: only {} may", MAY_BE_UNSAFE.join(", ")));
    }
    let lines = text.lines().count();
    if name.contains("/src/") && lines > MAX_LINES {
        problems.push(format!("{name} has {lines} lines; {MAX_LINES} are the most"));
    }
    problems
}

fn rust_files(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut directories = vec![root.join("crates"), root.join("xtask")];
    while let Some(directory) = directories.pop() {
        let entries = fs::read_dir(&directory);
        for entry in entries.with_context(|| format!("{} cannot be read", directory.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                // What cargo builds there, of a workspace of its own.
                if !path.ends_with("target") {
                    directories.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_workspace_keeps_the_rules() -> anyhow::Result<()> {
        check(crate::workspace::root())
    }

    #[test]
    fn what_breaks_a_rule_is_named() {
        let switch = format!("#![expect({LINT}, reason = \"speed\")]");
        let (short, long) = ("line\n".repeat(MAX_LINES), "line\n".repeat(MAX_LINES + 1));
        for (case, name, text, is_good) in [
            ("an ordinary file", "crates/core/src/lib.rs", "fn main() {}", true),
            ("unsafe where it may be", MAY_BE_UNSAFE[0], switch.as_str(), true),
            ("unsafe elsewhere", "crates/core/src/lib.rs", &switch, false),
            ("unsafe in a test", "crates/core/tests/all.rs", &switch, false),
            ("the longest file", "crates/core/src/lib.rs", &short, true),
            ("a line more", "crates/core/src/lib.rs", &long, false),
            ("a long test program", "crates/core/tests/all.rs", &long, true),
        ] {
            assert_eq!(problems_of(name, text).is_empty(), is_good, "{case}");
        }
    }
}
