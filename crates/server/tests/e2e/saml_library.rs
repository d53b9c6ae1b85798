//! Identity providers of a real SAML library before real homeservers: every kind of key and encryption, keys that change while
//! people sign in, and what such a library says when it is told to say something else.

use std::collections::BTreeMap;

use anyhow::ensure;
use reqwest::StatusCode;
use serde_json::{Value, json};
use usher_lab::real::pysaml2::{Pysaml2, Setup};

use crate::{
    components::{pysaml2, run, saml_keys},
    config::{APP, Portal},
    database::Kind,
    person::Landed,
    saml::{lay_over, metadata_of},
    world::{World, unique},
};

const AES_128_GCM: &str = "http://www.w3.org/2009/xmlenc11#aes128-gcm";
const AES_256_GCM: &str = "http://www.w3.org/2009/xmlenc11#aes256-gcm";
const AES_256_CBC: &str = "http://www.w3.org/2001/04/xmlenc#aes256-cbc";
const TRIPLE_DES: &str = "http://www.w3.org/2001/04/xmlenc#tripledes-cbc";

/// An Usher and an identity provider of its own, called `name`.
pub(crate) struct Scene {
    pub(crate) world: World,
    name: String,
    providers: &'static Pysaml2,
    service: String,
}

impl Scene {
    pub(crate) async fn start(kind: Kind, setup: &Setup, section: &Value) -> anyhow::Result<Self> {
        Self::start_with(kind, setup, section, |_| ()).await
    }

    async fn start_with(
        kind: Kind,
        setup: &Setup,
        section: &Value,
        edit: impl FnOnce(&mut Portal),
    ) -> anyhow::Result<Self> {
        let providers = pysaml2().await?;
        let name = unique("idp-");
        providers.set_up(&name, setup, None).await?;
        let metadata_file = tempfile::tempdir()?.keep().join("idp.xml");
        std::fs::write(&metadata_file, providers.metadata(&name).await?)?;
        let keys = saml_keys()?;
        let world = World::start_with(kind, |portal| {
            let mut saml = json!({ "metadata_file": metadata_file, "keys": [keys] });
            lay_over(&mut saml, section);
            portal.provider = Some(json!({ "id": "corp", "name": "Canadialand", "saml": saml }));
            portal.localpart = portal.localpart.replace("subject", "attributes.uid");
            edit(portal);
        })
        .await?;
        let service = metadata_of(&world, "corp").await?;
        let scene = Self { world, name, providers, service };
        scene.becomes(setup).await?;
        Ok(scene)
    }

    /// From now on.
    async fn becomes(&self, setup: &Setup) -> anyhow::Result<()> {
        self.providers.set_up(&self.name, setup, Some(&self.service)).await
    }

    /// Signs in and is somebody at their own homeserver.
    async fn lands(&self, username: &str) -> anyhow::Result<()> {
        let world = &self.world;
        let landed = world.person(username).sign_in().await?;
        let told = |error: anyhow::Error| error.context(self.providers.log_tail());
        let session = world.client.redeem(&landed.login_token().map_err(told)?).await?.expect_ok()?;
        let is_engineer = self.providers.person(username).departments.contains(&"engineering");
        let (synapse, user) = if is_engineer {
            (&world.components().eng, world.eng(username))
        } else {
            (&world.components().hist, world.hist(username))
        };
        let who = synapse.whoami(session.field("access_token")?).await?;
        ensure!(who.is_some_and(|who| who.user_id == user), "{username} is not {user} there");
        Ok(())
    }

    /// Nobody is signed in: the person is told so in plain words, and the log says why.
    async fn refuses(&self, logged: &str) -> anyhow::Result<()> {
        let (status, text) = self.world.person("alice").sign_in().await?.page();
        let log = self.world.usher.log()?;
        assert_eq!(status, StatusCode::FORBIDDEN, "{logged}: {text} {log}");
        assert!(log.contains(logged), "{logged}: {text} {log}");
        assert!(!text.contains(logged) && text.contains("sign"), "{logged}: {text}");
        Ok(())
    }
}

