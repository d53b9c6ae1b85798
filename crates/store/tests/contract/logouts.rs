//! A logout ends the sessions and the logins that it is about, and no others; endings are done once.

use ruma_common::{DeviceId, OwnedUserId, device_id};
use usher_core::{Handle, Issuer, ProviderId, provider::UpstreamSession};
use usher_store::{
    AttemptHash, EndedSessionHash, Lease, Store, StoreError, TokenHash, UpstreamSessionHash,
    endings::{self, Ending},
    login_tokens::{self, Claim, NewLoginToken},
    logouts::{self, NewLogout},
    pending,
    sessions::{self, NewSession},
};

use crate::harness::{Counting, TestDb, TestPerson, attempt, lease, ms, new_token};

on_both!(
    a_session_is_ended_by_its_name_or_by_its_persons,
    a_session_that_was_opened_since_is_another,
    sessions_outlive_a_logout_that_is_about_logins_alone,
    a_login_under_way_is_refused_wherever_it_has_come_to,
    a_new_login_is_not_concerned,
    what_was_begun_before_a_logout_is_concerned_however_late_it_came_through,
    a_logout_of_a_person_and_a_session_is_about_what_has_no_session_too,
    an_ending_is_claimed_once_and_gone_when_done,
    what_a_denial_ends_is_any_session_of_the_device_but_a_later_one,
    a_logout_and_a_denial_of_one_device_do_not_undo_each_other,
    many_logouts_at_once_do_not_stop_each_other,
    what_nobody_knows_is_not_known,
    a_logout_is_forgotten_when_no_login_can_be_concerned,
);

fn upstream(person: &TestPerson, name: &str) -> UpstreamSessionHash {
    UpstreamSessionHash::of(&person.provider, &person.issuer, &UpstreamSession::Unique(name.to_owned()))
}

async fn open(
    db: &TestDb,
    person: &TestPerson,
    mxid: &OwnedUserId,
    device_id: &DeviceId,
    session: Option<&UpstreamSessionHash>,
    at: i64,
) -> anyhow::Result<()> {
    let opened_at = ms(at);
    let new = NewSession {
        mxid,
        device_id,
        person: person.key(),
        upstream_session: session,
        begun_at: opened_at,
        opened_at,
    };
    Ok(sessions::insert(&db.store, &new).await?)
}

/// `session`: that one; else all of the person.
async fn log_out(
    db: &TestDb,
    person: &TestPerson,
    session: Option<&UpstreamSessionHash>,
    at: i64,
) -> anyhow::Result<()> {
    let ended = session.map(EndedSessionHash::from);
    let logout = NewLogout {
        provider: &person.provider,
        issuer: &person.issuer,
        subject: session.is_none().then_some(&person.subject),
        upstream_session: ended.as_ref(),
        ends_sessions: true,
        received_at: ms(at),
        keep_until: ms(at + 1_000),
    };
    Ok(logouts::insert(&db.store, &logout, &Counting).await?)
}

async fn due(db: &TestDb, now: i64) -> Result<Vec<String>, StoreError> {
    endings::insert_due(&db.store, ms(now)).await?;
    let eng = ruma_common::server_name!("eng.test");
    let mut devices = Vec::new();
    while let Some(ending) = endings::claim(&db.store, eng, &lease(), ms(now), ms(now + 10)).await? {
        devices.push(ending.device_id.to_string());
    }
    devices.sort();
    Ok(devices)
}

async fn a_session_is_ended_by_its_name_or_by_its_persons(db: &TestDb) -> anyhow::Result<()> {
    let (alice, bob) = (TestPerson::named("alice"), TestPerson::named("bob"));
    let (of_alice, of_bob) = (db.with_account(&alice).await?, db.with_account(&bob).await?);
    let (one, two) = (upstream(&alice, "one"), upstream(&alice, "two"));
    open(db, &alice, &of_alice, device_id!("A1"), Some(&one), 10).await?;
    open(db, &alice, &of_alice, device_id!("A2"), Some(&two), 20).await?;
    open(db, &alice, &of_alice, device_id!("A3"), None, 30).await?;
    open(db, &bob, &of_bob, device_id!("B1"), None, 10).await?;
    log_out(db, &alice, Some(&one), 40).await?;
    assert_eq!(due(db, 40).await?, ["A1"]);
    log_out(db, &alice, None, 50).await?;
    assert_eq!(due(db, 50).await?, ["A1", "A2", "A3"], "the first one's lease has run out");
    let elsewhere =
        TestPerson { issuer: Issuer::parse("https://other.test").expect("an issuer"), ..bob.clone() };
    log_out(db, &elsewhere, None, 60).await?;
    let other = TestPerson { provider: ProviderId::parse("other").expect("an id"), ..bob };
    log_out(db, &other, None, 60).await?;
    assert_eq!(due(db, 60).await?, ["A1", "A2", "A3"], "the same name elsewhere is another person");
    Ok(())
}

