//! A server that answers with its name and with what it heard, byte for byte: no HTTP library is between a test and
//! the request line.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use anyhow::{Context as _, bail};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// The server; gone when dropped.
#[derive(Debug)]
pub(super) struct Echo {
    address: SocketAddr,
    heard: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

/// What a server heard, from its answer.
#[derive(Debug)]
pub(super) struct Heard {
    /// Its name.
    pub(super) by: String,
    /// Such as `GET`.
    pub(super) method: String,
    /// Path and query as they were written.
    pub(super) target: String,
    headers: Vec<(String, String)>,
}

impl Echo {
    /// Answers with `name`. Requests are read as far as their head goes; none here has a body.
    pub(super) async fn start(name: &'static str) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let heard = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&heard);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, name, Arc::clone(&count)));
            }
        });
        Ok(Self { address, heard, task })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many requests it has heard.
    pub(super) fn heard(&self) -> usize {
        self.heard.load(Ordering::SeqCst)
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Whoever goes away in the middle gets no answer.
async fn answer(mut stream: TcpStream, name: &str, count: Arc<AtomicUsize>) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    count.fetch_add(1, Ordering::SeqCst);
    let is_head = head.starts_with(b"HEAD ");
    let body = [name.as_bytes(), b"\n", &head].concat();
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    stream.write_all(answer.as_bytes()).await?;
    if !is_head {
        stream.write_all(&body).await?;
    }
    stream.shutdown().await
}

impl Heard {
    /// Reads the body of an answer.
    pub(super) fn parse(body: &str) -> anyhow::Result<Self> {
        let (by, head) = body.split_once('\n').context("no name")?;
        let mut lines = head.lines();
        let line: Vec<_> = lines.next().context("no request line")?.split(' ').collect();
        let [method, target, "HTTP/1.1"] = line.as_slice() else { bail!("a request line: {line:?}") };
        let headers = lines.filter_map(|line| line.split_once(':'));
        let headers =
            headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
        Ok(Self { by: by.to_owned(), method: (*method).to_owned(), target: (*target).to_owned(), headers })
    }

    /// Every value of a header (lower case), line by line.
    pub(super) fn header(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect()
    }
}
