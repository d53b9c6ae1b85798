//! A browser that no page has opened: apps on telephones and desktops send people there, and they come back by
//! themselves. With scripts and without; and where the back button leads afterwards.

use reqwest::StatusCode;
use serde_json::json;
use usher_lab::real::chromium::Look;

use super::deletion_of;
use crate::{
    at_host::{App, HOST, auth, is_complete},
    browser::visitor::Visitor,
    components::run,
    database::Kind,
    world::World,
};

async fn asked(world: &World) -> anyhow::Result<(App, App, String)> {
    let (host, alice) = (world.host()?, world.person("alice"));
    let phone = App::of(&host, &alice, "Phone").await?;
    let laptop = App::of(&host, &alice, "Laptop").await?;
    let session = phone.is_asked(&deletion_of(&laptop), &json!({})).await?;
    Ok((phone, laptop, session))
}

#[test]
fn without_anybody_to_tell_the_page_says_in_words_what_to_do_with_scripts_and_without() -> anyhow::Result<()>
{
    run(async {
        let world = World::start_at_host(Kind::Sqlite).await?;
        for runs_scripts in [true, false] {
            let (phone, laptop, session) = asked(&world).await?;
            let visitor = Visitor::at_both(&world.config.public_base_url(), phone.client.base()).await?;
            visitor.window.look(Look { runs_scripts, ..Look::PHONE }).await?;
            visitor.window.open(&phone.fallback(&session)).await?;
            visitor.sees("Sign a device out?").await?;
            visitor.window.click("button.act").await?;
            visitor.sign_in_at_cas(world.components().cas.person("alice")).await?;
            visitor.sees("Thank you").await?;
            let said = visitor.window.text("main").await?;
            for shown in ["You may now close this window", "return to it and press Continue"] {
                assert!(said.contains(shown), "{shown} in {said}");
            }
            visitor.nothing_is_wrong().await?;
            // Once more is the same page, and no new sign-in.
            visitor.window.open(&phone.fallback(&session)).await?;
            visitor.sees("Thank you").await?;
            assert_eq!(visitor.window.url().await?.host_str(), Some(HOST));
            let done = phone.send(&deletion_of(&laptop), &auth(&session)).await?;
            assert_eq!(done.status, StatusCode::OK, "scripts: {runs_scripts}: {done:?}");
            visitor.window.open(&phone.fallback(&session)).await?;
            visitor.sees("Thank you").await?;
            visitor.nothing_is_wrong().await?;
        }
        Ok(())
    })
}

#[test]
fn what_was_confirmed_can_be_stopped_with_scripts_and_without() -> anyhow::Result<()> {
    run(async {
        let world = World::start_at_host(Kind::Sqlite).await?;
        for runs_scripts in [true, false] {
            let (phone, laptop, session) = asked(&world).await?;
            let visitor = Visitor::at_both(&world.config.public_base_url(), phone.client.base()).await?;
            visitor.window.look(Look { runs_scripts, ..Look::PHONE }).await?;
            is_complete(&world.person("alice").confirm(&phone.fallback(&session)).await?)?;
            visitor.window.open(&phone.fallback(&session)).await?;
            visitor.sees("Thank you").await?;
            visitor.window.click("main a").await?;
            visitor.sees("Stop what you have confirmed?").await?;
            let said = visitor.window.text("main").await?;
            for shown in ["Laptop", &laptop.device, "Phone", &phone.device, "has not done it yet"] {
                assert!(said.contains(shown), "{shown} in {said}");
            }
            visitor.nothing_is_wrong().await?;
            // It was them after all, and then it was not.
            visitor.window.click("main p > a").await?;
            visitor.sees("Thank you").await?;
            assert_eq!(visitor.window.url().await?.host_str(), Some(HOST));
            visitor.window.click("main a").await?;
            visitor.sees("Stop what you have confirmed?").await?;
            visitor.window.click("button.refuse").await?;
            visitor.sees("The request was stopped").await?;
            visitor.nothing_is_wrong().await?;
            let eng = &world.components().eng;
            assert_eq!(eng.whoami(phone.access_token()).await?, None, "scripts: {runs_scripts}");
            let refused = phone.send(&deletion_of(&laptop), &auth(&session)).await?;
            assert_eq!(refused.errcode(), "M_UNKNOWN_TOKEN", "scripts: {runs_scripts}: {refused:?}");
            assert!(eng.whoami(laptop.access_token()).await?.is_some(), "scripts: {runs_scripts}");
            let token = world.person("alice").sign_in().await?.login_token()?;
            let again = json!({ "device_id": phone.device });
            let again =
                App::new(&world.host()?, &world.host()?.redeem_with(&token, again).await?.expect_ok()?)?;
            let refused = again.send(&deletion_of(&laptop), &auth(&session)).await?;
            assert_eq!(refused.errcode(), "M_FORBIDDEN", "on the same device, anew: {refused:?}");
            assert!(eng.whoami(laptop.access_token()).await?.is_some(), "scripts: {runs_scripts}");
        }
        Ok(())
    })
}