async fn a_session_that_was_opened_since_is_another(db: &TestDb) -> anyhow::Result<()> {
    let alice = TestPerson::named("alice");
    let mxid = db.with_account(&alice).await?;
    let phone = device_id!("PHONE");
    open(db, &alice, &mxid, phone, None, 10).await?;
    log_out(db, &alice, None, 20).await?;
    endings::insert_due(&db.store, ms(20)).await?;
    let eng = ruma_common::server_name!("eng.test");
    let first = lease();
    let claimed = endings::claim(&db.store, eng, &first, ms(20), ms(30)).await?.expect("due");
    open(db, &alice, &mxid, phone, None, 25).await?;
    assert!(!endings::is_open(&db.store, &claimed).await?);
    assert!(!endings::note_ended(&db.store, &claimed, ms(26)).await?);
    assert!(endings::delete(&db.store, &claimed, &first).await?);
    assert_eq!(due(db, 40).await?, Vec::<String>::new(), "it was opened after the logout");
    log_out(db, &alice, None, 50).await?;
    assert_eq!(due(db, 50).await?, ["PHONE"]);
    Ok(())
}

async fn sessions_outlive_a_logout_that_is_about_logins_alone(db: &TestDb) -> anyhow::Result<()> {
    let alice = TestPerson::named("alice");
    let mxid = db.with_account(&alice).await?;
    open(db, &alice, &mxid, device_id!("PHONE"), None, 10).await?;
    let logout = NewLogout {
        provider: &alice.provider,
        issuer: &alice.issuer,
        subject: Some(&alice.subject),
        upstream_session: None,
        ends_sessions: false,
        received_at: ms(20),
        keep_until: ms(1_000),
    };
    logouts::insert(&db.store, &logout, &Counting).await?;
    assert_eq!(endings::insert_due(&db.store, ms(20)).await?, 0);
    Ok(())
}

async fn claims(store: &Store, token: &TokenHash, now: i64) -> Result<bool, StoreError> {
    let (lease, device_id) = (lease(), device_id!("D"));
    let claim =
        Claim { token, lease: &lease, device_id, audience: None, now: ms(now), lease_until: ms(now + 5) };
    Ok(login_tokens::claim(store, &claim).await?.is_some())
}

async fn a_login_under_way_is_refused_wherever_it_has_come_to(db: &TestDb) -> anyhow::Result<()> {
    let alice = TestPerson::named("alice");
    let mxid = db.with_account(&alice).await?;
    for (name, is_by_name) in [("by the session's name", true), ("by the person's", false)] {
        let session = upstream(&alice, name);
        let named = |token: &str| TokenHash::of(&format!("{token}, {name}"));
        let (issued, claimed, late) = (named("issued"), named("claimed"), named("late"));
        for token in [&issued, &claimed] {
            let attempt = attempt();
            let new = NewLoginToken {
                upstream_session: Some(&session),
                ..new_token(token, &attempt, &alice, &mxid)
            };
            assert!(login_tokens::insert(&db.store, &new).await?, "{name}");
        }
        let (held, device_id) = (lease(), device_id!("D"));
        let claim = Claim {
            token: &claimed,
            lease: &held,
            device_id,
            audience: None,
            now: ms(1_000),
            lease_until: ms(1_050),
        };
        assert!(login_tokens::claim(&db.store, &claim).await?.is_some(), "{name}");
        log_out(db, &alice, is_by_name.then_some(&session), 1_010).await?;
        assert!(!claims(&db.store, &issued, 1_020).await?, "{name}: a token that waits");
        assert!(!login_tokens::redeem(&db.store, &claimed, &held).await?, "{name}: a token that is in use");
        let attempt = attempt();
        let new =
            NewLoginToken { upstream_session: Some(&session), ..new_token(&late, &attempt, &alice, &mxid) };
        assert!(!login_tokens::insert(&db.store, &new).await?, "{name}: an attempt that was begun before");
    }
    Ok(())
}