fn ways() -> Vec<(&'static str, Setup, Value)> {
    let keys =
        |all: &[&'static str], signs_with| Setup { keys: all.to_vec(), signs_with, ..Setup::default() };
    let encrypts = |with| Setup { encrypts_with: Some(with), ..Setup::default() };
    let in_signed = |with| Setup { signs_responses: true, ..encrypts(with) };
    vec![
        ("an RSA key", Setup::default(), json!({})),
        ("an EC key", keys(&["ec"], "ec"), json!({})),
        ("both signed, with an EC key", Setup { signs_responses: true, ..keys(&["ec"], "ec") }, json!({})),
        ("the last of four keys", keys(&["rsa", "rsa-next", "ec", "ec-next"], "ec-next"), json!({})),
        (
            "signed requests by redirect",
            Setup { wants_signed_requests: true, ..Setup::default() },
            json!({ "request_binding": "redirect" }),
        ),
        (
            "signed requests by form",
            Setup { wants_signed_requests: true, ..Setup::default() },
            json!({ "request_binding": "post" }),
        ),
        ("AES-GCM with 128 bits", encrypts(AES_128_GCM), json!({ "require_encryption": true })),
        (
            "AES-GCM with 256 bits, by an EC key",
            Setup { keys: vec!["ec"], signs_with: "ec", ..encrypts(AES_256_GCM) },
            json!({}),
        ),
        ("AES-GCM in a signed response", in_signed(AES_256_GCM), json!({ "signed": "both" })),
        ("AES-CBC in a signed response", in_signed(AES_256_CBC), json!({ "signed": "both" })),
    ]
}

#[test]
fn a_third_department_shares_a_homeserver_and_its_people_land_there() -> anyhow::Result<()> {
    run(async {
        let (setup, section) = (Setup::default(), json!({}));
        let scene = Scene::start_with(Kind::Postgres, &setup, &section, Portal::share_a_homeserver).await?;
        for username in ["alice", "carol", "erin"] {
            scene.lands(username).await?;
        }
        Ok(())
    })
}

#[test]
fn people_of_three_departments_sign_in_with_every_key_and_encryption() -> anyhow::Result<()> {
    run(async {
        for ((name, setup, section), kind) in ways().iter().zip(Kind::BOTH.into_iter().cycle()) {
            let scene = Scene::start(kind, setup, section).await?;
            for username in ["alice", "carol"] {
                scene.lands(username).await.map_err(|error| error.context(*name))?;
            }
            let (status, text) = scene.world.person("frank").sign_in().await?.page();
            assert_eq!(status, StatusCode::FORBIDDEN, "{name}: {text}");
            assert!(text.contains("No homeserver for you yet"), "{name}: {text}");
        }
        Ok(())
    })
}

#[test]
fn a_key_that_was_announced_takes_over_without_a_restart() -> anyhow::Result<()> {
    run(async {
        let announced = vec!["rsa", "ec", "rsa-next"];
        let of = |signs_with| Setup { keys: announced.clone(), signs_with, ..Setup::default() };
        let scene = Scene::start(Kind::Sqlite, &of("rsa"), &json!({})).await?;
        for signs_with in ["rsa", "rsa-next", "ec"] {
            scene.becomes(&of(signs_with)).await?;
            scene.lands("alice").await.map_err(|error| error.context(signs_with))?;
        }
        // One that was not is a stranger's.
        scene.becomes(&of("ec-next")).await?;
        scene.refuses("was not made by a key of the identity provider").await
    })
}

#[test]
fn what_the_library_should_not_have_said_signs_nobody_in() -> anyhow::Result<()> {
    run(async {
        let scene = Scene::start(Kind::Sqlite, &Setup::default(), &json!({})).await?;
        for (name, value, logged) in [
            ("audience", "https://other.example/metadata", "is for another audience"),
            ("recipient", "https://other.example/acs", "is confirmed for another recipient"),
            ("in_response_to", "_somebody-elses", "does not answer the request of this browser"),
            ("destination", "https://other.example/acs", "is addressed to another destination"),
            ("issuer", "https://other.example/idp", "from another identity provider"),
            ("not_on_or_after", "2020-01-01T00:00:00Z", "has expired"),
        ] {
            let says = BTreeMap::from([(name, value.to_owned())]);
            scene.becomes(&Setup { says, ..Setup::default() }).await?;
            scene.refuses(logged).await?;
        }
        scene.becomes(&Setup::default()).await?;
        scene.lands("alice").await
    })
}

#[test]
fn what_it_protects_badly_signs_nobody_in() -> anyhow::Result<()> {
    run(async {
        let scene = Scene::start(Kind::Sqlite, &Setup::default(), &json!({})).await?;
        for (setup, logged) in [
            // What it does by itself.
            (
                Setup { signs_responses: true, encrypts_with: Some(TRIPLE_DES), ..Setup::default() },
                "another algorithm than AES-GCM",
            ),
            (Setup { encrypts_with: Some(AES_256_CBC), ..Setup::default() }, "by AES-CBC or RSA 1.5"),
            (Setup { signs_assertions: false, ..Setup::default() }, "nothing in it is signed"),
            (
                Setup { signs_assertions: false, encrypts_with: Some(AES_128_GCM), ..Setup::default() },
                "nothing in it is signed",
            ),
        ] {
            scene.becomes(&setup).await?;
            scene.refuses(logged).await?;
        }
        Ok(())
    })
}

#[test]
fn a_person_who_cancels_is_told_so_and_can_try_again() -> anyhow::Result<()> {
    run(async {
        for signs_responses in [false, true] {
            let setup = Setup { signs_responses, ..Setup::default() };
            let scene = Scene::start(Kind::Sqlite, &setup, &json!({})).await?;
            let alice = scene.world.person("alice");
            let page = alice.begin(APP).await?;
            let answer = page.form_with("password")?.press("cancel", "yes").submit(alice.browser()).await?;
            let landed = answer.form_with("SAMLResponse")?.submit(alice.browser()).await?;
            let (status, text) = Landed::from(landed).page();
            assert_eq!(status, StatusCode::FORBIDDEN, "{text}");
            assert!(text.contains("You were not signed in"), "{text}");
            alice.sign_in().await?.login_token()?;
        }
        Ok(())
    })
}
