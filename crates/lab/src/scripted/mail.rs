//! A mail server that takes every letter and keeps it: as much of SMTP (RFC 5321) as a homeserver speaks, without TLS.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use anyhow::Context as _;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

/// How long a test waits for a letter before it fails.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(30);

/// A running mail server; gone, with its letters, when dropped.
#[derive(Debug)]
pub struct ScriptedMail {
    address: SocketAddr,
    letters: watch::Receiver<Vec<Letter>>,
    task: JoinHandle<()>,
}

/// A letter, as it was handed in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Letter {
    /// From the envelope.
    pub sender: String,
    /// From the envelope.
    pub recipients: Vec<String>,
    /// Head and body.
    pub message: String,
}

impl ScriptedMail {
    /// Starts on a free port of 127.0.0.1.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (delivered, letters) = watch::channel(Vec::new());
        Ok(Self { address, letters, task: tokio::spawn(accept(listener, delivered)) })
    }

    /// The port it listens at.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// All letters so far, in order.
    #[must_use]
    pub fn letters(&self) -> Vec<Letter> {
        self.letters.borrow().clone()
    }

    /// The first letter to `recipient`, once it has come.
    pub async fn letter_to(&self, recipient: &str) -> anyhow::Result<Letter> {
        let is_it = |letter: &&Letter| letter.recipients.iter().any(|one| one == recipient);
        let mut letters = self.letters.clone();
        let has_come = letters.wait_for(|letters| letters.iter().any(|letter| is_it(&letter)));
        let letters = tokio::time::timeout(DELIVERY_TIMEOUT, has_come)
            .await
            .with_context(|| format!("no letter to {recipient} in {DELIVERY_TIMEOUT:?}"))?
            .context("the mail server has stopped")?;
        letters.iter().find(is_it).cloned().context("a letter that has come is there")
    }
}

impl Drop for ScriptedMail {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Letter {
    /// The part of it that is plain text, decoded.
    pub fn plain_text(&self) -> anyhow::Result<String> {
        let letter = mailparse::parse_mail(self.message.as_bytes()).context("the letter is not MIME")?;
        let part = letter.parts().find(|part| part.ctype.mimetype == "text/plain");
        part.context("the letter has no plain text")?.get_body().context("its text cannot be decoded")
    }
}

async fn accept(listener: TcpListener, delivered: watch::Sender<Vec<Letter>>) {
    // Owned by this task: aborting it closes every connection.
    let mut conversations = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let delivered = delivered.clone();
        while conversations.try_join_next().is_some() {}
        conversations.spawn(async move { converse(stream, &delivered).await });
    }
}

async fn converse(stream: TcpStream, delivered: &watch::Sender<Vec<Letter>>) -> io::Result<()> {
    let (incoming, mut outgoing) = stream.into_split();
    let mut incoming = BufReader::new(incoming);
    outgoing.write_all(b"220 lab.localhost ESMTP\r\n").await?;
    let mut letter = Letter::default();
    loop {
        let mut line = String::new();
        if incoming.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let verb = line.get(..4).unwrap_or_default().to_ascii_uppercase();
        let answer: &[u8] = match verb.as_str() {
            "EHLO" | "HELO" | "NOOP" => b"250 lab.localhost\r\n",
            "RSET" => {
                letter = Letter::default();
                b"250 forgotten\r\n"
            }
            "MAIL" => {
                letter = Letter { sender: mailbox(&line), ..Letter::default() };
                b"250 from them\r\n"
            }
            "RCPT" => {
                letter.recipients.push(mailbox(&line));
                b"250 to them\r\n"
            }
            "DATA" => {
                outgoing.write_all(b"354 until a dot\r\n").await?;
                letter.message = read_message(&mut incoming).await?;
                delivered.send_modify(|letters| letters.push(std::mem::take(&mut letter)));
                b"250 taken\r\n"
            }
            "QUIT" => return outgoing.write_all(b"221 bye\r\n").await,
            _ => b"502 not here\r\n",
        };
        outgoing.write_all(answer).await?;
    }
}

/// `MAIL FROM:<this>` and `RCPT TO:<this>`.
fn mailbox(line: &str) -> String {
    let inner = line.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    inner.map_or_else(String::new, |(mailbox, _)| mailbox.to_owned())
}

/// Up to a line of one dot; other lines that begin with a dot have one more than was written (section 4.5.2).
async fn read_message(incoming: &mut (impl tokio::io::AsyncBufRead + Unpin)) -> io::Result<String> {
    let mut message = String::new();
    loop {
        let mut line = String::new();
        if incoming.read_line(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if line.trim_end_matches(['\r', '\n']) == "." {
            return Ok(message);
        }
        message.push_str(line.strip_prefix('.').unwrap_or(&line));
    }
}
