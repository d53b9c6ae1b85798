//! `kill -9` on both sides of every step of a request that waits for its person, on Postgres: see [`crate::every_step`].
//! Whoever is cut off tries again and gets it done; nothing is done that was not confirmed, and nothing twice, but for
//! a crash between the deed and its record.

use anyhow::Context as _;
use reqwest::StatusCode;
use serde_json::{Value, json};
use usher_lab::scripted::homeserver::Endpoint;

use super::walk::{Part, Walk, deletions, has_device, phone};
use crate::{
    client::{Answer, Client},
    components::{eventually, run},
    config::Portal,
    every_step::{Moment, Tapped, name_of},
    scripted::ALICE,
};

const UPLOAD: &str = "POST v3/keys/device_signing/upload";
const GET_TOKEN: &str = "POST v1/login/get_token";

/// What is asked of the world in each part of the way.
const STEPS: [(Part, &[&str]); 7] = [
    (Part::Challenge, &["GET /account/whoami", "SELECT FROM links", "INSERT INTO ui_auth_sessions"]),
    (Part::Fallback, &["SELECT FROM ui_auth_sessions"]),
    (Part::Question, &["SELECT FROM ui_auth_sessions", "SELECT FROM sessions", "GET /devices"]),
    (Part::Click, &["SELECT FROM ui_auth_sessions", "SELECT FROM sessions"]),
    (
        Part::Callback,
        &[
            "SELECT FROM ui_auth_sessions",
            "GET /cas/p3/serviceValidate",
            "SELECT FROM links",
            "BEGIN",
            "UPDATE ui_auth_sessions",
            "COMMIT",
        ],
    ),
    (Part::Completion, &["SELECT FROM ui_auth_sessions"]),
    (
        Part::Repetition,
        &[
            "GET /account/whoami",
            "SELECT FROM links",
            "SELECT FROM ui_auth_sessions",
            "UPDATE ui_auth_sessions",
            "POST /delete_devices",
            "UPDATE ui_auth_sessions",
        ],
    ),
];
/// The homeserver is asked first whether keys need their person.
const UPLOAD_CHALLENGE: [&str; 4] = [
    "GET /account/whoami",
    "SELECT FROM links",
    "POST /keys/device_signing/upload",
    "INSERT INTO ui_auth_sessions",
];
/// A login token is Usher's own.
const TOKEN_REPETITION: [&str; 8] = [
    "GET /account/whoami",
    "SELECT FROM links",
    "SELECT FROM ui_auth_sessions",
    "UPDATE ui_auth_sessions",
    "BEGIN",
    "UPDATE ui_auth_sessions",
    "INSERT INTO login_tokens",
    "COMMIT",
];
/// "This was not me".
const DENIAL: [&str; 12] = [
    "SELECT FROM ui_auth_sessions",
    "BEGIN",
    "UPDATE ui_auth_sessions",
    "INSERT INTO endings",
    "COMMIT",
    "SELECT FROM ui_auth_sessions",
    "SELECT FROM sessions",
    "POST /delete_devices",
    "BEGIN",
    "DELETE FROM endings",
    "UPDATE sessions",
    "COMMIT",
];

const CHANGED: &str =
    "a request has other steps than those listed here: mend the list, and think of a crash at each";

fn moments(steps: &[&str]) -> impl Iterator<Item = (usize, Moment)> {
    (0..steps.len()).flat_map(|index| Moment::BOTH.map(|moment| (index, moment)))
}

fn keys(seed: u8) -> Value {
    Value::Object(usher_lab::cross_signing::keys(ALICE, seed))
}

#[test]
fn the_steps_of_a_request_are_those_that_are_listed() -> anyhow::Result<()> {
    run(async {
        let tapped = Tapped::set(Portal::stand_at_host).await?;
        let (stage, tape) = (&tapped.stage, &tapped.tape);
        let phone = phone(stage).await?;
        let mut walk = Walk::to_delete(stage, &phone, "LAPTOP");
        for (part, steps) in STEPS {
            tape.start();
            walk = walk.step().await?;
            assert_eq!(tape.end(), steps, "{part:?}. {CHANGED}");
        }
        assert!(!has_device(stage, "LAPTOP"));

        let walk = Walk::begin(stage, &phone, GET_TOKEN, &json!({})).come_before(Part::Repetition).await?;
        tape.start();
        walk.step().await?;
        assert_eq!(tape.end(), TOKEN_REPETITION, "a login token. {CHANGED}");

        phone.send(UPLOAD, &keys(1)).await?.expect_ok()?;
        let walk = Walk::begin(stage, &phone, UPLOAD, &keys(2));
        tape.start();
        let walk = walk.step().await?;
        assert_eq!(tape.end(), UPLOAD_CHALLENGE, "keys. {CHANGED}");

        let walk = walk.step().await?.step().await?;
        tape.start();
        walk.deny().await?;
        assert_eq!(tape.end(), DENIAL, "a denial. {CHANGED}");
        Ok(())
    })
}

