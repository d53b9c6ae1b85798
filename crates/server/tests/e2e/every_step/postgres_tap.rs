//! Between Usher and Postgres: every statement is a step.
//!
//! As much of the protocol as tells statements apart
//! (<https://www.postgresql.org/docs/15/protocol-message-formats.html>). A client asks in rounds, each of which ends with
//! `Sync` or is one simple `Query`, and is answered with one `ReadyForQuery`. A round that only prepares a statement,
//! or only asks whether anybody is there, changes nothing and is no step; nor is what Usher looks up by itself now and then.

use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, OnceLock},
};

use anyhow::{Context as _, ensure};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use url::Url;

use super::tape::Tape;

/// Longer than any message of Usher's.
const MAX_MESSAGE: usize = 1 << 20;

/// Whether there is something to be done in the background.
const LOOKED_UP: [&str; 3] =
    ["SELECT FROM endings", "SELECT FROM provisioning", "INSERT INTO endings of logouts"];

/// Listens; connections end with it.
#[derive(Debug)]
pub(super) struct PostgresTap {
    address: SocketAddr,
    upstream: Arc<OnceLock<Url>>,
    task: JoinHandle<()>,
}

impl PostgresTap {
    pub(super) async fn start(tape: Tape) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let upstream = Arc::new(OnceLock::<Url>::new());
        let known = Arc::clone(&upstream);
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (tape, upstream) = (tape.clone(), known.get().cloned());
                // However it ends, both sides see their connection end.
                connections.spawn(async move {
                    let upstream = upstream.context("the database is not known yet")?;
                    Session::open(stream, &upstream).await?.run(&tape).await
                });
            }
        });
        Ok(Self { address, upstream, task })
    }

    /// Stands in for the database at `upstream`; its URL.
    pub(super) fn stand_in_for(&self, upstream: &str) -> anyhow::Result<String> {
        let upstream = Url::parse(upstream)?;
        let mut url = upstream.clone();
        url.set_ip_host(self.address.ip()).ok().context("a Postgres URL has a host")?;
        url.set_port(Some(self.address.port())).ok().context("and a port")?;
        url.set_query(Some("sslmode=disable"));
        ensure!(self.upstream.set(upstream).is_ok(), "it stands in for another");
        Ok(url.into())
    }
}

impl Drop for PostgresTap {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Session {
    usher: TcpStream,
    postgres: TcpStream,
    /// By the name under which they were prepared.
    statements: HashMap<Vec<u8>, String>,
}

struct Message {
    kind: u8,
    bytes: Vec<u8>,
}

impl Session {
    async fn open(usher: TcpStream, upstream: &Url) -> anyhow::Result<Self> {
        let host = upstream.host_str().context("a host")?;
        let postgres = TcpStream::connect((host, upstream.port().context("a port")?)).await?;
        usher.set_nodelay(true)?;
        postgres.set_nodelay(true)?;
        Ok(Self { usher, postgres, statements: HashMap::new() })
    }

    async fn run(mut self, tape: &Tape) -> anyhow::Result<()> {
        // The first message has no kind.
        let length = self.usher.read_u32().await?;
        let mut start = vec![0; usize::try_from(length)?.checked_sub(4).context("a length")?];
        self.usher.read_exact(&mut start).await?;
        self.postgres.write_u32(length).await?;
        self.postgres.write_all(&start).await?;
        let ready = self.answer().await?;
        self.usher.write_all(&ready).await?;
        loop {
            let (round, step) = self.round().await?;
            let Some(step) = step else {
                self.postgres.write_all(&round).await?;
                let answer = self.answer().await?;
                self.usher.write_all(&answer).await?;
                continue;
            };
            let Ok(index) = tape.is_asked(step).await else { return Ok(()) };
            self.postgres.write_all(&round).await?;
            let answer = self.answer().await?;
            let Ok(()) = tape.is_done(index).await else { return Ok(()) };
            self.usher.write_all(&answer).await?;
        }
    }

    /// What Usher asks at once, and the statement in it.
    async fn round(&mut self) -> anyhow::Result<(Vec<u8>, Option<String>)> {
        let (mut round, mut step): (_, Option<String>) = (Vec::new(), None);
        loop {
            let message = read_message(&mut self.usher).await?;
            round.extend_from_slice(&message.bytes);
            let mut texts = message.bytes[5..].split(|byte| *byte == 0);
            let mut next = || texts.next().unwrap_or_default().to_vec();
            match message.kind {
                b'P' => {
                    let (name, sql) = (next(), next());
                    self.statements.insert(name, name_of(&String::from_utf8_lossy(&sql)));
                }
                b'B' => {
                    let (_portal, name) = (next(), next());
                    step = Some(self.statements.get(&name).context("a statement nobody prepared")?.clone());
                }
                b'Q' => return Ok((round, Some(name_of(&String::from_utf8_lossy(&next()))))),
                b'S' => return Ok((round, step.filter(|step| !LOOKED_UP.contains(&step.as_str())))),
                // Goodbye has no answer.
                b'X' => anyhow::bail!("the connection is closed"),
                _ => {}
            }
        }
    }

    /// Everything that Postgres says until it is ready for more.
    async fn answer(&mut self) -> anyhow::Result<Vec<u8>> {
        let mut answer = Vec::new();
        loop {
            let message = read_message(&mut self.postgres).await?;
            answer.extend_from_slice(&message.bytes);
            if message.kind == b'Z' {
                return Ok(answer);
            }
        }
    }
}

async fn read_message(stream: &mut TcpStream) -> anyhow::Result<Message> {
    let kind = stream.read_u8().await?;
    let length = stream.read_u32().await?;
    let rest = usize::try_from(length)?.checked_sub(4).filter(|rest| *rest <= MAX_MESSAGE);
    let mut bytes = vec![kind];
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.resize(5 + rest.context("a length")?, 0);
    stream.read_exact(&mut bytes[5..]).await?;
    Ok(Message { kind, bytes })
}

/// `INSERT INTO accounts`: enough to know a statement by, among those of a login or of a request.
fn name_of(sql: &str) -> String {
    let words: Vec<&str> = sql.split_whitespace().collect();
    // The first that is a table's name and not a query of its own.
    let after = |word: &str| {
        let mut pairs = words.windows(2).filter(|pair| pair[0] == word && !pair[1].starts_with('('));
        pairs.next().map(|pair| pair[1]).unwrap_or_default()
    };
    match words.first().copied().unwrap_or_default() {
        "INSERT" if words.contains(&"logouts") && after("INTO") == "endings" => {
            "INSERT INTO endings of logouts".to_owned()
        }
        "INSERT" => format!("INSERT INTO {}", after("INTO")),
        "UPDATE" => format!("UPDATE {}", after("UPDATE")),
        "DELETE" => format!("DELETE FROM {}", after("FROM")),
        "SELECT" => format!("SELECT FROM {}", after("FROM")),
        _ => words.join(" "),
    }
}
