//! People between two pages, and turns that are dealt.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use ruma_common::server_name;
use usher_core::{Evidence, Identity};
use usher_store::{SWEEP_BATCH, StoreError, choices, login_tokens, pending, people, turns};

use crate::harness::{TestDb, TestPerson, attempt, ms, mxid};

on_both!(
    a_pending_person_is_found_until_their_time_is_over,
    an_attempt_keeps_its_first_person,
    a_sweep_of_pending_people_takes_a_bounded_number,
    a_pending_person_that_does_not_parse_is_corrupt,
    every_turn_is_drawn_once,
    a_choice_that_came_to_nothing_can_be_taken_back,
    a_token_is_known_by_whom_it_was_issued_for,
);

fn identity(person: &TestPerson) -> Identity {
    Identity {
        provider: person.provider.clone(),
        issuer: person.issuer.clone(),
        subject: person.subject.clone(),
        evidence: Evidence::AuthenticatedAt(ms(5)),
        attributes: BTreeMap::from([("mail".to_owned(), vec!["\"a\"@x".to_owned(), "föö@x".to_owned()])]),
        upstream_session: None,
    }
}

async fn a_pending_person_is_found_until_their_time_is_over(db: &TestDb) -> anyhow::Result<()> {
    let (alice, attempt, other) = (identity(&TestPerson::named("alice")), attempt(), attempt());
    assert!(pending::insert(&db.store, &attempt, &alice, ms(100)).await?);
    let replica = db.another().await?;
    for (now, expected) in [(0, Some(&alice)), (99, Some(&alice)), (100, None)] {
        assert_eq!(pending::find(&replica, &attempt, ms(now)).await?.as_ref(), expected, "{now}");
    }
    assert_eq!(pending::find(&replica, &other, ms(0)).await?, None);
    Ok(())
}

async fn an_attempt_keeps_its_first_person(db: &TestDb) -> anyhow::Result<()> {
    let (alice, bob) = (identity(&TestPerson::named("alice")), identity(&TestPerson::named("bob")));
    let attempt = attempt();
    assert!(pending::insert(&db.store, &attempt, &alice, ms(100)).await?);
    assert!(!pending::insert(&db.store, &attempt, &bob, ms(200)).await?);
    assert_eq!(pending::find(&db.store, &attempt, ms(0)).await?, Some(alice));
    Ok(())
}

async fn a_sweep_of_pending_people_takes_a_bounded_number(db: &TestDb) -> anyhow::Result<()> {
    let alice = identity(&TestPerson::named("alice"));
    let batch = u64::from(SWEEP_BATCH);
    let mut tx = db.store.begin().await?;
    for _ in 0..batch + 3 {
        pending::insert(&mut tx, &attempt(), &alice, ms(100)).await?;
    }
    let kept = attempt();
    pending::insert(&mut tx, &kept, &alice, ms(101)).await?;
    tx.commit().await?;
    for swept in [batch, 3, 0] {
        assert_eq!(pending::delete_expired(&db.store, ms(100), SWEEP_BATCH).await?, swept);
    }
    assert!(pending::find(&db.store, &kept, ms(100)).await?.is_some());
    Ok(())
}

async fn a_pending_person_that_does_not_parse_is_corrupt(db: &TestDb) -> anyhow::Result<()> {
    let attempt = attempt();
    pending::insert(&db.store, &attempt, &identity(&TestPerson::named("alice")), ms(100)).await?;
    db.run("UPDATE pending SET identity = '{}'").await?;
    let found = pending::find(&db.store, &attempt, ms(0)).await;
    assert!(matches!(found, Err(StoreError::Corrupt(_))), "{found:?}");
    Ok(())
}

async fn every_turn_is_drawn_once(db: &TestDb) -> anyhow::Result<()> {
    let stores = [db.store.clone(), db.another().await?];
    let calls = (0..60).map(|number| {
        let store = stores[number % 2].clone();
        tokio::spawn(async move { turns::draw(&store, "a.test*1,b.test*2").await })
    });
    let mut drawn = Vec::new();
    for turn in join_all(calls).await {
        drawn.push(turn??);
    }
    drawn.sort_unstable();
    assert_eq!(drawn, (0..60).collect::<Vec<u64>>());
    assert_eq!(turns::draw(&db.store, "another list").await?, 0);
    Ok(())
}

async fn a_choice_that_came_to_nothing_can_be_taken_back(db: &TestDb) -> anyhow::Result<()> {
    let (alice, bob) = (TestPerson::named("alice"), TestPerson::named("bob"));
    let (eng, law) = (server_name!("eng.test"), server_name!("law.test"));
    choices::insert(&db.store, &bob.key(), eng, ms(0)).await?;
    choices::insert(&db.store, &alice.key(), eng, ms(0)).await?;
    assert!(!choices::delete_unused(&db.store, &alice.key(), law).await?, "she chose another");
    db.with_account(&alice).await?;
    assert!(!choices::delete_unused(&db.store, &alice.key(), eng).await?, "she has an account there");
    assert!(choices::delete_unused(&db.store, &bob.key(), eng).await?);
    assert_eq!(people::find(&db.store, &bob.key()).await?.choice, None);
    assert_eq!(people::find(&db.store, &alice.key()).await?.choice.as_deref(), Some(eng));
    Ok(())
}

async fn a_token_is_known_by_whom_it_was_issued_for(db: &TestDb) -> anyhow::Result<()> {
    let alice = TestPerson::named("alice");
    let user = db.with_account(&alice).await?;
    let token = db.with_token("t", &alice, &user).await?;
    assert!(login_tokens::is_issued(&db.store, &token, &user).await?);
    assert!(!login_tokens::is_issued(&db.store, &token, &mxid("bob")).await?);
    assert!(!login_tokens::is_issued(&db.store, &usher_store::TokenHash::of("u"), &user).await?);
    Ok(())
}
