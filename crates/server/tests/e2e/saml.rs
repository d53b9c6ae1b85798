//! A real SAML identity provider before real homeservers: people of three departments, every way of signing, encrypting, asking
//! and answering, and signing in again for what is dangerous.

use anyhow::ensure;
use reqwest::StatusCode;
use serde_json::{Value, json};
use usher_lab::{browser::loopback_client, real::simplesamlphp::SimpleSamlPhp};

use crate::{
    at_host::App,
    client::Answer,
    components::{run, saml_keys, simplesamlphp},
    config::{APP, Portal},
    database::Kind,
    person::Landed,
    world::{World, unique},
};

/// One way of being a service of the identity provider.
pub(crate) struct Way {
    pub(crate) name: &'static str,
    /// What the identity provider does differently for it.
    pub(crate) service: Value,
    /// What is laid over the section in Usher's config.
    pub(crate) section: Value,
}

pub(crate) fn way(name: &'static str, service: Value, section: Value) -> Way {
    Way { name, service, section }
}

fn plain() -> Way {
    way("plain", json!({}), json!({}))
}

pub(crate) fn signing(response: bool, assertion: bool, encryption: bool) -> Value {
    json!({
        "saml20.sign.response": response,
        "saml20.sign.assertion": assertion,
        "assertion.encryption": encryption,
    })
}

fn ways() -> Vec<Way> {
    let demanding = json!({ "validate.authnrequest": true, "redirect.validate": true });
    vec![
        way("the response signed", signing(true, false, false), json!({ "signed": "response" })),
        way("the assertion signed", signing(false, true, false), json!({ "signed": "assertion" })),
        way("both signed", signing(true, true, false), json!({ "signed": "both" })),
        way(
            "encrypted in a signed response",
            signing(true, false, true),
            json!({ "require_encryption": true, "signed": "response" }),
        ),
        way(
            "signed and encrypted in a signed response",
            signing(true, true, true),
            json!({ "require_encryption": true, "signed": "both" }),
        ),
        way("signed requests by redirect", demanding.clone(), json!({ "request_binding": "redirect" })),
        way("signed requests by form", demanding, json!({ "request_binding": "post" })),
        way(
            "unsigned requests by form, and nothing of our own to sign or decrypt with",
            signing(false, true, false),
            json!({ "request_binding": "post", "keys": null }),
        ),
        way("named by an attribute", json!({}), json!({ "subject": "uid" })),
    ]
}

/// Usher as a service of the identity provider, in this way.
pub(crate) async fn world(kind: Kind, way: &Way, edit: impl FnOnce(&mut Portal)) -> anyhow::Result<World> {
    let provider = simplesamlphp().await?;
    let directory = tempfile::tempdir()?.keep();
    let metadata_file = directory.join("idp.xml");
    std::fs::write(&metadata_file, provider.metadata().await?)?;
    let keys = saml_keys()?;
    let world = World::start_with(kind, |portal| {
        let mut saml = json!({ "metadata_file": metadata_file, "keys": [keys] });
        lay_over(&mut saml, &way.section);
        portal.provider = Some(json!({ "id": "corp", "name": "Canadialand", "saml": saml }));
        portal.localpart = portal.localpart.replace("subject", "attributes.uid");
        edit(portal);
    })
    .await?;
    provider.register(&unique("usher-"), &metadata_of(&world, "corp").await?, &way.service)?;
    Ok(world)
}

/// Usher's own, as the provider of that id.
pub(crate) async fn metadata_of(world: &World, provider: &str) -> anyhow::Result<String> {
    let url = world.config.public_base_url().join(&format!("_usher/saml/{provider}/metadata"))?;
    let answer = loopback_client(std::time::Duration::from_secs(10))?.get(url).send().await?;
    Ok(answer.error_for_status()?.text().await?)
}

pub(crate) fn lay_over(document: &mut Value, patch: &Value) {
    for (name, value) in patch.as_object().into_iter().flatten() {
        if value.is_null() {
            document.as_object_mut().expect("an object").remove(name);
        } else {
            document[name] = value.clone();
        }
    }
}

