//! Many at once.

use std::{collections::BTreeSet, path::Path, time::Duration};

use futures_util::future::try_join_all;
use tokio::task::JoinSet;
use usher_lab::usher::Usher;

use crate::{
    components::run,
    config::Portal,
    database::Kind,
    footprint::allow_descriptors,
    scripted::{ALICE, Stage, engineer},
    visitor::Visitor,
    world::BINARY,
};

const TIMEOUT: Duration = Duration::from_secs(30);
const VISITS: usize = 1000;
/// How often somebody tries again who was told that there are too many.
const TRIES: usize = 50;

/// What came of a crowd.
struct Crowd {
    sessions: Vec<String>,
    /// Those who were told to come again.
    turned_away: usize,
}

/// A thousand visits of Alice, all of whom come back from the single sign-on before the first of them is answered, and
/// then all redeem their tokens. Whoever is told that there are too many tries again, as the page and the client do.
async fn crowd(stage: &Stage, addresses: &[&str]) -> anyhow::Result<Crowd> {
    // The visitor's end and Usher's end of each connection.
    allow_descriptors(8 * VISITS as u64)?;
    let begun = (0..VISITS).map(|number| async move {
        let mut visitor = Visitor::arrive(stage, addresses[number % addresses.len()], "alice").await?;
        let at = visitor.begin().await?;
        anyhow::Ok((visitor, at))
    });
    let visitors = try_join_all(begun).await?;
    let visits = visitors.into_iter().map(|(mut visitor, mut at)| async move {
        let mut turned_away = 0;
        let token = loop {
            match visitor.finish(&at).await? {
                Ok(token) => break token,
                // They reload the page,
                Err(503) => {}
                // and if their ticket was spent before there was no room any more, they start again.
                Err(403) => at = visitor.begin().await?,
                Err(status) => anyhow::bail!("a callback was answered {status}"),
            }
            turned_away += 1;
            anyhow::ensure!(turned_away < TRIES, "nobody gets in");
        };
        anyhow::Ok((visitor, token, turned_away))
    });
    let visitors = try_join_all(visits).await?;
    let logins = visitors.into_iter().map(|(mut visitor, token, mut turned_away)| async move {
        loop {
            match visitor.redeem(&token).await? {
                Ok(session) => {
                    return Ok((session["user_id"].as_str().unwrap_or_default().to_owned(), turned_away));
                }
                Err(503 | 429) => turned_away += 1,
                Err(status) => anyhow::bail!("a login was answered {status}"),
            }
            anyhow::ensure!(turned_away < TRIES, "nobody gets in");
        }
    });
    let (sessions, turned_away): (Vec<_>, Vec<usize>) = try_join_all(logins).await?.into_iter().unzip();
    Ok(Crowd { sessions, turned_away: turned_away.iter().sum() })
}

/// Everybody is in, in one account that was registered once.
async fn is_one_account(stage: &Stage, crowd: &Crowd, name: &str) -> anyhow::Result<()> {
    assert_eq!(crowd.sessions.len(), VISITS, "{name}");
    assert!(crowd.sessions.iter().all(|user| user == ALICE), "{name}");
    assert_eq!(stage.homeserver.users(), [ALICE], "{name}");
    println!("{name}: {} times somebody was asked to come again", crowd.turned_away);
    assert_eq!(stage.database.accounts().await?, [format!("{ALICE} active")], "{name}");
    assert_eq!(stage.database.links().await?, [format!("alice {ALICE}")], "{name}");
    assert_eq!(stage.devices(ALICE).len(), VISITS, "{name}: a device for each");
    Ok(())
}

#[test]
fn a_thousand_first_logins_of_one_person_at_once_lead_to_one_account() -> anyhow::Result<()> {
    run(async {
        for kind in Kind::BOTH {
            let stage = Stage::set(kind, TIMEOUT).await?;
            let crowd = crowd(&stage, &[&stage.config.listen]).await?;
            is_one_account(&stage, &crowd, &format!("{kind:?}")).await?;
        }
        Ok(())
    })
}

#[test]
fn a_thousand_first_logins_at_two_replicas_lead_to_one_account() -> anyhow::Result<()> {
    run(async {
        let stage = Stage::set(Kind::Postgres, TIMEOUT).await?;
        let directory = tempfile::tempdir()?;
        let listen = Portal::at_a_free_port()?.listen;
        let config = Portal { listen, ..stage.config.clone() };
        let _second = Usher::start(Path::new(BINARY), directory.path(), &config.to_yaml()).await?;
        let crowd = crowd(&stage, &[&stage.config.listen, &config.listen]).await?;
        is_one_account(&stage, &crowd, "two replicas").await
    })
}

#[test]
fn people_who_would_like_the_same_name_at_once_get_one_each() -> anyhow::Result<()> {
    run(async {
        let stage = Stage::set(Kind::Postgres, TIMEOUT).await?;
        let spellings = ["alice", "Alice", "ALICE", "aLICE"];
        let mut visits = JoinSet::new();
        for username in spellings {
            // A ticket for each, made before the next sits down.
            stage.enter(&engineer(username, "An Alice"));
            let person = stage.person_stopping_at_callback();
            let (callback, client) = (person.callback().await?, stage.client.clone());
            visits.spawn(async move {
                let token = person.open(&callback).await?.login_token()?;
                Ok::<_, anyhow::Error>(client.redeem(&token).await?.expect_ok()?.field("user_id")?.to_owned())
            });
        }
        let users: Result<Vec<String>, _> = visits.join_all().await.into_iter().collect();
        let named = |localpart: &str| format!("@{localpart}:engineering.localhost");
        let expected = BTreeSet::from(["alice", "alice-2", "alice-3", "alice-4"].map(named));
        assert_eq!(BTreeSet::from_iter(users?), expected);
        assert_eq!(BTreeSet::from_iter(stage.homeserver.users()), expected);
        assert_eq!(stage.database.links().await?.len(), spellings.len());
        Ok(())
    })
}
