//! A client that is nothing but a connection: it sends bytes, and hears what comes back. For what no honest client
//! sends, and for floods, where a real client would be the slowest part.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// Much longer than any deadline of Usher's own.
const PATIENCE: Duration = Duration::from_mins(1);

/// One connection.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    heard: Vec<u8>,
}

/// One answer, its body read whole.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) status: u16,
    head: String,
    body: Vec<u8>,
}

impl Wire {
    /// `address` is `127.0.0.1:PORT`.
    pub(crate) async fn open(address: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("{address} refuses"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, heard: Vec::new() })
    }

    /// Sends bytes, whatever they are. Fails if nobody reads them for a minute.
    pub(crate) async fn say(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let written = tokio::time::timeout(PATIENCE, self.stream.write_all(bytes)).await;
        written.context("nobody reads")?.context("the connection was cut")
    }

    /// Sends nothing more, and still listens.
    pub(crate) async fn fall_silent(&mut self) -> anyhow::Result<()> {
        self.stream.shutdown().await.context("the connection was cut")
    }

    /// The next answer; `None` if the connection was closed instead.
    pub(crate) async fn hear(&mut self) -> anyhow::Result<Option<Said>> {
        loop {
            if let Some(said) = self.take_answer()? {
                return Ok(Some(said));
            }
            if !self.read().await? {
                ensure!(self.heard.is_empty(), "closed in the middle of an answer");
                return Ok(None);
            }
        }
    }

    /// The next answer, which must come.
    pub(crate) async fn answer(&mut self) -> anyhow::Result<Said> {
        self.hear().await?.context("the connection was closed without an answer")
    }

    /// All that is said until the other side closes, however it is framed; empty if nothing is.
    pub(crate) async fn hear_all(&mut self) -> anyhow::Result<String> {
        while self.read().await? {}
        Ok(String::from_utf8_lossy(&std::mem::take(&mut self.heard)).into_owned())
    }

    /// Waits until the other side has closed the connection, hearing whatever it still says.
    pub(crate) async fn closed(&mut self) -> anyhow::Result<()> {
        while self.read().await? {
            self.heard.clear();
        }
        Ok(())
    }

    /// `false` at the end.
    async fn read(&mut self) -> anyhow::Result<bool> {
        let read = tokio::time::timeout(PATIENCE, self.stream.read_buf(&mut self.heard)).await;
        match read.context("nothing is said, and the connection stays open")? {
            Ok(length) => Ok(length > 0),
            // With what was sent unread, the end is a reset.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => Ok(false),
            Err(error) => bail!("the connection broke: {error}"),
        }
    }

    fn take_answer(&mut self) -> anyhow::Result<Option<Said>> {
        let Some(end) = self.heard.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
            return Ok(None);
        };
        let head = String::from_utf8(self.heard[..end].to_vec()).context("a head that is not text")?;
        let status = head.get(9..12).and_then(|digits| digits.parse().ok());
        let status = status.with_context(|| format!("no status: {head:?}"))?;
        let mut said = Said { status, head, body: Vec::new() };
        ensure!(said.header("transfer-encoding").is_none(), "an answer in chunks");
        let length = said.header("content-length").map_or(Ok(0), str::parse::<usize>)?;
        let (start, whole) = (end + 4, end + 4 + length);
        if self.heard.len() < whole {
            return Ok(None);
        }
        said.body.extend_from_slice(&self.heard[start..whole]);
        self.heard.drain(..whole);
        Ok(Some(said))
    }
}

impl Said {
    /// The first header of that name (lower case).
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// As text.
    pub(crate) fn body(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}
