//! A person is provider, issuer and subject together.

use ruma_common::server_name;
use usher_core::{Issuer, ProviderId, Subject};
use usher_store::{AccountState, Origin, StoreError, accounts, choices, links, people};

use crate::harness::{TestDb, TestPerson, ms, mxid};

on_both!(
    a_stranger_is_unknown,
    a_person_has_one_account_on_a_homeserver,
    several_people_may_share_an_account,
    the_issuer_is_part_of_the_name,
    the_longest_names_fit,
    a_first_choice_stays_until_it_is_set_anew,
    a_row_that_does_not_parse_is_corrupt,
);

async fn a_stranger_is_unknown(db: &TestDb) -> anyhow::Result<()> {
    let alice = TestPerson::named("alice");
    assert_eq!(people::find(&db.store, &alice.key()).await?, people::Person::default());
    assert!(!links::delete(&db.store, &alice.key(), &mxid("alice")).await?);
    Ok(())
}

async fn a_person_has_one_account_on_a_homeserver(db: &TestDb) -> anyhow::Result<()> {
    let alice = TestPerson::named("alice");
    for name in ["@a:law.test", "@a:eng.test", "@b:eng.test"] {
        accounts::insert_reserved(&db.store, name.try_into()?, Origin::Pinned, ms(0)).await?;
    }
    for (name, expected) in
        [("@a:law.test", true), ("@a:eng.test", true), ("@a:eng.test", false), ("@b:eng.test", false)]
    {
        assert_eq!(
            links::insert(&db.store, &alice.key(), name.try_into()?, ms(1)).await?,
            expected,
            "{name}"
        );
    }
    choices::insert(&db.store, &alice.key(), server_name!("law.test"), ms(1)).await?;
    let person = people::find(&db.store, &alice.key()).await?;
    assert_eq!(person.choice.as_deref(), Some(server_name!("law.test")));
    let links: Vec<_> = person.links.iter().map(|l| (l.server_name.as_str(), l.mxid.as_str())).collect();
    assert_eq!(links, [("eng.test", "@a:eng.test"), ("law.test", "@a:law.test")]);
    assert!(person.links.iter().all(|l| l.state == AccountState::Reserved && l.origin == Origin::Pinned));
    Ok(())
}

async fn several_people_may_share_an_account(db: &TestDb) -> anyhow::Result<()> {
    let (alice, bob) = (TestPerson::named("alice"), TestPerson::named("bob"));
    let shared = db.with_account(&alice).await?;
    assert!(links::insert(&db.store, &bob.key(), &shared, ms(1)).await?);
    assert_eq!(people::find(&db.store, &bob.key()).await?.links[0].mxid, shared);
    assert!(!links::delete(&db.store, &bob.key(), &mxid("other")).await?, "a link to another account");
    assert!(links::delete(&db.store, &bob.key(), &shared).await?);
    assert_eq!(people::find(&db.store, &bob.key()).await?.links, []);
    assert_eq!(people::find(&db.store, &alice.key()).await?.links.len(), 1);
    Ok(())
}

async fn the_issuer_is_part_of_the_name(db: &TestDb) -> anyhow::Result<()> {
    let alice = TestPerson::named("alice");
    db.with_account(&alice).await?;
    choices::insert(&db.store, &alice.key(), server_name!("eng.test"), ms(0)).await?;
    for (name, other) in [
        ("provider", TestPerson { provider: ProviderId::parse("corp2")?, ..alice.clone() }),
        ("issuer", TestPerson { issuer: Issuer::parse("https://idp.test/")?, ..alice.clone() }),
        ("subject", TestPerson { subject: Subject::parse("Alice")?, ..alice.clone() }),
    ] {
        assert_eq!(people::find(&db.store, &other.key()).await?, people::Person::default(), "{name}");
    }
    Ok(())
}

/// Postgres limits what fits into an index; digits that do not repeat, so that nothing is compressed.
async fn the_longest_names_fit(db: &TestDb) -> anyhow::Result<()> {
    let long = |seed: u64, length: usize| {
        let mut state = seed;
        let mut letter = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from(b'a' + u8::try_from((state >> 33) % 26).expect("below 26"))
        };
        (0..length).map(|_| letter()).collect::<String>()
    };
    let person = TestPerson {
        provider: ProviderId::parse(long(1, 255))?,
        issuer: Issuer::parse(long(2, 1024))?,
        subject: Subject::parse(long(3, 1024))?,
    };
    let name = format!("@a:{}", long(4, 252));
    accounts::insert_reserved(&db.store, name.as_str().try_into()?, Origin::Created, ms(0)).await?;
    assert!(links::insert(&db.store, &person.key(), name.as_str().try_into()?, ms(0)).await?);
    assert_eq!(people::find(&db.store, &person.key()).await?.links[0].mxid, name);
    Ok(())
}

async fn a_first_choice_stays_until_it_is_set_anew(db: &TestDb) -> anyhow::Result<()> {
    let alice = TestPerson::named("alice");
    assert!(choices::insert(&db.store, &alice.key(), server_name!("eng.test"), ms(1)).await?);
    assert!(!choices::insert(&db.store, &alice.key(), server_name!("law.test"), ms(2)).await?);
    assert_eq!(
        people::find(&db.store, &alice.key()).await?.choice.as_deref(),
        Some(server_name!("eng.test"))
    );
    choices::set(&db.store, &alice.key(), server_name!("law.test"), ms(3)).await?;
    choices::set(&db.store, &TestPerson::named("bob").key(), server_name!("eng.test"), ms(3)).await?;
    assert_eq!(
        people::find(&db.store, &alice.key()).await?.choice.as_deref(),
        Some(server_name!("law.test"))
    );
    Ok(())
}

async fn a_row_that_does_not_parse_is_corrupt(db: &TestDb) -> anyhow::Result<()> {
    let alice = TestPerson::named("alice");
    choices::insert(&db.store, &alice.key(), server_name!("eng.test"), ms(1)).await?;
    db.run("UPDATE choices SET server_name = 'no such name!'").await?;
    let error = people::find(&db.store, &alice.key()).await.expect_err("it is no server name");
    assert!(matches!(error, StoreError::Corrupt(_)), "{error:?}");
    assert!(format!("{error:?}").contains("choices.server_name"), "{error:?}");
    assert!(!format!("{error:?}").contains("no such name"), "{error:?}");
    Ok(())
}
