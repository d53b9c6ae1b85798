//! At a real homeserver's own host: whoever logged in there before does so as before, streams and all, and our single
//! sign-on is there too.

use std::time::Duration;

use anyhow::Context as _;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use url::form_urlencoded;
use usher_lab::browser::loopback_client;

use crate::{
    at_host::{PASSWORD, password_login},
    client::Client,
    components::{components, eventually, run},
    config::APP,
    database::Kind,
    footprint::Footprint,
    world::World,
};

const LOGIN: &str = "_matrix/client/v3/login";

/// A world in which Usher stands before `eng.localhost`, and a client that knows that homeserver alone.
async fn start() -> anyhow::Result<(World, Client)> {
    let world = World::start_at_host(Kind::Sqlite).await?;
    let client = world.host()?;
    Ok((world, client))
}

#[test]
fn somebody_with_a_password_lives_at_the_homeservers_host_as_before() -> anyhow::Result<()> {
    run(async {
        let (world, client) = start().await?;
        let (localpart, user) = (world.localpart("ivy"), world.eng("ivy"));
        world.components().eng.register_user(&localpart, PASSWORD).await?;

        let session =
            client.call(Method::POST, LOGIN, Some(&password_login(&localpart))).await?.expect_ok()?;
        assert_eq!(session.field("user_id")?, user);
        let access_token = session.field("access_token")?;
        let who = client
            .signed_in(access_token)
            .call(Method::GET, "_matrix/client/v3/account/whoami", None)
            .await?;
        assert_eq!((who.status, who.field("user_id")?), (StatusCode::OK, user.as_str()));

        let name = format!("_matrix/client/v3/profile/{user}/displayname");
        let named = json!({ "displayname": "Ivy" });
        assert_eq!(
            client.signed_in(access_token).call(Method::PUT, &name, Some(&named)).await?.status,
            StatusCode::OK
        );
        assert_eq!(
            client.signed_in(access_token).call(Method::GET, &name, None).await?.field("displayname")?,
            "Ivy"
        );
        let sync = client
            .signed_in(access_token)
            .call(Method::GET, "_matrix/client/v3/sync?timeout=0", None)
            .await?;
        assert!(sync.field("next_batch").is_ok());

        // Her homeserver asks her for her password, and takes it.
        let other = client.call(Method::POST, LOGIN, Some(&password_login(&localpart))).await?.expect_ok()?;
        let device = format!("_matrix/client/v3/devices/{}", other.field("device_id")?);
        let asked = client.signed_in(access_token).call(Method::DELETE, &device, Some(&json!({}))).await?;
        assert_eq!(asked.status, StatusCode::UNAUTHORIZED);
        assert_eq!(asked.body["flows"], json!([{ "stages": ["m.login.password"] }]), "the homeserver's own");
        let mut auth = password_login(&localpart);
        auth["session"] = asked.body["session"].clone();
        let body = json!({ "auth": auth });
        let deleted = client.signed_in(access_token).call(Method::DELETE, &device, Some(&body)).await?;
        assert_eq!(deleted.status, StatusCode::OK, "{deleted:?}");
        assert_eq!(world.components().eng.whoami(other.field("access_token")?).await?, None);

        let wrong = json!({ "type": "m.login.password", "identifier": { "type": "m.id.user", "user": localpart }, "password": "x" });
        let refused = client.call(Method::POST, LOGIN, Some(&wrong)).await?;
        assert_eq!((refused.status, refused.errcode()), (StatusCode::FORBIDDEN, "M_FORBIDDEN"));
        let out = client
            .signed_in(access_token)
            .call(Method::POST, "_matrix/client/v3/logout", Some(&json!({})))
            .await?;
        assert_eq!(out.status, StatusCode::OK);
        assert_eq!(world.components().eng.whoami(access_token).await?, None);
        Ok(())
    })
}

#[test]
fn an_application_service_logs_in_at_the_homeservers_host_as_before() -> anyhow::Result<()> {
    run(async {
        let (world, client) = start().await?;
        let (localpart, user) = (world.localpart("ghost"), world.eng("ghost"));
        let as_token = &world.components().tokens[0].as_token;
        let register =
            json!({ "type": "m.login.application_service", "username": localpart, "inhibit_login": true });
        let made = client
            .signed_in(as_token)
            .call(Method::POST, "_matrix/client/v3/register", Some(&register))
            .await?;
        assert_eq!(made.status, StatusCode::OK, "{made:?}");
        let login = json!({
            "type": "m.login.application_service",
            "identifier": { "type": "m.id.user", "user": user },
        });
        let session =
            client.signed_in(as_token).call(Method::POST, LOGIN, Some(&login)).await?.expect_ok()?;
        let who = world.components().eng.whoami(session.field("access_token")?).await?;
        assert_eq!(who.map(|who| who.user_id), Some(user));
        Ok(())
    })
}