#[test]
fn whoever_is_cut_off_on_the_way_to_a_deed_gets_it_done() -> anyhow::Result<()> {
    run(async {
        let mut tapped = Tapped::set(Portal::stand_at_host).await?;
        let phone = phone(&tapped.stage).await?;
        for (part, steps) in &STEPS[..6] {
            for (index, moment) in moments(steps) {
                let name = name_of(&format!("{part:?}"), steps, index, moment);
                let device = format!("{part:?}{index}{moment:?}");
                let walk = Walk::to_delete(&tapped.stage, &phone, &device).come_before(*part).await;
                let walk = walk.context(name.clone())?;
                tapped.kill_at(index, moment, walk.clone().step()).await.context(name.clone())?;
                assert!(has_device(&tapped.stage, &device), "{name}");
                walk.clone().finish().await.context(name.clone())?;
                assert!(!has_device(&tapped.stage, &device), "{name}");
                assert_eq!(deletions(&tapped.stage, &device), 1, "{name}");
            }
        }
        // Whether keys need their person is asked of the homeserver first, as the person: it changes nothing.
        phone.send(UPLOAD, &keys(1)).await?.expect_ok()?;
        let current = |tapped: &Tapped| tapped.stage.homeserver.user(ALICE).unwrap_or_default().cross_signing;
        for (seed, (index, moment)) in (2..).zip(moments(&UPLOAD_CHALLENGE)) {
            let name = name_of("keys", &UPLOAD_CHALLENGE, index, moment);
            let before = current(&tapped);
            let walk = Walk::begin(&tapped.stage, &phone, UPLOAD, &keys(seed));
            tapped.kill_at(index, moment, walk.clone().step()).await.context(name.clone())?;
            assert_eq!(current(&tapped), before, "{name}");
            walk.finish().await.context(name.clone())?;
            assert_eq!(current(&tapped)["master_key"], keys(seed)["master_key"], "{name}");
        }
        Ok(())
    })
}

/// A repetition that was cut short; the app tries again when all the others have been cut short too.
struct CutShort {
    name: String,
    walk: Walk,
    device: String,
    /// How often the homeserver has done it, and will have.
    deletions: (usize, usize),
    /// It is done and noted, and nobody was told.
    is_lost: bool,
}

#[test]
fn whoever_is_cut_off_by_the_deed_itself_gets_it_done() -> anyhow::Result<()> {
    run(async {
        let mut tapped = Tapped::set(Portal::stand_at_host).await?;
        let (_, steps) = STEPS[6];
        let mut cut_short = Vec::new();
        for (index, moment) in moments(steps) {
            // Each from a device of its own: no more than ten may be under way on one.
            let phone = phone(&tapped.stage).await?;
            let name = name_of("the deed", steps, index, moment);
            let device = format!("DEED{index}{moment:?}");
            let walk = Walk::to_delete(&tapped.stage, &phone, &device).come_before(Part::Repetition).await;
            let walk = walk.context(name.clone())?;
            tapped.kill_at(index, moment, walk.clone().step()).await.context(name.clone())?;
            let deletions = match (index, moment) {
                // Between the deed and its record: that it was done is nowhere written down.
                (4, Moment::After) | (5, Moment::Before) => (1, 2),
                (5, Moment::After) => (1, 1),
                _ => (0, 1),
            };
            let is_lost = (index, moment) == (5, Moment::After);
            cut_short.push(CutShort { name, walk, device, deletions, is_lost });
        }
        let stage = &tapped.stage;
        for CutShort { name, walk, device, deletions: (so_far, in_the_end), is_lost } in cut_short {
            assert_eq!(deletions(stage, &device), so_far, "{name}");
            assert_eq!(has_device(stage, &device), so_far == 0, "{name}");
            let answer = patiently(&walk).await.context(name.clone())?;
            let expected = if is_lost { StatusCode::FORBIDDEN } else { StatusCode::OK };
            assert_eq!(answer.status, expected, "{name}: {answer:?}");
            let again = walk.repeat().await?;
            assert_eq!((again.status, again.errcode()), (StatusCode::FORBIDDEN, "M_FORBIDDEN"), "{name}");
            assert_eq!(deletions(stage, &device), in_the_end, "{name}");
            assert!(!has_device(stage, &device), "{name}");
        }
        Ok(())
    })
}

