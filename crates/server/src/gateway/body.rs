//! Bodies between actix and the relay: a part is taken from one side when the other has taken the one before.

use std::{
    future::{Future, poll_fn},
    io,
    pin::Pin,
    task::{Context, Poll},
};

use actix_web::{
    body::{BodySize, MessageBody},
    dev::Payload,
    http::header::{self, HeaderMap},
    web::Bytes,
};
use futures_util::Stream as _;
use usher_http::{AnswerBody, Feed, RequestBody};

/// Puts the rest of a request's body into the relay.
pub(super) type Pump = Pin<Box<dyn Future<Output = ()>>>;

/// How long a request's body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    /// There is none, or none worth a stream.
    Empty,
    /// So many bytes.
    Known(u64),
    /// It comes in chunks.
    Chunked,
}

impl Length {
    /// As actix understood the request: it has refused those with two lengths, with a length and chunks, or with
    /// another transfer encoding than `chunked`.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let encoding = headers.get(header::TRANSFER_ENCODING).map(|value| value.as_bytes().trim_ascii());
        if encoding.is_some_and(|encoding| encoding.eq_ignore_ascii_case(b"chunked")) {
            return Self::Chunked;
        }
        let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
        match length.and_then(|length| length.trim().parse().ok()) {
            None | Some(0) => Self::Empty,
            Some(length) => Self::Known(length),
        }
    }
}

/// A body to be sent, and what keeps it coming: `begun` is what has been read of it already.
pub(super) fn stream(length: Length, begun: Vec<Bytes>, payload: Payload) -> (RequestBody, Option<Pump>) {
    let length = match length {
        Length::Empty => return (RequestBody::empty(), None),
        Length::Known(length) => Some(length),
        Length::Chunked => None,
    };
    let (feed, body) = RequestBody::fed(length);
    (body, Some(Box::pin(pump(feed, begun, payload))))
}

async fn pump(feed: Feed, begun: Vec<Bytes>, mut payload: Payload) {
    for part in begun {
        if feed.put(part).await.is_err() {
            return;
        }
    }
    while let Some(part) = next_part(&mut payload).await {
        // A client that went away: dropping the feed breaks the request off at the homeserver.
        let Ok(part) = part else { return };
        if feed.put(part).await.is_err() {
            return;
        }
    }
    // Nobody to tell: the answer is there already.
    let _ = feed.end().await;
}

/// The next part of what a client sends.
pub(super) async fn next_part(
    payload: &mut Payload,
) -> Option<Result<Bytes, actix_web::error::PayloadError>> {
    poll_fn(|context| Pin::new(&mut *payload).poll_next(context)).await
}

/// An answer's body on its way to the client, and the rest of the request's on its way to the homeserver: some answer
/// before they have heard everything.
pub(super) struct AnswerStream {
    body: AnswerBody,
    size: BodySize,
    pump: Option<Pump>,
    span: tracing::Span,
}

impl AnswerStream {
    /// `size` is what the client is told; for the answer to a HEAD there are no parts.
    pub(super) fn new(body: AnswerBody, size: BodySize, pump: Option<Pump>) -> Self {
        Self { body, size, pump, span: tracing::Span::current() }
    }
}

impl MessageBody for AnswerStream {
    type Error = io::Error;

    fn size(&self) -> BodySize {
        self.size
    }

    fn poll_next(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let this = self.get_mut();
        if this.pump.as_mut().is_some_and(|pump| pump.as_mut().poll(context).is_ready()) {
            this.pump = None;
        }
        let part = this.body.poll_part(context);
        if let Poll::Ready(Some(Err(error))) = &part {
            // The connection to the client is cut, so that nobody takes what came for the whole.
            this.span
                .in_scope(|| tracing::warn!(cause = %error, "the homeserver's answer did not come whole"));
        }
        part
    }
}
