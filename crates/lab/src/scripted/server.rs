//! An HTTP/1.1 server whose every answer is a function's choice, bad ones included.

use std::{
    future::Future,
    io,
    net::{Ipv4Addr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use http_body_util::BodyExt as _;
use hyper::{
    HeaderMap, Method, Response, StatusCode,
    body::{Body, Bytes, Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpListener, task::JoinSet, time::Interval};
use url::Url;

/// Between two bytes of [`Reply::Drip`].
const DRIP: Duration = Duration::from_millis(20);

/// One request, its body read whole.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The path, as received.
    pub path: String,
    /// The query, as received; empty if there is none.
    pub query: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Request {
    /// The decoded values of a query parameter, in order.
    #[must_use]
    pub fn query_values(&self, name: &str) -> Vec<String> {
        url::form_urlencoded::parse(self.query.as_bytes())
            .filter(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
            .collect()
    }
}

/// What the server does with a request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Answers.
    Answer {
        /// The status.
        status: StatusCode,
        /// Further headers.
        headers: Vec<(String, String)>,
        /// The body.
        body: Bytes,
    },
    /// Reads the request and never answers.
    Hang,
    /// Reads the request and closes the connection.
    Cut,
    /// Answers 200 with a body that never ends.
    Endless,
    /// Answers 200 with a body of which a byte comes now and then, and never the last.
    Drip,
    /// Announces this body, sends half of it and closes the connection.
    CutShort {
        /// What is announced.
        body: Bytes,
    },
}

impl Reply {
    /// An answer with a media type.
    pub fn new(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self::Answer {
            status: StatusCode::from_u16(status).expect("a test names a status that exists"),
            headers: vec![("content-type".to_owned(), content_type.to_owned())],
            body: body.into(),
        }
    }

    /// A JSON answer.
    #[must_use]
    pub fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::new(status, "application/json", body.to_string())
    }

    /// A 302 to `location`.
    #[must_use]
    pub fn redirect(location: &str) -> Self {
        Self::Answer {
            status: StatusCode::FOUND,
            headers: vec![("location".to_owned(), location.to_owned())],
            body: Bytes::new(),
        }
    }
}

/// A running server on a port of its own; gone, with all its connections, when dropped.
#[derive(Debug)]
pub struct ScriptedServer {
    address: SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

impl ScriptedServer {
    /// Starts on a free port of 127.0.0.1.
    pub async fn start<H, F>(handler: H) -> io::Result<Self>
    where
        H: Fn(Request) -> F + Send + Sync + 'static,
        F: Future<Output = Reply> + Send + 'static,
    {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into(), handler).await
    }

    /// Starts at `address`: a homeserver that comes back where it was.
    pub async fn start_at<H, F>(address: SocketAddr, handler: H) -> io::Result<Self>
    where
        H: Fn(Request) -> F + Send + Sync + 'static,
        F: Future<Output = Reply> + Send + 'static,
    {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(accept(listener, Arc::new(handler)));
        Ok(Self { address, task })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT/`.
    #[must_use]
    pub fn url(&self) -> Url {
        Url::parse(&format!("http://{}/", self.address)).expect("an address makes a URL")
    }
}

impl Drop for ScriptedServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept<H, F>(listener: TcpListener, handler: Arc<H>)
where
    H: Fn(Request) -> F + Send + Sync + 'static,
    F: Future<Output = Reply> + Send + 'static,
{
    // Owned by this task: aborting it closes every connection.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let handler = Arc::clone(&handler);
        while connections.try_join_next().is_some() {}
        connections.spawn(async move {
            let service = service_fn(move |request| answer(Arc::clone(&handler), request));
            let _ = http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer<H, F>(
    handler: Arc<H>,
    request: hyper::Request<Incoming>,
) -> Result<Response<ReplyBody>, io::Error>
where
    H: Fn(Request) -> F + Send + Sync + 'static,
    F: Future<Output = Reply> + Send + 'static,
{
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let request = Request {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        body,
    };
    match handler(request).await {
        Reply::Hang => std::future::pending().await,
        Reply::Cut => Err(io::Error::other("cut by the script")),
        Reply::Endless => Ok(Response::new(ReplyBody::Endless)),
        Reply::Drip => Ok(Response::new(ReplyBody::Drip(tokio::time::interval(DRIP)))),
        Reply::CutShort { body } => {
            let announced = body.len() as u64;
            Ok(Response::new(ReplyBody::CutShort { half: Some(body.slice(..body.len() / 2)), announced }))
        }
        Reply::Answer { status, headers, body } => {
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(name, value);
            }
            response.body(ReplyBody::Whole(Some(body))).map_err(io::Error::other)
        }
    }
}

enum ReplyBody {
    Whole(Option<Bytes>),
    Endless,
    Drip(Interval),
    CutShort { half: Option<Bytes>, announced: u64 },
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        Poll::Ready(match &mut *self {
            Self::Whole(body) => body.take().map(|bytes| Ok(Frame::data(bytes))),
            Self::Endless => Some(Ok(Frame::data(Bytes::from_static(&[b' '; 8192])))),
            Self::Drip(interval) => {
                ready!(interval.poll_tick(context));
                Some(Ok(Frame::data(Bytes::from_static(b" "))))
            }
            Self::CutShort { half, .. } => Some(match half.take() {
                Some(bytes) => Ok(Frame::data(bytes)),
                None => Err(io::Error::other("cut short by the script")),
            }),
        })
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        match self {
            Self::Whole(body) => {
                hyper::body::SizeHint::with_exact(body.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Self::CutShort { announced, .. } => hyper::body::SizeHint::with_exact(*announced),
            Self::Endless | Self::Drip(_) => hyper::body::SizeHint::default(),
        }
    }
}
