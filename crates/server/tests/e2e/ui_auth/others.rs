//! Those who have nothing to do with Usher live at the homeserver's host as before: a bridge, and people with a password.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::devices;
use crate::{
    at_host::{App, PASSWORD, password_login},
    client::{Answer, Client},
    components::run,
    database::Kind,
    world::World,
};

const LOGIN: &str = "_matrix/client/v3/login";

/// Asks, and the homeserver asks back for a password: with that, what it says.
async fn confirmed(app: &App, localpart: &str, line: &str, body: &Value) -> anyhow::Result<Answer> {
    let asked = app.send(line, body).await?;
    assert_eq!(asked.status, StatusCode::UNAUTHORIZED, "{line}: {asked:?}");
    assert_eq!(asked.body["flows"], json!([{ "stages": ["m.login.password"] }]), "{line}");
    let mut body = body.clone();
    body["auth"] = password_login(localpart);
    body["auth"]["session"] = asked.body["session"].clone();
    app.send(line, &body).await
}

async fn log_in(host: &Client, body: &Value) -> anyhow::Result<App> {
    App::new(host, &host.call(Method::POST, LOGIN, Some(body)).await?.expect_ok()?)
}

#[test]
fn somebody_with_a_password_confirms_with_it_and_uses_the_homeservers_own_tokens() -> anyhow::Result<()> {
    run(async {
        let world = World::start_at_host(Kind::Sqlite).await?;
        let (host, eng) = (world.host()?, &world.components().eng);
        let localpart = world.localpart("ivy");
        eng.register_user(&localpart, PASSWORD).await?;
        let mut apps = Vec::new();
        for _ in 0..4 {
            apps.push(log_in(&host, &password_login(&localpart)).await?);
        }
        let [phone, laptop, tablet, watch] = apps.as_slice() else { anyhow::bail!("four apps") };
        // One more is left of how the account was made.
        let mut expected = devices(&world, phone).await?;
        let several = json!({ "devices": [tablet.device, watch.device] });
        for (line, body) in [
            (format!("DELETE v3/devices/{}", laptop.device), json!({})),
            ("POST v3/delete_devices".to_owned(), several),
        ] {
            let done = confirmed(phone, &localpart, &line, &body).await?;
            assert_eq!((done.status, done.body), (StatusCode::OK, json!({})), "{line}");
        }
        expected.retain(|device| [laptop, tablet, watch].iter().all(|app| app.device != *device));
        assert_eq!(devices(&world, phone).await?, expected);

        let given = confirmed(phone, &localpart, "POST v1/login/get_token", &json!({})).await?.expect_ok()?;
        let token = given.field("login_token")?;
        let session = host.redeem(token).await?.expect_ok()?;
        assert_eq!(session.field("user_id")?, phone.user);
        assert_eq!(host.redeem(token).await?.errcode(), "M_FORBIDDEN", "the homeserver's own, and once");

        let told = phone.send("GET v3/capabilities", &Value::Null).await?.expect_ok()?;
        let (_, own) =
            eng.call(Method::GET, "_matrix/client/v3/capabilities", Some(phone.access_token()), None).await?;
        assert_eq!(told.body, own, "untouched");
        assert_eq!(told.body["capabilities"]["m.change_password"], json!({ "enabled": true }));

        let change = json!({ "new_password": "another that is long", "logout_devices": false });
        let done = confirmed(phone, &localpart, "POST v3/account/password", &change).await?;
        assert_eq!(done.status, StatusCode::OK, "{done:?}");
        let old = host.call(Method::POST, LOGIN, Some(&password_login(&localpart))).await?;
        assert_eq!((old.status, old.errcode()), (StatusCode::FORBIDDEN, "M_FORBIDDEN"));
        assert_eq!(world.database.row_counts().await?["ui_auth_sessions"], 0, "none of it is Usher's");
        Ok(())
    })
}

#[test]
fn a_bridge_logs_its_ghosts_in_and_deletes_their_devices_as_before() -> anyhow::Result<()> {
    run(async {
        let world = World::start_at_host(Kind::Sqlite).await?;
        let (host, components) = (world.host()?, world.components());
        let bridge = host.signed_in(&components.bridge.as_token);
        let localpart = format!("_bridge_{}", world.localpart("ghost"));
        let user = format!("@{localpart}:eng.localhost");
        let kind = json!("m.login.application_service");
        let register = json!({ "type": kind, "username": localpart, "inhibit_login": true });
        let made = bridge.call(Method::POST, "_matrix/client/v3/register", Some(&register)).await?;
        assert_eq!(made.status, StatusCode::OK, "{made:?}");
        let login = json!({ "type": kind, "identifier": { "type": "m.id.user", "user": user } });
        let mut apps = Vec::new();
        for _ in 0..2 {
            let session = bridge.call(Method::POST, LOGIN, Some(&login)).await?.expect_ok()?;
            apps.push(App::new(&host, &session)?);
        }
        let [kept, gone] = apps.as_slice() else { anyhow::bail!("two apps") };
        assert_eq!(kept.user, user);

        // Asked nothing, since it is an application service; and what it may do is the homeserver's matter.
        let path = format!("_matrix/client/v3/devices/{}?user_id={user}", gone.device);
        let deleted = bridge.call(Method::DELETE, &path, Some(&json!({}))).await?;
        assert_eq!((deleted.status, deleted.body), (StatusCode::OK, json!({})));
        assert_eq!(devices(&world, kept).await?, [kept.device.as_str()]);

        // It is not Usher: nobody else's devices are its own.
        let alice = App::of(&host, &world.person("alice"), "Phone").await?;
        let path = format!("_matrix/client/v3/devices/{}?user_id={}", alice.device, alice.user);
        let refused = bridge.call(Method::DELETE, &path, Some(&json!({}))).await?;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{refused:?}");
        assert_eq!(devices(&world, &alice).await?, [alice.device.as_str()]);
        Ok(())
    })
}
