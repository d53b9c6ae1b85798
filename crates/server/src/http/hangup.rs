//! Whether the client at the other end has said that it says no more.
//!
//! Most who close their side have gone. The portal's answers are there at once, so it answers all the same; where an
//! answer may take a homeserver minutes, nobody is to be kept busy for a client that has left.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use actix_web::HttpRequest;
use tokio::sync::Notify;

/// Of one connection. Clones are handles to the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hangup(Arc<State>);

#[derive(Debug, Default)]
struct State {
    is_hung_up: AtomicBool,
    notify: Notify,
}

impl Hangup {
    /// Of the connection that `request` came on.
    pub(crate) fn of(request: &HttpRequest) -> Self {
        request.conn_data::<Self>().cloned().unwrap_or_default()
    }

    /// The client has closed its side.
    pub(crate) fn hang_up(&self) {
        self.0.is_hung_up.store(true, Ordering::Release);
        self.0.notify.notify_waiters();
    }

    /// Comes back when it has; never, if it does not.
    pub(crate) async fn wait(&self) {
        let notified = self.0.notify.notified();
        if !self.0.is_hung_up.load(Ordering::Acquire) {
            notified.await;
        }
    }
}
