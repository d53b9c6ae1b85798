//! A transaction happens as a whole or not at all.

use usher_store::{Origin, StoreError, accounts, links};

use crate::harness::{TestDb, TestPerson, ms, mxid};

on_both!(
    what_is_not_committed_did_not_happen,
    what_is_committed_survives_a_reopen,
    a_transaction_with_a_failed_statement_cannot_be_committed,
    an_abandoned_transaction_does_not_keep_others_waiting,
);

async fn what_is_not_committed_did_not_happen(db: &TestDb) -> anyhow::Result<()> {
    let mut tx = db.store.begin().await?;
    accounts::insert_reserved(&mut tx, &mxid("alice"), Origin::Created, ms(0)).await?;
    assert!(accounts::find(&mut tx, &mxid("alice")).await?.is_some(), "seen within");
    assert!(accounts::find(&db.store, &mxid("alice")).await?.is_none(), "not seen outside");
    drop(tx);
    assert!(accounts::insert_reserved(&db.store, &mxid("alice"), Origin::Created, ms(0)).await?);
    Ok(())
}

async fn what_is_committed_survives_a_reopen(db: &TestDb) -> anyhow::Result<()> {
    let mut tx = db.store.begin().await?;
    accounts::insert_reserved(&mut tx, &mxid("alice"), Origin::Created, ms(0)).await?;
    tx.commit().await?;
    db.store.close().await;
    let outcome = db.store.ping().await;
    assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "{outcome:?}");
    let reopened = db.another().await?;
    reopened.check_migrated().await?;
    assert!(accounts::find(&reopened, &mxid("alice")).await?.is_some());
    Ok(())
}

/// Postgres answers the COMMIT of a broken transaction with a rollback and no error.
async fn a_transaction_with_a_failed_statement_cannot_be_committed(db: &TestDb) -> anyhow::Result<()> {
    let mut tx = db.store.begin().await?;
    accounts::insert_reserved(&mut tx, &mxid("alice"), Origin::Created, ms(0)).await?;
    let alice = TestPerson::named("alice");
    let outcome = links::insert(&mut tx, &alice.key(), &mxid("nobody"), ms(0)).await;
    assert!(matches!(outcome, Err(StoreError::Rejected(_))), "{outcome:?}");
    let outcome = tx.commit().await;
    assert!(matches!(outcome, Err(StoreError::Rejected(_))), "{outcome:?}");
    assert!(accounts::find(&db.store, &mxid("alice")).await?.is_none());
    Ok(())
}

async fn an_abandoned_transaction_does_not_keep_others_waiting(db: &TestDb) -> anyhow::Result<()> {
    for number in 0..20 {
        let mut tx = db.store.begin().await?;
        accounts::insert_reserved(&mut tx, &mxid(number), Origin::Created, ms(0)).await?;
    }
    assert!(accounts::insert_reserved(&db.store, &mxid(7), Origin::Created, ms(0)).await?);
    Ok(())
}
