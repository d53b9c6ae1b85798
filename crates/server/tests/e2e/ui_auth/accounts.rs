//! Addresses, login tokens, passwords, and the end of an account.

use anyhow::Context as _;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use url::{Position, Url};

use crate::{
    at_host::{App, auth, is_complete},
    components::run,
    database::Kind,
    person::Person,
    world::World,
};

const GET_TOKEN: &str = "POST v1/login/get_token";

/// Asks for a mail to `address` by way of Usher, reads it, and follows its link: the homeserver's id of that.
pub(super) async fn prove(
    world: &World,
    app: &App,
    address: &str,
    client_secret: &str,
) -> anyhow::Result<String> {
    let body = json!({ "client_secret": client_secret, "email": address, "send_attempt": 1 });
    let asked = app.send("POST v3/account/3pid/email/requestToken", &body).await?.expect_ok()?;
    let letter = world.components().mail.letter_to(address).await?.plain_text()?;
    let link = letter.split_whitespace().find(|word| word.starts_with("http"));
    let link = Url::parse(link.context("the letter has no link")?)?;
    // To the homeserver's own address: it is everybody's here, and stands behind many hosts.
    let place = link[Position::BeforePath..].trim_start_matches('/').to_owned();
    let followed = app.client.call(Method::GET, &place, None).await?;
    anyhow::ensure!(followed.status == StatusCode::OK, "the letter's link: {followed:?}");
    Ok(asked.field("sid")?.to_owned())
}

async fn addresses_are_added(world: &World, alice: &Person, phone: &App) -> anyhow::Result<()> {
    let eng = &world.components().eng;
    let name = world.localpart("alice");
    let mut expected = Vec::new();
    for (line, tag) in [("POST v3/account/3pid/add", "new"), ("POST v3/account/3pid", "old")] {
        let (address, secret) = (format!("{name}.{tag}@elsewhere.example"), format!("secret_{tag}"));
        let sid = prove(world, phone, &address, &secret).await?;
        let credentials = json!({ "client_secret": secret, "sid": sid });
        let body = if tag == "new" { credentials } else { json!({ "three_pid_creds": credentials }) };
        let session = phone.is_asked(line, &body).await?;
        assert_eq!(eng.email_addresses(phone.access_token()).await?, expected, "{line}: nothing yet");
        is_complete(&alice.confirm(&phone.fallback(&session)).await?)?;
        let done = phone.send(line, &auth(&session)).await?;
        assert_eq!(done.status, StatusCode::OK, "{line}: {done:?}");
        expected.push(address);
        assert_eq!(eng.email_addresses(phone.access_token()).await?, expected, "{line}");
    }
    // An address that nobody has proven is the homeserver's to refuse, and the session is good until it is.
    let body = json!({ "client_secret": "secret_new", "sid": "99999" });
    let refused = phone.confirmed_by(alice, "POST v3/account/3pid/add", &body).await?;
    assert_eq!(
        (refused.status, refused.errcode()),
        (StatusCode::BAD_REQUEST, "M_THREEPID_AUTH_FAILED"),
        "{refused:?}"
    );
    assert_eq!(eng.email_addresses(phone.access_token()).await?, expected);
    Ok(())
}

async fn a_login_token_is_given(world: &World, alice: &Person, phone: &App) -> anyhow::Result<()> {
    let host = world.host()?;
    let first = phone.is_asked(GET_TOKEN, &json!({})).await?;
    is_complete(&alice.confirm(&phone.fallback(&first)).await?)?;
    let given = phone.send(GET_TOKEN, &auth(&first)).await?.expect_ok()?;
    let token = given.field("login_token")?;
    assert!(given.body["expires_in_ms"].as_u64().is_some_and(|ms| ms > 0), "a time");
    assert_ne!(phone.is_asked(GET_TOKEN, &json!({})).await?, first, "asked anew each time");
    assert_eq!(phone.send(GET_TOKEN, &auth(&first)).await?.status, StatusCode::FORBIDDEN, "one token");

    let session = host.redeem(token).await?.expect_ok()?;
    let who = world.components().eng.whoami(session.field("access_token")?).await?;
    assert_eq!(who.map(|who| who.user_id), Some(phone.user.clone()));
    let again = host.redeem(token).await?;
    assert_eq!((again.status, again.errcode()), (StatusCode::FORBIDDEN, "M_FORBIDDEN"), "once");
    Ok(())
}

async fn there_is_no_password(phone: &App) -> anyhow::Result<()> {
    for body in [json!({ "new_password": "x" }), json!({ "new_password": "x", "logout_devices": false })] {
        let refused = phone.send("POST v3/account/password", &body).await?;
        assert_eq!((refused.status, refused.errcode()), (StatusCode::FORBIDDEN, "M_FORBIDDEN"));
        assert!(refused.field("error")?.contains("single sign-on"), "{refused:?}");
    }
    let told = phone.send("GET v3/capabilities", &Value::Null).await?.expect_ok()?;
    let told = &told.body["capabilities"];
    assert_eq!(told["m.change_password"], json!({ "enabled": false }));
    assert_eq!(told["m.get_login_token"], json!({ "enabled": true }));
    assert!(told["m.room_versions"]["default"].is_string(), "the rest is the homeserver's: {told}");
    Ok(())
}

async fn the_account_ends(world: &World, alice: &Person, phone: &App) -> anyhow::Result<()> {
    let eng = &world.components().eng;
    let line = "POST v3/account/deactivate";
    let session = phone.is_asked(line, &json!({ "erase": false })).await?;
    assert!(eng.whoami(phone.access_token()).await?.is_some(), "nothing yet");
    let page = alice.browser().open(phone.fallback(&session)).await?;
    assert!(page.text().contains("Delete your account for good?"), "{}", page.text());
    let at_provider = alice.click_at(&page).await?;
    is_complete(&alice.go_on(at_provider).await?.into_page())?;
    let erase = json!({ "erase": true, "auth": { "session": session } });
    assert_eq!(phone.send(line, &erase).await?.status, StatusCode::FORBIDDEN, "not what she confirmed");
    assert!(eng.whoami(phone.access_token()).await?.is_some(), "nothing yet");
    let done = phone.send(line, &auth(&session)).await?.expect_ok()?;
    assert!(done.body["id_server_unbind_result"].is_string(), "the homeserver's own answer");
    assert_eq!(eng.whoami(phone.access_token()).await?, None);
    let gone = phone.send(line, &auth(&session)).await?;
    assert_eq!((gone.status, gone.errcode()), (StatusCode::UNAUTHORIZED, "M_UNKNOWN_TOKEN"));
    let token = alice.sign_in().await?.login_token()?;
    assert_eq!(world.client.redeem(&token).await?.errcode(), "M_USER_DEACTIVATED");
    Ok(())
}

#[test]
fn what_else_is_dangerous_is_done_when_its_person_has_signed_in_again() -> anyhow::Result<()> {
    run(async {
        for kind in Kind::BOTH {
            let world = World::start_at_host(kind).await?;
            let alice = world.person("alice");
            let phone = App::of(&world.host()?, &alice, "Phone").await?;
            addresses_are_added(&world, &alice, &phone).await.context("addresses")?;
            a_login_token_is_given(&world, &alice, &phone).await.context("a login token")?;
            there_is_no_password(&phone).await.context("passwords")?;
            the_account_ends(&world, &alice, &phone).await.context("the end")?;
        }
        Ok(())
    })
}
