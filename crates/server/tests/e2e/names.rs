//! Names that somebody has on the homeserver, and accounts that their homeserver has closed.

use reqwest::StatusCode;

use crate::{
    components::{Operator, run},
    database::Kind,
    world::{World, display_name},
};

const PASSWORD: &str = "a password that is long";

#[test]
fn an_account_that_was_there_before_is_never_taken_over() -> anyhow::Result<()> {
    run(async {
        let world = World::start(Kind::Sqlite).await?;
        let eng = &world.components().eng;
        let [alice, bob] = ["alice", "bob"].map(|name| world.localpart(name));
        eng.register_user(&alice, PASSWORD).await?;
        eng.register_user(&bob, PASSWORD).await?;
        let operator = Operator::of(eng, &world.localpart("operator")).await?;
        operator.deactivate(&world.eng("bob")).await?;
        let devices = operator.devices(&world.eng("alice")).await?;

        for (username, localpart) in [("alice", &alice), ("bob", &bob)] {
            let session = world.log_in(username).await?;
            let second = format!("@{localpart}-2:eng.localhost");
            assert_eq!(session.field("user_id")?, second);
            let who = eng.whoami(session.field("access_token")?).await?;
            assert_eq!(who.map(|who| who.user_id), Some(second.clone()));
            assert_eq!(world.log_in(username).await?.field("user_id")?, second, "the second time too");
        }
        assert_eq!(operator.devices(&world.eng("alice")).await?, devices, "nobody else logged in there");
        let (status, login) = eng.log_in_with_password(&alice, PASSWORD).await?;
        assert_eq!(status, StatusCode::OK, "{}", login["errcode"]);
        assert_eq!(display_name(eng, &world.eng("alice")).await?, Some(alice.clone()));
        let links = [format!("alice @{alice}-2:eng.localhost"), format!("bob @{bob}-2:eng.localhost")];
        assert_eq!(world.database.links().await?, links);
        Ok(())
    })
}

#[test]
fn who_was_deactivated_or_locked_is_told_which() -> anyhow::Result<()> {
    run(async {
        let world = World::start(Kind::Sqlite).await?;
        let hist = &world.components().hist;
        world.log_in("carol").await?;
        world.log_in("dave").await?;
        let operator = Operator::of(hist, &world.localpart("operator")).await?;
        operator.deactivate(&world.hist("carol")).await?;
        operator.lock(&world.hist("dave")).await?;
        for (username, status, errcode) in [
            ("carol", StatusCode::FORBIDDEN, "M_USER_DEACTIVATED"),
            ("dave", StatusCode::UNAUTHORIZED, "M_USER_LOCKED"),
        ] {
            let token = world.sign_in(username).await?.login_token()?;
            let answer = world.client.redeem(&token).await?;
            assert_eq!((answer.status, answer.errcode()), (status, errcode), "{username}");
        }
        assert_eq!(world.database.accounts().await?.len(), 2, "nobody was made anew");
        Ok(())
    })
}
