//! Accounts are established step by step, and their rows outlive them.

use AccountState::{Active, Registering, Removed, Reserved};
use usher_store::{
    AccountState, Origin, StoreError,
    accounts::{self, advance, delete_unfinished, insert_reserved},
    links,
};

use crate::harness::{TestDb, TestPerson, ms, mxid};

on_both!(
    a_name_is_reserved_once,
    an_account_moves_on_only_from_the_state_it_is_in,
    only_an_unfinished_name_is_given_back_and_in_the_state_that_was_seen,
    a_removed_account_stays_as_a_tombstone,
    an_account_with_a_link_cannot_go,
    a_state_nobody_knows_is_refused,
);

async fn a_name_is_reserved_once(db: &TestDb) -> anyhow::Result<()> {
    let alice = mxid("alice");
    assert!(insert_reserved(&db.store, &alice, Origin::Adopted, ms(7)).await?);
    assert!(!insert_reserved(&db.store, &alice, Origin::Created, ms(8)).await?);
    let account = accounts::find(&db.store, &alice).await?.expect("it was reserved");
    assert_eq!((account.mxid, account.state, account.origin), (alice, Reserved, Origin::Adopted));
    assert_eq!((account.created_at, account.updated_at), (ms(7), ms(7)));
    assert_eq!(accounts::find(&db.store, &mxid("bob")).await?, None);
    Ok(())
}

async fn an_account_moves_on_only_from_the_state_it_is_in(db: &TestDb) -> anyhow::Result<()> {
    let alice = mxid("alice");
    assert!(!advance(&db.store, &alice, Reserved, Registering, ms(1)).await?, "no such account");
    insert_reserved(&db.store, &alice, Origin::Created, ms(0)).await?;
    for (name, from, to, expected) in [
        ("skipping what others did", Registering, Active, false),
        ("probed free", Reserved, Registering, true),
        ("the same step again", Reserved, Registering, false),
        ("registered", Registering, Active, true),
        ("removed", Active, Removed, true),
        ("back from the dead", Active, Registering, false),
    ] {
        assert_eq!(advance(&db.store, &alice, from, to, ms(5)).await?, expected, "{name}");
    }
    let account = accounts::find(&db.store, &alice).await?.expect("it has a row");
    assert_eq!((account.state, account.updated_at, account.created_at), (Removed, ms(5), ms(0)));
    Ok(())
}

async fn only_an_unfinished_name_is_given_back_and_in_the_state_that_was_seen(
    db: &TestDb,
) -> anyhow::Result<()> {
    assert!(!delete_unfinished(&db.store, &mxid("nobody"), Reserved).await?, "no such account");
    for (is, seen, expected) in [
        (Reserved, Reserved, true),
        (Registering, Registering, true),
        (Reserved, Registering, false),
        (Registering, Reserved, false),
        (Active, Active, false),
        (Removed, Removed, false),
    ] {
        let name = mxid(format!("{is}-{seen}"));
        insert_reserved(&db.store, &name, Origin::Created, ms(0)).await?;
        advance(&db.store, &name, Reserved, is, ms(0)).await?;
        assert_eq!(delete_unfinished(&db.store, &name, seen).await?, expected, "{is}, seen {seen}");
        assert_eq!(accounts::find(&db.store, &name).await?.is_none(), expected, "{is}, seen {seen}");
    }
    Ok(())
}

async fn a_removed_account_stays_as_a_tombstone(db: &TestDb) -> anyhow::Result<()> {
    let alice = TestPerson::named("alice");
    let mxid = db.with_account(&alice).await?;
    let mut tx = db.store.begin().await?;
    assert!(links::delete(&mut tx, &alice.key(), &mxid).await?);
    assert!(advance(&mut tx, &mxid, Active, Removed, ms(9)).await?);
    tx.commit().await?;
    assert!(
        !insert_reserved(&db.store, &mxid, Origin::Created, ms(10)).await?,
        "its name is never given again"
    );
    Ok(())
}

async fn an_account_with_a_link_cannot_go(db: &TestDb) -> anyhow::Result<()> {
    let alice = TestPerson::named("alice");
    insert_reserved(&db.store, &mxid("alice"), Origin::Created, ms(0)).await?;
    links::insert(&db.store, &alice.key(), &mxid("alice"), ms(0)).await?;
    let outcome = delete_unfinished(&db.store, &mxid("alice"), Reserved).await;
    assert!(matches!(outcome, Err(StoreError::Rejected(_))), "{outcome:?}");
    let outcome = links::insert(&db.store, &alice.key(), "@alice:other.test".try_into()?, ms(0)).await;
    assert!(matches!(outcome, Err(StoreError::Rejected(_))), "no such account: {outcome:?}");
    Ok(())
}

async fn a_state_nobody_knows_is_refused(db: &TestDb) -> anyhow::Result<()> {
    insert_reserved(&db.store, &mxid("alice"), Origin::Created, ms(0)).await?;
    assert!(db.run("UPDATE accounts SET state = 'odd'").await.is_err());
    assert!(db.run("UPDATE accounts SET origin = 'odd'").await.is_err());
    Ok(())
}
