//! A connection that is read no faster than its answers are taken, and that comes to an end.
//!
//! actix-http parses whatever a client has sent and answers it into memory, whether the client reads its answers or
//! not; its deadline for a request's head holds for the first request of a connection only; and a client that never
//! sends the rest of a body keeps its connection for good. So here nothing is read while an answer waits to be taken,
//! and whoever leaves it at that, at whatever point, loses the connection.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use crate::http::Hangup;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep},
};

/// How long either side may take for its part.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// For a client to take any of an answer that waits.
    pub(crate) taken: Duration,
    /// From the first byte of a request to the first of its answer.
    pub(crate) answered: Duration,
    /// Between an answer and the next request.
    pub(crate) idle: Duration,
}

/// A paced connection.
pub(crate) struct Paced<S> {
    stream: S,
    patience: Patience,
    turn: Turn,
    /// Reading was put off, and must be taken up again when the answer is taken.
    is_reading_put_off: bool,
    /// When this turn has taken too long.
    deadline: Pin<Box<Sleep>>,
    hangup: Hangup,
}

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// No request has begun.
    Nobodys,
    /// A request has begun: the client has yet to send the rest of it, or we have yet to answer.
    Answer,
    /// An answer waits for the client to take it.
    Take,
}

impl<S> Paced<S> {
    pub(crate) fn new(stream: S, patience: Patience) -> Self {
        let deadline = Box::pin(tokio::time::sleep(patience.idle));
        let hangup = Hangup::default();
        Self { stream, patience, turn: Turn::Nobodys, is_reading_put_off: false, deadline, hangup }
    }

    /// Tells when the client closes its side, or is taken to have.
    pub(crate) fn hangup(&self) -> &Hangup {
        &self.hangup
    }

    fn pass_to(&mut self, turn: Turn) {
        // Every part of an answer that is taken begins the time anew: a long one may be long under way.
        if self.turn == turn && turn != Turn::Nobodys {
            return;
        }
        self.turn = turn;
        let patience = match turn {
            Turn::Nobodys => self.patience.idle,
            Turn::Answer => self.patience.answered,
            Turn::Take => self.patience.taken,
        };
        self.deadline.as_mut().reset(Instant::now() + patience);
    }

    /// Whether this turn has taken too long; if not, the connection is looked at again when it has.
    fn is_late(&mut self, context: &mut Context<'_>) -> bool {
        self.deadline.as_mut().poll(context).is_ready()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.turn == Turn::Take {
            this.is_reading_put_off = true;
            return Poll::Pending;
        }
        // Being late with a request is not mended by another byte of it; a new one is never late.
        if this.turn == Turn::Answer && this.is_late(context) {
            this.hangup.hang_up();
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        match Pin::new(&mut this.stream).poll_read(context, buffer) {
            // As if the client had closed its side.
            Poll::Pending if this.is_late(context) => {
                this.hangup.hang_up();
                return Poll::Ready(Ok(()));
            }
            outcome => ready!(outcome)?,
        }
        if buffer.filled().len() > before {
            this.pass_to(Turn::Answer);
        } else {
            this.hangup.hang_up();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        match Pin::new(&mut this.stream).poll_write(context, bytes) {
            Poll::Pending => {
                this.pass_to(Turn::Take);
                if this.is_late(context) {
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
                Poll::Pending
            }
            Poll::Ready(outcome) => {
                this.pass_to(Turn::Nobodys);
                if std::mem::take(&mut this.is_reading_put_off) {
                    context.waker().wake_by_ref();
                }
                Poll::Ready(outcome)
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests;
