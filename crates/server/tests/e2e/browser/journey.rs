//! The whole way: the picker, the single sign-on's form, the question, and the client; with the mouse, and without
//! scripts.

use serde_json::json;
use usher_lab::real::chromium::Look;

use super::{client_site::ClientSite, visitor::Visitor};
use crate::{components::run, database::Kind, world::World};

#[test]
fn somebody_picks_a_sign_in_types_a_password_and_lands_in_their_client() -> anyhow::Result<()> {
    run(async {
        let client = ClientSite::start().await?;
        let world = World::start_with(Kind::Sqlite, |portal| {
            portal.more_providers = vec![json!({
                "id": "guests", "name": "Guests & visitors", "cas": { "base_url": portal.cas_base_url },
            })];
            portal.trusted_clients = vec![client.url()];
        })
        .await?;
        let alice = Visitor::at(&world.config.public_base_url()).await?;
        let redirect_url = format!("{}?x=ö#/login", client.url());
        alice.window.open(&alice.login_url(None, &redirect_url)).await?;
        alice.sees("Sign in").await?;
        assert!(alice.window.text("main").await?.contains("Canadialand"));
        alice.nothing_is_wrong().await?;
        alice.window.click("li:nth-child(2) a").await?;
        alice.sign_in_at_cas(world.components().cas.person("alice")).await?;
        let token = alice.lands_at(&client.url()).await?;
        let url = alice.window.url().await?;
        assert!(url.query().is_some_and(|query| query.starts_with("x=%C3%B6&loginToken=")), "{url}");
        assert_eq!(url.fragment(), Some("/login"));
        let session = world.client.redeem(&token).await?.expect_ok()?;
        assert_eq!(session.field("user_id")?, world.eng("alice"));
        Ok(())
    })
}

#[test]
fn a_site_that_nobody_trusts_gets_a_token_after_a_click_with_and_without_scripts() -> anyhow::Result<()> {
    run(async {
        let client = ClientSite::start().await?;
        let world = World::start(Kind::Sqlite).await?;
        let alice = Visitor::at(&world.config.public_base_url()).await?;
        for runs_scripts in [true, false] {
            alice.window.look(Look { runs_scripts, ..Look::DESKTOP }).await?;
            alice.begin(&client.url()).await?;
            if runs_scripts {
                alice.sign_in_at_cas(world.components().cas.person("alice")).await?;
            }
            alice.sees("Continue to this site?").await?;
            let page = alice.window.text("main").await?;
            for shown in [client.url().trim_end_matches('/'), &world.eng("alice")] {
                assert!(page.contains(shown), "{shown} in {page}");
            }
            alice.nothing_is_wrong().await?;
            alice.window.click("button").await?;
            let token = alice.lands_at(&client.url()).await?;
            let session = world.client.redeem(&token).await?.expect_ok()?;
            assert_eq!(session.field("user_id")?, world.eng("alice"), "scripts: {runs_scripts}");
        }
        Ok(())
    })
}

#[test]
fn the_picker_and_the_sign_in_work_without_scripts() -> anyhow::Result<()> {
    run(async {
        let client = ClientSite::start().await?;
        let world = World::start_with(Kind::Sqlite, |portal| {
            portal.more_providers = vec![json!({
                "id": "guests", "name": "Guests", "cas": { "base_url": portal.cas_base_url },
            })];
            portal.trusted_clients = vec![client.url()];
        })
        .await?;
        let carol = Visitor::at(&world.config.public_base_url()).await?;
        carol.window.look(Look { runs_scripts: false, ..Look::PHONE }).await?;
        carol.window.open(&carol.login_url(None, &client.url())).await?;
        carol.window.click("li a").await?;
        carol.sign_in_at_cas(world.components().cas.person("carol")).await?;
        let token = carol.lands_at(&client.url()).await?;
        let session = world.client.redeem(&token).await?.expect_ok()?;
        assert_eq!(session.field("user_id")?, world.hist("carol"));
        Ok(())
    })
}
