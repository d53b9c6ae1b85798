//! UI-auth sessions are confirmed once, by the right account, done once, given back, and bounded for each device.

mod of_a_device;

use ruma_common::{DeviceId, OwnedUserId, UserId, device_id};
use usher_core::{Handle, Timestamp, provider::UpstreamSession};
use usher_store::{
    AttemptHash, SWEEP_BATCH, Store, StoreError, UiAuthHandleHash, UiAuthSessionHash, UpstreamSessionHash,
    endings, links,
    sessions::{self, NewSession as OpenedSession},
    ui_auth_sessions::{self as ui_auth, Confirmation, Failure, NewSession, Operation, State},
};

use crate::harness::{Counting, TestDb, TestPerson, attempt, lease, ms, mxid};

on_both!(
    a_session_comes_back_as_it_was_stored,
    a_pending_session_is_confirmed_once_by_its_own_account,
    an_attempt_confirms_one_session,
    a_confirmed_session_is_claimed_once,
    a_claim_ends_by_being_spent_given_back_or_running_out,
    twenty_claims_at_once_have_one_winner,
    whoever_is_linked_no_longer_has_confirmed_nothing,
    a_denied_session_stays_denied,
    who_denies_one_session_can_deny_those_of_its_device,
    what_went_wrong_is_noted_until_somebody_confirms,
    many_who_deny_at_once_do_not_stop_each_other,
    only_a_fresh_proof_of_the_same_device_counts,
    a_sweep_leaves_what_is_being_done,
    providers_are_listed_by_their_last_use,
);

fn phone() -> &'static DeviceId {
    device_id!("PHONE")
}

struct Begun {
    session: UiAuthSessionHash,
    handle: UiAuthHandleHash,
}

/// Begun at `at`, good for 100 ms.
async fn begin(db: &TestDb, user: &UserId, device: &DeviceId, at: i64) -> anyhow::Result<Begun> {
    let handle = Handle::generate(&Counting);
    let session = UiAuthSessionHash::of(&format!("ushu_{}", handle.as_str()));
    let handle = UiAuthHandleHash::of(&handle);
    assert!(ui_auth::insert(&db.store, &new(&session, &handle, user, device, at), 100).await?);
    Ok(Begun { session, handle })
}

fn new<'a>(
    session: &'a UiAuthSessionHash,
    handle: &'a UiAuthHandleHash,
    mxid: &'a UserId,
    device_id: &'a DeviceId,
    at: i64,
) -> NewSession<'a> {
    NewSession {
        session,
        handle,
        mxid,
        device_id,
        operation: Operation::DeleteDevices,
        method: "POST",
        path: "/delete_devices",
        body: r#"{"devices":["A"]}"#,
        description: "delete the device \"A\"",
        client: "192.0.2.7",
        user_agent: "App/1",
        created_at: ms(at),
        expires_at: ms(at + 100),
    }
}

fn by<'a>(person: &'a TestPerson, mxid: &'a UserId, attempt: &'a AttemptHash, at: i64) -> Confirmation<'a> {
    Confirmation { attempt, mxid, person: person.key(), upstream_session: None, is_fresh: true, now: ms(at) }
}

async fn confirmed(
    db: &TestDb,
    person: &TestPerson,
    user: &UserId,
    at: i64,
) -> anyhow::Result<UiAuthSessionHash> {
    let Begun { session, handle } = begin(db, user, phone(), at).await?;
    assert!(ui_auth::confirm(&db.store, &handle, &by(person, user, &attempt(), at)).await?.is_some());
    Ok(session)
}

async fn state(db: &TestDb, session: &UiAuthSessionHash) -> anyhow::Result<State> {
    Ok(ui_auth::find(&db.store, session).await?.expect("it is there").state)
}

async fn claims(
    store: &Store,
    session: &UiAuthSessionHash,
    now: i64,
    until: i64,
) -> Result<bool, StoreError> {
    Ok(ui_auth::claim(store, session, &lease(), ms(now), ms(until)).await?.is_some())
}

async fn alice(db: &TestDb) -> anyhow::Result<(TestPerson, OwnedUserId)> {
    let alice = TestPerson::named("alice");
    let mxid = db.with_account(&alice).await?;
    Ok((alice, mxid))
}

