//! What a login costs, counted by SQLite itself. Alone in its program: the counter is the whole process's.
#![cfg(feature = "count-statements")]

use ruma_common::{device_id, user_id};
use usher_core::{Entropy, Handle, Issuer, ProviderId, Subject, Timestamp};
use usher_store::{
    AccountState, AttemptHash, Lease, Options, Origin, PersonKey, Store, TokenHash, accounts, links,
    login_tokens::{self, Claim, NewLoginToken},
    people,
    sessions::{self, NewSession},
    statements,
};

#[derive(Debug)]
struct Fixed;

impl Entropy for Fixed {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

#[tokio::test]
async fn a_login_of_a_known_person_takes_seven_statements() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let url = format!("sqlite:{}", dir.path().join("usher.db").display());
    let store = Store::connect(&Options::new(url.into())).await?;
    store.migrate().await?;
    let (provider, issuer) = (ProviderId::parse("corp")?, Issuer::parse("https://idp.test")?);
    let subject = Subject::parse("alice")?;
    let person = PersonKey { provider: &provider, issuer: &issuer, subject: &subject };
    let (mxid, at) = (user_id!("@alice:eng.test"), Timestamp::from_millis);
    accounts::insert_reserved(&store, mxid, Origin::Created, at(0)).await?;
    accounts::advance(&store, mxid, AccountState::Reserved, AccountState::Active, at(0)).await?;
    links::insert(&store, &person, mxid, at(0)).await?;

    let before = statements();
    assert_eq!(people::find(&store, &person).await?.links.len(), 1);
    let (token, attempt) = (TokenHash::of("t"), AttemptHash::of(&Handle::generate(&Fixed)));
    let (issued_at, expires_at, keep_until) = (at(0), at(100), at(200));
    let new = NewLoginToken {
        token: &token,
        attempt: &attempt,
        mxid,
        person,
        upstream_session: None,
        begun_at: issued_at,
        issued_at,
        expires_at,
        keep_until,
    };
    assert!(login_tokens::insert(&store, &new).await?);
    let (lease, device_id) = (Lease::generate(&Fixed), device_id!("D"));
    let (now, lease_until) = (at(1), at(50));
    let claim = Claim { token: &token, lease: &lease, device_id, audience: None, now, lease_until };
    assert!(login_tokens::claim(&store, &claim).await?.is_some());
    let mut tx = store.begin().await?;
    assert!(login_tokens::redeem(&mut tx, &token, &lease).await?);
    let session =
        NewSession { mxid, device_id, person, upstream_session: None, begun_at: now, opened_at: now };
    sessions::insert(&mut tx, &session).await?;
    tx.commit().await?;
    assert_eq!(statements() - before, 7);
    Ok(())
}
