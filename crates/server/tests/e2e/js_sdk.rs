//! A client that nobody has changed: matrix-js-sdk, as Element Web has it, in a real Chromium. It signs in, signs devices
//! out and resets encryption at a homeserver's own host, all of it through a real nginx with exactly what `usher
//! proxy-config nginx` prints, at a real Synapse and a real CAS server. What came of it, Synapse itself is asked.

mod desk;

use anyhow::Context as _;
use reqwest::{Method, StatusCode};
use serde_json::json;
use usher_lab::real::chromium::Request;

use self::desk::Desk;
use crate::{
    at_host::App,
    components::run,
    proxies::{Kind, world_behind},
    ui_auth::{devices, keys::master_key},
    world::World,
};

/// Alice's other apps, signed in without a browser.
async fn more_apps(world: &World, names: &[&str]) -> anyhow::Result<Vec<App>> {
    let (host, alice) = (world.host()?, world.person("alice"));
    let mut apps = Vec::new();
    for name in names {
        apps.push(App::of(&host, &alice, name).await?);
    }
    // As the client has them in its list.
    apps.sort_by(|one, other| one.device.cmp(&other.device));
    Ok(apps)
}

#[test]
fn somebody_without_a_password_signs_in_at_their_homeservers_own_host() -> anyhow::Result<()> {
    run(async {
        let desk = Desk::set().await?;
        let world = &desk.world;
        let alice = desk.signs_in().await?;
        let who = world.components().eng.whoami(alice.access_token()).await?.context("it is a session")?;
        assert_eq!((&who.user_id, who.device_id.as_deref()), (&world.eng("alice"), Some(&*alice.device)));
        assert_eq!(world.database.login_tokens().await?, ["redeemed"]);

        // All that the client and the browser asked for on the way.
        let requests = desk.visitor.window.requests().await?;
        let [host, portal] = [world.config.host_url(), world.config.public_base_url()];
        let cas = &world.components().cas.base_url();
        let is_page = |request: &&Request| request.is_navigation && request.url.starts_with("http");
        let pages: Vec<_> = requests.iter().filter(is_page).collect();
        let way = [
            (desk.site().to_owned(), "?homeserver="),
            (format!("{host}_matrix/client/v3/login/sso/redirect/corp"), "?redirectUrl="),
            (format!("{portal}_matrix/client/v3/login/sso/redirect/corp"), "usher_homeserver=eng.localhost"),
            (format!("{cas}/login"), "service="),
            (format!("{cas}/login"), "service="),
            (format!("{portal}_usher/cas/corp/callback/"), "ticket=ST-"),
            (desk.site().to_owned(), "&loginToken=ushl_"),
        ];
        assert_eq!(pages.len(), way.len(), "{pages:#?}");
        for (page, (begins, holds)) in pages.iter().zip(&way) {
            assert!(page.url.starts_with(begins) && page.url.contains(holds), "{begins} {holds}: {page:?}");
        }
        let login = format!("{host}_matrix/client/v3/login");
        let asked: Vec<_> = requests.iter().filter(|request| request.url == login).collect();
        let mut methods: Vec<_> = asked.iter().map(|request| request.method.as_str()).collect();
        methods.sort_unstable();
        assert_eq!(methods, ["GET", "OPTIONS", "POST"]);
        Ok(())
    })
}

#[test]
fn devices_go_when_their_person_has_confirmed_it_in_the_clients_popup() -> anyhow::Result<()> {
    run(async {
        let desk = Desk::set().await?;
        let world = &desk.world;
        let apps = more_apps(world, &["Laptop", "Tablet", "Watch"]).await?;
        let alice = desk.signs_in().await?;
        let mut expected = devices(world, &alice).await?;
        assert_eq!(expected.len(), 4);
        let _ = desk.visitor.window.requests().await?;
        for (index, (button, label, heading, (method, path), gone)) in [
            (
                "delete-one",
                "Sign out the first other device",
                "Sign a device out?",
                ("DELETE", "/devices/"),
                &apps[..1],
            ),
            (
                "delete-others",
                "Sign out all other devices",
                "Sign devices out?",
                ("POST", "/delete_devices"),
                &apps[1..],
            ),
        ]
        .into_iter()
        .enumerate()
        {
            desk.presses(button).await?;
            desk.opens_popup(1).await?;
            assert_eq!(devices(world, &alice).await?, expected, "{label}: asked");
            desk.confirms(heading).await?;
            desk.shows(&format!("{label}: done")).await?;
            desk.has_heard(index + 1).await?;
            expected.retain(|device| gone.iter().all(|app| app.device != *device));
            assert_eq!(devices(world, &alice).await?, expected, "{label}: done");
            for app in gone {
                assert_eq!(world.components().eng.whoami(app.access_token()).await?, None, "{label}");
            }

            // Twice, each time after the browser had asked whether it may.
            let requests = desk.visitor.window.requests().await?;
            let times = |method: &str| {
                requests.iter().filter(|one| one.method == method && one.url.contains(path)).count()
            };
            assert_eq!((times(method), times("OPTIONS")), (2, 2), "{label}: {requests:#?}");
        }
        assert_eq!(expected, [alice.device]);
        Ok(())
    })
}

