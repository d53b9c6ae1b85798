//! What operators ask of the links, and what they do to them.

use ruma_common::server_name;
use usher_core::{Issuer, ProviderId};
use usher_store::{
    Origin, PersonKey, StoreError, accounts, choices,
    issuers::{self, Move},
    links::{self, Filter, LinkRow},
    login_tokens::{self, Claim},
    people,
};

use crate::harness::{TestDb, TestPerson, lease, ms, mxid};

on_both!(
    a_long_list_comes_in_pages,
    a_list_can_be_narrowed,
    links_of_an_account_are_counted,
    an_issuer_that_is_not_the_providers_own_is_found,
    everybody_is_moved_to_a_new_issuer,
    nobody_is_made_two_people_by_a_move,
    an_account_that_is_there_is_noted_once,
);

fn at(issuer: &str, subject: &str) -> TestPerson {
    TestPerson { issuer: Issuer::parse(issuer).expect("an issuer"), ..TestPerson::named(subject) }
}

async fn pages(db: &TestDb, filter: &Filter<'_>, size: u32) -> Result<Vec<Vec<LinkRow>>, StoreError> {
    let mut pages: Vec<Vec<LinkRow>> = Vec::new();
    loop {
        let after = pages.last().and_then(|page| page.last());
        let page = links::list(&db.store, filter, after, size).await?;
        if page.is_empty() {
            return Ok(pages);
        }
        pages.push(page);
    }
}

async fn a_long_list_comes_in_pages(db: &TestDb) -> anyhow::Result<()> {
    for number in 0..7 {
        db.with_account(&TestPerson::named(&format!("p{number}"))).await?;
    }
    let pages = pages(db, &Filter::default(), 3).await?;
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 1]);
    let names: Vec<_> = pages.iter().flatten().map(|link| link.subject.as_str()).collect();
    assert_eq!(names, ["p0", "p1", "p2", "p3", "p4", "p5", "p6"]);
    Ok(())
}

async fn a_list_can_be_narrowed(db: &TestDb) -> anyhow::Result<()> {
    let (alice, bob) = (TestPerson::named("alice"), at("https://other.test", "bob"));
    let other = TestPerson { provider: ProviderId::parse("corp2")?, ..TestPerson::named("alice") };
    let shared = db.with_account(&alice).await?;
    db.with_account(&bob).await?;
    links::insert(&db.store, &other.key(), &shared, ms(0)).await?;
    accounts::insert_active(&db.store, "@alice:law.test".try_into()?, Origin::Adopted, ms(0)).await?;
    links::insert(&db.store, &alice.key(), "@alice:law.test".try_into()?, ms(0)).await?;
    let law = server_name!("law.test");
    let none = Filter::default();
    for (name, filter, expected) in [
        ("everything", none, 4),
        ("a homeserver", Filter { server_name: Some(law), ..none }, 1),
        ("a provider", Filter { provider: Some(&other.provider), ..none }, 1),
        ("an issuer", Filter { issuer: Some(&bob.issuer), ..none }, 1),
        ("a subject", Filter { subject: Some(&alice.subject), ..none }, 3),
        ("an account", Filter { mxid: Some(&shared), ..none }, 2),
        ("both", Filter { provider: Some(&alice.provider), mxid: Some(&shared), ..none }, 1),
        ("nobody", Filter { subject: Some(&alice.subject), issuer: Some(&bob.issuer), ..none }, 0),
    ] {
        assert_eq!(pages(db, &filter, 9).await?.concat().len(), expected, "{name}");
    }
    Ok(())
}

async fn links_of_an_account_are_counted(db: &TestDb) -> anyhow::Result<()> {
    let alice = db.with_account(&TestPerson::named("alice")).await?;
    links::insert(&db.store, &TestPerson::named("bob").key(), &alice, ms(0)).await?;
    assert_eq!(links::count_of(&db.store, &alice).await?, 2);
    let names = async |limit| {
        let links = links::list_of(&db.store, &alice, limit).await?;
        anyhow::Ok(links.iter().map(|link| link.subject.to_string()).collect::<Vec<_>>())
    };
    assert_eq!(
        (names(9).await?, names(1).await?),
        (vec!["alice".into(), "bob".into()], vec!["alice".into()])
    );
    let bob = TestPerson::named("bob");
    let found = links::find(&db.store, &bob.key(), server_name!("eng.test")).await?.expect("bob has one");
    assert_eq!((found.person(), &found.mxid), (bob.key(), &alice));
    assert_eq!(links::find(&db.store, &bob.key(), server_name!("law.test")).await?, None);
    assert_eq!(links::count_of(&db.store, &mxid("nobody")).await?, 0);
    Ok(())
}

