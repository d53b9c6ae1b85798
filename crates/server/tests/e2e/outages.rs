//! Something is away: whoever comes is told so, loses nothing, and gets in when it is back.

use reqwest::StatusCode;
use usher_lab::real::{
    Progress,
    cas_server::{CasServer, CasServerOptions},
};

use crate::{
    components::{components, eventually, run},
    database::Kind,
    world::{World, homeserver},
};

#[test]
fn a_homeserver_that_is_away_costs_nobody_their_login() -> anyhow::Result<()> {
    run(async {
        let components = components().await?;
        let mut eng = components.another_eng().await?;
        let section = homeserver(components, &eng);
        let world = World::start_with(Kind::Sqlite, |config| config.homeservers[0] = section).await?;
        let alice = world.person("alice");
        let token = alice.sign_in().await?.login_token()?;
        eng.kill()?;

        for _ in 0..3 {
            let answer = world.client.redeem(&token).await?;
            assert_eq!(
                (answer.status, answer.errcode()),
                (StatusCode::BAD_GATEWAY, "M_UNKNOWN"),
                "{answer:?}"
            );
        }
        let (status, text) = world.sign_in("bob").await?.page();
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{text}");
        assert!(text.contains("Your homeserver cannot be reached"), "{text}");
        let carol = world.log_in("carol").await?;
        assert_eq!(carol.field("user_id")?, world.hist("carol"), "the other department is not touched");

        eng.start_again(&Progress::printing()).await?;
        let session = world.client.redeem(&token).await?.expect_ok()?;
        let who = eng.whoami(session.field("access_token")?).await?;
        assert_eq!(who.map(|who| who.user_id), Some(world.eng("alice")), "the token works at once");
        assert_eq!(world.log_in("bob").await?.field("user_id")?, world.eng("bob"));
        Ok(())
    })
}

#[test]
fn a_homeserver_that_is_away_is_named_on_the_page() -> anyhow::Result<()> {
    run(async {
        let world = World::start_with(Kind::Sqlite, |config| {
            // The discard port: nobody listens there.
            config.homeservers[0]["upstream_url"] = "http://127.0.0.1:9/".into();
        })
        .await?;
        let (status, text) = world.sign_in("alice").await?.page();
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{text}");
        assert!(text.contains("eng.localhost"), "{text}");
        Ok(())
    })
}

#[test]
fn a_single_sign_on_that_is_away_is_said_and_the_ticket_is_good_when_it_is_back() -> anyhow::Result<()> {
    run(async {
        let mut cas = CasServer::start(CasServerOptions::default(), &Progress::printing()).await?;
        let base_url = cas.base_url().to_string();
        let world = World::start_with(Kind::Sqlite, |config| config.cas_base_url = base_url).await?;
        let alice = world.person_stopping_at_callback("alice");
        let callback = alice.callback().await?;
        cas.kill()?;

        let (status, text) = alice.open(&callback).await?.page();
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{text}");
        assert!(text.contains("The sign-in page cannot be reached"), "{text}");
        let flows = world.client.call(reqwest::Method::GET, "_matrix/client/v3/login", None).await?;
        assert_eq!(flows.body["flows"][0]["type"], "m.login.sso", "the flow is not hidden");

        cas.start_again(&Progress::printing()).await?;
        let token = alice.open(&callback).await?.login_token()?;
        let session = world.client.redeem(&token).await?.expect_ok()?;
        assert_eq!(session.field("user_id")?, world.eng("alice"));
        Ok(())
    })
}

#[test]
fn a_database_that_is_away_is_said_and_everything_works_when_it_is_back() -> anyhow::Result<()> {
    run(async {
        let mut postgres = usher_lab::real::postgres::Postgres::start().await?;
        let url = postgres.create_database("usher").await?.to_string();
        let world = World::start_with(Kind::Sqlite, |config| config.database_url = url).await?;
        let alice = world.person_stopping_at_callback("alice");
        let token = world.sign_in("bob").await?.login_token()?;
        let callback = alice.callback().await?;
        postgres.kill().await?;

        let (status, text) = alice.open(&callback).await?.page();
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{text}");
        let answer = world.client.redeem(&token).await?;
        assert_eq!((answer.status, answer.errcode()), (StatusCode::SERVICE_UNAVAILABLE, "M_UNKNOWN"));
        eventually("health says so: the database is asked once a second", async || {
            let health = world.client.call(reqwest::Method::GET, "_usher/health", None).await?;
            Ok((health.status == StatusCode::SERVICE_UNAVAILABLE).then_some(()))
        })
        .await?;
        alice.begin(crate::config::APP).await?;

        postgres.start_again().await?;
        world.client.redeem(&token).await?.expect_ok()?;
        assert_eq!(world.log_in("alice").await?.field("user_id")?, world.eng("alice"));
        Ok(())
    })
}
