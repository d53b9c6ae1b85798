//! The fenced blocks of a Markdown document, so that a test can do what the document says.
//! <https://spec.commonmark.org/0.31.2/#fenced-code-blocks>; only unindented fences of three backticks.

use anyhow::{Context as _, bail};

/// A fenced block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The line of the opening fence, from 1.
    pub line: usize,
    /// What to do with it.
    pub kind: Kind,
    /// What stands between the fences.
    pub text: String,
}

/// What a block is for, from the words after its opening fence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `sh`: commands.
    Commands,
    /// `sh compose`: commands that need a container engine, for `cargo xtask compose`.
    ContainerCommands,
    /// `yaml title=usher.yaml`: a whole file.
    File(String),
    /// `yaml`: a part of Usher's config, as one may have it.
    Fragment,
    /// `yaml kept`: the same, and what comes after it relies on it.
    KeptFragment,
    /// `nginx`, `text`: to be read.
    Shown,
}

/// The blocks of `document`, in order. An error if one has a language that nobody would execute or check: commands
/// are `sh` and nothing else.
pub fn blocks(document: &str) -> anyhow::Result<Vec<Block>> {
    let mut blocks = Vec::new();
    let mut lines = document.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let Some(info) = line.trim_start().strip_prefix("```") else { continue };
        let line_number = index + 1;
        if line.starts_with(' ') {
            bail!("line {line_number}: an indented block; move it to the margin");
        }
        let kind = kind(info).with_context(|| format!("line {line_number}"))?;
        let mut text = String::new();
        loop {
            let (_, line) = lines.next().with_context(|| format!("line {line_number}: never closed"))?;
            if line == "```" {
                break;
            }
            text.push_str(line);
            text.push('\n');
        }
        blocks.push(Block { line: line_number, kind, text });
    }
    Ok(blocks)
}

fn kind(info: &str) -> anyhow::Result<Kind> {
    match info.split_whitespace().collect::<Vec<_>>().as_slice() {
        ["sh"] => Ok(Kind::Commands),
        ["sh", "compose"] => Ok(Kind::ContainerCommands),
        ["yaml"] => Ok(Kind::Fragment),
        ["yaml", "kept"] => Ok(Kind::KeptFragment),
        ["nginx" | "text"] => Ok(Kind::Shown),
        ["yaml", title] => match title.strip_prefix("title=") {
            Some(name) if !name.contains('/') => Ok(Kind::File(name.to_owned())),
            _ => bail!("a yaml block may say title=FILE or kept, not {title:?}"),
        },
        _ => bail!("a block of {info:?}: mark commands as sh, config as yaml, and the rest as nginx or text"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_with_their_purpose() {
        let document = "a\n```sh\ncargo xtask demo\n```\nb\n```yaml title=usher.yaml\na: 1\nb: 2\n```\n```yaml\nc: 3\n```\n```yaml kept\nd: 4\n```\n```sh compose\ndocker ps\n```\n";
        let block = |line, kind, text: &str| Block { line, kind, text: text.to_owned() };
        let expected = [
            block(2, Kind::Commands, "cargo xtask demo\n"),
            block(6, Kind::File("usher.yaml".to_owned()), "a: 1\nb: 2\n"),
            block(10, Kind::Fragment, "c: 3\n"),
            block(13, Kind::KeptFragment, "d: 4\n"),
            block(16, Kind::ContainerCommands, "docker ps\n"),
        ];
        assert_eq!(blocks(document).expect("blocks"), expected);
    }

    #[test]
    fn a_block_that_nobody_would_execute_is_an_error() {
        for (name, document) in [
            ("no language", "```\nls\n```\n"),
            ("another word for shell", "```bash\nls\n```\n"),
            ("a transcript", "```console\n$ ls\n```\n"),
            ("commands that are not to be run", "```sh ignore\nls\n```\n"),
            ("a file elsewhere", "```yaml title=../a\na: 1\n```\n"),
            ("indented", "- a\n\n  ```sh\n  ls\n  ```\n"),
            ("never closed", "```sh\nls\n"),
        ] {
            assert!(blocks(document).is_err(), "{name}");
        }
    }
}