/// Repeats a request for as long as the app is told that it is being done.
async fn patiently(walk: &Walk) -> anyhow::Result<Answer> {
    eventually("the session is free again", async || {
        let answer = walk.repeat().await?;
        let is_done = answer.status != StatusCode::TOO_MANY_REQUESTS;
        assert!(is_done || answer.headers.contains_key("retry-after"));
        Ok(is_done.then_some(answer))
    })
    .await
}

#[test]
fn whoever_is_cut_off_while_a_login_token_is_made_gets_one() -> anyhow::Result<()> {
    run(async {
        let mut tapped = Tapped::set(Portal::stand_at_host).await?;
        let phone = phone(&tapped.stage).await?;
        let mut cut_short = Vec::new();
        for (index, moment) in moments(&TOKEN_REPETITION) {
            let name = name_of("a login token", &TOKEN_REPETITION, index, moment);
            let walk = Walk::begin(&tapped.stage, &phone, GET_TOKEN, &json!({}));
            let walk = walk.come_before(Part::Repetition).await.context(name.clone())?;
            let before = tapped.stage.database.login_tokens().await?.len();
            tapped.kill_at(index, moment, walk.clone().step()).await.context(name.clone())?;
            let is_lost = (index, moment) == (TOKEN_REPETITION.len() - 1, Moment::After);
            let made = tapped.stage.database.login_tokens().await?.len() - before;
            assert_eq!(made, usize::from(is_lost), "{name}");
            cut_short.push((name, walk, is_lost));
            if cut_short.len() % 8 == 0 {
                // No more than ten may be under way on a device.
                for (name, walk, is_lost) in cut_short.drain(..) {
                    gets_one_token(&tapped, &walk, is_lost).await.context(name)?;
                }
            }
        }
        assert!(cut_short.is_empty());
        Ok(())
    })
}

async fn gets_one_token(tapped: &Tapped, walk: &Walk, is_lost: bool) -> anyhow::Result<()> {
    let answer = patiently(walk).await?;
    assert_eq!(walk.repeat().await?.status, StatusCode::FORBIDDEN, "one token");
    if is_lost {
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "it is never told twice: {answer:?}");
        return Ok(());
    }
    let token = answer.expect_ok()?.field("login_token")?.to_owned();
    let host = Client::at(&tapped.stage.config.host_url())?;
    assert_eq!(host.redeem(&token).await?.expect_ok()?.field("user_id")?, ALICE);
    Ok(())
}

#[test]
fn whoever_is_cut_off_while_they_deny_a_request_has_it_denied() -> anyhow::Result<()> {
    run(async {
        let mut tapped = Tapped::set(Portal::stand_at_host).await?;
        for (index, moment) in moments(&DENIAL) {
            let name = name_of("a denial", &DENIAL, index, moment);
            // Each from a device of its own: it is signed out.
            let thief = phone(&tapped.stage).await?;
            let device = format!("VICTIM{index}{moment:?}");
            let walk = Walk::to_delete(&tapped.stage, &thief, &device).come_before(Part::Click).await?;
            let denying = walk.clone();
            let denial = async move { denying.deny().await };
            tapped.kill_at(index, moment, denial).await.context(name.clone())?;
            let said = walk.deny().await.context(name.clone())?.text();
            assert!(said.contains("is signed out of your account"), "{name}: {said}");
            assert!(!has_device(&tapped.stage, &thief.device), "{name}");
            let refused = walk.repeat().await?;
            assert_eq!(refused.errcode(), "M_UNKNOWN_TOKEN", "{name}: {refused:?}");
            assert!(has_device(&tapped.stage, &device) && deletions(&tapped.stage, &device) == 0, "{name}");
            tapped.stage.homeserver.forget_calls();
        }
        assert!(tapped.stage.homeserver.calls_to(Endpoint::DeleteDevice).is_empty());
        Ok(())
    })
}

#[test]
fn whoever_is_between_two_steps_when_usher_dies_does_not_notice() -> anyhow::Result<()> {
    run(async {
        let mut tapped = Tapped::set(Portal::stand_at_host).await?;
        let phone = phone(&tapped.stage).await?;
        let mut walk = Walk::to_delete(&tapped.stage, &phone, "LAPTOP");
        for part in Part::ALL {
            tapped.die_and_rise().await.with_context(|| format!("before {part:?}"))?;
            walk = walk.step().await.with_context(|| format!("{part:?}"))?;
        }
        tapped.die_and_rise().await?;
        assert_eq!(walk.repeat().await?.status, StatusCode::FORBIDDEN, "once");
        assert_eq!(deletions(&tapped.stage, "LAPTOP"), 1);
        assert!(!has_device(&tapped.stage, "LAPTOP"));
        Ok(())
    })
}
