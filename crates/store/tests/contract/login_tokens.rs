//! Login tokens are good once, for a while, and survive a homeserver that fails or stays silent.

use ruma_common::{DeviceId, ServerName, device_id, server_name};
use usher_core::provider::UpstreamSession;
use usher_store::{
    AccountState, Lease, StoreError, TokenHash, UpstreamSessionHash, accounts, links,
    login_tokens::{
        self, ChosenDevice, Claim, Claimed, NewLoginToken, Refused, find_refusal, redeem, release,
    },
};

use crate::harness::{TestDb, TestPerson, attempt, lease, ms, mxid, new_token};

on_both!(
    an_attempt_is_spent_once,
    a_token_opens_its_account_and_names_its_person,
    a_token_is_good_up_to_the_last_millisecond,
    a_lease_holds_up_to_the_last_millisecond,
    a_claim_outlives_its_lease_by_the_lifetime_but_not_its_attempt,
    a_repeat_lands_on_the_same_device,
    a_released_token_works_at_once_and_on_any_device,
    only_the_holder_of_the_lease_redeems_or_releases,
    a_redeemed_token_is_refused_for_good,
    a_token_of_one_homeserver_opens_nothing_at_another,
    a_token_of_a_removed_link_or_account_opens_nothing,
    a_token_needs_an_account,
);

/// Tokens are issued at 1,000, expire at 1,100 and are kept until 2,000 (see the harness).
async fn claim(
    db: &TestDb,
    token: &TokenHash,
    lease: &Lease,
    (now, until): (i64, i64),
) -> Result<Option<Claimed>, StoreError> {
    claim_on(db, token, lease, (now, until), device_id!("DEVICE"), None).await
}

async fn claim_on(
    db: &TestDb,
    token: &TokenHash,
    lease: &Lease,
    (now, until): (i64, i64),
    device_id: &DeviceId,
    audience: Option<&ServerName>,
) -> Result<Option<Claimed>, StoreError> {
    let (now, lease_until) = (ms(now), ms(until));
    login_tokens::claim(&db.store, &Claim { token, lease, device_id, audience, now, lease_until }).await
}

async fn an_attempt_is_spent_once(db: &TestDb) -> anyhow::Result<()> {
    let alice = TestPerson::named("alice");
    let mxid = db.with_account(&alice).await?;
    let (attempt, first, second) = (attempt(), TokenHash::of("first"), TokenHash::of("second"));
    assert_eq!(login_tokens::find_audience(&db.store, &attempt).await?, None);
    assert!(login_tokens::insert(&db.store, &new_token(&first, &attempt, &alice, &mxid)).await?);
    let audience = login_tokens::find_audience(&db.store, &attempt).await?;
    assert_eq!(audience.as_deref(), Some(mxid.server_name()));
    assert!(!login_tokens::insert(&db.store, &new_token(&second, &attempt, &alice, &mxid)).await?);
    assert_eq!(claim(db, &second, &lease(), (1_000, 1_010)).await?, None);
    assert!(claim(db, &first, &lease(), (1_000, 1_010)).await?.is_some());
    Ok(())
}

async fn a_token_opens_its_account_and_names_its_person(db: &TestDb) -> anyhow::Result<()> {
    let alice = TestPerson::named("alice");
    let mxid = db.with_account(&alice).await?;
    let session =
        UpstreamSessionHash::of(&alice.provider, &alice.issuer, &UpstreamSession::Unique("_s1".to_owned()));
    let (token, attempt) = (TokenHash::of("t"), attempt());
    let new =
        NewLoginToken { upstream_session: Some(&session), ..new_token(&token, &attempt, &alice, &mxid) };
    login_tokens::insert(&db.store, &new).await?;
    let claimed = claim(db, &token, &lease(), (1_000, 1_010)).await?.expect("it is good");
    assert_eq!((claimed.mxid.as_str(), claimed.device_id.as_str()), (mxid.as_str(), "DEVICE"));
    assert_eq!(claimed.person(), alice.key());
    assert_eq!(claimed.upstream_session, Some(session));
    Ok(())
}

