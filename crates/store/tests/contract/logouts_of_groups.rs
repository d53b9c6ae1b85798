//! A logout that names a session of a group, or all of a group: a session's name may come again there.

use ruma_common::{DeviceId, OwnedUserId, device_id};
use usher_core::provider::{EndedSession, UpstreamSession};
use usher_store::{
    EndedSessionHash, StoreError, TokenHash, UpstreamSessionHash, endings,
    login_tokens::{self, Claim, NewLoginToken},
    logouts::{self, NewLogout},
    sessions::{self, NewSession},
};

use crate::harness::{Counting, TestDb, TestPerson, attempt, lease, ms, new_token};

on_both!(
    a_session_of_a_group_is_ended_by_its_own_name_or_its_groups,
    a_name_that_comes_again_is_another_session,
    a_login_of_a_group_that_is_under_way_is_refused_wherever_it_has_come_to,
);

fn of_group(group: &str, session: &str) -> UpstreamSession {
    UpstreamSession::OfGroup { group: group.to_owned(), session: session.to_owned() }
}

fn hash(person: &TestPerson, session: &UpstreamSession) -> UpstreamSessionHash {
    UpstreamSessionHash::of(&person.provider, &person.issuer, session)
}

/// Begun at `at`, and opened a little later.
async fn open(
    db: &TestDb,
    person: &TestPerson,
    mxid: &OwnedUserId,
    device_id: &DeviceId,
    session: &UpstreamSession,
    at: i64,
) -> anyhow::Result<()> {
    let new = NewSession {
        mxid,
        device_id,
        person: person.key(),
        upstream_session: Some(&hash(person, session)),
        begun_at: ms(at),
        opened_at: ms(at + 1),
    };
    Ok(sessions::insert(&db.store, &new).await?)
}

async fn log_out(db: &TestDb, person: &TestPerson, ended: &EndedSession, at: i64) -> anyhow::Result<()> {
    let logout = NewLogout {
        provider: &person.provider,
        issuer: &person.issuer,
        subject: None,
        upstream_session: Some(&EndedSessionHash::of(&person.provider, &person.issuer, ended)),
        ends_sessions: true,
        received_at: ms(at),
        keep_until: ms(at + 10_000),
    };
    Ok(logouts::insert(&db.store, &logout, &Counting).await?)
}

/// The devices that are due, and then no more.
async fn due(db: &TestDb, now: i64) -> Result<Vec<String>, StoreError> {
    endings::insert_due(&db.store, ms(now)).await?;
    let (eng, held) = (ruma_common::server_name!("eng.test"), lease());
    let mut devices = Vec::new();
    while let Some(ending) = endings::claim(&db.store, eng, &held, ms(now), ms(now + 10)).await? {
        endings::note_ended(&db.store, &ending, ms(now)).await?;
        endings::delete(&db.store, &ending, &held).await?;
        devices.push(ending.device_id.to_string());
    }
    devices.sort();
    Ok(devices)
}

async fn a_session_of_a_group_is_ended_by_its_own_name_or_its_groups(db: &TestDb) -> anyhow::Result<()> {
    let (alice, bob) = (TestPerson::named("alice"), TestPerson::named("bob"));
    let (of_alice, of_bob) = (db.with_account(&alice).await?, db.with_account(&bob).await?);
    for (device, session) in [("A1", "1"), ("A2", "2"), ("A3", "3"), ("A4", "3")] {
        open(db, &alice, &of_alice, device.into(), &of_group("alice", session), 10).await?;
    }
    // The identity provider counts everybody's sessions from one.
    open(db, &bob, &of_bob, device_id!("B1"), &of_group("bob", "1"), 10).await?;
    open(db, &bob, &of_bob, device_id!("B2"), &UpstreamSession::Unique("alice".to_owned()), 10).await?;
    let one = |group: &str, session: &str| EndedSession::One(of_group(group, session));
    for (name, ended, devices) in [
        ("a session that nobody has", one("alice", "9"), vec![]),
        ("a group that nobody is of", EndedSession::Group("carol".to_owned()), vec![]),
        ("one of her sessions, and not his of the same name", one("alice", "1"), vec!["A1"]),
        ("on two devices", one("alice", "3"), vec!["A3", "A4"]),
        ("all that are left", EndedSession::Group("alice".to_owned()), vec!["A2"]),
        ("his", EndedSession::Group("bob".to_owned()), vec!["B1"]),
        ("without a group", EndedSession::One(UpstreamSession::Unique("alice".to_owned())), vec!["B2"]),
    ] {
        log_out(db, &alice, &ended, 40).await?;
        assert_eq!(due(db, 40).await?, devices, "{name}");
    }
    Ok(())
}

