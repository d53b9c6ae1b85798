//! Single logout with a real SAML identity provider: somebody signs out there, and their session at a real homeserver ends.

use anyhow::{Context as _, ensure};
use data_encoding::BASE64;
use serde_json::{Value, json};
use usher_lab::{
    browser::Page,
    real::{
        Progress,
        install::{self, Component},
        simplesamlphp::SimpleSamlPhp,
        synapse::Synapse,
    },
};

use crate::{
    client::Answer,
    components::{components, eventually, run, saml_keys, simplesamlphp},
    config::Portal,
    database::Kind,
    person::Person,
    saml::metadata_of,
    world::{World, homeserver, unique},
};

const RSA_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
const RSA_SHA384: &str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384";
const RSA_SHA512: &str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512";
/// Seconds: longer than a call to a homeserver, the margin of its lease, and the pause after a first failure.
const LATER: u32 = 120;

/// Usher as a service whose single logout is by `binding` alone, signed with `algorithm`.
async fn world(kind: Kind, binding: &str, algorithm: &str) -> anyhow::Result<World> {
    world_with(kind, binding, algorithm, |_| {}).await
}

/// The same with a config that `edit` has changed.
async fn world_with(
    kind: Kind,
    binding: &str,
    algorithm: &str,
    edit: impl FnOnce(&mut Portal),
) -> anyhow::Result<World> {
    let options = json!({ "sign.logout": true, "validate.logout": true, "signature.algorithm": algorithm });
    registered(kind, binding, &options, edit).await
}

/// The same, registered at the identity provider with `options`.
async fn registered(
    kind: Kind,
    binding: &str,
    options: &Value,
    edit: impl FnOnce(&mut Portal),
) -> anyhow::Result<World> {
    let provider = simplesamlphp().await?;
    let metadata_file = tempfile::tempdir()?.keep().join("idp.xml");
    std::fs::write(&metadata_file, provider.metadata().await?)?;
    let keys = saml_keys()?;
    let world = World::start_with(kind, |portal| {
        let saml = json!({ "metadata_file": metadata_file, "keys": [keys] });
        portal.provider = Some(json!({ "id": "corp", "name": "Canadialand", "saml": saml }));
        portal.localpart = portal.localpart.replace("subject", "attributes.uid");
        edit(portal);
    })
    .await?;
    let metadata = metadata_of(&world, "corp").await?;
    let is_kept = |line: &&str| !line.contains("SingleLogoutService") || line.contains(binding);
    let metadata = metadata.lines().filter(is_kept).collect::<Vec<_>>().join("\n");
    ensure!(metadata.contains("SingleLogoutService"), "{metadata}");
    provider.register(&unique("usher-"), &metadata, options)?;
    Ok(world)
}

async fn log_in(world: &World, person: &Person) -> anyhow::Result<Answer> {
    let token = person.sign_in().await?.login_token()?;
    world.client.redeem(&token).await?.expect_ok()
}

/// From the page of sign-out at the identity provider to where it ends, as a browser with scripts goes.
async fn sign_out(provider: &SimpleSamlPhp, person: &Person) -> anyhow::Result<Page> {
    let mut page =
        person.browser().open(provider.sign_out_url("module.php/core/frontpage_welcome.php")).await?;
    for _ in 0..4 {
        let carries = |name: &str| page.form_with(name);
        let Ok(form) = carries("SAMLRequest").or_else(|_| carries("SAMLResponse")) else { break };
        page = form.submit(person.browser()).await?;
    }
    Ok(page)
}

async fn ends(world: &World, session: &Answer) -> anyhow::Result<()> {
    ends_at(&world.components().eng, session).await
}

/// Its access token is answered with 401.
async fn ends_at(synapse: &Synapse, session: &Answer) -> anyhow::Result<()> {
    let token = session.field("access_token")?;
    eventually("the session has ended", async || Ok(synapse.whoami(token).await?.is_none().then_some(())))
        .await
}

