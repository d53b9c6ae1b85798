//! The exact points at which a process is killed.

use usher_lab::scripted::homeserver::{Endpoint, Hold};

use crate::{database::Blocked, scripted::Stage};

/// Where Usher is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    /// It has sent a call to the homeserver, which has done nothing yet.
    Call(Endpoint),
    /// The homeserver has done what the call asked for, and has not answered.
    Answer(Endpoint),
    /// It writes to a table. Postgres only.
    Write(&'static str),
    /// The homeserver has answered the call, and Usher writes what it was told to a table. Postgres only.
    WriteAfter(Endpoint, &'static str),
}

/// A point that Usher will come to.
pub(crate) struct Trap {
    hold: Option<Hold>,
    table: Option<&'static str>,
    blocked: Option<Blocked>,
}

/// Usher is there.
pub(crate) struct Trapped {
    hold: Option<Hold>,
    blocked: Option<Blocked>,
}

impl At {
    /// Whether it takes a lock that only Postgres has.
    pub(crate) fn needs_postgres(self) -> bool {
        matches!(self, Self::Write(_) | Self::WriteAfter(..))
    }
}

impl Trap {
    pub(crate) async fn set(stage: &Stage, at: At) -> anyhow::Result<Self> {
        let (hold, table, blocked) = match at {
            At::Call(endpoint) => (Some(stage.homeserver.hold(endpoint)), None, None),
            At::Answer(endpoint) => (Some(stage.homeserver.hold_answer(endpoint)), None, None),
            At::Write(table) => (None, None, Some(stage.database.block_writes(table).await?)),
            At::WriteAfter(endpoint, table) => {
                (Some(stage.homeserver.hold_answer(endpoint)), Some(table), None)
            }
        };
        Ok(Self { hold, table, blocked })
    }

    /// Waits until Usher is there.
    pub(crate) async fn sprung(self, stage: &Stage) -> anyhow::Result<Trapped> {
        let Self { mut hold, table, mut blocked } = self;
        if let Some(hold) = &hold {
            hold.arrived().await;
        }
        if let Some(table) = table {
            blocked = Some(stage.database.block_writes(table).await?);
            hold = None;
        }
        if let Some(blocked) = &mut blocked {
            blocked.arrived().await?;
        }
        Ok(Trapped { hold, blocked })
    }
}

impl Trapped {
    /// What was held goes on, and Usher with it.
    pub(crate) async fn give_way(self) -> anyhow::Result<()> {
        let Self { hold, blocked } = self;
        drop(hold);
        match blocked {
            Some(blocked) => blocked.release().await,
            None => Ok(()),
        }
    }

    /// What was held goes on: the homeserver acts for a caller that is gone, and so does Postgres, if it was asked
    /// before the caller was killed. Returns when both are done.
    pub(crate) async fn release(self, stage: &Stage) -> anyhow::Result<()> {
        let Self { hold, blocked } = self;
        drop(hold);
        if let Some(blocked) = blocked {
            blocked.release().await?;
        }
        stage.database.settled().await
    }
}
