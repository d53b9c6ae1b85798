//! First visits at a real Synapse: accounts that were there before, and what new ones are given.

use reqwest::StatusCode;
use serde_json::json;

use crate::{
    components::{Operator, eventually, run},
    database::Kind,
    world::{World, display_name},
};

const PASSWORD: &str = "a password that is long";

#[test]
fn people_come_into_the_accounts_that_an_attribute_names_and_into_nobody_elses() -> anyhow::Result<()> {
    run(async {
        let world = World::start_with(Kind::Sqlite, |portal| {
            for homeserver in &mut portal.homeservers {
                homeserver["adopt"] = json!([{ "provider": "corp", "attribute": "mail", "immutable": true }]);
            }
        })
        .await?;
        let (eng, hist) = (&world.components().eng, &world.components().hist);
        let account = |name: &str| format!("{name}=40ac.localhost");
        eng.register_user(&account("alice"), PASSWORD).await?;
        eng.register_admin(&account("bob"), PASSWORD).await?;
        hist.register_user(&account("carol"), PASSWORD).await?;
        let operator = Operator::of(hist, &world.localpart("operator")).await?;
        let carol = format!("@{}:hist.localhost", account("carol"));
        operator.deactivate(&carol).await?;

        let alice = format!("@{}:eng.localhost", account("alice"));
        for time in ["the first time", "again"] {
            let session = world.log_in("alice").await?;
            assert_eq!(session.field("user_id")?, alice, "{time}");
            let who = eng.whoami(session.field("access_token")?).await?;
            assert_eq!(who.map(|who| who.user_id), Some(alice.clone()), "{time}");
        }
        let (status, login) = eng.log_in_with_password(&account("alice"), PASSWORD).await?;
        assert_eq!(status, StatusCode::OK, "her password is hers as before: {}", login["errcode"]);

        let (status, text) = world.sign_in("bob").await?.page();
        assert_eq!(status, StatusCode::FORBIDDEN, "{text}");
        assert!(text.contains("Your account could not be connected"), "an administrator: {text}");

        let token = world.sign_in("carol").await?.login_token()?;
        let answer = world.client.redeem(&token).await?;
        assert_eq!((answer.status, answer.errcode()), (StatusCode::FORBIDDEN, "M_USER_DEACTIVATED"));

        world.log_in("dave").await?.expect_ok()?;
        let expected =
            [format!("alice {alice}"), format!("carol {carol}"), format!("dave {}", world.hist("dave"))];
        assert_eq!(world.database.links().await?, expected, "bob has none, and dave is a newcomer");
        Ok(())
    })
}

#[test]
fn a_new_person_is_in_the_rooms_and_has_name_and_address_in_the_end() -> anyhow::Result<()> {
    run(async {
        for kind in Kind::BOTH {
            let mut aliases = Vec::new();
            let world = World::start_with(kind, |portal| {
                let tag = portal.localpart.rsplit('.').next().unwrap_or_default().to_owned();
                for homeserver in &mut portal.homeservers {
                    let server_name = homeserver["server_name"].as_str().unwrap_or_default();
                    let join = ["welcome", "later"].map(|name| format!("#{name}.{tag}:{server_name}"));
                    homeserver["new_account"]["join"] = json!(join);
                    homeserver["new_account"]["email"] = json!("{{ attributes.mail }}");
                }
                aliases = ["welcome", "later"].map(|name| format!("{name}.{tag}")).to_vec();
            })
            .await?;
            let eng = &world.components().eng;
            let operator = Operator::of(eng, &world.localpart("operator")).await?;
            world.components().promote_service_of_eng(&operator).await?;
            let first = operator.make_room(&aliases[0]).await?;

            world.log_in("alice").await?;
            let alice = world.eng("alice");
            let waiting =
                "SELECT kind || ' ' || COALESCE(last_error, '') FROM provisioning WHERE kind = 'join'";
            eventually("the room that is not there was asked for", async || {
                let waiting = world.database.column(waiting).await?;
                Ok((waiting == ["join M_NOT_FOUND"]).then_some(()))
            })
            .await?;
            assert_eq!(operator.rooms(&alice).await?, [first.as_str()], "{kind:?}");
            let second = operator.make_room(&aliases[1]).await?;
            eventually("everything is given", async || {
                let left = world.database.column("SELECT item FROM provisioning").await?;
                Ok(left.is_empty().then_some(()))
            })
            .await?;
            let mut rooms = operator.rooms(&alice).await?;
            rooms.sort();
            let mut expected = [first, second];
            expected.sort();
            assert_eq!(rooms, expected, "{kind:?}");
            assert_eq!(operator.emails(&alice).await?, ["alice@ac.localhost"], "{kind:?}");
            assert_eq!(display_name(eng, &alice).await?.as_deref(), Some("Alice Archer"), "{kind:?}");
            // The next round's Alice has the same.
            operator.set_emails(&alice, &[]).await?;
        }
        Ok(())
    })
}

#[test]
fn a_service_that_is_no_administrator_says_what_it_lacks() -> anyhow::Result<()> {
    run(async {
        let world = World::start_with(Kind::Sqlite, |portal| {
            portal.homeservers[1]["new_account"]["email"] = json!("{{ attributes.mail }}");
        })
        .await?;
        world.log_in("carol").await?;
        let waiting = "SELECT kind || ' ' || COALESCE(last_error, '') FROM provisioning";
        eventually("the address was refused", async || {
            Ok((world.database.column(waiting).await? == ["email M_FORBIDDEN"]).then_some(()))
        })
        .await?;
        let log = world.usher.log()?;
        let said =
            "homeservers[1].new_account.email needs the service's own user to be a server administrator";
        assert!(log.lines().any(|line| line.contains("ERROR") && line.contains(said)), "{log}");
        assert!(!log.contains("carol@ac.localhost"), "attributes are not logged");
        Ok(())
    })
}
