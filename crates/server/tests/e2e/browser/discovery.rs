//! "Where are you from?" in a browser: with keys alone, without scripts, remembered; and looked at from all sides.

use serde_json::json;
use usher_lab::real::chromium::Look;

use super::{audit::audit, client_site::ClientSite, keyboard::tab_to, visitor::Visitor};
use crate::{
    components::{axe, run, simplesamlphp},
    database::Kind,
    federation::{HARBOUR, Scene},
};

#[test]
fn somebody_finds_their_organisation_with_keys_alone_and_without_scripts() -> anyhow::Result<()> {
    run(async {
        let client = ClientSite::start().await?;
        let trust = |portal: &mut crate::config::Portal| portal.trusted_clients = vec![client.url()];
        let Scene { world, .. } = Scene::start(Kind::Sqlite, &json!({}), trust).await?;
        for runs_scripts in [true, false] {
            let alice = Visitor::at(&world.config.public_base_url()).await?;
            alice.window.look(Look { runs_scripts, ..Look::DESKTOP }).await?;
            alice.begin(&client.url()).await?;
            alice.sees("Where are you from?").await?;
            alice.window.run("document.querySelector('input[name=q]').focus()").await?;
            alice.window.type_text("harbour").await?;
            alice.window.press_enter().await?;
            alice.comes_to("input[name=q][value=harbour]").await?;
            tab_to(&alice, HARBOUR).await?;
            alice.window.press_enter().await?;
            alice.sign_in_at_cas(simplesamlphp().await?.person("alice")).await?;
            if !runs_scripts {
                alice.comes_to("input[name=SAMLResponse]").await?;
                alice.window.click("button.btn").await?;
            }
            let token = alice.lands_at(&client.url()).await?;
            let session = world.client.redeem(&token).await?.expect_ok()?;
            assert_eq!(session.field("user_id")?, world.eng("alice"), "scripts: {runs_scripts}");
            alice.begin(&client.url()).await?;
            alice.sees("Where are you from?").await?;
            tab_to(&alice, HARBOUR).await?;
            alice.nothing_is_wrong().await?;
        }
        Ok(())
    })
}

#[test]
fn the_page_that_asks_is_for_everybody() -> anyhow::Result<()> {
    run(async {
        let axe = axe().await?;
        let Scene { world, .. } = Scene::start(Kind::Sqlite, &json!({}), |_| ()).await?;
        let visitor = Visitor::at(&world.config.public_base_url()).await?;
        for (language, heading) in [("en", "Where are you from?"), ("fr", "D’où venez-vous\u{202f}?")] {
            visitor.window.look(Look { language, ..Look::DESKTOP }).await?;
            visitor.begin("https://elsewhere.example/").await?;
            visitor.sees(heading).await?;
            audit(&visitor, &axe, "organisations", language).await?;
        }
        Ok(())
    })
}

/// The names of those that are offered.
const OFFERED: &str =
    "return [...document.querySelectorAll('.choices a span > bdi')].map((one) => one.textContent.trim())";

#[test]
fn organisations_have_the_names_of_the_language_that_the_page_is_in() -> anyhow::Result<()> {
    run(async {
        let Scene { world, .. } = Scene::start(Kind::Sqlite, &json!({}), |_| ()).await?;
        let visitor = Visitor::at(&world.config.public_base_url()).await?;
        let french = format!("{HARBOUR} (français)");
        for (language, heading, expected) in [
            ("fr", "D’où venez-vous\u{202f}?", french.as_str()),
            ("fr-CA,en;q=0.5", "D’où venez-vous\u{202f}?", &french),
            ("en", "Where are you from?", HARBOUR),
            // No page is in Maori.
            ("mi", "Where are you from?", HARBOUR),
        ] {
            visitor.window.look(Look { language, ..Look::DESKTOP }).await?;
            visitor.begin("https://elsewhere.example/").await?;
            visitor.sees(heading).await?;
            visitor.window.fill("input[name=q]", "harbour").await?;
            visitor.window.press_enter().await?;
            visitor.comes_to("input[name=q][value=harbour]").await?;
            assert_eq!(visitor.window.run(OFFERED).await?, json!([expected]), "{language}");
            visitor.nothing_is_wrong().await?;
        }
        Ok(())
    })
}