async fn a_session_comes_back_as_it_was_stored(db: &TestDb) -> anyhow::Result<()> {
    let (_, user) = alice(db).await?;
    let Begun { session, handle } = begin(db, &user, phone(), 1_000).await?;
    let found = ui_auth::find(&db.store, &session).await?.expect("it was stored");
    assert_eq!(ui_auth::find_by_handle(&db.store, &handle).await?.as_ref(), Some(&found));
    assert_eq!((found.mxid.as_str(), found.device_id.as_str()), (user.as_str(), "PHONE"));
    assert_eq!((found.operation, found.state), (Operation::DeleteDevices, State::Pending));
    assert_eq!((found.method.as_str(), found.path.as_str()), ("POST", "/delete_devices"));
    assert_eq!((found.body.as_str(), found.client.as_str()), (r#"{"devices":["A"]}"#, "192.0.2.7"));
    assert_eq!((found.created_at, found.expires_at), (ms(1_000), ms(1_100)));
    assert_eq!((found.user_agent.as_str(), found.failure), ("App/1", None));
    assert_eq!(found.description, "delete the device \"A\"");
    assert_eq!(ui_auth::find(&db.store, &UiAuthSessionHash::of("ushu_x")).await?, None);
    Ok(())
}

async fn a_pending_session_is_confirmed_once_by_its_own_account(db: &TestDb) -> anyhow::Result<()> {
    let (alice, user) = alice(db).await?;
    let other = mxid("bob");
    let Begun { session, handle } = begin(db, &user, phone(), 1_000).await?;
    for (name, mxid, at, expected) in [
        ("another account", &other, 1_050, false),
        ("after it expired", &user, 1_100, false),
        ("in its last millisecond", &user, 1_099, true),
        ("once more", &user, 1_099, false),
    ] {
        let outcome = ui_auth::confirm(&db.store, &handle, &by(&alice, mxid, &attempt(), at)).await?;
        assert_eq!(outcome.as_deref(), expected.then_some("delete the device \"A\""), "{name}");
    }
    assert_eq!(state(db, &session).await?, State::Confirmed);
    Ok(())
}

async fn an_attempt_confirms_one_session(db: &TestDb) -> anyhow::Result<()> {
    let (alice, user) = alice(db).await?;
    let attempt = attempt();
    let (one, two) = (begin(db, &user, phone(), 1_000).await?, begin(db, &user, phone(), 1_000).await?);
    assert!(ui_auth::confirm(&db.store, &one.handle, &by(&alice, &user, &attempt, 1_001)).await?.is_some());
    assert!(ui_auth::confirm(&db.store, &two.handle, &by(&alice, &user, &attempt, 1_001)).await?.is_none());
    assert_eq!(state(db, &two.session).await?, State::Pending);
    Ok(())
}

async fn a_confirmed_session_is_claimed_once(db: &TestDb) -> anyhow::Result<()> {
    let (alice, user) = alice(db).await?;
    let pending = begin(db, &user, phone(), 1_000).await?.session;
    assert!(!claims(&db.store, &pending, 1_001, 1_050).await?, "nobody has signed in");
    let session = confirmed(db, &alice, &user, 1_000).await?;
    for (name, now, expected) in [
        ("expired", 1_100, false),
        ("in its last millisecond", 1_099, true),
        ("while another is at it", 1_099, false),
    ] {
        assert_eq!(claims(&db.store, &session, now, 2_000).await?, expected, "{name}");
    }
    Ok(())
}

async fn a_claim_ends_by_being_spent_given_back_or_running_out(db: &TestDb) -> anyhow::Result<()> {
    let (alice, user) = alice(db).await?;
    let Begun { session, handle } = begin(db, &user, phone(), 1_000).await?;
    let upstream =
        UpstreamSessionHash::of(&alice.provider, &alice.issuer, &UpstreamSession::Unique("ST-1".to_owned()));
    let attempt = attempt();
    let confirmation =
        Confirmation { upstream_session: Some(&upstream), ..by(&alice, &user, &attempt, 1_001) };
    assert!(ui_auth::confirm(&db.store, &handle, &confirmation).await?.is_some());
    let (first, second, third) = (lease(), lease(), lease());
    let by_first = ui_auth::claim(&db.store, &session, &first, ms(1_001), ms(1_010)).await?.expect("claimed");
    assert_eq!((by_first.person(), by_first.upstream_session.as_ref()), (alice.key(), Some(&upstream)));
    assert_eq!(by_first.at, ms(1_001));
    let found = ui_auth::find(&db.store, &session).await?.expect("it is there");
    assert_eq!((found.state, found.claimed_until), (State::Claimed, Some(ms(1_010))));
    assert!(ui_auth::release(&db.store, &session, &first).await?);
    assert_eq!(state(db, &session).await?, State::Confirmed, "given back");
    assert!(!ui_auth::release(&db.store, &session, &first).await?, "it is nobody's");

    assert!(ui_auth::claim(&db.store, &session, &second, ms(1_001), ms(1_010)).await?.is_some());
    assert!(ui_auth::claim(&db.store, &session, &third, ms(1_009), ms(1_050)).await?.is_none());
    assert!(ui_auth::claim(&db.store, &session, &third, ms(1_010), ms(1_050)).await?.is_some(), "ran out");
    assert!(!ui_auth::spend(&db.store, &session, &second).await?, "the lease is another's");
    assert!(!ui_auth::release(&db.store, &session, &second).await?, "the lease is another's");
    assert!(ui_auth::spend(&db.store, &session, &third).await?);
    assert_eq!(state(db, &session).await?, State::Spent);
    assert!(!claims(&db.store, &session, 1_050, 1_060).await?, "for good");
    assert!(!ui_auth::release(&db.store, &session, &third).await?);
    Ok(())
}

async fn twenty_claims_at_once_have_one_winner(db: &TestDb) -> anyhow::Result<()> {
    let (alice, user) = alice(db).await?;
    let session = confirmed(db, &alice, &user, 1_000).await?;
    let other = db.another().await?;
    let claiming = (0..20).map(|number| {
        let (store, session) =
            (if number % 2 == 0 { db.store.clone() } else { other.clone() }, session.clone());
        tokio::spawn(async move { claims(&store, &session, 1_001, 1_050).await })
    });
    let mut winners = 0;
    for claim in claiming.collect::<Vec<_>>() {
        winners += u32::from(claim.await??);
    }
    assert_eq!(winners, 1);
    Ok(())
}

async fn whoever_is_linked_no_longer_has_confirmed_nothing(db: &TestDb) -> anyhow::Result<()> {
    let (alice, user) = alice(db).await?;
    let other = TestPerson::named("other");
    assert!(links::insert(&db.store, &other.key(), &user, ms(0)).await?, "a second one to the account");
    let session = confirmed(db, &alice, &user, 1_000).await?;
    assert!(links::delete(&db.store, &alice.key(), &user).await?);
    assert!(!claims(&db.store, &session, 1_001, 1_050).await?);
    assert_eq!(state(db, &session).await?, State::Confirmed);
    Ok(())
}

async fn a_denied_session_stays_denied(db: &TestDb) -> anyhow::Result<()> {
    let (alice, user) = alice(db).await?;
    for is_confirmed in [false, true] {
        let Begun { session, handle } = begin(db, &user, phone(), 1_000).await?;
        if is_confirmed {
            assert!(
                ui_auth::confirm(&db.store, &handle, &by(&alice, &user, &attempt(), 1_000)).await?.is_some()
            );
        }
        assert!(!ui_auth::deny(&db.store, &handle, ms(1_100)).await?, "{is_confirmed}: expired");
        assert!(ui_auth::deny(&db.store, &handle, ms(1_001)).await?, "{is_confirmed}");
        assert!(!ui_auth::deny(&db.store, &handle, ms(1_001)).await?, "{is_confirmed}: once more");
        assert!(ui_auth::confirm(&db.store, &handle, &by(&alice, &user, &attempt(), 1_002)).await?.is_none());
        assert!(!claims(&db.store, &session, 1_002, 1_050).await?, "{is_confirmed}");
        assert_eq!(state(db, &session).await?, State::Denied);
    }
    let Begun { session, handle } = begin(db, &user, phone(), 1_000).await?;
    assert!(ui_auth::confirm(&db.store, &handle, &by(&alice, &user, &attempt(), 1_000)).await?.is_some());
    let lease = lease();
    assert!(ui_auth::claim(&db.store, &session, &lease, ms(1_001), ms(1_010)).await?.is_some());
    assert!(!ui_auth::deny(&db.store, &handle, ms(1_002)).await?, "it is being done");
    assert!(ui_auth::spend(&db.store, &session, &lease).await?);
    assert!(!ui_auth::deny(&db.store, &handle, ms(1_002)).await?, "it was done");
    Ok(())
}

async fn who_denies_one_session_can_deny_those_of_its_device(db: &TestDb) -> anyhow::Result<()> {
    let (alice, user) = alice(db).await?;
    let denied = begin(db, &user, phone(), 1_000).await?;
    let pending = begin(db, &user, phone(), 1_000).await?.session;
    let ready = confirmed(db, &alice, &user, 1_000).await?;
    let (under_way, done) =
        (confirmed(db, &alice, &user, 1_000).await?, confirmed(db, &alice, &user, 1_000).await?);
    assert!(claims(&db.store, &under_way, 1_001, 1_050).await?);
    let lease = lease();
    assert!(ui_auth::claim(&db.store, &done, &lease, ms(1_001), ms(1_050)).await?.is_some());
    let other = begin(db, &user, device_id!("TABLET"), 1_000).await?.session;
    let expired = begin(db, &user, phone(), 900).await?.session;
    assert!(ui_auth::spend(&db.store, &done, &lease).await?);
    assert!(ui_auth::is_proven_since(&db.store, &user, phone(), ms(900)).await?);
    assert!(ui_auth::deny(&db.store, &denied.handle, ms(1_002)).await?);
    assert!(!ui_auth::is_proven_since(&db.store, &user, phone(), ms(900)).await?, "no grace any more");
    let others = ui_auth::list_deniable(&db.store, &user, phone(), ms(1_002)).await?;
    assert_eq!(others.len(), 2);
    for session in others.iter().chain([&under_way, &done]) {
        let is_deniable = others.contains(session);
        assert_eq!(ui_auth::deny_other(&db.store, session, ms(1_002)).await?, is_deniable, "{session:?}");
    }
    for (name, session, expected) in [
        ("itself", &denied.session, State::Denied),
        ("pending", &pending, State::Denied),
        ("confirmed", &ready, State::Denied),
        ("being done", &under_way, State::Claimed),
        ("done", &done, State::Spent),
        ("another device's", &other, State::Pending),
        ("expired", &expired, State::Pending),
    ] {
        assert_eq!(state(db, session).await?, expected, "{name}");
        let found = ui_auth::find(&db.store, session).await?.expect("it is there");
        assert_eq!(found.is_seen_to, expected == State::Denied, "{name}");
    }
    Ok(())
}

async fn what_went_wrong_is_noted_until_somebody_confirms(db: &TestDb) -> anyhow::Result<()> {
    let (alice, user) = alice(db).await?;
    let Begun { session, handle } = begin(db, &user, phone(), 1_000).await?;
    let noted = async || anyhow::Ok(ui_auth::find(&db.store, &session).await?.expect("it is there").failure);
    for (name, failure, at, expected) in [
        ("one", Failure::AnotherPerson, 1_001, true),
        ("the same again", Failure::AnotherPerson, 1_002, false),
        ("another", Failure::NotFresh, 1_003, true),
        ("a third", Failure::NotAdmitted, 1_004, true),
        ("a fourth", Failure::NotSignedIn, 1_005, true),
        ("when it has expired", Failure::NotFresh, 1_100, false),
    ] {
        assert_eq!(ui_auth::note_failure(&db.store, &handle, failure, ms(at)).await?, expected, "{name}");
        let is_kept = name != "when it has expired";
        assert_eq!(noted().await? == Some(failure), is_kept, "{name}");
    }
    assert!(ui_auth::confirm(&db.store, &handle, &by(&alice, &user, &attempt(), 1_006)).await?.is_some());
    assert_eq!(noted().await?, None, "somebody has confirmed");
    assert!(!ui_auth::note_failure(&db.store, &handle, Failure::NotFresh, ms(1_007)).await?);
    assert_eq!(noted().await?, None, "it is too late to fail");
    Ok(())
}

/// Each denial with its ending, the ending's end, and those who log out and sweep meanwhile.
async fn many_who_deny_at_once_do_not_stop_each_other(db: &TestDb) -> anyhow::Result<()> {
    let (alice, user) = alice(db).await?;
    let stores = [db.store.clone(), db.another().await?];
    let mut handles = Vec::new();
    for number in 0..64_i64 {
        let Begun { session, handle } = begin(db, &user, phone(), 1_000 + number % 7).await?;
        if number % 3 == 0 {
            assert!(
                ui_auth::confirm(&db.store, &handle, &by(&alice, &user, &attempt(), 1_008)).await?.is_some()
            );
        }
        handles.push((session, handle));
    }
    let denying = handles.iter().cloned().enumerate().map(|(number, (_, handle))| {
        let (store, user) = (stores[number % 2].clone(), user.clone());
        tokio::spawn(async move {
            let (lease, now) = (lease(), ms(1_010));
            let mut tx = store.begin().await?;
            if ui_auth::deny(&mut tx, &handle, now).await? {
                endings::insert_denial(&mut tx, &user, phone(), &lease, now, ms(1_020)).await?;
                tx.commit().await?;
            } else {
                drop(tx);
            }
            for other in ui_auth::list_deniable(&store, &user, phone(), now).await? {
                ui_auth::deny_other(&store, &other, now).await?;
            }
            if let Some(ending) = endings::claim_denial(&store, &user, phone(), &lease, ms(1_020)).await? {
                let mut tx = store.begin().await?;
                endings::delete(&mut tx, &ending, &lease).await?;
                endings::note_ended(&mut tx, &ending, now).await?;
                tx.commit().await?;
            }
            ui_auth::delete_expired(&store, ms(500), SWEEP_BATCH).await?;
            anyhow::Ok(())
        })
    });
    for outcome in futures_util::future::join_all(denying.collect::<Vec<_>>()).await {
        outcome??;
    }
    for (session, _) in &handles {
        assert_eq!(state(db, session).await?, State::Denied);
    }
    Ok(())
}

async fn only_a_fresh_proof_of_the_same_device_counts(db: &TestDb) -> anyhow::Result<()> {
    let (alice, user) = alice(db).await?;
    let proven = async |device: &DeviceId, since: i64| {
        ui_auth::is_proven_since(&db.store, &user, device, ms(since)).await
    };
    let live = begin(db, &user, phone(), 1_000).await?.handle;
    let attempt_hash = attempt();
    let not_fresh = Confirmation { is_fresh: false, ..by(&alice, &user, &attempt_hash, 1_050) };
    assert!(ui_auth::confirm(&db.store, &live, &not_fresh).await?.is_some());
    assert!(!proven(phone(), 1_000).await?, "a live session is no fresh proof");
    let fresh = begin(db, &user, phone(), 1_000).await?.handle;
    assert!(!proven(phone(), 1_000).await?, "pending");
    assert!(ui_auth::confirm(&db.store, &fresh, &by(&alice, &user, &attempt(), 1_050)).await?.is_some());
    for (name, device, since, expected) in [
        ("since before", phone(), 1_049, true),
        ("since then", phone(), 1_050, false),
        ("another device", device_id!("TABLET"), 1_000, false),
    ] {
        assert_eq!(proven(device, since).await?, expected, "{name}");
    }
    assert!(!ui_auth::is_proven_since(&db.store, &mxid("bob"), phone(), ms(1_000)).await?, "another person");
    let other = TestPerson::named("other");
    assert!(links::insert(&db.store, &other.key(), &user, ms(0)).await?, "a second one to the account");
    assert!(links::delete(&db.store, &alice.key(), &user).await?);
    assert!(!proven(phone(), 1_000).await?, "whoever proved it is linked no longer");
    assert!(links::insert(&db.store, &alice.key(), &user, ms(0)).await?);
    assert!(proven(phone(), 1_000).await?, "or again");
    assert!(ui_auth::deny(&db.store, &fresh, ms(1_060)).await?);
    assert!(!proven(phone(), 1_000).await?, "it was not them");
    Ok(())
}

async fn a_sweep_leaves_what_is_being_done(db: &TestDb) -> anyhow::Result<()> {
    let (alice, user) = alice(db).await?;
    begin(db, &user, phone(), 1_000).await?;
    let session = confirmed(db, &alice, &user, 1_000).await?;
    assert!(claims(&db.store, &session, 1_099, 1_105).await?);
    let sweep = async |before: Timestamp| ui_auth::delete_expired(&db.store, before, SWEEP_BATCH).await;
    for (before, swept) in [(1_099, 0), (1_100, 1), (1_104, 0), (1_105, 1)] {
        assert_eq!(sweep(ms(before)).await?, swept, "{before}");
    }
    Ok(())
}

async fn providers_are_listed_by_their_last_use(db: &TestDb) -> anyhow::Result<()> {
    let (alice, user) = alice(db).await?;
    let other = |provider: &str| TestPerson {
        provider: usher_core::ProviderId::parse(provider).expect("a valid id"),
        ..TestPerson::named("a.lice")
    };
    let (never, lately) = (other("a-never"), other("lately"));
    for (person, device, at) in [
        (&never, None, 0),
        (&lately, Some(device_id!("L1")), 20),
        (&lately, Some(device_id!("L2")), 5),
        (&alice, Some(phone()), 10),
    ] {
        links::insert(&db.store, &person.key(), &user, ms(0)).await?;
        let Some(device_id) = device else { continue };
        let opened_at = ms(at);
        let session = OpenedSession {
            mxid: &user,
            device_id,
            person: person.key(),
            upstream_session: None,
            begun_at: opened_at,
            opened_at,
        };
        sessions::insert(&db.store, &session).await?;
    }
    let listed = links::list_by_last_use(&db.store, &user, 10).await?;
    let ids: Vec<_> = listed.iter().map(|(provider, _)| provider.as_str()).collect();
    assert_eq!(ids, ["lately", "corp", "a-never"]);
    assert_eq!(links::list_by_last_use(&db.store, &user, 2).await?.len(), 2);
    Ok(())
}
