//! Runs a use case for a route, on the runtime that ends last, to its end, whatever becomes of the request.
//!
//! A pooled connection lives on the runtime that opened it. Were that one of actix's workers, a worker that stops (at
//! SIGTERM, idle ones at once) would cut the calls of requests that others are still finishing. And a client that
//! hangs up must not stop a use case between two steps.

use std::{future::Future, pin::Pin, task::Poll};

use tokio::runtime::Handle;
use tracing::Instrument as _;

/// Takes the first step of `use_case` where the caller is, and hands it over to `runtime` only if that was not all:
/// to begin an attempt nothing is waited for, and waking another thread would cost more than the work. Whatever the
/// first step opens or spawns belongs to `runtime` all the same.
///
/// A use case is large and its caller need not be: it is boxed before anything is waited for.
pub(crate) fn run<F>(runtime: &Handle, use_case: F) -> impl Future<Output = F::Output> + use<'_, F>
where
    F: Future<Output: Send> + Send + 'static,
{
    let use_case = use_case.in_current_span();
    #[cfg(feature = "time-polls")]
    let use_case = crate::polls::timed(use_case);
    run_boxed(runtime, Box::pin(use_case))
}

async fn run_boxed<F>(runtime: &Handle, mut use_case: Pin<Box<F>>) -> F::Output
where
    F: Future<Output: Send> + Send + 'static,
{
    let first = std::future::poll_fn(|context| {
        let _runtime = runtime.enter();
        Poll::Ready(use_case.as_mut().poll(context))
    });
    // Nothing is waited for between the first step and the hand-over, so the caller cannot be dropped there.
    if let Poll::Ready(output) = first.await {
        return output;
    }
    match runtime.spawn(use_case).await {
        Ok(output) => output,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is shutting down, which it does after the server has ended.
            Err(_) => std::future::pending().await,
        },
    }
}

/// Takes every step of `task` where the caller is, and ends with it. Whatever the steps open or spawn belongs to
/// `runtime`.
pub(crate) async fn run_while_wanted<T>(runtime: &Handle, task: impl Future<Output = T>) -> T {
    let mut task = std::pin::pin!(task);
    std::future::poll_fn(|context| {
        let _runtime = runtime.enter();
        task.as_mut().poll(context)
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::thread;

    use tokio::runtime::{Builder, Runtime};

    use super::*;

    /// The runtime of a worker, in whose thread `caller` runs.
    fn on_a_worker<T>(caller: impl Future<Output = T>) -> T {
        Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(caller)
    }

    #[test]
    fn every_step_belongs_to_the_runtime_that_ends_last() {
        let main = Runtime::new().expect("a runtime");
        let steps = run(main.handle(), async {
            let first = (Handle::current().id(), thread::current().id());
            tokio::task::yield_now().await;
            (first, (Handle::current().id(), thread::current().id()))
        });
        let ((first, began_in), (then, went_on_in)) = on_a_worker(steps);
        assert_eq!([first, then], [main.handle().id(); 2]);
        assert_eq!(began_in, thread::current().id(), "the first step needs no other thread");
        assert_ne!(went_on_in, thread::current().id());
    }

    #[test]
    fn what_ends_with_its_request_belongs_to_the_runtime_that_ends_last_too() {
        let main = Runtime::new().expect("a runtime");
        let steps = on_a_worker(run_while_wanted(main.handle(), async {
            let first = Handle::current().id();
            tokio::task::yield_now().await;
            (first, Handle::current().id(), thread::current().id())
        }));
        assert_eq!(steps, (main.handle().id(), main.handle().id(), thread::current().id()));
    }

    #[test]
    fn a_use_case_goes_on_when_its_request_is_gone() {
        let main = Runtime::new().expect("a runtime");
        let (go, wait) = tokio::sync::oneshot::channel::<()>();
        let (done, is_done) = tokio::sync::oneshot::channel();
        let mut request = Box::pin(run(main.handle(), async move {
            let told = wait.await;
            done.send(told).expect("somebody looks");
        }));
        on_a_worker(std::future::poll_fn(|context| {
            assert!(request.as_mut().poll(context).is_pending());
            Poll::Ready(())
        }));
        drop(request);
        go.send(()).expect("it waits still");
        assert_eq!(main.block_on(is_done), Ok(Ok(())));
    }

    #[test]
    fn a_panic_reaches_the_route_from_either_step() {
        let main = Runtime::new().expect("a runtime");
        for is_first in [true, false] {
            let handle = main.handle().clone();
            let panicked = thread::spawn(move || {
                on_a_worker(run(&handle, async move {
                    if !is_first {
                        tokio::task::yield_now().await;
                    }
                    panic!("on purpose");
                }));
            });
            assert!(panicked.join().is_err(), "first: {is_first}");
        }
    }
}
