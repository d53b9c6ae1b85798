//! What an account is still to be given waits for as long as it takes, and for one replica at a time.

use ruma_common::server_name;
use usher_store::{
    AccountState, Lease, Store, StoreError, accounts,
    provisioning::{self, Gift, Kind, Task},
};

use crate::harness::{Counting, TestDb, TestPerson, ms, mxid};

on_both!(
    what_is_asked_for_twice_is_given_once,
    nothing_is_due_before_its_time,
    of_many_at_once_one_claims_a_row,
    a_claim_takes_a_few_of_one_homeserver,
    a_lease_runs_out_by_itself,
    a_new_value_takes_the_row_from_whoever_is_at_it,
    an_account_that_is_not_active_is_given_nothing,
    what_was_given_last_is_remembered_as_a_hash,
);

const NAME: Gift<'static> = Gift { kind: Kind::DisplayName, value: "Alice" };
const WELCOME: Gift<'static> = Gift { kind: Kind::Join, value: "#welcome:eng.test" };

fn name(value: &str) -> Gift<'_> {
    Gift { kind: Kind::DisplayName, value }
}

async fn claim(store: &Store, at: i64, limit: u32) -> Result<(Lease, Vec<Task>), StoreError> {
    let lease = Lease::generate(&Counting);
    let tasks =
        provisioning::claim(store, server_name!("eng.test"), &lease, ms(at), ms(at + 60), limit).await?;
    Ok((lease, tasks))
}

async fn what_is_asked_for_twice_is_given_once(db: &TestDb) -> anyhow::Result<()> {
    let alice = db.with_account(&TestPerson::named("alice")).await?;
    let lounge = Gift { kind: Kind::Join, value: "#lounge:eng.test" };
    for gift in [NAME, WELCOME, lounge, NAME, WELCOME] {
        provisioning::upsert(&db.store, &alice, &gift, ms(10)).await?;
    }
    let pending = provisioning::list(&db.store, &alice).await?;
    let pending: Vec<_> = pending.iter().map(|row| (row.kind, row.value.as_str())).collect();
    let expected =
        [(Kind::DisplayName, "Alice"), (Kind::Join, "#lounge:eng.test"), (Kind::Join, "#welcome:eng.test")];
    assert_eq!(pending, expected);
    let (lease, tasks) = claim(&db.store, 10, 9).await?;
    assert_eq!(tasks.len(), 3);
    for task in &tasks {
        assert!(provisioning::delete(&db.store, task, &lease).await?);
        assert!(!provisioning::delete(&db.store, task, &lease).await?, "done once");
    }
    assert_eq!(provisioning::list(&db.store, &alice).await?, []);
    Ok(())
}

async fn nothing_is_due_before_its_time(db: &TestDb) -> anyhow::Result<()> {
    let alice = db.with_account(&TestPerson::named("alice")).await?;
    provisioning::upsert(&db.store, &alice, &NAME, ms(10)).await?;
    assert_eq!(claim(&db.store, 9, 9).await?.1, []);
    let (lease, tasks) = claim(&db.store, 10, 9).await?;
    assert_eq!(tasks.iter().map(|task| task.attempts).collect::<Vec<_>>(), [1]);
    assert!(provisioning::postpone(&db.store, &tasks[0], &lease, ms(100), "M_FORBIDDEN").await?);
    assert!(!provisioning::postpone(&db.store, &tasks[0], &lease, ms(0), "").await?, "given back once");
    let row = provisioning::list(&db.store, &alice).await?.remove(0);
    assert_eq!((row.attempts, row.not_before, row.last_error.as_deref()), (1, ms(100), Some("M_FORBIDDEN")));
    assert_eq!(claim(&db.store, 99, 9).await?.1, []);
    assert_eq!(claim(&db.store, 100, 9).await?.1[0].attempts, 2);
    Ok(())
}

async fn of_many_at_once_one_claims_a_row(db: &TestDb) -> anyhow::Result<()> {
    let alice = db.with_account(&TestPerson::named("alice")).await?;
    let stores = [db.store.clone(), db.another().await?];
    for round in 0..5 {
        provisioning::upsert(&db.store, &alice, &NAME, ms(round)).await?;
        let claims = (0..8).map(|number| claim(&stores[number % 2], round, 9));
        let mut claimed = Vec::new();
        for outcome in futures_util::future::join_all(claims).await {
            let (lease, tasks) = outcome?;
            claimed.extend(tasks.into_iter().map(|task| (lease.clone(), task)));
        }
        assert_eq!(claimed.len(), 1, "round {round}");
        assert!(provisioning::delete(&db.store, &claimed[0].1, &claimed[0].0).await?);
    }
    Ok(())
}