#[test]
fn a_single_sign_on_that_begins_at_the_homeservers_host_ends_there() -> anyhow::Result<()> {
    run(async {
        let (world, client) = start().await?;
        let flows = client.call(Method::GET, LOGIN, None).await?;
        let kinds: Vec<_> =
            flows.body["flows"].as_array().into_iter().flatten().map(|flow| &flow["type"]).collect();
        for kind in ["m.login.sso", "m.login.token", "m.login.password", "m.login.application_service"] {
            assert!(kinds.contains(&&json!(kind)), "{kind}: {kinds:?}");
        }
        for (username, lands) in [("alice", true), ("carol", false)] {
            let encoded: String = form_urlencoded::byte_serialize(APP.as_bytes()).collect();
            let url = client.base().join(&format!("{LOGIN}/sso/redirect/corp?redirectUrl={encoded}"))?;
            let person = world.person(username);
            let landed = person.go_on(person.browser().open(url).await?).await?;
            if !lands {
                let (status, text) = landed.page();
                assert_eq!(status, StatusCode::FORBIDDEN, "{text}");
                assert!(text.contains("hist.localhost"), "{text}");
                continue;
            }
            let token = landed.login_token()?;
            let session = client.redeem(&token).await?.expect_ok()?;
            assert_eq!(session.field("user_id")?, world.eng(username));
            let base_url = client.base().as_str().trim_end_matches('/').to_owned();
            assert_eq!(session.body["well_known"], json!({ "m.homeserver": { "base_url": base_url } }));
            let access_token = session.field("access_token")?;
            let path = "_matrix/client/v3/account/whoami";
            let who = client.signed_in(access_token).call(Method::GET, path, None).await?;
            assert_eq!(who.field("user_id")?, world.eng(username));
            assert_eq!(client.redeem(&token).await?.status, StatusCode::FORBIDDEN, "once");
        }
        Ok(())
    })
}

#[test]
fn twenty_megabytes_pass_through_in_little_memory() -> anyhow::Result<()> {
    /// In kB: some buffers, not a file.
    const MOST: u64 = 6 * 1024;
    const FILE: usize = 20 << 20;
    run(async {
        let (world, client) = start().await?;
        let localpart = world.localpart("uma");
        world.components().eng.register_user(&localpart, PASSWORD).await?;
        let session =
            client.call(Method::POST, LOGIN, Some(&password_login(&localpart))).await?.expect_ok()?;
        let access_token = session.field("access_token")?;
        let http = loopback_client(Duration::from_mins(1))?;
        let file: Vec<u8> = (0..FILE).map(|index| u8::try_from(index % 251).unwrap_or_default()).collect();
        Footprint::forget_peak(&world.usher)?;
        let before = Footprint::of(&world.usher)?;

        let url = client.base().join("_matrix/media/v3/upload?filename=a%2Fb.bin")?;
        let request = http.post(url).bearer_auth(access_token).header("content-type", "application/x-a");
        let uploaded = request.body(file.clone()).send().await?;
        assert_eq!(uploaded.status(), StatusCode::OK);
        let uploaded: Value = serde_json::from_str(&uploaded.text().await?)?;
        let mxc = uploaded["content_uri"].as_str().context("a content URI")?;
        let media = mxc.strip_prefix("mxc://").context("an mxc URI")?;

        let url = client.base().join(&format!("_matrix/client/v1/media/download/{media}"))?;
        let downloaded = http.get(url).bearer_auth(access_token).send().await?;
        assert_eq!(downloaded.headers()["content-length"], FILE.to_string());
        assert!(downloaded.bytes().await? == file, "it is the same file");
        let grown = Footprint::of(&world.usher)?.peak.saturating_sub(before.resident);
        assert!(grown < MOST, "{grown} kB of memory more than before");
        println!("20 MB up and down: {grown} kB of memory at most");
        Ok(())
    })
}

#[test]
fn a_homeserver_that_is_away_is_said_to_be_and_comes_back() -> anyhow::Result<()> {
    run(async {
        let mut eng = components().await?.another_eng().await?;
        let upstream = eng.upstream_url().to_string();
        let world = World::start_with(Kind::Sqlite, |config| {
            config.stand_at_host();
            config.homeservers[0]["upstream_url"] = json!(upstream);
        })
        .await?;
        let client = world.host()?;
        let versions = "_matrix/client/versions";
        assert_eq!(client.call(Method::GET, versions, None).await?.status, StatusCode::OK);
        eng.stop().await?;
        for path in [versions, LOGIN] {
            let away = client.call(Method::GET, path, None).await?;
            assert_eq!((away.status, away.errcode()), (StatusCode::BAD_GATEWAY, "M_UNKNOWN"), "{path}");
        }
        eng.start_again(&usher_lab::real::Progress::printing()).await?;
        eventually("it is there again", async || {
            let answers = [
                client.call(Method::GET, versions, None).await?,
                client.call(Method::GET, LOGIN, None).await?,
            ];
            Ok(answers.iter().all(|answer| answer.status == StatusCode::OK).then_some(()))
        })
        .await
    })
}
