//! What was opened is remembered for a logout.

use ruma_common::device_id;
use usher_store::sessions::{self, NewSession};

use crate::harness::{TestDb, TestPerson, ms};

on_both!(a_new_login_on_a_device_replaces_the_session);

async fn a_new_login_on_a_device_replaces_the_session(db: &TestDb) -> anyhow::Result<()> {
    let (alice, bob) = (TestPerson::named("alice"), TestPerson::named("bob"));
    let mxid = db.with_account(&alice).await?;
    let device_id = device_id!("D");
    for (person, opened_at) in [(&alice, ms(1)), (&bob, ms(2))] {
        let session = NewSession {
            mxid: &mxid,
            device_id,
            person: person.key(),
            upstream_session: None,
            begun_at: opened_at,
            opened_at,
        };
        sessions::insert(&db.store, &session).await?;
    }
    assert_eq!(sessions::find_opened_at(&db.store, &mxid, device_id, &alice.key()).await?, None);
    assert_eq!(sessions::find_opened_at(&db.store, &mxid, device_id, &bob.key()).await?, Some(ms(2)));
    Ok(())
}
