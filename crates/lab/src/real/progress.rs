//! Lines that tell a person who waits what is being waited for.

use std::{fmt, future::Future, sync::Arc, time::Instant};

/// Where progress is told. Cheap to clone.
#[derive(Clone)]
pub struct Progress {
    tell: Arc<dyn Fn(&str) + Send + Sync>,
}

impl Progress {
    /// Tells nobody.
    #[must_use]
    pub fn silent() -> Self {
        Self::to(|_| {})
    }

    /// Prints a line to the standard output, indented by two spaces.
    #[must_use]
    pub fn printing() -> Self {
        Self::to(|line| println!("  {line}"))
    }

    /// Gives each line, without its end, to `tell`.
    pub fn to(tell: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self { tell: Arc::new(tell) }
    }

    /// Tells one line.
    pub fn line(&self, line: &str) {
        (self.tell)(line);
    }

    /// Tells `starting {what} ...`, does `work`, and tells `{what} up in 3.1 s`. An error is told by who gets it.
    pub async fn starting<T, E>(&self, what: &str, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        self.line(&format!("starting {what} ..."));
        let began = Instant::now();
        let done = work.await?;
        self.line(&format!("{what} up in {:.1} s", began.elapsed().as_secs_f32()));
        Ok(done)
    }

    /// Tells `installing {what} (about 30 s) ...`, does `work`, and tells `{what} installed in 28.4 s`.
    pub async fn installing<T, E>(
        &self,
        what: &str,
        about_seconds: u32,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        self.line(&format!("installing {what} (about {about_seconds} s) ..."));
        let began = Instant::now();
        let done = work.await?;
        self.line(&format!("{what} installed in {:.1} s", began.elapsed().as_secs_f32()));
        Ok(done)
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Progress").finish_non_exhaustive()
    }
}
