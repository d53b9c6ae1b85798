//! A homeserver that is nothing but a socket: what it is sent can be read to the byte, and it answers bytes.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use url::Url;

/// Much longer than anything here takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Upstream(TcpListener);

impl Upstream {
    pub(crate) async fn start() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.expect("a port"))
    }

    pub(crate) fn url(&self) -> Url {
        let address = self.0.local_addr().expect("an address");
        Url::parse(&format!("http://{address}/")).expect("a URL")
    }

    /// The next connection.
    pub(crate) async fn accept(&self) -> Wire {
        let accepted = tokio::time::timeout(PATIENCE, self.0.accept()).await;
        Wire::new(accepted.expect("somebody comes").expect("a connection").0)
    }

    /// Whether nobody has come so far.
    pub(crate) async fn is_alone(&self) -> bool {
        tokio::time::timeout(Duration::ZERO, self.0.accept()).await.is_err()
    }
}

/// One end of a connection.
pub(crate) struct Wire {
    stream: TcpStream,
    heard: Vec<u8>,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self { stream, heard: Vec::new() }
    }

    pub(crate) async fn connect(port: u16) -> Self {
        Self::new(TcpStream::connect(("127.0.0.1", port)).await.expect("it listens"))
    }

    /// Sends these bytes; `false` if nobody takes them any more.
    pub(crate) async fn say(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        let written = tokio::time::timeout(PATIENCE, self.stream.write_all(bytes.as_ref())).await;
        written.expect("somebody reads").is_ok()
    }

    /// Sends zeros until nothing goes any more; how many went.
    pub(crate) async fn say_until_blocked(&mut self) -> usize {
        let chunk = vec![0; 64 * 1024];
        let mut said = 0;
        // Long enough for the other side to take what it will take.
        while let Ok(written) =
            tokio::time::timeout(Duration::from_millis(300), self.stream.write(&chunk)).await
        {
            said += written.expect("the connection stands");
        }
        said
    }

    /// Everything up to and including `end`; what came after it is kept.
    pub(crate) async fn until(&mut self, end: &str) -> String {
        loop {
            if let Some(at) = find(&self.heard, end.as_bytes()) {
                let rest = self.heard.split_off(at + end.len());
                return text(&std::mem::replace(&mut self.heard, rest));
            }
            assert!(self.hear().await, "closed before {end:?}: {:?}", String::from_utf8_lossy(&self.heard));
        }
    }

    /// A head, with the empty line.
    pub(crate) async fn head(&mut self) -> String {
        self.until("\r\n\r\n").await
    }

    /// Everything up to the end of the connection, which must come.
    pub(crate) async fn rest(&mut self) -> String {
        while self.hear().await {}
        text(&std::mem::take(&mut self.heard))
    }

    /// `false`: the other side has closed the connection.
    async fn hear(&mut self) -> bool {
        let read = tokio::time::timeout(PATIENCE, self.stream.read_buf(&mut self.heard)).await;
        read.expect("something comes, or the end").is_ok_and(|length| length > 0)
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The value of a header in a head; `None` if it is not there, and the values in a row if it is there more than once.
pub(crate) fn header(head: &str, name: &str) -> Option<String> {
    let values: Vec<_> = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .filter(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
        .collect();
    (!values.is_empty()).then(|| values.join(" | "))
}
