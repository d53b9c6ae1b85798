//! A database that is away is "not available", and nobody has to restart Usher when it is back.

use usher_lab::real::postgres::Postgres;
use usher_store::{Origin, Store, StoreError, accounts};

use crate::harness::{impatient, ms, mxid};

/// The connections of [`impatient`]'s pool: as many requests may each find a dead one.
const CONNECTIONS: usize = 2;

async fn open(postgres: &Postgres) -> anyhow::Result<Store> {
    let store = Store::connect(&impatient(postgres.url().as_str())).await?;
    store.migrate().await?;
    Ok(store)
}

#[track_caller]
fn assert_unavailable<T: std::fmt::Debug>(outcome: &Result<T, StoreError>) {
    assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "{outcome:?}");
}

async fn assert_it_recovers(store: &Store) -> anyhow::Result<()> {
    let mut outcome = store.ping().await;
    for _ in 0..CONNECTIONS {
        if outcome.is_err() {
            assert_unavailable(&outcome);
            outcome = store.ping().await;
        }
    }
    outcome?;
    assert!(accounts::find(store, &mxid("alice")).await?.is_some());
    Ok(())
}

#[tokio::test]
async fn a_database_that_crashed_is_used_again_when_it_is_back() -> anyhow::Result<()> {
    let mut postgres = Postgres::start().await?;
    let store = open(&postgres).await?;
    accounts::insert_reserved(&store, &mxid("alice"), Origin::Created, ms(0)).await?;
    let mut tx = store.begin().await?;
    postgres.kill().await?;
    assert_unavailable(&accounts::find(&mut tx, &mxid("alice")).await);
    assert!(tx.commit().await.is_err());
    assert_unavailable(&accounts::find(&store, &mxid("alice")).await);
    assert_unavailable(&store.begin().await);
    postgres.start_again().await?;
    assert_it_recovers(&store).await
}

#[tokio::test]
async fn a_database_that_hangs_is_given_up_on_and_used_again_when_it_goes_on() -> anyhow::Result<()> {
    let postgres = Postgres::start().await?;
    let store = open(&postgres).await?;
    accounts::insert_reserved(&store, &mxid("alice"), Origin::Created, ms(0)).await?;
    let mut tx = store.begin().await?;
    postgres.pause()?;
    assert_unavailable(&accounts::insert_reserved(&mut tx, &mxid("bob"), Origin::Created, ms(0)).await);
    drop(tx);
    for _ in 0..=CONNECTIONS {
        assert_unavailable(&accounts::find(&store, &mxid("alice")).await);
    }
    postgres.resume()?;
    assert_it_recovers(&store).await?;
    Ok(())
}

#[tokio::test]
async fn a_statement_that_waits_too_long_for_a_lock_is_given_up_on() -> anyhow::Result<()> {
    let postgres = Postgres::start().await?;
    let store = open(&postgres).await?;
    accounts::insert_reserved(&store, &mxid("alice"), Origin::Created, ms(0)).await?;
    let mut tx = store.begin().await?;
    let (from, to) = (accounts::AccountState::Reserved, accounts::AccountState::Active);
    assert!(accounts::advance(&mut tx, &mxid("alice"), from, to, ms(0)).await?);
    assert_unavailable(&accounts::advance(&store, &mxid("alice"), from, to, ms(0)).await);
    Ok(())
}

#[tokio::test]
async fn a_sqlite_writer_that_never_ends_does_not_hang_others() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let url = format!("sqlite:{}", dir.path().join("usher.db").display());
    let store = Store::connect(&impatient(&url)).await?;
    store.migrate().await?;
    let other_process = Store::connect(&impatient(&url)).await?;
    let tx = store.begin().await?;
    assert_unavailable(&store.begin().await);
    assert_unavailable(&other_process.begin().await);
    assert_unavailable(&accounts::insert_reserved(&other_process, &mxid("a"), Origin::Created, ms(0)).await);
    drop(tx);
    assert!(accounts::insert_reserved(&other_process, &mxid("a"), Origin::Created, ms(0)).await?);
    Ok(())
}
