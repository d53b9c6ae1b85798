//! The page on which a person chooses their homeserver.

use serde_json::json;
use usher_lab::real::chromium::Look;

use super::{audit::audit, client_site::ClientSite, keyboard::tab_to, pages::pages, visitor::Visitor};
use crate::{
    components::{axe, run},
    config::Portal,
    database::Kind,
    world::World,
};

const QUESTION: &str = "Choose your homeserver";

/// Everybody is asked; the homeservers have names, one of them a long one.
fn ask(portal: &mut Portal) {
    portal.selection = Some(json!([{ "sticky": {} }, { "ask": {} }]));
    portal.homeservers[0]["name"] =
        json!("Faculty of Engineering and Applied Sciences, Communications Department");
    portal.homeservers[1]["name"] = json!("History");
    portal.pages = pages();
}

#[test]
fn somebody_chooses_by_keyboard_and_comes_back_to_the_same_homeserver() -> anyhow::Result<()> {
    run(async {
        let client = ClientSite::start().await?;
        let world = World::start_with(Kind::Sqlite, |portal| {
            ask(portal);
            portal.trusted_clients = vec![client.url()];
        })
        .await?;
        let erin = Visitor::at(&world.config.public_base_url()).await?;
        erin.begin(&client.url()).await?;
        erin.sign_in_at_cas(world.components().cas.person("erin")).await?;
        erin.sees(QUESTION).await?;
        // Asked again is not asked twice.
        erin.window.reload().await?;
        erin.sees(QUESTION).await?;
        tab_to(&erin, "History").await?;
        erin.window.press_enter().await?;
        let token = erin.lands_at(&client.url()).await?;
        let session = world.client.redeem(&token).await?.expect_ok()?;
        assert_eq!(session.field("user_id")?, world.hist("erin"));

        // Back to the question: it was answered, and nothing is issued twice.
        erin.window.back().await?;
        erin.window.reload().await?;
        erin.sees("This sign-in cannot be continued").await?;
        assert_eq!(world.database.login_tokens().await?, ["redeemed"]);

        erin.begin(&client.url()).await?;
        let token = erin.lands_at(&client.url()).await?;
        let session = world.client.redeem(&token).await?.expect_ok()?;
        assert_eq!(session.field("user_id")?, world.hist("erin"), "the choice holds");
        Ok(())
    })
}

#[test]
fn the_question_is_for_everybody_and_needs_no_script() -> anyhow::Result<()> {
    run(async {
        let client = ClientSite::start().await?;
        let axe = axe().await?;
        let world = World::start_with(Kind::Sqlite, ask).await?;
        let frank = Visitor::at(&world.config.public_base_url()).await?;
        frank.begin(&client.url()).await?;
        frank.sign_in_at_cas(world.components().cas.person("frank")).await?;
        frank.sees(QUESTION).await?;
        audit(&frank, &axe, "chooser", "en").await?;
        frank.window.look(Look { language: "fr", ..Look::DESKTOP }).await?;
        frank.window.reload().await?;
        frank.sees("Choisissez votre serveur").await?;
        audit(&frank, &axe, "chooser", "fr").await?;

        frank.window.look(Look { runs_scripts: false, ..Look::PHONE }).await?;
        frank.window.reload().await?;
        frank.window.click("button").await?;
        // Nobody trusts the client: one more question.
        frank.sees("Continue to this site?").await?;
        frank.window.click("button").await?;
        let token = frank.lands_at(&client.url()).await?;
        frank.nothing_is_wrong().await?;
        let session = world.client.redeem(&token).await?.expect_ok()?;
        assert_eq!(session.field("user_id")?, world.eng("frank"));
        Ok(())
    })
}