/// Signs in and is somebody at their own homeserver.
async fn lands(world: &World, provider: &SimpleSamlPhp, username: &str) -> anyhow::Result<Answer> {
    let landed = world.person(username).sign_in().await?;
    let told = |error: anyhow::Error| error.context(provider.log_tail());
    let token = landed.login_token().map_err(told)?;
    let session = world.client.redeem(&token).await?.expect_ok()?;
    let is_engineer = provider.person(username).departments.contains(&"engineering");
    let (synapse, user) = if is_engineer {
        (&world.components().eng, world.eng(username))
    } else {
        (&world.components().hist, world.hist(username))
    };
    assert_eq!(session.field("user_id")?, user);
    let who = synapse.whoami(session.field("access_token")?).await?;
    ensure!(who.is_some_and(|who| who.user_id == user), "{username} is not {user} there");
    Ok(session)
}

#[test]
fn people_of_three_departments_sign_in_however_it_signs_and_encrypts() -> anyhow::Result<()> {
    run(async {
        let provider = simplesamlphp().await?;
        for (way, kind) in ways().iter().zip(Kind::BOTH.into_iter().cycle()) {
            let name = way.name;
            let world = world(kind, way, |_| {}).await?;
            for username in ["alice", "carol"] {
                lands(&world, provider, username).await.map_err(|error| error.context(name))?;
            }
            let (status, text) = world.person("erin").sign_in().await?.page();
            assert_eq!(status, StatusCode::FORBIDDEN, "{name}: {text}");
            assert!(text.contains("No homeserver for you yet"), "{name}: {text}");
        }
        Ok(())
    })
}

#[test]
fn a_third_department_shares_a_homeserver_and_its_people_land_there() -> anyhow::Result<()> {
    run(async {
        let world = world(Kind::Sqlite, &plain(), Portal::share_a_homeserver).await?;
        for username in ["alice", "carol", "erin"] {
            lands(&world, simplesamlphp().await?, username).await?;
        }
        Ok(())
    })
}

#[test]
fn an_answer_that_is_not_encrypted_signs_nobody_in_where_it_has_to_be() -> anyhow::Result<()> {
    run(async {
        let way = way("refused", signing(true, true, false), json!({ "require_encryption": true }));
        let world = world(Kind::Sqlite, &way, |_| {}).await?;
        let (status, text) = world.person("alice").sign_in().await?.page();
        assert_eq!(status, StatusCode::FORBIDDEN, "{text}");
        assert!(world.usher.log()?.contains("is not encrypted"), "{}", world.usher.log()?);
        assert!(!text.contains("is not encrypted"), "{text}");
        Ok(())
    })
}

#[test]
fn an_unsigned_request_stays_where_signed_ones_are_demanded() -> anyhow::Result<()> {
    run(async {
        for binding in ["redirect", "post"] {
            let service = json!({ "validate.authnrequest": true, "redirect.validate": true });
            let way = way("unsigned", service, json!({ "request_binding": binding, "sign_requests": false }));
            let world = world(Kind::Sqlite, &way, |_| {}).await?;
            let page = world.person("alice").begin(APP).await?;
            let text = page.text();
            assert!(text.contains("no signature found on message"), "{binding}: {text}");
            assert!(page.form_with("password").is_err(), "{binding}: nobody is asked for a password");
        }
        Ok(())
    })
}

#[test]
fn somebody_who_mistypes_or_turns_back_can_go_on() -> anyhow::Result<()> {
    run(async {
        let world = world(Kind::Sqlite, &plain(), |_| {}).await?;
        let alice = world.person("alice");
        let page = alice.begin(APP).await?;
        let form = page.form_with("password")?.fill("username", "alice").fill("password", "wrong");
        let wrong = form.submit(alice.browser()).await?;
        assert!(wrong.text().contains("Incorrect username or password"), "{}", wrong.text());
        assert!(wrong.url().host_str() == Some("127.0.0.1"), "still there: {}", wrong.url());
        alice.go_on(wrong).await?.login_token()?;

        let bob = world.person("bob");
        bob.begin(APP).await?;
        bob.sign_in().await?.login_token()?;
        Ok(())
    })
}