async fn a_token_is_good_up_to_the_last_millisecond(db: &TestDb) -> anyhow::Result<()> {
    let alice = TestPerson::named("alice");
    let mxid = db.with_account(&alice).await?;
    for (now, is_good) in [(1_000, true), (1_099, true), (1_100, false), (1_101, false), (2_000, false)] {
        let token = db.with_token(&now.to_string(), &alice, &mxid).await?;
        assert_eq!(claim(db, &token, &lease(), (now, now + 10)).await?.is_some(), is_good, "{now}");
        if !is_good {
            assert_eq!(find_refusal(&db.store, &token, None, ms(now)).await?, Refused::Invalid, "{now}");
        }
    }
    let unknown = TokenHash::of("unknown");
    assert_eq!(claim(db, &unknown, &lease(), (1_000, 1_010)).await?, None);
    assert_eq!(find_refusal(&db.store, &unknown, None, ms(1_000)).await?, Refused::Invalid);
    Ok(())
}

async fn a_lease_holds_up_to_the_last_millisecond(db: &TestDb) -> anyhow::Result<()> {
    let alice = TestPerson::named("alice");
    let mxid = db.with_account(&alice).await?;
    for (now, is_free) in [(1_050, false), (1_059, false), (1_060, true), (1_061, true)] {
        let token = db.with_token(&now.to_string(), &alice, &mxid).await?;
        claim(db, &token, &lease(), (1_050, 1_060)).await?.expect("it is free at first");
        let refusal = find_refusal(&db.store, &token, None, ms(now)).await?;
        // Once the lease is over, "try again now".
        assert_eq!(refusal, Refused::Leased { until: ms(now.max(1_060)) }, "{now}");
        assert_eq!(claim(db, &token, &lease(), (now, now + 10)).await?.is_some(), is_free, "{now}");
    }
    Ok(())
}

async fn a_claim_outlives_its_lease_by_the_lifetime_but_not_its_attempt(db: &TestDb) -> anyhow::Result<()> {
    let alice = TestPerson::named("alice");
    let mxid = db.with_account(&alice).await?;
    for (name, lease_until, now, is_good) in [
        ("long after it would have expired", 1_500, 1_500, true),
        ("the last millisecond of the lifetime after the lease", 1_500, 1_599, true),
        ("one later", 1_500, 1_600, false),
        ("the attempt's last millisecond", 1_950, 1_999, true),
        ("the attempt is over", 1_950, 2_000, false),
        ("the lease ends after the attempt", 2_500, 2_500, false),
    ] {
        let token = db.with_token(name, &alice, &mxid).await?;
        claim(db, &token, &lease(), (1_099, lease_until)).await?.expect("it is good at first");
        assert_eq!(claim(db, &token, &lease(), (now, now + 10)).await?.is_some(), is_good, "{name}");
    }
    Ok(())
}

async fn a_repeat_lands_on_the_same_device(db: &TestDb) -> anyhow::Result<()> {
    let alice = TestPerson::named("alice");
    let mxid = db.with_account(&alice).await?;
    let token = db.with_token("t", &alice, &mxid).await?;
    for (now, proposed) in [(1_000, device_id!("FIRST")), (1_010, device_id!("SECOND"))] {
        let claimed = claim_on(db, &token, &lease(), (now, now + 10), proposed, None).await?;
        assert_eq!(claimed.map(|claimed| claimed.device_id).as_deref(), Some(device_id!("FIRST")), "{now}");
    }
    Ok(())
}

async fn a_released_token_works_at_once_and_on_any_device(db: &TestDb) -> anyhow::Result<()> {
    let alice = TestPerson::named("alice");
    let mxid = db.with_account(&alice).await?;
    let token = db.with_token("t", &alice, &mxid).await?;
    let first = lease();
    claim_on(db, &token, &first, (1_050, 1_500), device_id!("FIRST"), None).await?.expect("it is good");
    assert!(release(&db.store, &token, &first, ChosenDevice::Forgotten, ms(1_060)).await?);
    let refusal = find_refusal(&db.store, &token, None, ms(1_060)).await?;
    assert_eq!(refusal, Refused::Leased { until: ms(1_060) }, "try again now");
    assert_eq!(find_refusal(&db.store, &token, None, ms(1_160)).await?, Refused::Invalid, "it expires anew");
    let claimed = claim_on(db, &token, &lease(), (1_159, 1_200), device_id!("SECOND"), None).await?;
    assert_eq!(claimed.map(|claimed| claimed.device_id).as_deref(), Some(device_id!("SECOND")));
    Ok(())
}

