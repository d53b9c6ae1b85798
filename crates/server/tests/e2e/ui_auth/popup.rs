//! A client that is a web page opens the fallback page as a window of its own, as the specification says
//! (<https://spec.matrix.org/v1.19/client-server-api/#fallback>), and waits for that window's message.

use serde_json::json;
use usher_lab::real::{
    Progress,
    cas_server::{CasServer, CasServerOptions},
};

use super::{deletion_of, desk::Desk, devices};
use crate::{
    at_host::{App, HOST},
    browser::keyboard::tab_to,
    components::run,
    config::Portal,
    database::Kind,
    world::World,
};

/// A world in which Alice has signed in to these apps.
async fn with_apps(world: &World, names: &[&str]) -> anyhow::Result<Vec<App>> {
    let (host, alice) = (world.host()?, world.person("alice"));
    let mut apps = Vec::new();
    for name in names {
        apps.push(App::of(&host, &alice, name).await?);
    }
    Ok(apps)
}

/// Puts an inline script into the page, as somebody would who has found a way to: whether it ran, and what the browser
/// said of it.
const INTRUDE: &str = "
const stopped = new Promise((done) => {
  document.addEventListener('securitypolicyviolation', (event) => done(event.effectiveDirective));
  setTimeout(() => done('nothing'), 5000);
});
const script = document.createElement('script');
script.textContent = 'window.hasIntruded = true';
document.body.append(script);
return (async () => ({ stopped: await stopped, ran: window.hasIntruded === true, own: document.scripts.length - 1 }))();";

#[test]
fn a_window_tells_the_client_that_opened_it_and_the_request_is_done() -> anyhow::Result<()> {
    run(async {
        let world = World::start_at_host(Kind::Sqlite).await?;
        let apps = with_apps(&world, &["Phone", "Laptop"]).await?;
        let [phone, laptop] = apps.as_slice() else { anyhow::bail!("two apps") };
        let before = devices(&world, phone).await?;
        let desk = Desk::with(&world, phone, &[deletion_of(laptop)]).await?;
        let visitor = &desk.visitor;
        desk.opens_window(1).await?;
        visitor.sees("Sign a device out?").await?;
        let page = visitor.window.text("main").await?;
        for shown in ["Laptop", &laptop.device, "Phone", &phone.device, &phone.user, "127.0.0.1"] {
            assert!(page.contains(shown), "{shown} in {page}");
        }
        let intruded = visitor.window.run(INTRUDE).await?;
        assert_eq!(intruded, json!({ "stopped": "script-src-elem", "ran": false, "own": 0 }));
        visitor.window.complaints().await?;
        visitor.window.reload().await?;
        visitor.sees("Sign a device out?").await?;
        visitor.window.click("button.act").await?;
        visitor.sign_in_at_cas(world.components().cas.person("alice")).await?;
        visitor.sees("Thank you").await?;
        assert_eq!(visitor.window.url().await?.host_str(), Some(HOST));
        visitor.nothing_is_wrong().await?;
        let intruded = visitor.window.run(INTRUDE).await?;
        assert_eq!(intruded, json!({ "stopped": "script-src-elem", "ran": false, "own": 1 }));

        desk.is_told(1, "200").await?;
        desk.has_heard(1).await?;
        assert_eq!(before.len(), 2);
        assert_eq!(devices(&world, phone).await?, [phone.device.as_str()]);
        Ok(())
    })
}

#[test]
fn two_windows_at_once_confirm_a_request_each() -> anyhow::Result<()> {
    run(async {
        let world = World::start_at_host(Kind::Postgres).await?;
        let apps = with_apps(&world, &["Phone", "Laptop", "Tablet"]).await?;
        let [phone, laptop, tablet] = apps.as_slice() else { anyhow::bail!("three apps") };
        let desk = Desk::with(&world, phone, &[deletion_of(laptop), deletion_of(tablet)]).await?;
        let visitor = &desk.visitor;
        let mut windows = Vec::new();
        for (number, name) in [(1, "Laptop"), (2, "Tablet")] {
            windows.push(desk.opens_window(number).await?);
            visitor.sees("Sign a device out?").await?;
            let shown = visitor.window.text("dl").await?;
            assert!(shown.contains(name), "{name} in {shown}");
            visitor.window.click("button.act").await?;
            visitor.sees_cas_form().await?;
        }
        // The second first.
        for (index, gone, left) in [(1, tablet, 2), (0, laptop, 1)] {
            visitor.window.bring_to_front(&windows[index]).await?;
            visitor.sign_in_at_cas(world.components().cas.person("alice")).await?;
            visitor.sees("Thank you").await?;
            visitor.nothing_is_wrong().await?;
            desk.is_told(index + 1, "200").await?;
            let devices = devices(&world, phone).await?;
            assert!(devices.len() == left && !devices.contains(&gone.device), "{devices:?}");
        }
        desk.has_heard(2).await
    })
}