#[test]
fn a_dangerous_request_waits_for_the_password_and_not_for_a_session() -> anyhow::Result<()> {
    run(async {
        for (kind, binding) in [(Kind::Postgres, "redirect"), (Kind::Sqlite, "post")] {
            let provider = simplesamlphp().await?;
            let way = way("UI auth", signing(true, true, true), json!({ "request_binding": binding }));
            let world = world(kind, &way, Portal::stand_at_host).await?;
            let (host, alice) = (world.host()?, world.person("alice"));
            let phone = App::of(&host, &alice, "Phone").await?;
            let laptop = App::of(&host, &alice, "Laptop").await?;
            let line = format!("DELETE v3/devices/{}", laptop.device);
            let session = phone.is_asked(&line, &json!({})).await?;
            let asked = alice.click(&phone.fallback(&session)).await?;
            ensure!(asked.form_with("password").is_ok(), "{binding}: asked again: {}", asked.text());
            // A wrong password confirms nothing.
            let form = asked.form_with("password")?.fill("username", "alice").fill("password", "wrong");
            let asked = form.submit(alice.browser()).await?;
            let early = phone.send(&line, &crate::at_host::auth(&session)).await?;
            assert_eq!(early.status, StatusCode::UNAUTHORIZED, "{binding}: {early:?}");
            let kept = world.components().eng.whoami(laptop.access_token()).await?;
            ensure!(kept.is_some(), "{binding}: the laptop is still there");
            let confirmed = alice.go_on(asked).await?.into_page();
            let text = confirmed.text();
            ensure!(text.contains("You have confirmed it"), "{binding}: {text} {}", provider.log_tail());
            let done = phone.send(&line, &crate::at_host::auth(&session)).await?;
            assert_eq!(done.status, StatusCode::OK, "{binding}: {done:?}");
            assert_eq!(world.components().eng.whoami(laptop.access_token()).await?, None, "{binding}: gone");
            // Somebody else's password confirms nothing.
            let tablet = App::of(&host, &alice, "Tablet").await?;
            let line = format!("DELETE v3/devices/{}", tablet.device);
            let session = phone.is_asked(&line, &json!({})).await?;
            world.log_in("bob").await?;
            let page = world.person("bob").confirm(&phone.fallback(&session)).await?;
            ensure!(!page.text().contains("You have confirmed it"), "{binding}: {}", page.text());
            let kept = world.components().eng.whoami(tablet.access_token()).await?;
            assert!(kept.is_some(), "{binding}: the tablet is still there");
        }
        Ok(())
    })
}

#[test]
fn an_answer_counts_once_and_for_its_own_browser() -> anyhow::Result<()> {
    run(async {
        let world = world(Kind::Postgres, &plain(), |_| {}).await?;
        let alice = world.person("alice");
        let page = alice.begin(APP).await?;
        let form = page.form_with("password")?.fill("username", "alice").fill("password", "open sesame");
        let answer = form.submit(alice.browser()).await?;
        let form = answer.form_with("SAMLResponse")?;
        // In another browser there is no attempt that it answers.
        let mallory = world.person("bob");
        let stolen = Landed::from(form.clone().submit(mallory.browser()).await?);
        let (status, text) = stolen.page();
        assert!(status.is_client_error(), "{status} {text}");
        // In one whose attempt is another, neither.
        mallory.begin(APP).await?;
        let stolen = Landed::from(form.clone().submit(mallory.browser()).await?);
        let (status, text) = stolen.page();
        assert!(status.is_client_error(), "{status} {text}");
        Landed::from(form.clone().submit(alice.browser()).await?).login_token()?;
        let again = Landed::from(form.submit(alice.browser()).await?);
        let (status, text) = again.page();
        assert!(status.is_client_error(), "{status} {text}");
        Ok(())
    })
}
