//! Somebody who does what the documents say: every block of `sh compose`, as it stands, in a clone of the repository.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use super::engine::Engine;
use crate::{blocks::Kind, documents::documents};

/// Between two lines that say that a command is still at work: a build takes minutes.
const TELL_EVERY: Duration = Duration::from_secs(30);

/// Runs them all, README.md first.
pub(super) async fn follow_the_documents(engine: &Engine) -> anyhow::Result<()> {
    let mut blocks = 0;
    for document in documents()? {
        for block in document.blocks.iter().filter(|block| block.kind == Kind::ContainerCommands) {
            println!("  {}, line {}", document.name, block.line);
            for line in block.text.lines() {
                println!("    $ {line}");
            }
            let began = Instant::now();
            let said = telling(began, engine.bash(&block.text)).await;
            let said = said.with_context(|| format!("{}, line {}", document.name, block.line))?;
            // A backup or a log is long, and nobody reads it here.
            for line in said.lines().take(3) {
                println!("      {}", line.chars().take(100).collect::<String>());
            }
            println!("      {:.1} s", began.elapsed().as_secs_f32());
            blocks += 1;
        }
    }
    ensure!(blocks > 0, "no document says how the containers are started");
    Ok(())
}

async fn telling<T>(began: Instant, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    loop {
        match tokio::time::timeout(TELL_EVERY, &mut work).await {
            Ok(done) => return done,
            Err(_) => println!("      at work ({:.0} s) ...", began.elapsed().as_secs_f32()),
        }
    }
}
