//! The documents whose commands are run: README.md, then everything below docs, by name.

use std::{fs, path::Path};

use anyhow::Context as _;

use crate::{
    blocks::{Block, blocks},
    workspace,
};

/// A document and what is to be done in it.
#[derive(Debug)]
pub struct Document {
    /// Its path within the workspace.
    pub name: String,
    /// Its fenced blocks, in order.
    pub blocks: Vec<Block>,
}

/// All of them, README.md first.
pub fn documents() -> anyhow::Result<Vec<Document>> {
    let mut paths = Vec::new();
    let mut directories = vec![workspace::root().join("docs")];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory)? {
            let path = entry?.path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                paths.push(path);
            }
        }
    }
    paths.sort();
    paths.insert(0, workspace::root().join("README.md"));
    paths.into_iter().map(|path| document(&path)).collect()
}

fn document(path: &Path) -> anyhow::Result<Document> {
    let name = path.strip_prefix(workspace::root()).unwrap_or(path).display().to_string();
    let text = fs::read_to_string(path).with_context(|| name.clone())?;
    let blocks = blocks(&text).with_context(|| name.clone())?;
    Ok(Document { name, blocks })
}