async fn what_was_begun_before_a_logout_is_concerned_however_late_it_came_through(
    db: &TestDb,
) -> anyhow::Result<()> {
    let alice = TestPerson::named("alice");
    let mxid = db.with_account(&alice).await?;
    let (waiting, used, attempts) = (TokenHash::of("waiting"), TokenHash::of("used"), [attempt(), attempt()]);
    for (token, attempt) in [&waiting, &used].into_iter().zip(&attempts) {
        assert!(login_tokens::insert(&db.store, &new_token(token, attempt, &alice, &mxid)).await?);
    }
    let (held, device_id) = (lease(), device_id!("D"));
    let claim = Claim {
        token: &used,
        lease: &held,
        device_id,
        audience: None,
        now: ms(1_001),
        lease_until: ms(1_050),
    };
    let claimed = login_tokens::claim(&db.store, &claim).await?.expect("a good token");
    assert_eq!(claimed.begun_at, ms(500));
    // Begun at 500, issued at 1,000: a logout of between them, which was kept after both.
    log_out(db, &alice, None, 900).await?;
    assert!(!claims(&db.store, &waiting, 1_002).await?, "a token that waits");
    assert!(!login_tokens::redeem(&db.store, &used, &held).await?, "a token that is in use");
    assert!(!login_tokens::spend(&db.store, &used, &lease()).await?, "by whoever does not hold it");
    assert!(login_tokens::spend(&db.store, &used, &held).await?);
    let opened = NewSession {
        mxid: &mxid,
        device_id,
        person: alice.key(),
        upstream_session: None,
        begun_at: claimed.begun_at,
        opened_at: ms(1_003),
    };
    sessions::insert(&db.store, &opened).await?;
    assert_eq!(due(db, 1_003).await?, ["D"], "a session that was opened since");
    open(db, &alice, &mxid, device_id!("E"), None, 901).await?;
    assert_eq!(due(db, 1_020).await?, ["D"], "and none that was begun since");
    Ok(())
}

async fn a_logout_of_a_person_and_a_session_is_about_what_has_no_session_too(
    db: &TestDb,
) -> anyhow::Result<()> {
    let alice = TestPerson::named("alice");
    let mxid = db.with_account(&alice).await?;
    let (one, two) = (upstream(&alice, "one"), upstream(&alice, "two"));
    open(db, &alice, &mxid, device_id!("A1"), Some(&one), 10).await?;
    open(db, &alice, &mxid, device_id!("A2"), Some(&two), 20).await?;
    open(db, &alice, &mxid, device_id!("A3"), None, 30).await?;
    let logout = NewLogout {
        provider: &alice.provider,
        issuer: &alice.issuer,
        subject: Some(&alice.subject),
        upstream_session: Some(&EndedSessionHash::from(&one)),
        ends_sessions: true,
        received_at: ms(40),
        keep_until: ms(2_000),
    };
    logouts::insert(&db.store, &logout, &Counting).await?;
    assert_eq!(due(db, 40).await?, ["A1", "A3"], "the other session is another");
    let token = TokenHash::of("t");
    let attempts = [attempt(), attempt()];
    let of_session = NewLoginToken {
        upstream_session: Some(&two),
        begun_at: ms(39),
        ..new_token(&token, &attempts[0], &alice, &mxid)
    };
    assert!(login_tokens::insert(&db.store, &of_session).await?);
    let token = TokenHash::of("u");
    let without = NewLoginToken { begun_at: ms(39), ..new_token(&token, &attempts[1], &alice, &mxid) };
    assert!(!login_tokens::insert(&db.store, &without).await?);
    Ok(())
}

async fn a_new_login_is_not_concerned(db: &TestDb) -> anyhow::Result<()> {
    let alice = TestPerson::named("alice");
    let mxid = db.with_account(&alice).await?;
    let (old, new_session) = (upstream(&alice, "old"), upstream(&alice, "new"));
    log_out(db, &alice, Some(&old), 400).await?;
    log_out(db, &alice, None, 499).await?;
    let (token, attempt) = (TokenHash::of("t"), attempt());
    let new =
        NewLoginToken { upstream_session: Some(&new_session), ..new_token(&token, &attempt, &alice, &mxid) };
    assert!(login_tokens::insert(&db.store, &new).await?, "begun at 500");
    assert!(claims(&db.store, &token, 1_001).await?);
    Ok(())
}