#[test]
fn who_signs_out_at_their_identity_provider_is_signed_out_at_their_homeserver() -> anyhow::Result<()> {
    run(async {
        let provider = simplesamlphp().await?;
        for (kind, binding, algorithm) in [
            (Kind::Sqlite, "HTTP-Redirect", RSA_SHA256),
            (Kind::Postgres, "HTTP-Redirect", RSA_SHA384),
            (Kind::Sqlite, "HTTP-Redirect", RSA_SHA512),
            (Kind::Postgres, "HTTP-POST", RSA_SHA256),
            (Kind::Sqlite, "HTTP-POST", RSA_SHA512),
        ] {
            let world = world(kind, binding, algorithm).await?;
            let (alice, elsewhere) = (world.person("alice"), world.person("alice"));
            let other = log_in(&world, &elsewhere).await?;
            let session = log_in(&world, &alice).await?;
            let page = sign_out(provider, &alice).await?;
            ensure!(
                page.url().as_str().starts_with(provider.base_url().as_str()) && page.status().is_success(),
                "{binding}: the browser should be back at the identity provider: {page:?} {} {}",
                page.text(),
                provider.log_tail()
            );
            ends(&world, &session).await.map_err(|error| error.context(provider.log_tail()))?;
            let kept = world.components().eng.whoami(other.field("access_token")?).await?;
            ensure!(kept.is_some(), "{binding}: her session in another browser goes on");
            let log = provider.log_tail();
            ensure!(!log.contains("PartialLogout") && !log.contains("Unable to find"), "{binding}: {log}");
        }
        Ok(())
    })
}

#[test]
fn who_signs_out_from_the_portal_is_signed_out_there_and_at_their_homeserver() -> anyhow::Result<()> {
    run(async {
        let provider = simplesamlphp().await?;
        for (kind, binding) in [(Kind::Postgres, "HTTP-Redirect"), (Kind::Sqlite, "HTTP-POST")] {
            let world = world(kind, binding, RSA_SHA256).await?;
            let (alice, elsewhere) = (world.person("alice"), world.person("alice"));
            let other = log_in(&world, &elsewhere).await?;
            let page = format!("{}_usher/sign-out/corp", world.config.public_base_url());
            // Nobody has signed in with this browser, so that nobody can be named.
            let early = alice.browser().open(&page).await?.form_with("csrf")?.submit(alice.browser()).await?;
            ensure!(early.text().contains("You cannot sign out from here"), "{binding}: {}", early.text());

            let session = log_in(&world, &alice).await?;
            let clicked =
                alice.browser().open(&page).await?.form_with("csrf")?.submit(alice.browser()).await?;
            let onward = clicked.links().into_iter().find(|(label, _)| label == "Continue");
            let (_, url) = onward.with_context(|| format!("{binding}: the way on: {}", clicked.text()))?;
            let mut page = alice.browser().follow(&clicked, url).await?;
            if let Ok(form) = page.form_with("SAMLResponse") {
                page = form.submit(alice.browser()).await?;
            }
            let told = format!("{binding}: {} {} {}", page.url(), page.text(), provider.log_tail());
            ensure!(page.url().path() == "/_usher/signed-out", "{told}");
            ends(&world, &session).await?;
            let kept = world.components().eng.whoami(other.field("access_token")?).await?;
            ensure!(kept.is_some(), "{binding}: her session in another browser goes on");
            // And at the identity provider: it asks for her password again.
            let again = alice.begin(crate::config::APP).await?;
            ensure!(again.form_with("password").is_ok(), "{binding}: {}", again.text());
        }
        Ok(())
    })
}

/// The ids of the devices of whoever has `session`.
async fn devices(synapse: &Synapse, session: &Answer) -> anyhow::Result<Vec<String>> {
    let devices = synapse.devices(session.field("access_token")?).await?;
    let mut ids: Vec<_> = devices.into_iter().map(|device| device.device_id).collect();
    ids.sort();
    Ok(ids)
}

fn ids(sessions: &[&Answer]) -> anyhow::Result<Vec<String>> {
    let mut ids: Vec<_> = sessions
        .iter()
        .map(|session| Ok(session.field("device_id")?.to_owned()))
        .collect::<anyhow::Result<_>>()?;
    ids.sort();
    Ok(ids)
}

/// Signs out at the identity provider; what Usher has answered it, where that is to be seen.
async fn sign_out_and_look(provider: &SimpleSamlPhp, person: &Person) -> anyhow::Result<Option<String>> {
    let url = provider.sign_out_url("module.php/core/frontpage_welcome.php");
    let mut page = person.browser().open(url).await?;
    let mut answer = None;
    if let Ok(form) = page.form_with("SAMLRequest") {
        page = form.submit(person.browser()).await?;
        let form = page.form_with("SAMLResponse").with_context(|| page.text())?;
        let text = BASE64.decode(form.value("SAMLResponse").unwrap_or_default().as_bytes())?;
        answer = Some(String::from_utf8(text)?);
        page = form.submit(person.browser()).await?;
    }
    ensure!(
        page.url().as_str().starts_with(provider.base_url().as_str()) && page.status().is_success(),
        "the browser should be back at the identity provider: {page:?} {} {}",
        page.text(),
        provider.log_tail()
    );
    Ok(answer)
}

