//! Passes requests on to one server as they came: nothing is read whole, and no part of a request line is tidied up.
//!
//! Not [`Outgoing`](crate::Outgoing), whose URLs are parsed and put together again: there `/a/../b` becomes `/b`. Here
//! the bytes of path and query are sent as they were received (RFC 9110 section 7.6, "intermediaries"). Which headers
//! are passed on is the caller's decision; this adds `Host`, the hop header and what frames the body, and nothing else.

mod body;
mod connector;

use std::{sync::Arc, time::Duration};

use hyper::{
    Request, StatusCode, Uri,
    header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderValue, TRANSFER_ENCODING},
    http::uri::{Authority, InvalidUri, PathAndQuery, Scheme},
};
use hyper_util::{
    client::legacy::{Client, Error as ClientError},
    rt::{TokioExecutor, TokioTimer},
};
use reqwest::Method;
use tokio::time::{Instant, sleep_until};
use url::Url;

pub use body::{AnswerBody, Feed, FeedEnded, RequestBody};

use crate::{HOP_HEADER, MAX_IDLE_PER_HOST};
use body::{Progress, Turn};
use connector::Connector;

/// Shorter than any server keeps an idle connection: one that it is just closing is not used again.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// The way to one server. Cheap to clone: clones share one connection pool.
#[derive(Clone, Debug)]
pub struct Relay {
    client: Client<Connector, RequestBody>,
    scheme: Scheme,
    authority: Authority,
    /// The path before all others; without a slash at its end.
    prefix: String,
    silence: Duration,
}

/// A request to be passed on.
#[derive(Debug)]
pub struct Passing {
    /// The method.
    pub method: Method,
    /// Path and query, as received.
    pub path_and_query: String,
    /// End-to-end headers; among them `Content-Length`, if the length is known. `Host` is put in place here.
    pub headers: HeaderMap,
    /// The body.
    pub body: RequestBody,
}

/// An answer whose body has yet to come.
#[derive(Debug)]
pub struct Passed {
    /// The status.
    pub status: StatusCode,
    /// All headers, those of the connection as well.
    pub headers: HeaderMap,
    /// The body.
    pub body: AnswerBody,
}

/// Why a request could not be passed on, or its answer not back. No variant's text contains path or query.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// Path and query are none: nothing was sent.
    #[error("the request's target cannot be passed on")]
    Target(#[source] InvalidUri),
    /// No connection was made (refused, name unknown, TLS): the server has seen nothing.
    #[error("no connection could be made")]
    NotConnected(#[source] ClientError),
    /// The connection was cut, or what came was not HTTP: the server may have acted.
    #[error("the connection was cut, or what came back was not HTTP")]
    Cut(#[source] ClientError),
    /// The server neither took anything nor said anything for too long: it may have acted.
    #[error("the server was silent for {0:?}")]
    Silent(Duration),
    /// Whoever sends the request's body stopped in the middle of it.
    #[error("the request's body stopped coming for {0:?}")]
    Stalled(Duration),
    /// Whoever sends the request's body went away.
    #[error("the request's body ended early")]
    Broken,
}

/// Why there is no way to a server.
#[derive(Debug, thiserror::Error)]
pub enum NoRelay {
    /// The PEM bundle has no certificate, or one that cannot be read.
    #[error("the CA bundle has no readable certificate")]
    CaBundle,
    /// TLS could not be set up.
    #[error("TLS could not be set up")]
    Tls(#[source] rustls::Error),
    /// The server is not at an `http` or `https` URL.
    #[error("is not an http or https URL")]
    NotHttp,
}

impl Relay {
    /// The way to `base`: its path goes before every other. Trusts the system's certificate authorities, or only
    /// those in `ca_pem` if given.
    ///
    /// `silence` is how long the server may do nothing at all: neither take a part of a request nor give a part of an
    /// answer.
    pub fn new(ca_pem: Option<&[u8]>, base: &Url, silence: Duration) -> Result<Self, NoRelay> {
        let invalid = || NoRelay::NotHttp;
        let uri: Uri = base.as_str().parse().map_err(|_| invalid())?;
        let scheme = uri.scheme().filter(|scheme| ["http", "https"].contains(&scheme.as_str()));
        let (Some(scheme), Some(authority)) = (scheme, uri.authority()) else { return Err(invalid()) };
        let connector = connector::build(ca_pem, *scheme == Scheme::HTTPS)?;
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(MAX_IDLE_PER_HOST)
            .build(connector);
        Ok(Self {
            client,
            scheme: scheme.clone(),
            authority: authority.clone(),
            prefix: uri.path().trim_end_matches('/').to_owned(),
            silence,
        })
    }

    /// Passes `passing` on, and comes back with the head of the answer. Dropped before that, it takes the connection
    /// with it, so that the server notices.
    ///
    /// Connections live on the runtime that this is polled on.
    pub async fn pass(&self, passing: Passing) -> Result<Passed, RelayError> {
        let Passing { method, path_and_query, mut headers, body } = passing;
        let target = format!("{}{path_and_query}", self.prefix);
        let path_and_query = PathAndQuery::try_from(target).map_err(RelayError::Target)?;
        let host = HeaderValue::from_str(self.authority.as_str());
        headers.insert(HOST, host.expect("an authority is visible ASCII"));
        headers.insert(HOP_HEADER, HeaderValue::from_static("1"));
        if body.length().is_none() {
            // Said outright: without it a GET would be sent without its body.
            headers.remove(CONTENT_LENGTH);
            headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        let uri = Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(path_and_query)
            .build()
            .expect("three parts that were parsed");
        let progress = Arc::clone(body.progress());
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        let response = self.until_silent(self.client.request(request), &progress).await?;
        let (parts, incoming) = response.into_parts();
        Ok(Passed {
            status: parts.status,
            headers: parts.headers,
            body: AnswerBody::new(incoming, self.silence),
        })
    }

    async fn until_silent<T>(
        &self,
        answer: impl Future<Output = Result<T, ClientError>>,
        progress: &Progress,
    ) -> Result<T, RelayError> {
        let started = Instant::now();
        let mut answer = std::pin::pin!(answer);
        loop {
            let (moved, turn) = progress.last();
            let deadline = moved.map_or(started, |moved| moved.max(started)) + self.silence;
            if deadline <= Instant::now() {
                return Err(match turn {
                    Turn::Sender => RelayError::Stalled(self.silence),
                    Turn::Server => RelayError::Silent(self.silence),
                });
            }
            tokio::select! {
                biased;
                outcome = &mut answer => return outcome.map_err(|error| Self::why(error, progress)),
                () = sleep_until(deadline) => {}
            }
        }
    }

    fn why(error: ClientError, progress: &Progress) -> RelayError {
        if error.is_connect() {
            RelayError::NotConnected(error)
        } else if progress.is_broken() {
            RelayError::Broken
        } else {
            RelayError::Cut(error)
        }
    }
}
