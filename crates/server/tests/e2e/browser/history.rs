//! Tabs, the back button, and reload: nobody is stuck, and nothing is issued twice.

use anyhow::Context as _;

use serde_json::{Value, json};

use super::{audit::audit, client_site::ClientSite, visitor::Visitor};
use crate::{
    components::{axe, run},
    database::Kind,
    world::World,
};

const OVER: &str = "This sign-in cannot be continued";

/// A portal that trusts the client, or not, and somebody at a browser.
async fn set(trusts: bool) -> anyhow::Result<(World, ClientSite, Visitor)> {
    let client = ClientSite::start().await?;
    let world = World::start_with(Kind::Sqlite, |portal| {
        if trusts {
            portal.trusted_clients = vec![client.url()];
        }
    })
    .await?;
    let visitor = Visitor::at(&world.config.public_base_url()).await?;
    Ok((world, client, visitor))
}

#[test]
fn two_tabs_both_finish() -> anyhow::Result<()> {
    run(async {
        let (world, client, alice) = set(true).await?;
        let person = world.components().cas.person("alice");
        alice.begin(&client.url()).await?;
        let first = alice.window.tab().await?;
        alice.window.open_tab().await?;
        alice.begin(&client.url()).await?;
        alice.sign_in_at_cas(person).await?;
        let second_token = alice.lands_at(&client.url()).await?;
        alice.window.bring_to_front(&first).await?;
        alice.sign_in_at_cas(person).await?;
        let first_token = alice.lands_at(&client.url()).await?;
        assert_ne!(first_token, second_token);
        for token in [first_token, second_token] {
            let session = world.client.redeem(&token).await?.expect_ok()?;
            assert_eq!(session.field("user_id")?, world.eng("alice"));
        }
        Ok(())
    })
}

#[test]
fn a_callback_that_is_opened_again_is_a_calm_page_and_issues_nothing() -> anyhow::Result<()> {
    run(async {
        let (world, client, alice) = set(true).await?;
        alice.begin(&client.url()).await?;
        alice.sign_in_at_cas(world.components().cas.person("alice")).await?;
        let token = alice.lands_at(&client.url()).await?;
        let requests = alice.window.requests().await?;
        let callback = requests.iter().find(|request| request.url.contains("/_usher/cas/corp/callback/"));
        let callback = callback.context("the browser passed the callback")?.url.clone();
        alice.window.open(&callback).await?;
        alice.sees(OVER).await?;
        alice.window.reload().await?;
        alice.sees(OVER).await?;
        assert_eq!(alice.status().await?, 400);
        alice.nothing_is_wrong().await?;
        assert_eq!(world.database.login_tokens().await?, ["issued"]);
        world.client.redeem(&token).await?.expect_ok()?;
        Ok(())
    })
}

#[test]
fn who_goes_back_from_the_client_can_start_again() -> anyhow::Result<()> {
    run(async {
        let (world, client, alice) = set(true).await?;
        alice.begin(&client.url()).await?;
        alice.sign_in_at_cas(world.components().cas.person("alice")).await?;
        let first = alice.lands_at(&client.url()).await?;
        // To the form of the single sign-on, which knows her by now, and sends her on.
        alice.window.back().await?;
        alice.window.reload().await?;
        alice.sees(OVER).await?;
        assert_eq!(world.database.login_tokens().await?, ["issued"], "the sign-in is over");
        alice.begin(&client.url()).await?;
        let second = alice.lands_at(&client.url()).await?;
        for token in [first, second] {
            world.client.redeem(&token).await?.expect_ok()?;
        }
        Ok(())
    })
}

#[test]
fn who_goes_back_from_the_client_to_the_question_is_told_that_it_was_answered() -> anyhow::Result<()> {
    run(async {
        let (world, client, alice) = set(false).await?;
        alice.begin(&client.url()).await?;
        alice.sign_in_at_cas(world.components().cas.person("alice")).await?;
        alice.sees("Continue to this site?").await?;
        // Before it is answered, it is simply asked again.
        alice.window.reload().await?;
        alice.sees("Continue to this site?").await?;
        alice.window.click("button").await?;
        let token = alice.lands_at(&client.url()).await?;
        alice.window.back().await?;
        alice.window.reload().await?;
        alice.sees(OVER).await?;
        alice.nothing_is_wrong().await?;
        assert_eq!(world.database.login_tokens().await?, ["issued"]);
        world.client.redeem(&token).await?.expect_ok()?;
        Ok(())
    })
}

#[test]
fn an_attempt_whose_cookie_is_put_back_is_used_all_the_same() -> anyhow::Result<()> {
    run(async {
        let (world, client, alice) = set(true).await?;
        alice.begin(&client.url()).await?;
        let form = alice.window.url().await?;
        let portal = world.config.public_base_url();
        let cookies = alice.window.devtools("Network.getCookies", json!({ "urls": [portal] })).await?;
        let Some([cookie]) = cookies["cookies"].as_array().map(Vec::as_slice) else {
            anyhow::bail!("an attempt has one cookie: {cookies}");
        };
        alice.sign_in_at_cas(world.components().cas.person("alice")).await?;
        alice.lands_at(&client.url()).await?;
        alice.window.devtools("Network.setCookie", again(cookie, portal.as_str())).await?;
        // The single sign-on knows her by now, and gives another ticket for the same attempt.
        alice.window.open(form.as_str()).await?;
        alice.sees("This sign-in was used already").await?;
        assert_eq!(world.database.login_tokens().await?, ["issued"]);
        audit(&alice, &axe().await?, "already-used", "en").await?;
        alice.window.click("a.act").await?;
        alice.lands_at(&client.url()).await?;
        Ok(())
    })
}

/// A cookie as it was, to be set.
fn again(cookie: &Value, portal: &str) -> Value {
    json!({
        "name": cookie["name"],
        "value": cookie["value"],
        "url": portal.replace("http:", "https:"),
        "path": "/",
        "secure": true,
        "httpOnly": true,
        "sameSite": "Lax",
    })
}