async fn a_claim_takes_a_few_of_one_homeserver(db: &TestDb) -> anyhow::Result<()> {
    for (number, name) in ["a", "b", "c"].into_iter().enumerate() {
        let account = db.with_account(&TestPerson::named(name)).await?;
        let due = ms(i64::try_from(number)?);
        provisioning::upsert(&db.store, &account, &NAME, due).await?;
    }
    let law = "@a:law.test".try_into()?;
    accounts::insert_active(&db.store, law, usher_store::Origin::Adopted, ms(0)).await?;
    provisioning::upsert(&db.store, law, &NAME, ms(0)).await?;
    let mut due = provisioning::list_due(&db.store, ms(0)).await?;
    due.sort();
    assert_eq!(due, ["eng.test", "law.test"]);
    assert!(provisioning::list_due(&db.store, ms(-1)).await?.is_empty());
    let names = |tasks: Vec<Task>| tasks.into_iter().map(|task| task.mxid).collect::<Vec<_>>();
    let mut first = names(claim(&db.store, 9, 2).await?.1);
    first.sort();
    assert_eq!(first, [mxid("a"), mxid("b")], "the oldest first");
    assert_eq!(names(claim(&db.store, 9, 2).await?.1), [mxid("c")]);
    Ok(())
}

async fn a_lease_runs_out_by_itself(db: &TestDb) -> anyhow::Result<()> {
    let alice = db.with_account(&TestPerson::named("alice")).await?;
    provisioning::upsert(&db.store, &alice, &NAME, ms(0)).await?;
    let (dead, tasks) = claim(&db.store, 0, 9).await?;
    assert_eq!(claim(&db.store, 59, 9).await?.1, []);
    assert_eq!(claim(&db.store, 60, 9).await?.1.len(), 1);
    assert!(!provisioning::delete(&db.store, &tasks[0], &dead).await?, "it is another's by now");
    assert!(!provisioning::postpone(&db.store, &tasks[0], &dead, ms(0), "").await?);
    Ok(())
}

async fn a_new_value_takes_the_row_from_whoever_is_at_it(db: &TestDb) -> anyhow::Result<()> {
    let alice = db.with_account(&TestPerson::named("alice")).await?;
    provisioning::upsert(&db.store, &alice, &NAME, ms(0)).await?;
    let (old, tasks) = claim(&db.store, 0, 9).await?;
    let married = Gift { kind: Kind::DisplayName, value: "Alice Married" };
    provisioning::upsert(&db.store, &alice, &married, ms(1)).await?;
    assert!(!provisioning::delete(&db.store, &tasks[0], &old).await?);
    let (_, tasks) = claim(&db.store, 1, 9).await?;
    assert_eq!((tasks[0].value.as_str(), tasks[0].attempts), ("Alice Married", 1));
    Ok(())
}

async fn an_account_that_is_not_active_is_given_nothing(db: &TestDb) -> anyhow::Result<()> {
    let alice = db.with_account(&TestPerson::named("alice")).await?;
    provisioning::upsert(&db.store, &alice, &WELCOME, ms(0)).await?;
    accounts::advance(&db.store, &alice, AccountState::Active, AccountState::Removed, ms(0)).await?;
    assert_eq!(claim(&db.store, 9, 9).await?.1, []);
    assert_eq!(provisioning::delete_all(&db.store, &alice).await?, 1);
    let nobody = provisioning::upsert(&db.store, &mxid("nobody"), &WELCOME, ms(0)).await;
    assert!(matches!(nobody, Err(StoreError::Rejected(_))), "{nobody:?}");
    Ok(())
}

async fn what_was_given_last_is_remembered_as_a_hash(db: &TestDb) -> anyhow::Result<()> {
    let alice = db.with_account(&TestPerson::named("alice")).await?;
    let is_given = async |value: &str| provisioning::is_given(&db.store, &alice, &name(value)).await;
    assert!(!is_given("Alice").await?);
    for value in ["Alice", "Alice Married"] {
        provisioning::set_given(&db.store, &alice, &name(value), ms(1)).await?;
        assert!(is_given(value).await?);
    }
    assert!(!is_given("Alice").await?, "the last one counts");
    provisioning::upsert(&db.store, &alice, &name("Alice Married"), ms(2)).await?;
    assert!(is_given("Alice Married").await?, "the same is on its way");
    provisioning::upsert(&db.store, &alice, &name("Alice"), ms(3)).await?;
    assert!(!is_given("Alice Married").await?, "another is on its way");
    Ok(())
}