async fn an_issuer_that_is_not_the_providers_own_is_found(db: &TestDb) -> anyhow::Result<()> {
    let corp = ProviderId::parse("corp")?;
    let other = async |own: &str| {
        let own = Issuer::parse(format!("https://{own}.test"))?;
        let other = links::find_other_issuer(&db.store, &corp, &own).await?;
        anyhow::Ok(other.map(|issuer| issuer.to_string()))
    };
    assert_eq!(other("m").await?, None, "nobody is linked");
    db.with_account(&at("https://m.test", "alice")).await?;
    assert_eq!(other("m").await?, None);
    for (own, expected) in [("a", "https://m.test"), ("z", "https://m.test")] {
        assert_eq!(other(own).await?.as_deref(), Some(expected), "{own}");
    }
    let elsewhere = TestPerson { provider: ProviderId::parse("corp2")?, ..at("https://z.test", "bob") };
    db.with_account(&elsewhere).await?;
    assert_eq!(other("m").await?, None, "another provider's issuer");
    Ok(())
}

async fn everybody_is_moved_to_a_new_issuer(db: &TestDb) -> anyhow::Result<()> {
    let (old, new) = (at("https://old.test", "alice"), at("https://new.test", "alice"));
    let alice = db.with_account(&old).await?;
    choices::insert(&db.store, &old.key(), server_name!("eng.test"), ms(0)).await?;
    db.with_account(&at("https://third.test", "carol")).await?;
    let token = db.with_token("t", &old, &alice).await?;
    let moved = Move { provider: &old.provider, from: &old.issuer, to: &new.issuer };
    assert_eq!(issuers::count_conflicts(&db.store, &moved).await?, 0);
    let mut tx = db.store.begin().await?;
    assert_eq!(issuers::move_links(&mut tx, &moved).await?, 1);
    assert_eq!(issuers::move_choices(&mut tx, &moved).await?, 1);
    assert_eq!(issuers::move_sessions(&mut tx, &moved).await?, 0);
    assert_eq!(issuers::move_login_tokens(&mut tx, &moved).await?, 1);
    tx.commit().await?;
    assert_eq!(people::find(&db.store, &old.key()).await?, people::Person::default());
    let person = people::find(&db.store, &new.key()).await?;
    assert_eq!((person.links[0].mxid.clone(), person.choice.is_some()), (alice, true));
    let issuers: Vec<_> = issuers::list(&db.store, &old.provider).await?;
    assert_eq!(issuers, [new.issuer.clone(), Issuer::parse("https://third.test")?]);
    let claim = Claim {
        token: &token,
        lease: &lease(),
        device_id: "D".into(),
        audience: None,
        now: ms(1_050),
        lease_until: ms(1_060),
    };
    let claimed = login_tokens::claim(&db.store, &claim).await?.expect("a token under way is still good");
    assert_eq!(claimed.person(), PersonKey { ..new.key() });
    Ok(())
}

async fn nobody_is_made_two_people_by_a_move(db: &TestDb) -> anyhow::Result<()> {
    let (old, new) = (at("https://old.test", "alice"), at("https://new.test", "alice"));
    db.with_account(&old).await?;
    accounts::insert_active(&db.store, &mxid("alice-2"), Origin::Created, ms(0)).await?;
    links::insert(&db.store, &new.key(), &mxid("alice-2"), ms(0)).await?;
    for person in [&old, &new] {
        choices::insert(&db.store, &person.key(), server_name!("eng.test"), ms(0)).await?;
    }
    let moved = Move { provider: &old.provider, from: &old.issuer, to: &new.issuer };
    assert_eq!(issuers::count_conflicts(&db.store, &moved).await?, 1);
    assert_eq!(issuers::move_choices(&db.store, &moved).await?, 0, "the new one stays");
    let outcome = issuers::move_links(&db.store, &moved).await;
    assert!(matches!(outcome, Err(StoreError::Rejected(_))), "{outcome:?}");
    Ok(())
}

async fn an_account_that_is_there_is_noted_once(db: &TestDb) -> anyhow::Result<()> {
    let alice = mxid("alice");
    assert!(accounts::insert_active(&db.store, &alice, Origin::Adopted, ms(1)).await?);
    assert!(!accounts::insert_active(&db.store, &alice, Origin::Pinned, ms(2)).await?);
    let account = accounts::find(&db.store, &alice).await?.expect("a row");
    assert_eq!((account.state, account.origin), (usher_store::AccountState::Active, Origin::Adopted));
    Ok(())
}
