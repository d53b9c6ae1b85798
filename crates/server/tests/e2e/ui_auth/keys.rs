//! Cross-signing keys: the homeserver says when they need their person.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use usher_lab::cross_signing::keys;

use crate::{
    at_host::{App, auth, is_complete},
    components::run,
    database::Kind,
    world::World,
};

const UPLOAD: &str = "POST v3/keys/device_signing/upload";

/// The master key that the homeserver has of somebody.
pub(crate) async fn master_key(world: &World, app: &App) -> anyhow::Result<Value> {
    let query = json!({ "device_keys": { &app.user: [] } });
    let path = "_matrix/client/v3/keys/query";
    let (status, mut said) =
        world.components().eng.call(Method::POST, path, Some(app.access_token()), Some(&query)).await?;
    anyhow::ensure!(status == StatusCode::OK, "keys/query: {status} {said}");
    Ok(said["master_keys"][&app.user]["keys"].take())
}

#[test]
fn first_keys_and_the_same_again_are_nobodys_question_and_others_are_their_persons() -> anyhow::Result<()> {
    run(async {
        for kind in Kind::BOTH {
            let world = World::start_at_host(kind).await?;
            let alice = world.person("alice");
            let phone = App::of(&world.host()?, &alice, "Phone").await?;
            let [first, second, third] = [1, 2, 3].map(|seed| Value::Object(keys(&phone.user, seed)));
            for name in ["a first upload", "the same keys again"] {
                let answer = phone.send(UPLOAD, &first).await?;
                assert_eq!((answer.status, answer.body), (StatusCode::OK, json!({})), "{kind:?}, {name}");
            }
            assert_eq!(master_key(&world, &phone).await?, first["master_key"]["keys"]);

            let session = phone.is_asked(UPLOAD, &second).await?;
            is_complete(&alice.confirm(&phone.fallback(&session)).await?)?;
            let mut changed = third.clone();
            changed["auth"] = json!({ "session": session });
            let refused = phone.send(UPLOAD, &changed).await?;
            assert_eq!((refused.status, refused.errcode()), (StatusCode::FORBIDDEN, "M_FORBIDDEN"));
            assert_eq!(master_key(&world, &phone).await?, first["master_key"]["keys"], "{kind:?}");

            // As clients do: with the body once more.
            let mut repeated = second.clone();
            repeated["auth"] = json!({ "session": session });
            let done = phone.send(UPLOAD, &repeated).await?;
            assert_eq!(done.status, StatusCode::OK, "{kind:?}: {done:?}");
            assert_eq!(master_key(&world, &phone).await?, second["master_key"]["keys"], "{kind:?}");
            assert_eq!(phone.send(UPLOAD, &repeated).await?.status, StatusCode::FORBIDDEN, "{kind:?}: once");
            let done = phone.send(UPLOAD, &second).await?;
            assert_eq!(done.status, StatusCode::OK, "{kind:?}: the same keys again: {done:?}");
            let third_session = phone.is_asked(UPLOAD, &third).await?;
            let early = phone.send(UPLOAD, &auth(&third_session)).await?;
            assert_eq!(early.status, StatusCode::UNAUTHORIZED, "{kind:?}: asked each time");
        }
        Ok(())
    })
}
