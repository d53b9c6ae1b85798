//! `kill -9` while a login token is redeemed: the client repeats its request and gets in, on the same device, and
//! no token ever yields two sessions that were delivered.

use std::time::Duration;

use reqwest::StatusCode;
use usher_lab::scripted::homeserver::{Endpoint, Fault};

use crate::{
    components::run,
    crash_point::{At, Trap, Trapped},
    database::Kind,
    scripted::{ALICE, Stage},
};

/// How long Usher waits for the homeserver. The lease ends five seconds later.
const TIMEOUT: Duration = Duration::from_secs(2);

/// A point, and what has come of the first `POST /login` when Usher dies there.
struct Death {
    name: &'static str,
    at: At,
    /// The state of the token's row.
    token: &'static str,
    /// How many sessions the homeserver has opened that nobody was told of.
    lost_sessions: usize,
}

const DEATHS: [Death; 4] = [
    Death { name: "before the claim", at: At::Write("login_tokens"), token: "issued", lost_sessions: 0 },
    Death { name: "not logged in", at: At::Call(Endpoint::Login), token: "claimed", lost_sessions: 0 },
    Death {
        name: "logged in, not told",
        at: At::Answer(Endpoint::Login),
        token: "claimed",
        lost_sessions: 1,
    },
    Death {
        name: "told, not marked as redeemed",
        at: At::WriteAfter(Endpoint::Login, "sessions"),
        token: "claimed",
        lost_sessions: 1,
    },
];

async fn survives(kind: Kind, death: &Death) -> anyhow::Result<()> {
    let Death { name, at, token: expected, lost_sessions } = *death;
    let mut stage = Stage::set(kind, TIMEOUT).await?;
    let token = stage.sign_in().await?.login_token()?;
    let trap = Trap::set(&stage, at).await?;
    let login = stage.start_redeem(&token);
    let trapped = trap.sprung(&stage).await?;
    assert_eq!(stage.database.login_tokens().await?, [expected], "{name}");
    assert_eq!(stage.devices(ALICE).len(), lost_sessions, "{name}");
    let chosen =
        stage.database.column("SELECT device_id FROM login_tokens WHERE device_id IS NOT NULL").await?;
    assert_eq!(chosen.len(), usize::from(expected == "claimed"), "{name}");
    stage.kill_during(login).await?;
    trapped.release(&stage).await?;
    gets_in_once(&mut stage, &token, name).await?;
    let devices = stage.devices(ALICE);
    assert_eq!(devices.len(), 1, "{name}: {devices:?}");
    if let Some(chosen) = chosen.first() {
        assert_eq!(&devices[0].0, chosen, "{name}");
    }
    Ok(())
}

/// Usher is started again, and the client repeats its request until it is answered.
async fn gets_in_once(stage: &mut Stage, token: &str, name: &str) -> anyhow::Result<()> {
    stage.usher.start_again().await?;
    let session = stage.client.redeem_patiently(token).await?.expect_ok()?;
    assert_eq!(session.field("user_id")?, ALICE, "{name}");
    let device = session.field("device_id")?;
    let access_tokens = stage.homeserver.user(ALICE).unwrap_or_default().devices.remove(device);
    let access_tokens = access_tokens.unwrap_or_default().access_tokens;
    assert_eq!(access_tokens.last().map(String::as_str), Some(session.field("access_token")?), "{name}");
    let again = stage.client.redeem(token).await?;
    assert_eq!((again.status, again.errcode()), (StatusCode::FORBIDDEN, "M_FORBIDDEN"), "{name}");
    assert_eq!(stage.database.login_tokens().await?, ["redeemed"], "{name}");
    assert_eq!(stage.database.sessions().await?, [format!("alice {ALICE} {device}")], "{name}");
    Ok(())
}

#[test]
fn a_token_whose_redemption_was_cut_short_opens_one_session_on_one_device_on_sqlite() -> anyhow::Result<()> {
    run(async {
        for death in DEATHS.iter().filter(|death| !death.at.needs_postgres()) {
            survives(Kind::Sqlite, death).await?;
        }
        Ok(())
    })
}

#[test]
fn a_token_whose_redemption_was_cut_short_opens_one_session_on_one_device_on_postgres() -> anyhow::Result<()>
{
    run(async {
        for death in &DEATHS {
            survives(Kind::Postgres, death).await?;
        }
        Ok(())
    })
}

#[test]
fn a_token_that_was_to_be_given_back_when_usher_died_still_opens_a_session() -> anyhow::Result<()> {
    run(async {
        let mut stage = Stage::set(Kind::Postgres, TIMEOUT).await?;
        let token = stage.sign_in().await?.login_token()?;
        stage.homeserver.set_fault(Endpoint::Login, Fault::server_error());
        let trap = Trap::set(&stage, At::WriteAfter(Endpoint::Login, "login_tokens")).await?;
        let login = stage.start_redeem(&token);
        let trapped: Trapped = trap.sprung(&stage).await?;
        assert_eq!(stage.database.login_tokens().await?, ["claimed"]);
        stage.kill_during(login).await?;
        trapped.release(&stage).await?;
        stage.homeserver.clear_fault(Endpoint::Login);
        gets_in_once(&mut stage, &token, "given back").await
    })
}

#[test]
fn a_token_in_use_is_refused_and_a_silent_homeserver_costs_nobody_their_login() -> anyhow::Result<()> {
    run(async {
        let stage = Stage::set(Kind::Sqlite, TIMEOUT).await?;
        let token = stage.sign_in().await?.login_token()?;
        let hold = stage.homeserver.hold_answer(Endpoint::Login);
        let login = stage.start_redeem(&token);
        hold.arrived().await;
        let meanwhile = stage.client.redeem(&token).await?;
        assert_eq!(meanwhile.status, StatusCode::TOO_MANY_REQUESTS, "{meanwhile:?}");
        let silent = login.await??;
        assert_eq!((silent.status, silent.errcode()), (StatusCode::GATEWAY_TIMEOUT, "M_UNKNOWN"));
        hold.release();
        let session = stage.client.redeem_patiently(&token).await?.expect_ok()?;
        assert_eq!(stage.devices(ALICE), [(session.field("device_id")?.to_owned(), 2)], "one device");
        assert_eq!(stage.client.redeem(&token).await?.status, StatusCode::FORBIDDEN);
        Ok(())
    })
}
