//! Many at once.

use std::{collections::BTreeSet, time::Duration};

use tokio::task::JoinSet;

use crate::{
    components::run,
    database::Kind,
    scripted::{ALICE, Stage, engineer},
};

const TIMEOUT: Duration = Duration::from_secs(30);
const VISITS: usize = 50;

#[test]
fn fifty_first_logins_of_one_person_at_once_lead_to_one_account() -> anyhow::Result<()> {
    run(async {
        for kind in Kind::BOTH {
            let stage = Stage::set(kind, TIMEOUT).await?;
            let mut visits = JoinSet::new();
            for _ in 0..VISITS {
                let (person, client) = (stage.person(), stage.client.clone());
                visits.spawn(async move {
                    let token = person.sign_in().await?.login_token()?;
                    client.redeem(&token).await?.expect_ok()
                });
            }
            for visit in visits.join_all().await {
                assert_eq!(visit?.field("user_id")?, ALICE, "{kind:?}");
            }
            assert_eq!(stage.homeserver.users(), [ALICE], "{kind:?}");
            assert_eq!(stage.database.accounts().await?, [format!("{ALICE} active")], "{kind:?}");
            assert_eq!(stage.database.links().await?, [format!("alice {ALICE}")], "{kind:?}");
            assert_eq!(stage.devices(ALICE).len(), VISITS, "{kind:?}: a device for each");
        }
        Ok(())
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