async fn a_name_that_comes_again_is_another_session(db: &TestDb) -> anyhow::Result<()> {
    let alice = TestPerson::named("alice");
    let mxid = db.with_account(&alice).await?;
    let session = of_group("alice", "1");
    for ended in [EndedSession::One(session.clone()), EndedSession::Group("alice".to_owned())] {
        open(db, &alice, &mxid, device_id!("OLD"), &session, 400).await?;
        log_out(db, &alice, &ended, 450).await?;
        open(db, &alice, &mxid, device_id!("LATE"), &session, 450).await?;
        open(db, &alice, &mxid, device_id!("NEW"), &session, 451).await?;
        assert_eq!(due(db, 460).await?, ["LATE", "OLD"], "{ended:?}");
    }
    let (token, attempt) = (TokenHash::of("t"), attempt());
    let hash = hash(&alice, &session);
    let new = NewLoginToken { upstream_session: Some(&hash), ..new_token(&token, &attempt, &alice, &mxid) };
    assert!(login_tokens::insert(&db.store, &new).await?, "begun at 500");
    Ok(())
}

async fn a_login_of_a_group_that_is_under_way_is_refused_wherever_it_has_come_to(
    db: &TestDb,
) -> anyhow::Result<()> {
    let alice = TestPerson::named("alice");
    let mxid = db.with_account(&alice).await?;
    for (name, is_group) in [("by its own name", false), ("by its group's", true)] {
        let session = of_group(name, "1");
        let own = hash(&alice, &session);
        let named = |token: &str| TokenHash::of(&format!("{token}, {name}"));
        let (issued, claimed, late) = (named("issued"), named("claimed"), named("late"));
        for token in [&issued, &claimed] {
            let attempt = attempt();
            let new =
                NewLoginToken { upstream_session: Some(&own), ..new_token(token, &attempt, &alice, &mxid) };
            assert!(login_tokens::insert(&db.store, &new).await?, "{name}");
        }
        let (held, other, device_id) = (lease(), lease(), device_id!("D"));
        let claim = |token, lease| Claim {
            token,
            lease,
            device_id,
            audience: None,
            now: ms(1_000),
            lease_until: ms(1_050),
        };
        assert!(login_tokens::claim(&db.store, &claim(&claimed, &held)).await?.is_some(), "{name}");
        let ended = if is_group { EndedSession::Group(name.to_owned()) } else { EndedSession::One(session) };
        log_out(db, &alice, &ended, 1_010).await?;
        assert!(login_tokens::claim(&db.store, &claim(&issued, &other)).await?.is_none(), "{name}: it waits");
        assert!(!login_tokens::redeem(&db.store, &claimed, &held).await?, "{name}: it is in use");
        let attempt = attempt();
        let new = NewLoginToken { upstream_session: Some(&own), ..new_token(&late, &attempt, &alice, &mxid) };
        assert!(!login_tokens::insert(&db.store, &new).await?, "{name}: an attempt that was begun before");
        let others = hash(&alice, &of_group(name, "2"));
        let new = NewLoginToken { upstream_session: Some(&others), ..new };
        assert_eq!(login_tokens::insert(&db.store, &new).await?, !is_group, "{name}: another session");
    }
    Ok(())
}