#[test]
fn encryption_is_reset_when_its_person_has_confirmed_it_in_the_clients_popup() -> anyhow::Result<()> {
    run(async {
        let desk = Desk::set().await?;
        let (world, window) = (&desk.world, &desk.visitor.window);
        let alice = desk.signs_in().await?;
        assert_eq!(master_key(world, &alice).await?, json!(null));
        desk.presses("encrypt").await?;
        // The first keys are nobody's question.
        desk.shows("Set up encryption: done").await?;
        let first = master_key(world, &alice).await?;
        assert_eq!(first, of_client(&window.run("return app.masterKey()").await?)?);

        desk.presses("reset").await?;
        desk.opens_popup(1).await?;
        assert_eq!(master_key(world, &alice).await?, first, "asked");
        desk.confirms("Reset your digital identity?").await?;
        desk.shows("Reset encryption: done").await?;
        desk.has_heard(1).await?;
        let second = master_key(world, &alice).await?;
        assert_eq!(second, of_client(&window.run("return app.masterKey()").await?)?);
        assert_ne!(second, first);
        Ok(())
    })
}

/// The client's own master key, as the homeserver would give it.
fn of_client(id: &serde_json::Value) -> anyhow::Result<serde_json::Value> {
    let key = id.as_str().context("the client has a key")?;
    Ok(json!({ format!("ed25519:{key}"): key }))
}

#[test]
fn a_popup_that_is_closed_changes_nothing_and_another_may_be_opened() -> anyhow::Result<()> {
    run(async {
        let desk = Desk::set().await?;
        let (world, visitor) = (&desk.world, &desk.visitor);
        let apps = more_apps(world, &["Laptop"]).await?;
        let alice = desk.signs_in().await?;
        let before = devices(world, &alice).await?;
        desk.presses("delete-one").await?;

        desk.opens_popup(1).await?;
        visitor.sees("Sign a device out?").await?;
        visitor.window.close_tab().await?;
        desk.presses("continue").await?;

        desk.opens_popup(2).await?;
        visitor.sees("Sign a device out?").await?;
        visitor.window.click("button.act").await?;
        visitor.sees_cas_form().await?;
        visitor.window.close_tab().await?;
        desk.presses("continue").await?;

        desk.shows("asked 3: m.login.sso").await?;
        assert_eq!(devices(world, &alice).await?, before);
        assert!(world.components().eng.whoami(apps[0].access_token()).await?.is_some());
        assert_eq!(visitor.window.run("return app.heard").await?, json!([]));

        desk.opens_popup(3).await?;
        desk.confirms("Sign a device out?").await?;
        desk.shows("Sign out the first other device: done").await?;
        assert_eq!(devices(world, &alice).await?, [alice.device]);
        Ok(())
    })
}

#[test]
fn preflights_are_answered_through_the_proxy_and_start_nothing() -> anyhow::Result<()> {
    run(async {
        let (world, _proxy) = world_behind(Kind::Nginx, |_| {}).await?;
        let host = world.host()?;
        for path in [
            "v3/login",
            "v3/login/sso/redirect/corp?redirectUrl=http://app.localhost:9/",
            "v3/devices/ABC",
            "v3/delete_devices",
            "v3/keys/device_signing/upload",
            "v3/auth/m.login.sso/fallback/web?session=ushu_x",
            "v3/capabilities",
            // The homeserver's own.
            "v3/keys/query",
            "v3/sync",
        ] {
            let answer = host.call(Method::OPTIONS, &format!("_matrix/client/{path}"), None).await?;
            assert!(matches!(answer.status, StatusCode::OK | StatusCode::NO_CONTENT), "{path}: {answer:?}");
            for (name, words) in [
                ("access-control-allow-origin", "*"),
                ("access-control-allow-methods", "GET, POST, PUT, DELETE, OPTIONS"),
                ("access-control-allow-headers", "Content-Type, Authorization"),
            ] {
                let said: Vec<_> = answer.headers.get_all(name).iter().collect();
                let [said] = said.as_slice() else { panic!("{path}: {name}: {said:?}") };
                let said: Vec<_> = said.to_str()?.split(',').map(str::trim).collect();
                assert!(words.split(", ").all(|word| said.contains(&word)), "{path}: {name}: {said:?}");
            }
        }
        Ok(())
    })
}
