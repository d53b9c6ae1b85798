//! Bodies under way, a part at a time. No part is asked for before the one before it has been taken.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use tokio::{
    sync::mpsc,
    time::{Instant, Sleep, sleep},
};

/// The body of a request that is passed on.
#[derive(Debug)]
pub struct RequestBody {
    source: Source,
    progress: Arc<Progress>,
}

#[derive(Debug)]
enum Source {
    Whole(Option<Bytes>),
    Fed { parts: mpsc::Receiver<Part>, left: Option<u64>, is_ended: bool },
}

#[derive(Debug)]
enum Part {
    Data(Bytes),
    End,
}

/// Where the parts of a body are put in. Dropped before [`Feed::end`], it breaks the request off.
#[derive(Debug)]
pub struct Feed(mpsc::Sender<Part>);

/// Nobody takes parts of this body any more: the answer has come, or never will.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body is not taken any more")]
pub struct FeedEnded;

/// When a request's body last moved, and who is to move next.
#[derive(Debug)]
pub(super) struct Progress(Mutex<State>);

#[derive(Clone, Copy, Debug)]
struct State {
    moved: Option<Instant>,
    turn: Turn,
    is_broken: bool,
}

/// Who is to move next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Whoever sends the body: the server waits for the next part.
    Sender,
    /// The server: it has a part to take, or everything, and an answer to give.
    Server,
}

/// The body of an answer that is passed back.
#[derive(Debug)]
pub struct AnswerBody {
    incoming: Incoming,
    silence: Duration,
    deadline: Pin<Box<Sleep>>,
}

impl RequestBody {
    /// No body.
    #[must_use]
    pub fn empty() -> Self {
        Self::from_source(Source::Whole(None))
    }

    /// A body that is here already.
    #[must_use]
    pub fn whole(bytes: Bytes) -> Self {
        Self::from_source(Source::Whole(Some(bytes).filter(|bytes| !bytes.is_empty())))
    }

    /// A body that comes in parts: `length` bytes if that is known.
    #[must_use]
    pub fn fed(length: Option<u64>) -> (Feed, Self) {
        // One part waits while the one before it is written.
        let (sender, parts) = mpsc::channel(1);
        (Feed(sender), Self::from_source(Source::Fed { parts, left: length, is_ended: false }))
    }

    fn from_source(source: Source) -> Self {
        let state = State { moved: None, turn: Turn::Server, is_broken: false };
        Self { source, progress: Arc::new(Progress(Mutex::new(state))) }
    }

    pub(super) fn length(&self) -> Option<u64> {
        self.size_hint().exact()
    }

    pub(super) fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }
}

impl Feed {
    /// Puts a part in, as soon as the one before it has been taken.
    pub async fn put(&self, part: Bytes) -> Result<(), FeedEnded> {
        self.0.send(Part::Data(part)).await.map_err(|_| FeedEnded)
    }

    /// That was all.
    pub async fn end(self) -> Result<(), FeedEnded> {
        self.0.send(Part::End).await.map_err(|_| FeedEnded)
    }
}

impl Progress {
    pub(super) fn last(&self) -> (Option<Instant>, Turn) {
        let state = self.state();
        (state.moved, state.turn)
    }

    pub(super) fn is_broken(&self) -> bool {
        self.state().is_broken
    }

    fn pass_to(&self, turn: Turn) {
        let mut state = self.state();
        if turn == Turn::Server || state.turn != turn {
            state.moved = Some(Instant::now());
        }
        state.turn = turn;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = &mut *self;
        let (parts, left, is_ended) = match &mut this.source {
            Source::Whole(bytes) => return Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Source::Fed { parts, left, is_ended } => (parts, left, is_ended),
        };
        if *is_ended {
            return Poll::Ready(None);
        }
        let Poll::Ready(part) = parts.poll_recv(context) else {
            this.progress.pass_to(Turn::Sender);
            return Poll::Pending;
        };
        this.progress.pass_to(Turn::Server);
        match part {
            Some(Part::Data(bytes)) => {
                if let Some(left) = left {
                    *left = left.saturating_sub(bytes.len() as u64);
                }
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Some(Part::End) => {
                *is_ended = true;
                Poll::Ready(None)
            }
            None => {
                this.progress.state().is_broken = true;
                Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Whole(bytes) => bytes.is_none(),
            Source::Fed { is_ended, .. } => *is_ended,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Source::Fed { left: Some(left), .. } => SizeHint::with_exact(*left),
            Source::Fed { left: None, .. } => SizeHint::default(),
        }
    }
}

impl AnswerBody {
    pub(super) fn new(incoming: Incoming, silence: Duration) -> Self {
        Self { incoming, silence, deadline: Box::pin(sleep(silence)) }
    }

    /// How long it is, in bytes, if the server has said so.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        self.incoming.size_hint().exact()
    }

    /// The next part; an error if the server cut it off, or was silent for too long.
    pub fn poll_part(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        loop {
            let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(context) else {
                ready!(self.deadline.as_mut().poll(context));
                return Poll::Ready(Some(Err(io::ErrorKind::TimedOut.into())));
            };
            self.deadline.as_mut().reset(Instant::now() + self.silence);
            match frame.transpose().map_err(io::Error::other)?.map(Frame::into_data) {
                Some(Ok(bytes)) => return Poll::Ready(Some(Ok(bytes))),
                // Trailers: nobody who asked has said that they would read any.
                Some(Err(_)) => {}
                None => return Poll::Ready(None),
            }
        }
    }
}
