//! `kill -9` between any two steps of giving a new account its room: somebody is in it in the end, whatever happened.

use std::time::Duration;

use serde_json::json;
use usher_lab::scripted::homeserver::Endpoint;

use crate::{
    components::{eventually, run},
    crash_point::{At, Trap},
    database::Kind,
    scripted::{ALICE, Stage},
};

/// Long enough that no call to the homeserver ends before the process does.
const TIMEOUT: Duration = Duration::from_secs(30);
const WELCOME: &str = "#welcome:engineering.localhost";

/// A point, and what there is of the account when Usher dies there.
const DEATHS: [(&str, At, &str); 5] = [
    ("before the row is left", At::Write("provisioning"), "registering"),
    ("before the room is asked for", At::Call(Endpoint::Join), "active"),
    ("joined, not answered", At::Answer(Endpoint::Join), "active"),
    ("joined, not noted", At::WriteAfter(Endpoint::Join, "provisioning"), "active"),
    ("failed, not noted", At::WriteAfter(Endpoint::Join, "provisioning"), "active"),
];

async fn is_given(kind: Kind, (name, at, account): (&str, At, &str)) -> anyhow::Result<()> {
    let mut stage = Stage::set_with(kind, TIMEOUT, |portal| {
        portal.homeservers[0]["new_account"]["join"] = json!([WELCOME]);
    })
    .await?;
    if !name.starts_with("failed") {
        stage.homeserver.add_room(WELCOME);
    }
    let trap = Trap::set(&stage, at).await?;
    let visit = stage.start_sign_in();
    let trapped = trap.sprung(&stage).await?;
    assert_eq!(stage.database.accounts().await?, [format!("{ALICE} {account}")], "{kind:?}, {name}");
    stage.usher.kill()?;
    // Whether the sign-in was done by then is not what this is about.
    drop(visit.await);
    trapped.release(&stage).await?;
    stage.homeserver.add_room(WELCOME);
    // The lease of the process that died runs out.
    stage.database.execute("UPDATE provisioning SET not_before = 0").await?;
    stage.usher.start_again().await?;

    stage.sign_in().await?.login_token()?;
    eventually("the room was joined and nothing is left", async || {
        let left = stage.database.column("SELECT item FROM provisioning").await?;
        let person = stage.homeserver.user(ALICE).unwrap_or_default();
        Ok((left.is_empty() && person.rooms.contains(WELCOME)).then_some(()))
    })
    .await?;
    assert_eq!(stage.database.accounts().await?, [format!("{ALICE} active")], "{kind:?}, {name}");
    Ok(())
}

#[test]
fn whoever_was_made_an_account_is_in_their_room_in_the_end() -> anyhow::Result<()> {
    run(async {
        for kind in Kind::BOTH {
            for death in DEATHS {
                if kind == Kind::Postgres || !death.1.needs_postgres() {
                    is_given(kind, death).await?;
                }
            }
        }
        Ok(())
    })
}
