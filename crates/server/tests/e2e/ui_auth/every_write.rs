//! `kill -9` in the middle of every write of a request that waits for its person, on SQLite: see [`crate::every_write`].
//! What lies between two writes is between two steps, and the faults of `every_step` are at each of those.

use serde_json::json;
use url::Url;

use super::walk::{Part, Walk, deletions, has_device, phone};
use crate::{
    client::{Answer, Client},
    components::{eventually, run},
    config::Portal,
    database::Kind,
    every_write::{TIMEOUT, Write, name_of, named, note_writes, noted, stop_at, stopped},
    scripted::{ALICE, Stage},
};

const GET_TOKEN: &str = "POST v1/login/get_token";

/// What is written in each part of the way.
const DELETION: [(Part, Write); 4] = [
    (Part::Challenge, ("INSERT", "ui_auth_sessions", Some("pending"))),
    (Part::Callback, ("UPDATE", "ui_auth_sessions", Some("confirmed"))),
    (Part::Repetition, ("UPDATE", "ui_auth_sessions", Some("claimed"))),
    (Part::Repetition, ("UPDATE", "ui_auth_sessions", Some("spent"))),
];
/// A login token is written with the end of its session.
const TOKEN: Write = ("INSERT", "login_tokens", Some("issued"));
const DENIAL: Write = ("UPDATE", "ui_auth_sessions", Some("denied"));
/// What a denial leaves to be done, with it; and that it is done, when the device is signed out.
const ENDING: [Write; 3] =
    [("INSERT", "endings", None), ("DELETE", "endings", None), ("UPDATE", "sessions", None)];

const CHANGED: &str =
    "a request writes something else than listed here: mend the list, and think of a crash there";

async fn set() -> anyhow::Result<Stage> {
    Stage::set_with(Kind::Sqlite, TIMEOUT, Portal::stand_at_host).await
}

#[test]
fn the_writes_of_a_request_are_those_that_are_listed() -> anyhow::Result<()> {
    run(async {
        let stage = set().await?;
        let phone = phone(&stage).await?;
        note_writes(&stage.database).await?;
        let writes_of = |part| {
            let of_part = DELETION.iter().filter(|(it, _)| *it == part).map(|(_, write)| *write);
            named(&of_part.collect::<Vec<_>>())
        };
        let mut walk = Walk::to_delete(&stage, &phone, "LAPTOP");
        for part in Part::ALL {
            walk = walk.step().await?;
            assert_eq!(noted(&stage.database).await?, writes_of(part), "{part:?}. {CHANGED}");
        }
        let walk = Walk::begin(&stage, &phone, GET_TOKEN, &json!({})).come_before(Part::Repetition).await?;
        noted(&stage.database).await?;
        walk.step().await?;
        let expected = [writes_of(Part::Repetition), named(&[TOKEN])].concat();
        assert_eq!(noted(&stage.database).await?, expected, "a login token. {CHANGED}");
        let walk = Walk::to_delete(&stage, &phone, "TABLET").come_before(Part::Click).await?;
        noted(&stage.database).await?;
        walk.deny().await?;
        let [left, done, ended] = ENDING;
        let expected = named(&[DENIAL, left, done, ended]);
        assert_eq!(noted(&stage.database).await?, expected, "a denial. {CHANGED}");
        Ok(())
    })
}

/// Stops Usher at a write, kills it there, and starts it again.
async fn kill_at<T: std::fmt::Debug + Send + 'static>(
    stage: &mut Stage,
    write: Write,
    when: &str,
    request: impl Future<Output = anyhow::Result<T>> + Send + 'static,
) -> anyhow::Result<()> {
    stop_at(&stage.database, write, when).await?;
    let request = tokio::spawn(request);
    stopped(&stage.database).await?;
    stage.kill_during(request).await?;
    stage.database.execute("DROP TRIGGER counts").await?;
    stage.usher.start_again().await
}

/// Repeats a request until its lease has run out, if there is one.
async fn patiently(walk: &Walk) -> anyhow::Result<Answer> {
    eventually("the session is free again", async || {
        let answer = walk.repeat().await?;
        Ok((answer.errcode() != "M_LIMIT_EXCEEDED").then_some(answer))
    })
    .await
}

#[test]
fn whoever_is_cut_off_in_the_middle_of_a_write_gets_it_done_once() -> anyhow::Result<()> {
    run(async {
        let mut stage = set().await?;
        let phone = phone(&stage).await?;
        let mut cut_short = Vec::new();
        for (part, write) in DELETION {
            for when in ["BEFORE", "AFTER"] {
                let name = name_of(write, when);
                let device = format!("{part:?}{}{when}", write.2.unwrap_or_default());
                let walk = Walk::to_delete(&stage, &phone, &device).come_before(part).await?;
                kill_at(&mut stage, write, when, walk.clone().step()).await?;
                // The transaction was open: what was to be written is not there.
                let is_done = write.2 == Some("spent");
                assert_eq!(has_device(&stage, &device), !is_done, "{name}");
                if part == Part::Repetition {
                    cut_short.push((name, walk, device, 1 + usize::from(is_done)));
                    continue;
                }
                walk.finish().await?;
                assert_eq!((deletions(&stage, &device), has_device(&stage, &device)), (1, false), "{name}");
            }
        }
        let walk = Walk::begin(&stage, &phone, GET_TOKEN, &json!({})).come_before(Part::Repetition).await?;
        let before = stage.database.login_tokens().await?;
        kill_at(&mut stage, TOKEN, "AFTER", walk.clone().step()).await?;
        assert_eq!(stage.database.login_tokens().await?, before, "it was in a transaction");
        for (name, walk, device, expected) in cut_short {
            patiently(&walk).await?.expect_ok()?;
            assert_eq!(walk.repeat().await?.errcode(), "M_FORBIDDEN", "{name}");
            assert_eq!(
                (deletions(&stage, &device), has_device(&stage, &device)),
                (expected, false),
                "{name}"
            );
        }
        let token = patiently(&walk).await?.expect_ok()?.field("login_token")?.to_owned();
        let host: Url = stage.config.host_url();
        let session = Client::at(&host)?.redeem(&token).await?.expect_ok()?;
        assert_eq!(session.field("user_id")?, ALICE);

        for write in [DENIAL].into_iter().chain(ENDING) {
            for when in ["BEFORE", "AFTER"] {
                let name = name_of(write, when);
                // Each from a device of its own: it is signed out.
                let thief = self::phone(&stage).await?;
                let device = format!("DENIED{}{}{when}", write.0, write.1);
                let walk = Walk::to_delete(&stage, &thief, &device).come_before(Part::Click).await?;
                let denying = walk.clone();
                kill_at(&mut stage, write, when, async move { denying.deny().await }).await?;
                // What is left to be done is written with the denial.
                let is_denied = [ENDING[1], ENDING[2]].contains(&write);
                assert_eq!(has_device(&stage, &thief.device), !is_denied, "{name}");
                let said = walk.deny().await?.text();
                assert!(said.contains("is signed out of your account"), "{name}: {said}");
                assert!(has_device(&stage, &device) && !has_device(&stage, &thief.device), "{name}");
                assert_eq!(stage.database.row_counts().await?["endings"], 0, "{name}");
            }
        }
        assert_eq!(stage.database.column("PRAGMA integrity_check").await?, ["ok"]);
        Ok(())
    })
}
