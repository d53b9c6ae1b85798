//! Devices: they go when their person has signed in again, and for nothing else.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{deletion_of, devices};
use crate::{
    at_host::{App, auth, failure_of, is_complete, session_of},
    components::run,
    database::Kind,
    world::World,
};

#[test]
fn devices_go_when_their_person_has_signed_in_again() -> anyhow::Result<()> {
    run(async {
        for kind in Kind::BOTH {
            let world = World::start_at_host(kind).await?;
            let (host, alice) = (world.host()?, world.person("alice"));
            let mut apps = Vec::new();
            for name in ["Phone", "Laptop", "Tablet", "Watch"] {
                apps.push(App::of(&host, &alice, name).await?);
            }
            let [phone, laptop, tablet, watch] = apps.as_slice() else { anyhow::bail!("four apps") };
            let mut expected = devices(&world, phone).await?;
            assert_eq!(expected.len(), 4);
            let several = json!({ "devices": [tablet.device, watch.device] });
            for (line, body, gone) in [
                (deletion_of(laptop), json!({}), vec![laptop]),
                ("POST v3/delete_devices".to_owned(), several, vec![tablet, watch]),
            ] {
                assert_eq!(devices(&world, phone).await?, expected, "{kind:?}, before {line}");
                let done = phone.confirmed_by(&alice, &line, &body).await?;
                assert_eq!((done.status, done.body), (StatusCode::OK, json!({})), "{kind:?}, {line}");
                expected.retain(|device| gone.iter().all(|app| app.device != *device));
                assert_eq!(devices(&world, phone).await?, expected, "{kind:?}, after {line}");
                for app in gone {
                    assert_eq!(world.components().eng.whoami(app.access_token()).await?, None);
                }
            }
        }
        Ok(())
    })
}

/// A request with the session of another.
struct Abuse<'a> {
    name: &'static str,
    app: &'a App,
    line: String,
    body: Value,
    expected: (u16, &'static str),
}

#[test]
fn nothing_but_what_was_confirmed_is_done_and_that_once() -> anyhow::Result<()> {
    run(async {
        let world = World::start_at_host(Kind::Postgres).await?;
        let (host, eng) = (world.host()?, &world.components().eng);
        let [alice, bob] = ["alice", "bob"].map(|username| world.person(username));
        let phone = App::of(&host, &alice, "Phone").await?;
        let laptop = App::of(&host, &alice, "Laptop").await?;
        let tablet = App::of(&host, &alice, "Tablet").await?;
        let of_bob = App::of(&host, &bob, "Bob's").await?;
        world.log_in("carol").await?;
        let all = devices(&world, &phone).await?;
        let line = deletion_of(&laptop);
        let session = phone.is_asked(&line, &json!({})).await?;
        let abuse = |name, app, line: &str, body, expected| Abuse {
            name,
            app,
            line: line.to_owned(),
            body,
            expected,
        };

        // Before anybody has signed in: asked again, for the same session.
        for body in
            [auth(&session), json!({ "auth": { "session": session, "type": "m.login.sso", "token": "x" } })]
        {
            assert_eq!(session_of(&phone.send(&line, &body).await?)?, session, "{body}");
        }
        // Another person signs in: of the same homeserver, of another, of none.
        for username in ["bob", "carol", "frank"] {
            let page = world.person(username).confirm(&phone.fallback(&session)).await?;
            assert_eq!(page.status(), StatusCode::FORBIDDEN, "{username}: {}", page.text());
            assert!(page.text().contains("Somebody else is signed in"), "{username}: {}", page.text());
            let again = phone.send(&line, &auth(&session)).await?;
            assert!(failure_of(&again)?.contains("Somebody else signed in"), "{username}: {again:?}");
            assert_eq!(again.field("session")?, session, "{username}");
        }
        assert_eq!(devices(&world, &phone).await?, all);
        assert_eq!(world.database.links().await?.len(), 3, "and nobody is linked by it");

        is_complete(&alice.confirm(&phone.fallback(&session)).await?)?;
        let several = json!({ "devices": [laptop.device], "auth": { "session": session } });
        let changed = json!({ "auth": { "session": session }, "erase": true });
        let forbidden = (403, "M_FORBIDDEN");
        for Abuse { name, app, line, body, expected } in [
            abuse("another device goes", &phone, &deletion_of(&tablet), auth(&session), forbidden),
            abuse("at another endpoint", &phone, "POST v3/delete_devices", several, forbidden),
            abuse("with another body", &phone, &line, changed, forbidden),
            abuse("of another device of hers", &tablet, &line, auth(&session), forbidden),
            abuse("of another person", &of_bob, &line, auth(&session), forbidden),
            abuse("a session of nobody's", &phone, &line, auth("ushu_nobody"), (400, "M_UNKNOWN")),
        ] {
            let answer = app.send(&line, &body).await?;
            assert_eq!((answer.status.as_u16(), answer.errcode()), expected, "{name}: {answer:?}");
            assert_eq!(devices(&world, &phone).await?, all, "{name}");
        }
        let path = format!("_matrix/client/v3/devices/{}", laptop.device);
        let nobody = host.call(Method::DELETE, &path, Some(&auth(&session))).await?;
        assert_eq!((nobody.status.as_u16(), nobody.errcode()), (401, "M_MISSING_TOKEN"));
        assert_eq!(devices(&world, &phone).await?, all);

        let done = phone.send(&line, &auth(&session)).await?;
        assert_eq!(done.status, StatusCode::OK, "{done:?}");
        assert_eq!(eng.whoami(laptop.access_token()).await?, None);
        // It comes back under its old id, and the old session does nothing to it.
        let token = alice.sign_in().await?.login_token()?;
        let again = host.redeem_with(&token, json!({ "device_id": laptop.device })).await?.expect_ok()?;
        for body in [auth(&session), json!({ "auth": { "session": session, "type": "m.login.sso" } })] {
            let replayed = phone.send(&line, &body).await?;
            assert_eq!((replayed.status.as_u16(), replayed.errcode()), forbidden, "{body}: {replayed:?}");
        }
        assert_eq!(devices(&world, &phone).await?, all);
        assert!(eng.whoami(again.field("access_token")?).await?.is_some());
        Ok(())
    })
}
