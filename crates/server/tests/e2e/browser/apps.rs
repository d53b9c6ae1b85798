//! Clients that are apps: the browser hands their address to the system and stays where it is. This browser has no
//! such app, so what it was sent to is read from its log.

use anyhow::{Context as _, ensure};
use usher_lab::real::chromium::Request;

use super::visitor::Visitor;
use crate::{components::run, database::Kind, world::World};

/// As Element on a desktop asks for it.
const APP: &str = "element://connect?element-desktop-ssoid=7";

fn token(requests: &[Request]) -> anyhow::Result<String> {
    let prefix = format!("{APP}&loginToken=");
    let sent: Vec<_> = requests.iter().filter(|request| request.url.starts_with("element:")).collect();
    ensure!(sent.len() == 1 && sent[0].is_navigation, "the browser is sent to the app once");
    let token = sent[0].url.strip_prefix(&prefix).context("the app's address is as it was, with a token")?;
    Ok(token.to_owned())
}

#[test]
fn an_app_that_is_trusted_gets_its_token_at_once() -> anyhow::Result<()> {
    run(async {
        let world = World::start_with(Kind::Sqlite, |portal| {
            portal.trusted_clients = vec!["element://".to_owned()];
        })
        .await?;
        let alice = Visitor::at(&world.config.public_base_url()).await?;
        alice.begin(APP).await?;
        alice.sign_in_at_cas(world.components().cas.person("alice")).await?;
        let token = token(&alice.is_sent_to("element:").await?)?;
        let session = world.client.redeem(&token).await?.expect_ok()?;
        assert_eq!(session.field("user_id")?, world.eng("alice"));
        Ok(())
    })
}

#[test]
fn an_app_that_nobody_trusts_gets_its_token_after_the_click_and_not_before() -> anyhow::Result<()> {
    run(async {
        let world = World::start(Kind::Sqlite).await?;
        let alice = Visitor::at(&world.config.public_base_url()).await?;
        alice.begin(APP).await?;
        alice.sign_in_at_cas(world.components().cas.person("alice")).await?;
        alice.sees("Continue to this app?").await?;
        let before = alice.window.requests().await?;
        assert!(!before.iter().any(|request| request.url.starts_with("element:")), "not before the click");
        alice.window.click("button").await?;
        let token = token(&alice.is_sent_to("element:").await?)?;
        // The policy on forms lets exactly this redirect through.
        alice.nothing_is_wrong().await?;
        let session = world.client.redeem(&token).await?.expect_ok()?;
        assert_eq!(session.field("user_id")?, world.eng("alice"));

        // The page is still there: a browser that has no such app stays at it.
        alice.window.reload().await?;
        alice.sees("This sign-in cannot be continued").await?;
        assert_eq!(world.database.login_tokens().await?, ["redeemed"], "nothing is issued twice");
        Ok(())
    })
}
