//! Usher's outgoing HTTP: one policy for every call to a provider or a homeserver.
//!
//! No redirect is followed, no proxy is read from the environment, every call has a deadline, every body a
//! bound, and every request carries [`HOP_HEADER`], so that a request which comes back to Usher is noticed.
//! What went wrong is told by what the caller can do about it: [`SendError`].
//!
//! Requests of our own are made by [`Outgoing`] and read whole; other people's are passed on by [`Relay`], as they came.

mod public;
mod relay;

use std::{error::Error, io, sync::Arc, time::Duration};

use reqwest::{
    Certificate, Client, ClientBuilder,
    header::{HeaderMap, HeaderName, HeaderValue},
    redirect::Policy,
};

use rustls::{CertificateError, OtherError};

pub use hyper::{StatusCode, body::Bytes};
pub use public::is_public;
pub use relay::{AnswerBody, Feed, FeedEnded, NoRelay, Passed, Passing, Relay, RelayError, RequestBody};
pub use reqwest::{Method, RequestBuilder, header};

/// On every request Usher sends. One that arrives with it came from an Usher: its own `upstream_url` points at it.
pub const HOP_HEADER: HeaderName = HeaderName::from_static("usher-hop");

/// How long establishing a connection may take. Within the deadline of the whole call.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Idle connections kept per host: enough for a busy portal, few enough for a small homeserver.
const MAX_IDLE_PER_HOST: usize = 32;

/// A client with Usher's policy. Cheap to clone: clones share one connection pool.
#[derive(Clone, Debug)]
pub struct Outgoing {
    client: Client,
    timeout: Duration,
    max_body: usize,
}

/// What a server answered, its body read whole.
#[derive(Debug)]
pub struct Answer {
    /// The status, whatever it is: 3xx is an answer too, and is not followed.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, at most as long as the client's bound.
    pub body: Vec<u8>,
}

/// Why there is no answer. No variant's text contains the URL: queries carry tickets.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// No connection was made (refused, name unknown, TLS): the server did nothing.
    #[error("no connection could be made")]
    NotConnected(#[source] reqwest::Error),
    /// The call was under way when it timed out or was cut: the server may have acted on it.
    #[error("the answer did not come, or not whole")]
    Ambiguous(#[source] reqwest::Error),
    /// The answer is longer than `max_body`.
    #[error("the answer is longer than {max_body} bytes")]
    TooLarge {
        /// The bound, in bytes.
        max_body: usize,
    },
}

/// Why a client could not be made.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The PEM bundle has no certificate, or one that cannot be read.
    #[error("the CA bundle has no readable certificate")]
    CaBundle(#[source] Option<reqwest::Error>),
    /// TLS could not be set up.
    #[error("the HTTP client could not be made")]
    Client(#[source] reqwest::Error),
}

impl Outgoing {
    /// A client that trusts the system's certificate authorities, or only those in `ca_pem` if given.
    ///
    /// `timeout` bounds a call from connecting to the last byte of the body; `max_body` is in bytes.
    pub fn new(ca_pem: Option<&[u8]>, timeout: Duration, max_body: usize) -> Result<Self, BuildError> {
        Self::build(ca_pem, timeout, max_body, |builder| builder)
    }

    /// A client that finds public addresses alone, whatever a name resolves to: for URLs that somebody else names. A
    /// host that is written as an address is not resolved, so that callers judge those by [`is_public`] themselves.
    pub fn public_only(
        ca_pem: Option<&[u8]>,
        timeout: Duration,
        max_body: usize,
    ) -> Result<Self, BuildError> {
        Self::build(ca_pem, timeout, max_body, |builder| builder.dns_resolver(Arc::new(public::PublicOnly)))
    }

    fn build(
        ca_pem: Option<&[u8]>,
        timeout: Duration,
        max_body: usize,
        adjust: impl FnOnce(ClientBuilder) -> ClientBuilder,
    ) -> Result<Self, BuildError> {
        let mut headers = HeaderMap::new();
        headers.insert(HOP_HEADER, HeaderValue::from_static("1"));
        #[expect(clippy::disallowed_methods, reason = "the one place that makes clients for all others")]
        let mut builder = Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .referer(false)
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_max_idle_per_host(MAX_IDLE_PER_HOST)
            .user_agent(concat!("usher/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers);
        if let Some(pem) = ca_pem {
            let certificates =
                Certificate::from_pem_bundle(pem).map_err(|error| BuildError::CaBundle(Some(error)))?;
            if certificates.is_empty() {
                return Err(BuildError::CaBundle(None));
            }
            builder = builder.tls_built_in_root_certs(false);
            for certificate in certificates {
                builder = builder.add_root_certificate(certificate);
            }
        }
        let client = adjust(builder).build().map_err(BuildError::Client)?;
        Ok(Self { client, timeout, max_body })
    }

    /// The same client and pool with another deadline.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self { timeout, ..self.clone() }
    }

    /// The same client and pool with another bound on bodies, in bytes.
    #[must_use]
    pub fn with_max_body(&self, max_body: usize) -> Self {
        Self { max_body, ..self.clone() }
    }

    /// The deadline of one call.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// A request to be filled in and given to [`Outgoing::send`].
    pub fn request(&self, method: Method, url: url::Url) -> RequestBuilder {
        self.client.request(method, url)
    }

    /// Sends `request` and reads the whole answer.
    pub async fn send(&self, request: RequestBuilder) -> Result<Answer, SendError> {
        let mut response = request.timeout(self.timeout).send().await.map_err(SendError::from_reqwest)?;
        let too_large = SendError::TooLarge { max_body: self.max_body };
        if response.content_length().is_some_and(|length| length > self.max_body as u64) {
            return Err(too_large);
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(SendError::from_reqwest)? {
            if body.len() + chunk.len() > self.max_body {
                return Err(too_large);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status: response.status(), headers: std::mem::take(response.headers_mut()), body })
    }
}

impl SendError {
    /// Whether the server's certificate is refused because it is an authority's, as one is that `openssl req -x509` makes: what is
    /// trusted to issue certificates is not taken for a server's own.
    #[must_use]
    pub fn is_authority_for_server(&self) -> bool {
        let Self::NotConnected(error) = self else { return false };
        let found = error.source().and_then(tls_error);
        // rustls has no name for it, and passes on webpki's.
        matches!(found, Some(rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(cause))))
            if cause.to_string() == "CaUsedAsEndEntity")
    }

    fn from_reqwest(error: reqwest::Error) -> Self {
        let error = error.without_url();
        // A connect timeout is a connect error too: nothing was sent.
        if error.is_connect() || error.is_builder() {
            Self::NotConnected(error)
        } else {
            Self::Ambiguous(error)
        }
    }
}

/// What TLS said, within what others made of it. An I/O error is not the source of what it was made of: it has it inside.
fn tls_error<'a>(cause: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    if let Some(found) = cause.downcast_ref::<rustls::Error>() {
        return Some(found);
    }
    match cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inside) => tls_error(inside),
        None => cause.source().and_then(tls_error),
    }
}
