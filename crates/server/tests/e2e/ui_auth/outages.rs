//! The homeserver or the database is away: nothing is lost, nothing passes through on a guess, and everything goes on
//! by itself.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use usher_lab::{real::Progress, scripted::homeserver::Endpoint};

use super::{
    deletion_of,
    walk::{Part, Walk, deletions, has_device, phone},
};
use crate::{
    at_host::{App, auth, is_complete},
    client::Client,
    components::{components, eventually, run},
    database::Kind,
    database_faults::{on_its_own_postgres, soon},
    scripted::Stage,
    world::World,
};

#[test]
fn a_homeserver_that_is_away_at_the_last_step_does_it_when_it_is_back() -> anyhow::Result<()> {
    run(async {
        let mut eng = components().await?.another_eng().await?;
        let upstream = eng.upstream_url().to_string();
        let world = World::start_with(Kind::Sqlite, |config| {
            config.stand_at_host();
            config.homeservers[0]["upstream_url"] = json!(upstream);
        })
        .await?;
        let (host, alice) = (world.host()?, world.person("alice"));
        let phone = App::of(&host, &alice, "Phone").await?;
        let laptop = App::of(&host, &alice, "Laptop").await?;
        let line = deletion_of(&laptop);
        let session = phone.is_asked(&line, &json!({})).await?;
        is_complete(&alice.confirm(&phone.fallback(&session)).await?)?;
        eng.stop().await?;
        for _ in 0..2 {
            let away = phone.send(&line, &auth(&session)).await?;
            assert_eq!((away.status, away.errcode()), (StatusCode::SERVICE_UNAVAILABLE, "M_UNKNOWN"));
        }
        eng.start_again(&Progress::printing()).await?;
        assert!(eng.whoami(laptop.access_token()).await?.is_some(), "nothing was done");
        let done = eventually("it is done", async || {
            let answer = phone.send(&line, &auth(&session)).await?;
            Ok((answer.status != StatusCode::SERVICE_UNAVAILABLE).then_some(answer))
        })
        .await?;
        assert_eq!((done.status, done.body), (StatusCode::OK, json!({})));
        assert_eq!(eng.whoami(laptop.access_token()).await?, None);
        assert_eq!(phone.send(&line, &auth(&session)).await?.errcode(), "M_FORBIDDEN", "once");
        Ok(())
    })
}

/// Whatever needs UI auth, of somebody who is linked and of somebody who is not.
async fn nothing_passes(stage: &Stage, apps: [&App; 2], session: &str) -> anyhow::Result<()> {
    stage.homeserver.forget_calls();
    let requests = [
        ("DELETE v3/devices/LAPTOP", json!({})),
        ("DELETE v3/devices/LAPTOP", auth(session)),
        ("DELETE v3/devices/LAPTOP", auth("own_session_of_the_homeserver")),
        ("POST v3/delete_devices", json!({ "devices": ["LAPTOP"] })),
        ("POST v3/keys/device_signing/upload", json!({})),
        ("POST v3/account/3pid", json!({ "three_pid_creds": { "client_secret": "c", "sid": "1" } })),
        ("POST v3/account/deactivate", json!({})),
        ("POST v3/account/password", json!({ "new_password": "x" })),
        ("POST v1/login/get_token", json!({})),
        ("GET v3/capabilities", Value::Null),
    ];
    // All at once: each waits for the database as long as it may.
    let sent = requests.iter().flat_map(|(line, body)| {
        apps.map(|app| async move { (*line, soon(line, app.send(line, body)).await) })
    });
    for (line, answer) in futures_util::future::join_all(sent).await {
        let answer = answer?;
        let expected = (StatusCode::SERVICE_UNAVAILABLE, "M_UNKNOWN");
        assert_eq!((answer.status, answer.errcode()), expected, "{line}: {answer:?}");
    }
    let asked = stage.homeserver.calls().len();
    assert_eq!(stage.homeserver.calls_to(Endpoint::WhoAmI).len(), asked, "whose it is, and nothing more");
    let page = soon("the page", stage.person().browser().open(apps[0].fallback(session))).await?;
    assert_eq!(page.status(), StatusCode::SERVICE_UNAVAILABLE, "{}", page.text());
    Ok(())
}

#[test]
fn while_the_database_is_away_nothing_passes_and_when_it_is_back_everything_goes_on() -> anyhow::Result<()> {
    run(async {
        let (mut postgres, stage) = on_its_own_postgres(crate::config::Portal::stand_at_host).await?;
        let phone = phone(&stage).await?;
        stage.homeserver.set_password("@ivy:engineering.localhost", "secret");
        let token = stage.homeserver.open_session("@ivy:engineering.localhost", "IVYS", None);
        let unlinked = App {
            client: Client::at(&stage.config.host_url())?.signed_in(&token),
            user: "@ivy:engineering.localhost".to_owned(),
            device: "IVYS".to_owned(),
        };
        // Begun before and confirmed before; and one that its person has not come back for.
        let confirmed = Walk::to_delete(&stage, &phone, "LAPTOP").come_before(Part::Repetition).await?;
        let at_callback = Walk::to_delete(&stage, &phone, "TABLET").come_before(Part::Callback).await?;
        postgres.kill().await?;
        nothing_passes(&stage, [&phone, &unlinked], confirmed.session()).await?;
        let away = soon("the deed", confirmed.repeat()).await?;
        assert_eq!(away.status, StatusCode::SERVICE_UNAVAILABLE, "{away:?}");
        assert!(at_callback.clone().step().await.is_err());
        postgres.start_again().await?;
        eventually("Usher has found it again", async || {
            let health = stage.client.call(Method::GET, "_usher/health", None).await?;
            Ok((health.status == StatusCode::OK).then_some(()))
        })
        .await?;
        assert!(has_device(&stage, "LAPTOP") && has_device(&stage, "TABLET"));
        confirmed.finish().await?;
        at_callback.finish().await?;
        for device in ["LAPTOP", "TABLET"] {
            assert_eq!((deletions(&stage, device), has_device(&stage, device)), (1, false), "{device}");
        }
        let asked = unlinked.send("DELETE v3/devices/IVYS", &json!({})).await?;
        assert_eq!(asked.body["flows"], json!([{ "stages": ["m.login.password"] }]), "the homeserver's own");
        Ok(())
    })
}
