//! Two replicas on one Postgres, of which every request goes to the other one: neither knows anything that the other
//! does not.

use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::json;

use super::{deletion_of, devices};
use crate::{
    at_host::{App, auth, is_complete},
    components::run,
    config::Portal,
    replicas::Pair,
};

#[test]
fn two_replicas_share_every_request_that_waits_for_its_person() -> anyhow::Result<()> {
    run(async {
        let pair = Pair::start_with(Portal::stand_at_host).await?;
        let world = &pair.world;
        let (host, alice) = (world.host()?, world.person("alice"));
        let phone = App::of(&host, &alice, "Phone").await?;
        let mut begun_at = Vec::new();
        for name in ["Laptop", "Tablet"] {
            let other = App::of(&host, &alice, name).await?;
            if begun_at.contains(&(pair.served() % 2)) {
                // The other one's turn, so that each step is at each replica once.
                host.call(reqwest::Method::GET, "_matrix/client/v3/login", None).await?;
            }
            begun_at.push(pair.served() % 2);
            let line = deletion_of(&other);
            let before = pair.served();
            let session = phone.is_asked(&line, &json!({})).await?;
            assert_eq!(phone.is_asked(&line, &auth(&session)).await?, session, "{name}: not yet");
            is_complete(&alice.confirm(&phone.fallback(&session)).await?)?;
            let done = phone.send(&line, &auth(&session)).await?;
            assert_eq!(done.status, StatusCode::OK, "{name}: {done:?}");
            assert_eq!(phone.send(&line, &auth(&session)).await?.errcode(), "M_FORBIDDEN", "{name}: once");
            // Challenge, too early, fallback, question, click, callback, completion, deed, replay.
            assert_eq!(pair.served() - before, 9, "{name}: every request went to the other replica");
            assert_eq!(devices(world, &phone).await?, [phone.device.as_str()]);
        }
        assert_ne!(begun_at[0], begun_at[1], "begun at each");
        Ok(())
    })
}

#[test]
fn of_many_repetitions_at_the_same_moment_one_is_done() -> anyhow::Result<()> {
    run(async {
        let pair = Pair::start_with(Portal::stand_at_host).await?;
        let world = &pair.world;
        let (host, alice) = (world.host()?, world.person("alice"));
        let phone = App::of(&host, &alice, "Phone").await?;
        for round in 0..3 {
            let laptop = App::of(&host, &alice, "Laptop").await?;
            let line = deletion_of(&laptop);
            let session = phone.is_asked(&line, &json!({})).await?;
            is_complete(&alice.confirm(&phone.fallback(&session)).await?)?;
            let body = auth(&session);
            let answers = join_all((0..10).map(|_| phone.send(&line, &body))).await;
            let mut statuses = Vec::new();
            for answer in answers {
                statuses.push(answer?.status);
            }
            let done = statuses.iter().filter(|status| **status == StatusCode::OK).count();
            assert_eq!(done, 1, "{round}: {statuses:?}");
            let refused = [StatusCode::OK, StatusCode::FORBIDDEN, StatusCode::TOO_MANY_REQUESTS];
            assert!(statuses.iter().all(|status| refused.contains(status)), "{round}: {statuses:?}");
            assert_eq!(devices(world, &phone).await?, [phone.device.as_str()], "{round}");
        }
        Ok(())
    })
}