async fn only_the_holder_of_the_lease_redeems_or_releases(db: &TestDb) -> anyhow::Result<()> {
    let alice = TestPerson::named("alice");
    let mxid = db.with_account(&alice).await?;
    let token = db.with_token("t", &alice, &mxid).await?;
    let (first, second) = (lease(), lease());
    assert!(!redeem(&db.store, &token, &first).await?, "nobody claimed it");
    assert!(
        !release(&db.store, &token, &first, ChosenDevice::Forgotten, ms(1_000)).await?,
        "nobody claimed it"
    );
    claim(db, &token, &first, (1_000, 1_010)).await?.expect("it is good");
    claim(db, &token, &second, (1_010, 1_020)).await?.expect("the first lease is over");
    assert!(!redeem(&db.store, &token, &first).await?, "taken over");
    assert!(!release(&db.store, &token, &first, ChosenDevice::Forgotten, ms(1_011)).await?, "taken over");
    assert!(redeem(&db.store, &token, &second).await?);
    Ok(())
}

async fn a_redeemed_token_is_refused_for_good(db: &TestDb) -> anyhow::Result<()> {
    let alice = TestPerson::named("alice");
    let mxid = db.with_account(&alice).await?;
    let token = db.with_token("t", &alice, &mxid).await?;
    let holder = lease();
    claim(db, &token, &holder, (1_000, 1_010)).await?.expect("it is good");
    assert!(redeem(&db.store, &token, &holder).await?);
    assert!(!redeem(&db.store, &token, &holder).await?);
    assert!(!release(&db.store, &token, &holder, ChosenDevice::Forgotten, ms(1_001)).await?);
    assert_eq!(claim(db, &token, &lease(), (1_001, 1_011)).await?, None);
    assert_eq!(claim(db, &token, &lease(), (1_010, 1_020)).await?, None, "after its lease");
    assert_eq!(find_refusal(&db.store, &token, None, ms(1_001)).await?, Refused::Invalid);
    Ok(())
}

async fn a_token_of_one_homeserver_opens_nothing_at_another(db: &TestDb) -> anyhow::Result<()> {
    let alice = TestPerson::named("alice");
    let mxid = db.with_account(&alice).await?;
    let token = db.with_token("t", &alice, &mxid).await?;
    let (wrong, right) = (server_name!("law.test"), server_name!("eng.test"));
    let device = device_id!("D");
    assert_eq!(claim_on(db, &token, &lease(), (1_000, 1_010), device, Some(wrong)).await?, None);
    assert_eq!(find_refusal(&db.store, &token, Some(wrong), ms(1_000)).await?, Refused::Invalid);
    assert!(claim_on(db, &token, &lease(), (1_000, 1_010), device, Some(right)).await?.is_some());
    let refusal = find_refusal(&db.store, &token, Some(right), ms(1_000)).await?;
    assert_eq!(refusal, Refused::Leased { until: ms(1_010) });
    Ok(())
}

async fn a_token_of_a_removed_link_or_account_opens_nothing(db: &TestDb) -> anyhow::Result<()> {
    let (alice, bob) = (TestPerson::named("alice"), TestPerson::named("bob"));
    let (of_alice, of_bob) = (db.with_account(&alice).await?, db.with_account(&bob).await?);
    let (unlinked, removed) =
        (db.with_token("a", &alice, &of_alice).await?, db.with_token("b", &bob, &of_bob).await?);
    links::delete(&db.store, &alice.key(), &of_alice).await?;
    accounts::advance(&db.store, &of_bob, AccountState::Active, AccountState::Removed, ms(1)).await?;
    for (name, token) in [("link", unlinked), ("account", removed)] {
        assert_eq!(claim(db, &token, &lease(), (1_000, 1_010)).await?, None, "{name}");
        assert_eq!(find_refusal(&db.store, &token, None, ms(1_000)).await?, Refused::Invalid, "{name}");
    }
    Ok(())
}

async fn a_token_needs_an_account(db: &TestDb) -> anyhow::Result<()> {
    let (token, attempt, alice) = (TokenHash::of("t"), attempt(), TestPerson::named("alice"));
    let outcome =
        login_tokens::insert(&db.store, &new_token(&token, &attempt, &alice, &mxid("nobody"))).await;
    assert!(matches!(outcome, Err(StoreError::Rejected(_))), "{outcome:?}");
    Ok(())
}