#[test]
fn a_window_in_which_the_app_waits_itself_tells_that_alone() -> anyhow::Result<()> {
    run(async {
        let world = World::start_at_host(Kind::Sqlite).await?;
        let apps = with_apps(&world, &["Phone", "Laptop"]).await?;
        let desk = Desk::with(&world, &apps[0], &[deletion_of(&apps[1])]).await?;
        let visitor = &desk.visitor;
        desk.opens_window(1).await?;
        visitor.sees("Sign a device out?").await?;
        // As an app does that shows the page in a view of its own.
        let source = "window.onAuthDone = () => { document.documentElement.dataset.told = 'once'; };";
        visitor.window.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": source })).await?;
        // By keyboard alone.
        tab_to(visitor, "Sign in again to confirm").await?;
        visitor.window.press_enter().await?;
        visitor.sees_cas_form().await?;
        let person = world.components().cas.person("alice");
        visitor.window.run("document.querySelector('input[name=username]').focus()").await?;
        visitor.window.type_text(person.username).await?;
        visitor.window.press_tab().await?;
        visitor.window.type_text(person.password).await?;
        visitor.window.press_enter().await?;
        visitor.sees("Thank you").await?;
        assert_eq!(visitor.window.run("return document.documentElement.dataset.told").await?, "once");
        visitor.nothing_is_wrong().await?;
        desk.has_heard(0).await?;
        desk.continues(1).await?;
        desk.is_told(1, "200").await
    })
}

#[test]
fn a_window_whose_opener_is_cut_off_sends_its_person_back_to_press_continue() -> anyhow::Result<()> {
    run(async {
        let cuts_opener = CasServerOptions { cuts_opener: true, ..CasServerOptions::default() };
        let cas = CasServer::start(cuts_opener, &Progress::printing()).await?;
        let world = World::start_with(Kind::Sqlite, |portal: &mut Portal| {
            portal.stand_at_host();
            portal.cas_base_url = cas.base_url().to_string();
        })
        .await?;
        let apps = with_apps(&world, &["Phone", "Laptop"]).await?;
        let desk = Desk::with(&world, &apps[0], &[deletion_of(&apps[1])]).await?;
        let visitor = &desk.visitor;
        desk.opens_window(1).await?;
        visitor.sees("Sign a device out?").await?;
        assert_eq!(visitor.window.run("return window.opener !== null").await?, true, "until now");
        visitor.window.click("button.act").await?;
        visitor.sign_in_at_cas(cas.person("alice")).await?;
        visitor.sees("Thank you").await?;
        assert_eq!(visitor.window.run("return window.opener").await?, json!(null), "or this shows nothing");
        let said = visitor.window.text("main").await?;
        assert!(said.contains("return to it and press Continue"), "{said}");
        visitor.nothing_is_wrong().await?;
        desk.has_heard(0).await?;
        desk.continues(1).await?;
        desk.is_told(1, "200").await?;
        assert_eq!(devices(&world, &apps[0]).await?, [apps[0].device.as_str()]);
        Ok(())
    })
}

#[test]
fn another_person_at_the_sign_in_is_told_so_and_the_right_one_can_still_confirm() -> anyhow::Result<()> {
    run(async {
        let world = World::start_at_host(Kind::Sqlite).await?;
        let apps = with_apps(&world, &["Phone", "Laptop"]).await?;
        let both = devices(&world, &apps[0]).await?;
        let desk = Desk::with(&world, &apps[0], &[deletion_of(&apps[1])]).await?;
        let window = desk.opens_window(1).await?;
        let (visitor, cas) = (&desk.visitor, &world.components().cas);
        visitor.sees("Sign a device out?").await?;
        visitor.window.click("button.act").await?;
        visitor.sign_in_at_cas(cas.person("bob")).await?;
        visitor.sees("Somebody else is signed in").await?;
        visitor.nothing_is_wrong().await?;
        desk.continues(1).await?;
        desk.is_told(1, "401 M_FORBIDDEN").await?;
        assert_eq!(devices(&world, &apps[0]).await?, both, "nothing is done");

        visitor.window.bring_to_front(&window).await?;
        visitor.window.click("a.act").await?;
        visitor.sees("Sign a device out?").await?;
        visitor.window.click("button.act").await?;
        visitor.sign_in_at_cas(cas.person("alice")).await?;
        visitor.sees("Thank you").await?;
        desk.is_told(1, "200").await?;
        desk.has_heard(1).await
    })
}

#[test]
fn who_did_not_ask_signs_out_whoever_did() -> anyhow::Result<()> {
    run(async {
        let world = World::start_at_host(Kind::Sqlite).await?;
        let apps = with_apps(&world, &["Phone", "Laptop"]).await?;
        let [phone, laptop] = apps.as_slice() else { anyhow::bail!("two apps") };
        let desk = Desk::with(&world, phone, &[deletion_of(laptop)]).await?;
        let window = desk.opens_window(1).await?;
        let visitor = &desk.visitor;
        visitor.sees("Sign a device out?").await?;
        visitor.window.click("button.refuse").await?;
        visitor.sees("The request was stopped").await?;
        visitor.nothing_is_wrong().await?;
        assert_eq!(world.components().eng.whoami(phone.access_token()).await?, None, "signed out");
        assert_eq!(devices(&world, laptop).await?, [laptop.device.as_str()], "the other is as it was");
        desk.continues(1).await?;
        desk.is_told(1, "401 M_UNKNOWN_TOKEN").await?;
        desk.has_heard(0).await?;
        visitor.window.complaints().await?;
        // Back to the question: it was answered.
        visitor.window.bring_to_front(&window).await?;
        visitor.window.back().await?;
        visitor.window.reload().await?;
        visitor.sees("This request was stopped").await?;
        assert_eq!(visitor.status().await?, 403);
        visitor.nothing_is_wrong().await
    })
}
