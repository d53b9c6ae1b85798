//! The main road: people of two departments sign in and land on their own homeservers; somebody of a third, who has
//! none, is told so.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::json;
use usher_lab::{real::synapse::Synapse, scripted::cas::CasPerson};

use crate::{
    components::run,
    database::Kind,
    scripted::{ALICE, Stage},
    world::{World, display_name},
};

const TIMEOUT: Duration = Duration::from_secs(30);

/// Somebody signs in, and everything that was delivered is tried at their homeserver.
async fn lands_on(world: &World, username: &str, synapse: &Synapse, user: &str) -> anyhow::Result<()> {
    let token = world.sign_in(username).await?.login_token()?;
    let device = json!({
        "device_id": "PHONE",
        "initial_device_display_name": "Old phone",
        "refresh_token": true,
    });
    let session = world.client.redeem_with(&token, device).await?.expect_ok()?;
    assert_eq!(session.field("user_id")?, user);
    assert_eq!(session.field("device_id")?, "PHONE");
    let base_url = synapse.client_url().as_str().trim_end_matches('/');
    assert_eq!(session.body["well_known"], json!({ "m.homeserver": { "base_url": base_url } }));
    assert_eq!(session.headers["cache-control"], "no-store");

    let access_token = session.field("access_token")?;
    let who = synapse.whoami(access_token).await?.expect("the access token is good at the homeserver");
    assert_eq!((who.user_id.as_str(), who.device_id.as_deref()), (user, Some("PHONE")));
    let devices = synapse.devices(access_token).await?;
    assert_eq!(devices.len(), 1, "{devices:?}");
    assert_eq!(devices[0].display_name.as_deref(), Some("Old phone"));
    let name = world.components().cas.person(username).name;
    assert_eq!(display_name(synapse, user).await?.as_deref(), Some(name));
    is_refreshed(synapse, session.field("refresh_token")?, user).await?;
    for other in [&world.components().eng, &world.components().hist] {
        if other.server_name() != synapse.server_name() {
            assert_eq!(other.whoami(access_token).await?, None, "it is good at one homeserver alone");
            let elsewhere = user.replace(synapse.server_name(), other.server_name());
            assert!(!world.components().has_user(other, &elsewhere).await?, "{elsewhere}");
        }
    }
    Ok(())
}

async fn is_refreshed(synapse: &Synapse, refresh_token: &str, user: &str) -> anyhow::Result<()> {
    let body = json!({ "refresh_token": refresh_token });
    let (status, refreshed) =
        synapse.call(Method::POST, "_matrix/client/v3/refresh", None, Some(&body)).await?;
    assert_eq!(status, StatusCode::OK, "{}", refreshed["errcode"]);
    let who = synapse.whoami(refreshed["access_token"].as_str().unwrap_or_default()).await?;
    assert_eq!(who.map(|who| who.user_id).as_deref(), Some(user));
    Ok(())
}

#[test]
fn people_land_on_the_homeserver_of_their_department_and_come_back_to_the_same_account() -> anyhow::Result<()>
{
    run(async {
        for kind in Kind::BOTH {
            let world = World::start(kind).await?;
            let components = world.components();
            lands_on(&world, "alice", &components.eng, &world.eng("alice")).await?;
            lands_on(&world, "carol", &components.hist, &world.hist("carol")).await?;

            let again = world.log_in("alice").await?;
            assert_eq!(again.field("user_id")?, world.eng("alice"), "{kind:?}");
            assert_ne!(
                again.field("device_id")?,
                "PHONE",
                "{kind:?}: a new device, since none was asked for"
            );
            assert_eq!(again.body["refresh_token"], json!(null), "{kind:?}: none was asked for");
            let [alice, carol] = [world.eng("alice"), world.hist("carol")];
            let active = |user: &String| format!("{user} active");
            assert_eq!(world.database.accounts().await?, [active(&alice), active(&carol)], "{kind:?}");
            let links = [format!("alice {alice}"), format!("carol {carol}")];
            assert_eq!(world.database.links().await?, links, "{kind:?}");
        }
        Ok(())
    })
}

#[test]
fn who_has_no_homeserver_is_told_so_and_leaves_no_trace() -> anyhow::Result<()> {
    run(async {
        for kind in Kind::BOTH {
            let world = World::start(kind).await?;
            for username in ["erin", "frank"] {
                let (status, text) = world.sign_in(username).await?.page();
                assert_eq!(status, StatusCode::FORBIDDEN, "{text}");
                assert!(text.contains("No homeserver for you yet"), "{text}");
                for (synapse, user) in [
                    (&world.components().eng, world.eng(username)),
                    (&world.components().hist, world.hist(username)),
                ] {
                    assert!(!world.components().has_user(synapse, &user).await?, "{user}");
                }
            }
            for sql in [
                "SELECT mxid FROM accounts",
                "SELECT mxid FROM links",
                "SELECT subject FROM choices",
                "SELECT mxid FROM login_tokens",
                "SELECT mxid FROM sessions",
            ] {
                assert_eq!(world.database.column(sql).await?, Vec::<String>::new(), "{kind:?}: {sql}");
            }
        }
        Ok(())
    })
}

#[test]
fn a_second_sign_in_finds_the_account_though_the_person_has_changed() -> anyhow::Result<()> {
    run(async {
        for kind in Kind::BOTH {
            let stage = Stage::set(kind, TIMEOUT).await?;
            stage.client.redeem(&stage.sign_in().await?.login_token()?).await?.expect_ok()?;
            let moved = CasPerson::new("alice");
            stage.enter(&moved.with("displayName", "Alice Married").with("department", "physics"));
            let token = stage.sign_in().await?.login_token()?;
            let session = stage.client.redeem(&token).await?.expect_ok()?;
            assert_eq!(session.field("user_id")?, ALICE, "{kind:?}");
            assert_eq!(stage.homeserver.users(), [ALICE], "{kind:?}");
            let person = stage.homeserver.user(ALICE).unwrap_or_default();
            assert_eq!(person.display_name.as_deref(), Some("Alice Liddell"), "theirs to change, not ours");
            assert_eq!(stage.database.links().await?.len(), 1, "{kind:?}");
        }
        Ok(())
    })
}
