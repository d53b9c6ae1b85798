//! matrix-js-sdk, the client library that Element Web is made with: one module for pages in a real browser, with its
//! encryption, which is WebAssembly. 37.5 is the last version that Node 20 installs without a warning.
//! <https://matrix-org.github.io/matrix-js-sdk/>

use std::fs;

use anyhow::Context as _;

use super::install;
use crate::scripted::Reply;

/// A file of it: where a page finds it and what it is.
struct File {
    path: &'static str,
    content_type: &'static str,
}

/// The module looks for the second beside itself.
const FILES: [File; 2] = [
    File { path: "/matrix-js-sdk.js", content_type: "text/javascript; charset=utf-8" },
    File { path: "/pkg/matrix_sdk_crypto_wasm_bg.wasm", content_type: "application/wasm" },
];

/// The library, for web sites to hand out.
#[derive(Debug)]
pub struct MatrixJsSdk {
    replies: Vec<(&'static str, Reply)>,
}

impl MatrixJsSdk {
    /// Reads it; [`install::Component::MatrixJsSdk`] brings it.
    pub fn read() -> anyhow::Result<Self> {
        let directory = install::matrix_js_sdk()?;
        let read = |File { path, content_type }| {
            let file = directory.join(path.trim_start_matches('/'));
            let content = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
            anyhow::Ok((path, Reply::new(200, content_type, content)))
        };
        Ok(Self { replies: FILES.into_iter().map(read).collect::<Result<_, _>>()? })
    }

    /// What a web site answers that has it: pages import `/matrix-js-sdk.js`. Nothing for any other path.
    #[must_use]
    pub fn reply(&self, path: &str) -> Option<Reply> {
        self.replies.iter().find(|(own, _)| *own == path).map(|(_, reply)| reply.clone())
    }
}