async fn an_ending_is_claimed_once_and_gone_when_done(db: &TestDb) -> anyhow::Result<()> {
    let alice = TestPerson::named("alice");
    let mxid = db.with_account(&alice).await?;
    open(db, &alice, &mxid, device_id!("PHONE"), None, 10).await?;
    log_out(db, &alice, None, 20).await?;
    assert_eq!(endings::insert_due(&db.store, ms(20)).await?, 1);
    assert_eq!(endings::insert_due(&db.store, ms(20)).await?, 0, "noted already");
    let eng = ruma_common::server_name!("eng.test");
    assert_eq!(endings::list_due(&db.store, ms(20)).await?, [eng.to_owned()]);
    assert!(endings::list_due(&db.store, ms(19)).await?.is_empty());
    let (first, second) = (lease(), lease());
    let claim = async |lease: &Lease, now: i64| -> Result<Option<Ending>, StoreError> {
        endings::claim(&db.store, eng, lease, ms(now), ms(now + 10)).await
    };
    let claimed = claim(&first, 20).await?.expect("due");
    assert_eq!((claimed.attempts, claimed.opened_at, claimed.is_denial), (1, ms(10), false));
    assert!(claim(&second, 29).await?.is_none(), "somebody is at it");
    assert!(endings::postpone(&db.store, &claimed, &first, ms(40), "no-answer").await?);
    assert!(!endings::postpone(&db.store, &claimed, &first, ms(40), "no-answer").await?);
    assert!(claim(&second, 39).await?.is_none(), "not yet");
    let again = claim(&second, 40).await?.expect("due");
    assert_eq!(again.attempts, 2);
    assert!(endings::is_open(&db.store, &again).await?);
    assert!(endings::note_ended(&db.store, &again, ms(41)).await?);
    assert!(!endings::delete(&db.store, &again, &first).await?, "another's lease");
    assert!(endings::delete(&db.store, &again, &second).await?);
    assert_eq!(endings::insert_due(&db.store, ms(42)).await?, 0, "it has ended");
    Ok(())
}

async fn what_a_denial_ends_is_any_session_of_the_device_but_a_later_one(db: &TestDb) -> anyhow::Result<()> {
    let alice = TestPerson::named("alice");
    let mxid = db.with_account(&alice).await?;
    open(db, &alice, &mxid, device_id!("OURS"), None, 10).await?;
    let (ours, theirs) = (device_id!("OURS"), device_id!("THEIRS"));
    let (first, second) = (lease(), lease());
    for (device, opened_at) in [(ours, 10), (theirs, 20)] {
        let ending = endings::insert_denial(&db.store, &mxid, device, &first, ms(20), ms(30)).await?;
        let ending = ending.expect("the account is there");
        assert_eq!(
            (ending.is_denial, ending.attempts, ending.opened_at),
            (true, 1, ms(opened_at)),
            "{device}"
        );
        assert!(endings::is_open(&db.store, &ending).await?, "{device}");
        assert_eq!(due(db, 29).await?, Vec::<String>::new(), "{device}: whoever denied it tries first");
        let again = endings::claim_denial(&db.store, &mxid, device, &second, ms(31)).await?.expect("there");
        assert_eq!((again.attempts, again.opened_at), (2, ms(opened_at)), "{device}: pressed once more");
        assert!(!endings::delete(&db.store, &ending, &first).await?, "{device}: it was taken over");
        open(db, &alice, &mxid, device, None, 25).await?;
        assert!(!endings::is_open(&db.store, &again).await?, "{device}: somebody has signed in on it since");
        assert!(!endings::note_ended(&db.store, &again, ms(32)).await?, "{device}");
        assert!(endings::delete(&db.store, &again, &second).await?, "{device}");
        assert!(endings::claim_denial(&db.store, &mxid, device, &first, ms(40)).await?.is_none(), "{device}");
    }
    let nobody = crate::harness::mxid("nobody");
    assert!(endings::insert_denial(&db.store, &nobody, ours, &first, ms(20), ms(30)).await?.is_none());
    Ok(())
}

async fn a_logout_and_a_denial_of_one_device_do_not_undo_each_other(db: &TestDb) -> anyhow::Result<()> {
    let alice = TestPerson::named("alice");
    let mxid = db.with_account(&alice).await?;
    let phone = device_id!("PHONE");
    open(db, &alice, &mxid, phone, None, 10).await?;
    log_out(db, &alice, None, 20).await?;
    assert_eq!(endings::insert_due(&db.store, ms(20)).await?, 1);
    let denied = endings::insert_denial(&db.store, &mxid, phone, &lease(), ms(21), ms(30)).await?;
    assert_eq!(denied.map(|ending| ending.opened_at), Some(ms(10)), "over a logout");
    assert_eq!(endings::insert_due(&db.store, ms(22)).await?, 0, "the denial is about the same");
    // One that Usher did not open is denied, and one that it opened is logged out later.
    let theirs = device_id!("THEIRS");
    endings::insert_denial(&db.store, &mxid, theirs, &lease(), ms(30), ms(40)).await?;
    open(db, &alice, &mxid, theirs, None, 29).await?;
    log_out(db, &alice, None, 31).await?;
    assert_eq!(endings::insert_due(&db.store, ms(31)).await?, 0, "the denial is about it, too");
    open(db, &alice, &mxid, theirs, None, 35).await?;
    log_out(db, &alice, None, 36).await?;
    assert_eq!(endings::insert_due(&db.store, ms(36)).await?, 1, "that is another session");
    assert!(endings::claim_denial(&db.store, &mxid, theirs, &lease(), ms(50)).await?.is_none());
    Ok(())
}

