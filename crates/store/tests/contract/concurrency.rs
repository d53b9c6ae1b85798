//! Many at once, on one store and on two: nobody is told "busy", and exactly one wins.

use futures_util::future::{join_all, try_join_all};
use ruma_common::device_id;
use usher_store::{
    AccountState, Origin, Store, StoreError, TokenHash, accounts, links,
    login_tokens::{self, Claim},
    people,
};

use crate::harness::{TestDb, TestPerson, attempt, lease, ms, mxid, new_token};

on_both!(
    thirty_two_writers_on_two_replicas_all_succeed,
    of_many_claims_of_one_token_one_wins,
    of_many_advances_of_one_account_one_wins,
    of_two_first_logins_one_makes_the_account,
);

async fn thirty_two_writers_on_two_replicas_all_succeed(db: &TestDb) -> anyhow::Result<()> {
    let stores = [db.store.clone(), db.another().await?];
    let logins = (0..32).map(|number| {
        let store = stores[number % 2].clone();
        tokio::spawn(async move { log_in_several_times(&store, number).await })
    });
    for outcome in join_all(logins).await {
        outcome??;
    }
    Ok(())
}

/// As a person who is new, and then as one who is known.
async fn log_in_several_times(store: &Store, number: usize) -> anyhow::Result<()> {
    let person = TestPerson::named(&format!("p{number}"));
    let account = mxid(&person.subject);
    let mut tx = store.begin().await?;
    // Reading first: a transaction of SQLite that took its snapshot before another's write could not write.
    assert_eq!(accounts::find(&mut tx, &account).await?, None);
    assert!(accounts::insert_reserved(&mut tx, &account, Origin::Created, ms(0)).await?);
    assert!(links::insert(&mut tx, &person.key(), &account, ms(0)).await?);
    tx.commit().await?;
    assert!(accounts::advance(store, &account, AccountState::Reserved, AccountState::Active, ms(1)).await?);
    for round in 0..5 {
        assert_eq!(people::find(store, &person.key()).await?.links.len(), 1);
        let token = TokenHash::of(&format!("{number} {round}"));
        assert!(login_tokens::insert(store, &new_token(&token, &attempt(), &person, &account)).await?);
        let lease = lease();
        assert!(claim(store, &token, &lease).await?, "round {round}");
        let mut tx = store.begin().await?;
        assert!(login_tokens::redeem(&mut tx, &token, &lease).await?);
        tx.commit().await?;
    }
    Ok(())
}

async fn claim(store: &Store, token: &TokenHash, lease: &usher_store::Lease) -> Result<bool, StoreError> {
    let (device_id, now, lease_until) = (device_id!("D"), ms(1_000), ms(1_050));
    let claim = Claim { token, lease, device_id, audience: None, now, lease_until };
    Ok(login_tokens::claim(store, &claim).await?.is_some())
}

async fn of_many_claims_of_one_token_one_wins(db: &TestDb) -> anyhow::Result<()> {
    let alice = TestPerson::named("alice");
    let mxid = db.with_account(&alice).await?;
    let stores = [db.store.clone(), db.another().await?];
    for round in 0..5 {
        let token = db.with_token(&round.to_string(), &alice, &mxid).await?;
        let claims = (0..24).map(|number| {
            let (store, token) = (stores[number % 2].clone(), token.clone());
            tokio::spawn(async move { claim(&store, &token, &lease()).await })
        });
        let mut winners = 0;
        for outcome in join_all(claims).await {
            winners += u32::from(outcome??);
        }
        assert_eq!(winners, 1, "round {round}");
    }
    Ok(())
}

async fn of_many_advances_of_one_account_one_wins(db: &TestDb) -> anyhow::Result<()> {
    let alice = mxid("alice");
    accounts::insert_reserved(&db.store, &alice, Origin::Created, ms(0)).await?;
    let (from, to) = (AccountState::Reserved, AccountState::Registering);
    let advances = (0..24).map(|_| accounts::advance(&db.store, &alice, from, to, ms(1)));
    let winners = try_join_all(advances).await?.into_iter().filter(|has_won| *has_won).count();
    assert_eq!(winners, 1);
    Ok(())
}

async fn of_two_first_logins_one_makes_the_account(db: &TestDb) -> anyhow::Result<()> {
    let alice = TestPerson::named("alice");
    let first_login = async |store: Store| -> Result<bool, StoreError> {
        let mut tx = store.begin().await?;
        let is_first = accounts::insert_reserved(&mut tx, &mxid("alice"), Origin::Created, ms(0)).await?
            && links::insert(&mut tx, &alice.key(), &mxid("alice"), ms(0)).await?;
        tx.commit().await?;
        Ok(is_first)
    };
    let (one, other) = tokio::join!(first_login(db.store.clone()), first_login(db.another().await?));
    assert_ne!(one?, other?);
    assert_eq!(people::find(&db.store, &alice.key()).await?.links.len(), 1);
    Ok(())
}
