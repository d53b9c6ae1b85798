//! How many sessions a device may have open, and which of them make room.

use super::*;

on_both!(
    a_device_has_so_many_sessions_open_and_the_oldest_pending_one_goes,
    those_that_make_room_at_once_do_not_stop_each_other,
    confirmed_sessions_are_not_dropped_for_new_ones,
);

async fn open(db: &TestDb, user: &UserId, device: &DeviceId, now: i64) -> anyhow::Result<u64> {
    Ok(ui_auth::find_requester(&db.store, user, device, ms(now)).await?.open)
}

async fn a_device_has_so_many_sessions_open_and_the_oldest_pending_one_goes(
    db: &TestDb,
) -> anyhow::Result<()> {
    let (alice, user) = alice(db).await?;
    let tablet = device_id!("TABLET");
    let other = begin(db, &user, tablet, 1_000).await?.session;
    let kept = confirmed(db, &alice, &user, 1_000).await?;
    let mut pending = Vec::new();
    for at in 1_001..1_004 {
        pending.push(begin(db, &user, phone(), at).await?.session);
    }
    assert_eq!(open(db, &user, phone(), 1_005).await?, 4);
    let requester = ui_auth::find_requester(&db.store, &mxid("nobody"), phone(), ms(1_005)).await?;
    assert!(!requester.is_linked && requester.open == 0);
    assert!(!ui_auth::delete_oldest(&db.store, &user, phone(), &pending[2], 4, ms(1_005)).await?);
    for (name, expected) in [("the oldest", true), ("the next", true), ("no more", false)] {
        let went = ui_auth::delete_oldest(&db.store, &user, phone(), &pending[2], 2, ms(1_005)).await?;
        assert_eq!(went, expected, "{name}");
    }
    for (name, session, expected) in [
        ("the oldest of all, but confirmed", &kept, true),
        ("the oldest pending one", &pending[0], false),
        ("the next", &pending[1], false),
        ("the newest", &pending[2], true),
        ("another device's", &other, true),
    ] {
        assert_eq!(ui_auth::find(&db.store, session).await?.is_some(), expected, "{name}");
    }
    let slow = begin(db, &user, phone(), 990).await?.session;
    assert!(ui_auth::delete_oldest(&db.store, &user, phone(), &slow, 2, ms(1_005)).await?);
    for (name, session, expected) in
        [("of a replica whose clock is behind", &slow, true), ("what was there before", &pending[2], false)]
    {
        assert_eq!(ui_auth::find(&db.store, session).await?.is_some(), expected, "{name}");
    }
    begin(db, &user, phone(), 1_003).await?;
    assert_eq!(open(db, &user, phone(), 1_102).await?, 1, "an expired one is not open");
    assert!(ui_auth::find_requester(&db.store, &user, phone(), ms(1_005)).await?.is_linked);
    Ok(())
}

async fn those_that_make_room_at_once_do_not_stop_each_other(db: &TestDb) -> anyhow::Result<()> {
    let (_, user) = alice(db).await?;
    let coming = (0..16).map(|number| {
        let (store, user) = (db.store.clone(), user.clone());
        tokio::spawn(async move {
            for round in 0..20 {
                let name = format!("{number} {round}");
                let handle = UiAuthHandleHash::of(&Handle::generate(&Counting));
                let session = UiAuthSessionHash::of(&name);
                assert!(ui_auth::insert(&store, &new(&session, &handle, &user, phone(), 1_000), 2).await?);
                for _ in 0..4 {
                    ui_auth::delete_oldest(&store, &user, phone(), &session, 2, ms(1_000)).await?;
                }
            }
            anyhow::Ok(())
        })
    });
    for outcome in futures_util::future::join_all(coming).await {
        outcome??;
    }
    assert!(open(db, &user, phone(), 1_000).await? <= 2 + 16, "and those that came in the same moment");
    let newest = begin(db, &user, phone(), 1_000).await?.session;
    while ui_auth::delete_oldest(&db.store, &user, phone(), &newest, 2, ms(1_000)).await? {}
    assert_eq!(open(db, &user, phone(), 1_000).await?, 2);
    assert_eq!(state(db, &newest).await?, State::Pending, "the last that came is kept");
    Ok(())
}

async fn confirmed_sessions_are_not_dropped_for_new_ones(db: &TestDb) -> anyhow::Result<()> {
    let (alice, user) = alice(db).await?;
    for _ in 0..2 {
        confirmed(db, &alice, &user, 1_000).await?;
    }
    let handle = Handle::generate(&Counting);
    let (session, page) = (UiAuthSessionHash::of("ushu_more"), UiAuthHandleHash::of(&handle));
    let at = |at| new(&session, &page, &user, phone(), at);
    assert!(!ui_auth::insert(&db.store, &at(1_099), 2).await?, "two are confirmed and not spent");
    assert_eq!(open(db, &user, phone(), 1_099).await?, 2);
    assert!(ui_auth::insert(&db.store, &at(1_100), 2).await?, "they have expired");
    Ok(())
}
