//! A stage on which every step can be stopped: whatever Usher asks of the database, of the homeserver and of CAS.

use std::time::Duration;

use serde_json::json;
use tokio::task::JoinHandle;

use super::{
    http_tap::HttpTap,
    postgres_tap::PostgresTap,
    tape::{Moment, Tape},
};
use crate::{
    config::Portal,
    database::Kind,
    scripted::{SERVER_NAME, Stage, engineer},
};

/// How long Usher waits for the homeserver. A lease ends five seconds later.
const TIMEOUT: Duration = Duration::from_secs(2);

/// A stage on which every step can be stopped, and how many people have been on it.
pub(crate) struct Tapped {
    pub(crate) stage: Stage,
    pub(crate) tape: Tape,
    pub(super) people: usize,
    _between: Between,
}

/// Between Usher and the world.
#[derive(Debug)]
struct Between {
    postgres: PostgresTap,
    homeserver: HttpTap,
    cas: HttpTap,
}

impl Between {
    /// Has Usher ask these instead of those in its config.
    fn stand_in(&self, config: &mut Portal) -> anyhow::Result<()> {
        config.database_url = self.postgres.stand_in_for(&config.database_url)?;
        config.cas_base_url = self.cas.stand_in_for(&config.cas_base_url)?;
        let section = &mut config.homeservers[0];
        let upstream = section["upstream_url"].as_str().unwrap_or_default();
        section["upstream_url"] = json!(self.homeserver.stand_in_for(upstream)?);
        Ok(())
    }
}

impl Tapped {
    /// With a config that `edit` has changed.
    pub(crate) async fn set(edit: impl FnOnce(&mut Portal)) -> anyhow::Result<Self> {
        let tape = Tape::default();
        let between = Between {
            postgres: PostgresTap::start(tape.clone()).await?,
            homeserver: HttpTap::start(tape.clone()).await?,
            cas: HttpTap::start(tape.clone()).await?,
        };
        let mut standing = Ok(());
        let stage = Stage::set_with(Kind::Postgres, TIMEOUT, |config| {
            standing = between.stand_in(config);
            edit(config);
        })
        .await?;
        standing?;
        Ok(Self { stage, tape, people: 0, _between: between })
    }

    /// Somebody whom nobody knows sits down at every browser; their Matrix id, to be.
    pub(crate) fn enter_somebody(&mut self) -> String {
        self.people += 1;
        let subject = format!("person{}", self.people);
        self.stage.enter(&engineer(&subject, "Somebody Else"));
        format!("@{subject}:{SERVER_NAME}")
    }

    /// Stops at a step, kills Usher there, and starts it again.
    pub(crate) async fn kill_at<T: std::fmt::Debug + Send + 'static>(
        &mut self,
        index: usize,
        moment: Moment,
        request: impl Future<Output = anyhow::Result<T>> + Send + 'static,
    ) -> anyhow::Result<()> {
        let stop = self.tape.stop_at(index, moment);
        let request: JoinHandle<_> = tokio::spawn(request);
        stop.arrived().await?;
        self.stage.kill_during(request).await?;
        drop(stop);
        self.stage.database.settled().await?;
        self.stage.usher.start_again().await
    }

    /// The same while nobody asks anything.
    pub(crate) async fn die_and_rise(&mut self) -> anyhow::Result<()> {
        self.stage.usher.kill()?;
        self.stage.database.settled().await?;
        self.stage.usher.start_again().await
    }
}

/// What a test says of itself when it fails.
pub(crate) fn name_of(what: &str, steps: &[&str], index: usize, moment: Moment) -> String {
    format!("{what}, killed {moment:?} step {index} ({})", steps[index]).to_lowercase()
}
