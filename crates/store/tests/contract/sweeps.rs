//! Sweeps take what is over, a bounded number at a time, and nothing else.

use ruma_common::device_id;
use usher_core::{Timestamp, provider::OneTime};
use usher_store::{
    SWEEP_BATCH, SpentKey, TokenHash,
    login_tokens::{self, Claim, NewLoginToken},
    spent,
};

use crate::harness::{TestDb, TestPerson, attempt, lease, ms, new_token};

on_both!(
    a_key_is_spent_once_until_it_is_swept,
    an_attempt_stays_spent_until_it_is_swept,
    a_sweep_takes_a_bounded_number_of_rows,
    a_token_that_somebody_holds_is_not_swept,
);

fn key(person: &TestPerson, name: &str, until: Timestamp) -> SpentKey {
    SpentKey::of(&person.provider, &OneTime { key: name.to_owned(), until })
}

async fn a_key_is_spent_once_until_it_is_swept(db: &TestDb) -> anyhow::Result<()> {
    let id = key(&TestPerson::named("alice"), "_assertion", ms(100));
    assert!(spent::insert(&db.store, &id, ms(100)).await?);
    assert!(!spent::insert(&db.store, &id, ms(200)).await?);
    for (now, swept) in [(99, 0), (100, 1), (101, 0)] {
        assert_eq!(spent::delete_expired(&db.store, ms(now), SWEEP_BATCH).await?, swept, "{now}");
    }
    assert!(spent::insert(&db.store, &id, ms(100)).await?);
    Ok(())
}

async fn an_attempt_stays_spent_until_it_is_swept(db: &TestDb) -> anyhow::Result<()> {
    let alice = TestPerson::named("alice");
    let mxid = db.with_account(&alice).await?;
    let (token, attempt) = (TokenHash::of("t"), attempt());
    let new = new_token(&token, &attempt, &alice, &mxid);
    assert!(login_tokens::insert(&db.store, &new).await?);
    for (now, swept) in [(1_100, 0), (1_999, 0), (2_000, 1), (2_001, 0)] {
        assert!(!login_tokens::insert(&db.store, &new).await?, "still spent before {now}");
        assert_eq!(login_tokens::delete_expired(&db.store, ms(now), SWEEP_BATCH).await?, swept, "{now}");
        if swept == 1 {
            assert!(login_tokens::insert(&db.store, &new).await?, "forgotten at {now}");
            assert_eq!(login_tokens::delete_expired(&db.store, ms(1_999), SWEEP_BATCH).await?, 0);
            return Ok(());
        }
    }
    Ok(())
}

async fn a_sweep_takes_a_bounded_number_of_rows(db: &TestDb) -> anyhow::Result<()> {
    let alice = TestPerson::named("alice");
    let mxid = db.with_account(&alice).await?;
    let batch = u64::from(SWEEP_BATCH);
    let mut tx = db.store.begin().await?;
    for number in 0..batch + 3 {
        let name = number.to_string();
        let (token, attempt) = (TokenHash::of(&name), attempt());
        login_tokens::insert(&mut tx, &new_token(&token, &attempt, &alice, &mxid)).await?;
        spent::insert(&mut tx, &key(&alice, &name, ms(2_000)), ms(2_000)).await?;
    }
    let (kept, attempt) = (TokenHash::of("kept"), attempt());
    let later = NewLoginToken { keep_until: ms(2_001), ..new_token(&kept, &attempt, &alice, &mxid) };
    login_tokens::insert(&mut tx, &later).await?;
    tx.commit().await?;
    for swept in [batch, 3, 0] {
        assert_eq!(login_tokens::delete_expired(&db.store, ms(2_000), SWEEP_BATCH).await?, swept);
        assert_eq!(spent::delete_expired(&db.store, ms(2_000), SWEEP_BATCH).await?, swept);
    }
    assert_eq!(login_tokens::delete_expired(&db.store, ms(2_001), SWEEP_BATCH).await?, 1);
    Ok(())
}

async fn a_token_that_somebody_holds_is_not_swept(db: &TestDb) -> anyhow::Result<()> {
    let alice = TestPerson::named("alice");
    let mxid = db.with_account(&alice).await?;
    let token = db.with_token("t", &alice, &mxid).await?;
    let lease = lease();
    let (device_id, now, lease_until) = (device_id!("D"), ms(1_099), ms(2_005));
    let claim = Claim { token: &token, lease: &lease, device_id, audience: None, now, lease_until };
    login_tokens::claim(&db.store, &claim).await?.expect("it is good");
    for (now, swept) in [(2_000, 0), (2_004, 0), (2_005, 1)] {
        assert_eq!(login_tokens::delete_expired(&db.store, ms(now), SWEEP_BATCH).await?, swept, "{now}");
    }
    Ok(())
}
