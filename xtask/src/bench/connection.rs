//! One HTTP connection that is kept, as a reverse proxy keeps its own: sends a request, reads the whole answer. It
//! follows nothing and keeps no cookies.

use anyhow::{Context as _, ensure};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    client::conn::http1::{self, SendRequest},
    header::{HOST, HeaderName},
};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// As much of an answer as an error shows.
const SHOWN: usize = 400;

/// An open connection to one server.
#[derive(Debug)]
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    authority: String,
}

/// A request.
#[derive(Debug, Default)]
pub(super) struct Sent<'a> {
    pub(super) method: Method,
    /// `None`: where the connection leads.
    pub(super) host: Option<&'a str>,
    pub(super) path: &'a str,
    pub(super) headers: &'a [(HeaderName, &'a str)],
    pub(super) body: Bytes,
}

/// An answer, its body read whole.
#[derive(Debug)]
pub(super) struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Connection {
    /// Connects to `origin`, which is `http://ADDRESS:PORT`.
    pub(super) async fn open(origin: &str) -> anyhow::Result<Self> {
        let authority = origin.strip_prefix("http://").context("the origin is not http://")?.to_owned();
        let stream = TcpStream::connect(&authority).await.with_context(|| format!("{authority} refuses"))?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // Ends with the sender; what goes wrong is told to whoever waits for an answer.
        tokio::spawn(connection);
        Ok(Self { sender, authority })
    }

    /// `GET`, with at most one further header.
    pub(super) async fn get(
        &mut self,
        path: &str,
        header: Option<(HeaderName, &str)>,
    ) -> anyhow::Result<Answer> {
        self.send(Sent { path, headers: header.as_slice(), ..Sent::default() }).await
    }

    /// `POST`.
    pub(super) async fn post(&mut self, path: &str, body: String) -> anyhow::Result<Answer> {
        self.send(Sent { method: Method::POST, path, body: body.into(), ..Sent::default() }).await
    }

    /// Anything.
    pub(super) async fn send(&mut self, sent: Sent<'_>) -> anyhow::Result<Answer> {
        let Sent { method, host, path, headers, body } = sent;
        let host = host.unwrap_or(&self.authority);
        let mut request = Request::builder().method(method).uri(path).header(HOST, host);
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        let request = request.body(Full::new(body)).context("the request is none")?;
        self.sender.ready().await.context("the connection was closed")?;
        let response: Response<Incoming> = self.sender.send_request(request).await.context("no answer")?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.context("the answer did not come whole")?.to_bytes();
        Ok(Answer { status: parts.status, headers: parts.headers, body })
    }
}

impl Answer {
    /// Its body, if it has this status; else an error that shows what it says instead.
    pub(super) fn expect(&self, status: StatusCode) -> anyhow::Result<&[u8]> {
        let said = String::from_utf8_lossy(&self.body);
        ensure!(self.status == status, "answered {}: {:.SHOWN$}", self.status, said);
        Ok(&self.body)
    }

    /// Whether it says that the request was a mistake, or not allowed.
    #[cfg(feature = "saml")]
    pub(super) fn is_refused(&self) -> bool {
        self.status.is_client_error()
    }

    /// Where a redirect leads, without `origin`, where it must stay. The error does not show it: it may hold a ticket
    /// or a token.
    pub(super) fn redirect_within(&self, origin: &str) -> anyhow::Result<&str> {
        self.expect(StatusCode::FOUND)?;
        let location = self.header("location").context("a redirect without Location")?;
        location.strip_prefix(origin).with_context(|| format!("the redirect does not lead to {origin}"))
    }

    /// The one cookie that it sets, as it is sent back: `NAME=VALUE`.
    pub(super) fn cookie(&self) -> anyhow::Result<String> {
        let set = self.header("set-cookie").context("there is not exactly one cookie")?;
        let cookie = set.split(';').next().unwrap_or_default().to_owned();
        ensure!(cookie.starts_with("__Host-"), "the cookie is not bound to the host");
        Ok(cookie)
    }

    /// Fails unless it takes the cookie of an attempt back.
    pub(super) fn takes_back(&self, cookie: &str) -> anyhow::Result<()> {
        let name = cookie.split('=').next().unwrap_or_default();
        let mut set = self.headers.get_all("set-cookie").iter().filter_map(|set| set.to_str().ok());
        let is_taken = set.any(|set| set.starts_with(name) && set.contains("Max-Age=0"));
        ensure!(is_taken, "the attempt's cookie is not taken back");
        Ok(())
    }

    /// A header that is there exactly once.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let first = values.next()?.to_str().ok()?;
        values.next().is_none().then_some(first)
    }
}
