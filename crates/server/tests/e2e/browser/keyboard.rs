//! Everything with the keyboard alone: what has the focus is seen, and Enter does it.

use anyhow::{Context as _, ensure};
use serde_json::json;

use super::{client_site::ClientSite, visitor::Visitor};
use crate::{components::run, database::Kind, world::World};

/// Words and outline of what has the focus.
const FOCUS: &str = "
const focused = document.activeElement, style = getComputedStyle(focused);
return { text: focused.textContent.trim(), ring: style.outlineStyle === 'none' ? 0 : parseFloat(style.outlineWidth) };";

/// Presses Tab until the focus is on what reads `text`, at most a few times; every stop on the way has a ring.
pub(crate) async fn tab_to(visitor: &Visitor, text: &str) -> anyhow::Result<()> {
    for _ in 0..5 {
        visitor.window.press_tab().await?;
        let focus = visitor.window.run(FOCUS).await?;
        let ring = focus["ring"].as_f64().context("a width")?;
        ensure!(ring >= 2.0, "nobody sees where the focus is: {focus}");
        if focus["text"].as_str().is_some_and(|words| words.starts_with(text)) {
            return Ok(());
        }
    }
    anyhow::bail!("the keyboard does not reach {text:?}")
}

#[test]
fn the_keyboard_is_enough() -> anyhow::Result<()> {
    run(async {
        let client = ClientSite::start().await?;
        let world = World::start_with(Kind::Sqlite, |portal| {
            portal.more_providers = vec![json!({
                "id": "guests", "name": "Guests", "cas": { "base_url": portal.cas_base_url },
            })];
            portal.pages = json!({ "help_url": "https://help.ac.cdl/" });
        })
        .await?;
        let alice = Visitor::at(&world.config.public_base_url()).await?;
        alice.window.open(&alice.login_url(None, &client.url())).await?;
        alice.sees("Sign in").await?;
        tab_to(&alice, "Guests").await?;
        alice.window.press_enter().await?;
        alice.sees_cas_form().await?;
        let person = world.components().cas.person("alice");
        alice.window.run("document.querySelector('input[name=username]').focus()").await?;
        alice.window.type_text(person.username).await?;
        alice.window.press_tab().await?;
        alice.window.type_text(person.password).await?;
        alice.window.press_enter().await?;
        alice.sees("Continue to this site?").await?;
        tab_to(&alice, "Continue").await?;
        alice.window.press_enter().await?;
        let token = alice.lands_at(&client.url()).await?;
        world.client.redeem(&token).await?.expect_ok()?;
        Ok(())
    })
}