#[test]
fn who_goes_back_after_confirming_is_told_that_it_is_done_and_confirms_nothing_twice() -> anyhow::Result<()> {
    run(async {
        let world = World::start_at_host(Kind::Sqlite).await?;
        let (phone, laptop, session) = asked(&world).await?;
        let visitor = Visitor::at_both(&world.config.public_base_url(), phone.client.base()).await?;
        let alice = world.components().cas.person("alice");
        visitor.window.open(&phone.fallback(&session)).await?;
        visitor.sees("Sign a device out?").await?;
        let question = visitor.window.url().await?;
        visitor.window.click("button.act").await?;
        visitor.sign_in_at_cas(alice).await?;
        visitor.sees("Thank you").await?;

        // To the form of the single sign-on: signing in once more confirms nothing more.
        visitor.window.back().await?;
        visitor.window.reload().await?;
        visitor.sign_in_at_cas(alice).await?;
        visitor.sees("This sign-in cannot be continued").await?;
        visitor.nothing_is_wrong().await?;
        // The question itself leads on while the app has not gone on, and then says that it was answered.
        visitor.window.open(question.as_str()).await?;
        visitor.sees("Thank you").await?;
        let states = "SELECT state FROM ui_auth_sessions";
        assert_eq!(world.database.column(states).await?, ["confirmed"]);
        let done = phone.send(&deletion_of(&laptop), &auth(&session)).await?;
        assert_eq!(done.status, StatusCode::OK, "{done:?}");
        visitor.window.open(question.as_str()).await?;
        visitor.sees("This was confirmed already").await?;
        assert_eq!(visitor.status().await?, 400);
        visitor.nothing_is_wrong().await?;
        assert_eq!(world.database.column(states).await?, ["spent"]);
        Ok(())
    })
}

#[test]
fn a_window_whose_question_is_open_while_it_is_answered_elsewhere_confirms_nothing() -> anyhow::Result<()> {
    run(async {
        let world = World::start_at_host(Kind::Sqlite).await?;
        let (phone, laptop, session) = asked(&world).await?;
        let visitor = Visitor::at_both(&world.config.public_base_url(), phone.client.base()).await?;
        visitor.window.open(&phone.fallback(&session)).await?;
        visitor.sees("Sign a device out?").await?;
        visitor.window.click("button.act").await?;
        visitor.sees_cas_form().await?;
        let alice = world.person("alice");
        is_complete(&alice.confirm(&phone.fallback(&session)).await?)?;
        let done = phone.send(&deletion_of(&laptop), &auth(&session)).await?;
        assert_eq!(done.status, StatusCode::OK, "{done:?}");
        visitor.sign_in_at_cas(world.components().cas.person("alice")).await?;
        visitor.sees("This was confirmed already").await?;
        visitor.nothing_is_wrong().await
    })
}
