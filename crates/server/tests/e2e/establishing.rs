//! `kill -9` in every state of establishing an account: whoever signs in again gets in, to one account, and never
//! to somebody else's.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use usher_lab::scripted::homeserver::Endpoint;

use crate::{
    components::run,
    crash_point::{At, Trap},
    database::Kind,
    scripted::{ALICE, Stage, engineer},
};

/// Long enough that no call to the homeserver ends before the process does.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A point, and what has come of the first visit when Usher dies there.
struct Death {
    name: &'static str,
    at: At,
    /// The state of `@alice`'s row in `accounts`, if there is one.
    account: Option<&'static str>,
    /// Whether the homeserver has the account.
    is_made: bool,
}

const DEATHS: [Death; 10] = [
    death("before the name is reserved", At::Write("accounts"), None, false),
    death("within the reservation, before the link", At::Write("links"), None, false),
    death("within the reservation, before the choice", At::Write("choices"), None, false),
    death("reserved, not probed", At::Call(Endpoint::WhoAmI), Some("reserved"), false),
    death("probed, still reserved", At::WriteAfter(Endpoint::WhoAmI, "accounts"), Some("reserved"), false),
    death("registering, not made", At::Call(Endpoint::Register), Some("registering"), false),
    death("registering, made", At::Answer(Endpoint::Register), Some("registering"), true),
    death("made, not named", At::Call(Endpoint::DisplayName), Some("registering"), true),
    death(
        "named, still registering",
        At::WriteAfter(Endpoint::DisplayName, "accounts"),
        Some("registering"),
        true,
    ),
    death("active, without a token", At::Write("login_tokens"), Some("active"), true),
];

const fn death(name: &'static str, at: At, account: Option<&'static str>, is_made: bool) -> Death {
    Death { name, at, account, is_made }
}

async fn survives(kind: Kind, death: &Death) -> anyhow::Result<()> {
    let Death { name, at, account, is_made } = *death;
    let mut stage = Stage::set(kind, TIMEOUT).await?;
    let trap = Trap::set(&stage, at).await?;
    let visit = stage.start_sign_in();
    let trapped = trap.sprung(&stage).await?;
    let row = account.map(|state| format!("{ALICE} {state}"));
    assert_eq!(stage.database.accounts().await?, Vec::from_iter(row), "{name}");
    assert_eq!(stage.database.links().await?.len(), usize::from(account.is_some()), "{name}");
    assert_eq!(stage.homeserver.user(ALICE).is_some(), is_made, "{name}");
    stage.kill_during(visit).await?;
    trapped.release(&stage).await?;
    stage.usher.start_again().await?;

    let token = stage.sign_in().await?.login_token()?;
    let session = stage.client.redeem(&token).await?.expect_ok()?;
    assert_eq!(session.field("user_id")?, ALICE, "{name}");
    assert_eq!(stage.homeserver.users(), [ALICE], "{name}");
    let person = stage.homeserver.user(ALICE).unwrap_or_default();
    assert_eq!(person.display_name.as_deref(), Some("Alice Liddell"), "{name}");
    assert_eq!(stage.database.accounts().await?, [format!("{ALICE} active")], "{name}");
    assert_eq!(stage.database.links().await?, [format!("alice {ALICE}")], "{name}");
    assert_eq!(stage.devices(ALICE).len(), 1, "{name}");
    Ok(())
}

#[test]
fn whoever_was_interrupted_by_a_crash_gets_in_to_one_account_on_sqlite() -> anyhow::Result<()> {
    run(async {
        for death in DEATHS.iter().filter(|death| !death.at.needs_postgres()) {
            survives(Kind::Sqlite, death).await?;
        }
        Ok(())
    })
}

#[test]
fn whoever_was_interrupted_by_a_crash_gets_in_to_one_account_on_postgres() -> anyhow::Result<()> {
    run(async {
        for death in &DEATHS {
            survives(Kind::Postgres, death).await?;
        }
        Ok(())
    })
}

/// Somebody else makes `@alice` and uses it, without Usher.
async fn stranger_takes_the_name(stage: &Stage) -> anyhow::Result<()> {
    stage.homeserver.add_user(ALICE);
    let login = json!({
        "type": "m.login.application_service",
        "identifier": { "type": "m.id.user", "user": ALICE },
        "device_id": "STRANGER",
    });
    let url = stage.homeserver.url().join("/_matrix/client/v3/login")?;
    let request = usher_lab::browser::loopback_client(TIMEOUT)?.request(Method::POST, url);
    let answer = request.bearer_auth(stage.homeserver.as_token()).body(login.to_string()).send().await?;
    anyhow::ensure!(answer.status().is_success(), "the stranger cannot log in: {}", answer.status());
    Ok(())
}

#[test]
fn a_name_that_was_taken_between_probe_and_registration_is_left_alone() -> anyhow::Result<()> {
    run(async {
        for (name, is_killed) in [("at once", false), ("after a crash", true)] {
            let mut stage = Stage::set(Kind::Sqlite, TIMEOUT).await?;
            let trap = Trap::set(&stage, At::Call(Endpoint::Register)).await?;
            let visit = stage.start_sign_in();
            let trapped = trap.sprung(&stage).await?;
            assert_eq!(stage.database.accounts().await?, [format!("{ALICE} registering")], "{name}");
            stranger_takes_the_name(&stage).await?;
            let landed = if is_killed {
                stage.kill_during(visit).await?;
                trapped.release(&stage).await?;
                stage.usher.start_again().await?;
                stage.sign_in().await?
            } else {
                drop(trapped);
                visit.await??
            };
            let session = stage.client.redeem(&landed.login_token()?).await?.expect_ok()?;
            let second = "@alice-2:engineering.localhost";
            assert_eq!(session.field("user_id")?, second, "{name}");
            assert_eq!(stage.devices(ALICE), [("STRANGER".to_owned(), 1)], "{name}");
            assert_eq!(stage.homeserver.user(ALICE).unwrap_or_default().display_name, None, "{name}");
            assert_eq!(stage.database.links().await?, [format!("alice {second}")], "{name}");
            assert_eq!(stage.database.accounts().await?, [format!("{second} active")], "{name}");
        }
        Ok(())
    })
}

#[test]
fn a_name_reserved_for_somebody_who_never_came_back_is_theirs_all_the_same() -> anyhow::Result<()> {
    run(async {
        let mut stage = Stage::set(Kind::Sqlite, TIMEOUT).await?;
        let trap = Trap::set(&stage, At::Call(Endpoint::WhoAmI)).await?;
        let visit = stage.start_sign_in();
        let trapped = trap.sprung(&stage).await?;
        stage.kill_during(visit).await?;
        trapped.release(&stage).await?;
        stage.usher.start_again().await?;

        // Another person with the same localpart: the mapping lower-cases.
        stage.enter(&engineer("ALICE", "Another Alice"));
        let token = stage.sign_in().await?.login_token()?;
        let session = stage.client.redeem(&token).await?.expect_ok()?;
        assert_eq!(session.field("user_id")?, "@alice-2:engineering.localhost");
        stage.enter(&engineer("alice", "Alice Liddell"));
        let token = stage.sign_in().await?.login_token()?;
        assert_eq!(stage.client.redeem(&token).await?.expect_ok()?.field("user_id")?, ALICE);
        Ok(())
    })
}