/// Each in a transaction that notes what all of them are about, while the endings are worked off by two replicas.
async fn many_logouts_at_once_do_not_stop_each_other(db: &TestDb) -> anyhow::Result<()> {
    let alice = TestPerson::named("alice");
    let mxid = db.with_account(&alice).await?;
    let stores = [db.store.clone(), db.another().await?];
    for number in 0..40 {
        // Not in the order of the index.
        let device: ruma_common::OwnedDeviceId = format!("D{}", number * 17 % 40).into();
        open(db, &alice, &mxid, &device, Some(&upstream(&alice, &number.to_string())), 10).await?;
    }
    let eng = ruma_common::server_name!("eng.test");
    let all = (0..40).map(|number| {
        let (store, alice) = (stores[number % 2].clone(), alice.clone());
        tokio::spawn(async move {
            let session = upstream(&alice, &number.to_string());
            let mut tx = store.begin().await?;
            let logout = NewLogout {
                provider: &alice.provider,
                issuer: &alice.issuer,
                subject: None,
                upstream_session: Some(&EndedSessionHash::from(&session)),
                ends_sessions: true,
                received_at: ms(20),
                keep_until: ms(1_000),
            };
            logouts::insert(&mut tx, &logout, &Counting).await?;
            endings::insert_due(&mut tx, ms(20)).await?;
            tx.commit().await?;
            let held = lease();
            while let Some(ending) = endings::claim(&store, eng, &held, ms(20), ms(30)).await? {
                let mut tx = store.begin().await?;
                assert!(endings::delete(&mut tx, &ending, &held).await?);
                endings::note_ended(&mut tx, &ending, ms(21)).await?;
                tx.commit().await?;
            }
            anyhow::Ok(())
        })
    });
    for outcome in futures_util::future::join_all(all.collect::<Vec<_>>()).await {
        outcome??;
    }
    assert_eq!(due(db, 40).await?, Vec::<String>::new());
    assert!(sessions::list_open(&db.store, &mxid, 100).await?.is_empty(), "every one was ended");
    Ok(())
}

async fn what_nobody_knows_is_not_known(db: &TestDb) -> anyhow::Result<()> {
    let alice = TestPerson::named("alice");
    let mxid = db.with_account(&alice).await?;
    let session = upstream(&alice, "ST-1");
    let (handle, other) = (Handle::generate(&Counting), Handle::generate(&Counting));
    assert!(!logouts::is_known(&db.store, &session, &handle).await?);
    let (token, attempt) = (TokenHash::of("t"), AttemptHash::of(&handle));
    let new =
        NewLoginToken { upstream_session: Some(&session), ..new_token(&token, &attempt, &alice, &mxid) };
    assert!(login_tokens::insert(&db.store, &new).await?);
    assert!(logouts::is_known(&db.store, &session, &handle).await?, "a login token");
    assert!(!logouts::is_known(&db.store, &session, &other).await?, "of another attempt");
    assert!(!logouts::is_known(&db.store, &upstream(&alice, "ST-2"), &handle).await?, "of another session");
    open(db, &alice, &mxid, device_id!("PHONE"), Some(&session), 10).await?;
    assert!(logouts::is_known(&db.store, &session, &other).await?, "an open session");
    let waiting = Handle::generate(&Counting);
    let identity = usher_core::Identity {
        provider: alice.provider.clone(),
        issuer: alice.issuer.clone(),
        subject: alice.subject.clone(),
        evidence: usher_core::Evidence::Unstated,
        attributes: [].into(),
        upstream_session: None,
    };
    pending::insert(&db.store, &AttemptHash::of(&waiting), &identity, ms(2_000)).await?;
    assert!(
        logouts::is_known(&db.store, &upstream(&alice, "ST-3"), &waiting).await?,
        "somebody who is asked"
    );
    Ok(())
}

async fn a_logout_is_forgotten_when_no_login_can_be_concerned(db: &TestDb) -> anyhow::Result<()> {
    let alice = TestPerson::named("alice");
    log_out(db, &alice, None, 1_000).await?;
    for (now, swept) in [(1_999, 0), (2_000, 1), (2_001, 0)] {
        assert_eq!(logouts::delete_expired(&db.store, ms(now), 500).await?, swept, "{now}");
    }
    Ok(())
}