#[test]
fn who_signs_out_while_their_homeserver_is_away_is_signed_out_when_it_is_back() -> anyhow::Result<()> {
    run(async {
        install::ensure(&[Component::FakeTime], &Progress::printing()).await?;
        let provider = simplesamlphp().await?;
        let mut eng = components().await?.another_eng().await?;
        for (kind, binding, is_killed) in [
            (Kind::Sqlite, "HTTP-POST", false),
            (Kind::Postgres, "HTTP-Redirect", false),
            (Kind::Sqlite, "HTTP-Redirect", true),
            (Kind::Postgres, "HTTP-POST", true),
        ] {
            let case = format!("{kind:?} {binding} {is_killed}");
            let section = homeserver(components().await?, &eng);
            let mut world =
                world_with(kind, binding, RSA_SHA256, |portal| portal.homeservers[0] = section).await?;
            let (alice, elsewhere) = (world.person("alice"), world.person("alice"));
            let other = log_in(&world, &elsewhere).await?;
            let session = log_in(&world, &alice).await?;
            assert_eq!(devices(&eng, &session).await?, ids(&[&other, &session])?, "{case}");
            eng.kill()?;

            let answer = sign_out_and_look(provider, &alice).await.context(case.clone())?;
            ensure!(answer.is_some() == (binding == "HTTP-POST"), "{case}");
            if let Some(answer) = answer {
                ensure!(answer.contains("status:Success") && !answer.contains("PartialLogout"), "{answer}");
            }
            let log = provider.log_tail();
            ensure!(!log.contains("PartialLogout") && !log.contains("Unable to find"), "{case}: {log}");
            let waiting = "SELECT device_id FROM endings";
            assert_eq!(
                world.database.column(waiting).await?,
                ids(&[&session])?,
                "{case}: it is written down"
            );
            if is_killed {
                world.usher.kill()?;
            } else {
                eventually("the homeserver was asked in vain", async || {
                    Ok(world.usher.log()?.contains("a session could not be ended yet").then_some(()))
                })
                .await?;
            }
            eng.start_again(&Progress::printing()).await?;
            if is_killed {
                // Nobody has told the homeserver anything.
                ensure!(eng.whoami(session.field("access_token")?).await?.is_some(), "{case}: it goes on");
                // When whatever the killed process held is over.
                world.usher.start_again_ahead(LATER).await?;
            }
            ends_at(&eng, &session).await.with_context(|| format!("{case}: {:?}", world.usher.log()))?;
            assert_eq!(
                devices(&eng, &other).await?,
                ids(&[&other])?,
                "{case}: the device is gone, and one is not"
            );
            eventually("nothing is left to do", async || {
                Ok(world.database.column(waiting).await?.is_empty().then_some(()))
            })
            .await?;
        }
        Ok(())
    })
}

/// In assertions as well as in logout requests, as SimpleSAMLphp and Shibboleth can have it.
#[test]
fn who_has_an_encrypted_name_signs_in_and_is_signed_out() -> anyhow::Result<()> {
    run(async {
        let provider = simplesamlphp().await?;
        let options = json!({ "sign.logout": true, "validate.logout": true, "nameid.encryption": true });
        for (kind, binding) in [(Kind::Sqlite, "HTTP-POST"), (Kind::Postgres, "HTTP-Redirect")] {
            let world = registered(kind, binding, &options, |_| {}).await?;
            let (alice, elsewhere) = (world.person("alice"), world.person("alice"));
            let other = log_in(&world, &elsewhere).await?;
            let session = log_in(&world, &alice).await?;
            let url = provider.sign_out_url("module.php/core/frontpage_welcome.php");
            let page = alice.browser().open(url).await?;
            let page = match page.form_with("SAMLRequest") {
                Ok(form) => {
                    let text = BASE64.decode(form.value("SAMLRequest").unwrap_or_default().as_bytes())?;
                    let text = String::from_utf8(text)?;
                    ensure!(text.contains("EncryptedID") && !text.contains("NameID"), "{text}");
                    form.submit(alice.browser())
                        .await?
                        .form_with("SAMLResponse")?
                        .submit(alice.browser())
                        .await?
                }
                Err(_) => page,
            };
            ensure!(page.url().as_str().starts_with(provider.base_url().as_str()), "{binding}: {page:?}");
            ends(&world, &session).await.with_context(|| format!("{binding}: {:?}", world.usher.log()))?;
            let kept = world.components().eng.whoami(other.field("access_token")?).await?;
            ensure!(kept.is_some(), "{binding}: her session in another browser goes on");
            let log = provider.log_tail();
            ensure!(!log.contains("PartialLogout") && !log.contains("Unable to find"), "{binding}: {log}");
        }
        Ok(())
    })
}
