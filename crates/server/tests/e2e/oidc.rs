//! A real OpenID Provider before real homeservers: people of three departments, every way of signing, asking and answering,
//! signing in again for what is dangerous, and signing out.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, ensure};
use reqwest::StatusCode;
use serde_json::{Value, json};
use usher_lab::real::oidc_provider::OidcProvider;

use crate::{
    at_host::App,
    client::Answer,
    components::{oidc_provider, run},
    config::{APP, Portal},
    database::Kind,
    person::{Landed, Person},
    world::{World, unique},
};

const SECRET: &str = "a+client secret%of:thirty-two-bytes-or-more";
const PATIENCE: Duration = Duration::from_secs(30);

/// One way of being a client of the provider.
struct Way {
    name: &'static str,
    /// The client's metadata at the provider.
    client: Value,
    /// The section in Usher's config.
    section: Value,
}

fn ways(portal: &str) -> Vec<Way> {
    let key = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("../oidc/test_keys").join(name);
    let jwks = format!("{portal}_usher/oidc/corp/jwks");
    let proving = |alg: &str| json!({ "token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": alg, "jwks_uri": jwks });
    let with = |mut client: Value, more: Value| {
        for (name, value) in more.as_object().into_iter().flatten() {
            client[name] = value.clone();
        }
        client
    };
    vec![
        Way {
            name: "three keys, RS256, requests pushed as the provider offers it",
            client: json!({ "id_token_signed_response_alg": "RS256" }),
            section: json!({}),
        },
        Way {
            name: "PS256, the secret in the body, the request with the browser, the answer as a form",
            client: json!({ "id_token_signed_response_alg": "PS256", "token_endpoint_auth_method": "client_secret_post" }),
            section: json!({
                "client_authentication": "client_secret_post", "response_mode": "form_post",
                "pushed_authorization_requests": "never",
            }),
        },
        Way {
            name: "ES256, a proof by an EC key, nothing but pushed requests",
            client: with(
                proving("ES256"),
                json!({ "id_token_signed_response_alg": "ES256", "require_pushed_authorization_requests": true }),
            ),
            section: json!({ "client_secret": null, "client_key_file": key("p256.pem"), "algorithms": ["ES256"] }),
        },
        Way {
            name: "EdDSA, a proof by an Ed25519 key, the answer as a form",
            client: with(proving("EdDSA"), json!({ "id_token_signed_response_alg": "EdDSA" })),
            section: json!({
                "client_secret": null, "client_key_file": key("ed25519.pem"), "response_mode": "form_post",
            }),
        },
        Way {
            name: "a proof by an RSA key with PSS, signed userinfo",
            client: with(
                proving("PS256"),
                json!({ "id_token_signed_response_alg": "ES256", "userinfo_signed_response_alg": "EdDSA" }),
            ),
            section: json!({
                "client_secret": null, "client_key_file": key("rsa.pem"), "client_key_algorithm": "PS256",
                "userinfo_must_be_signed": true,
            }),
        },
        Way {
            name: "a proof by the secret, made out to the token endpoint",
            client: json!({
                "token_endpoint_auth_method": "client_secret_jwt", "id_token_signed_response_alg": "ES256",
            }),
            section: json!({ "client_authentication": "client_secret_jwt", "assertion_audience": "token_endpoint" }),
        },
        Way {
            name: "no secret at all",
            client: json!({ "token_endpoint_auth_method": "none", "client_secret": null, "id_token_signed_response_alg": "RS256" }),
            section: json!({ "client_secret": null, "client_authentication": "none", "pkce": "always" }),
        },
    ]
}

/// Usher as a client of the provider, in this way.
async fn world(
    kind: Kind,
    way: impl FnOnce(&str) -> Way,
    edit: impl FnOnce(&mut Portal),
) -> anyhow::Result<World> {
    let provider = oidc_provider().await?;
    let client_id = unique("usher-");
    let mut registered = json!({});
    let world = World::start_with(kind, |portal| {
        let Way { client, section, .. } = way(&portal.public_base_url);
        let mut oidc = json!({ "issuer": provider.issuer(), "client_id": client_id, "client_secret": SECRET });
        lay_over(&mut oidc, &section);
        portal.provider = Some(json!({ "id": "corp", "name": "Canadialand", "oidc": oidc }));
        registered = json!({
            "client_id": client_id,
            "client_secret": SECRET,
            "redirect_uris": [format!("{}_usher/oidc/corp/callback", portal.public_base_url)],
            "backchannel_logout_uri": format!("{}_usher/oidc/corp/backchannel-logout", portal.public_base_url),
            "backchannel_logout_session_required": true,
        });
        lay_over(&mut registered, &client);
        edit(portal);
    })
    .await?;
    provider.register(&registered).await?;
    Ok(world)
}

fn lay_over(document: &mut Value, patch: &Value) {
    for (name, value) in patch.as_object().into_iter().flatten() {
        if value.is_null() {
            document.as_object_mut().expect("an object").remove(name);
        } else {
            document[name] = value.clone();
        }
    }
}

fn plain(_: &str) -> Way {
    Way { name: "plain", client: json!({}), section: json!({}) }
}

/// Signs in and is somebody at their own homeserver.
async fn lands(world: &World, provider: &OidcProvider, username: &str) -> anyhow::Result<Answer> {
    let landed = world.person(username).sign_in().await?;
    let token = landed.login_token().map_err(|error| error.context(provider.log_tail()))?;
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
fn people_of_three_departments_sign_in_in_every_way_there_is() -> anyhow::Result<()> {
    run(async {
        let provider = oidc_provider().await?;
        for index in 0..ways("").len() {
            let name = ways("")[index].name;
            let kind = Kind::BOTH[index % 2];
            let world = world(kind, |portal| ways(portal).swap_remove(index), |_| {}).await?;
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
        let provider = oidc_provider().await?;
        let world = world(Kind::Sqlite, plain, Portal::share_a_homeserver).await?;
        for username in ["alice", "carol", "erin"] {
            lands(&world, provider, username).await?;
        }
        Ok(())
    })
}

#[test]
fn a_person_who_cancels_is_told_so_and_can_try_again() -> anyhow::Result<()> {
    run(async {
        let world = world(Kind::Sqlite, plain, |_| {}).await?;
        let alice = world.person("alice");
        let page = alice.begin(APP).await?;
        let landed = page.form_with("password")?.press("cancel", "yes").submit(alice.browser()).await?;
        let (status, text) = Landed::from(landed).page();
        assert_eq!(status, StatusCode::FORBIDDEN, "{text}");
        assert!(text.contains("You were not signed in") && !text.contains("cancelled</b>"), "{text}");
        alice.sign_in().await?.login_token()?;
        Ok(())
    })
}

#[test]
fn a_dangerous_request_waits_for_the_password_and_not_for_a_session() -> anyhow::Result<()> {
    run(async {
        let provider = oidc_provider().await?;
        let way = |_: &str| Way {
            name: "UI auth",
            client: json!({ "id_token_signed_response_alg": "ES256" }),
            section: json!({ "response_mode": "form_post" }),
        };
        let world = world(Kind::Postgres, way, Portal::stand_at_host).await?;
        let (host, alice) = (world.host()?, world.person("alice"));
        let phone = App::of(&host, &alice, "Phone").await?;
        let laptop = App::of(&host, &alice, "Laptop").await?;
        let line = format!("DELETE v3/devices/{}", laptop.device);
        let session = phone.is_asked(&line, &json!({})).await?;
        let asked = alice.click(&phone.fallback(&session)).await?;
        ensure!(
            asked.form_with("password").is_ok(),
            "the provider asks for the password again: {}",
            asked.text()
        );
        let confirmed = alice.go_on(asked).await?.into_page();
        ensure!(
            confirmed.text().contains("You have confirmed it"),
            "{} {}",
            confirmed.text(),
            provider.log_tail()
        );
        let done = phone.send(&line, &crate::at_host::auth(&session)).await?;
        assert_eq!(done.status, StatusCode::OK, "{done:?}");
        assert_eq!(world.components().eng.whoami(laptop.access_token()).await?, None, "the laptop is gone");
        // Somebody else's password confirms nothing.
        let tablet = App::of(&host, &alice, "Tablet").await?;
        let line = format!("DELETE v3/devices/{}", tablet.device);
        let session = phone.is_asked(&line, &json!({})).await?;
        world.log_in("bob").await?;
        let bob: Person = world.person("bob");
        let page = bob.confirm(&phone.fallback(&session)).await?;
        ensure!(!page.text().contains("You have confirmed it"), "{}", page.text());
        assert!(world.components().eng.whoami(tablet.access_token()).await?.is_some(), "the tablet is not");
        Ok(())
    })
}

#[test]
fn whoever_has_confirmed_something_can_end_the_session_at_the_provider() -> anyhow::Result<()> {
    run(async {
        let provider = oidc_provider().await?;
        for is_sent_back in [false, true] {
            let way = |portal: &str| Way {
                name: "signing out",
                client: json!({ "post_logout_redirect_uris": [format!("{portal}_usher/signed-out")] }),
                section: json!({}),
            };
            let world = world(Kind::Sqlite, way, |portal| {
                portal.stand_at_host();
                if let (true, Some(provider)) = (is_sent_back, portal.provider.as_mut()) {
                    provider["sign_out"] = json!("offer_and_return");
                }
            })
            .await?;
            let (host, alice) = (world.host()?, world.person("alice"));
            let phone = App::of(&host, &alice, "Phone").await?;
            let session = phone.is_asked("DELETE v3/devices/NONE", &json!({})).await?;
            let confirmed = alice.confirm(&phone.fallback(&session)).await?;
            ensure!(alice.begin(APP).await?.is_handed_over(), "the provider remembers her");

            let link = confirmed.links().into_iter().find(|(label, _)| label == "Sign out at Canadialand");
            let (_, link) = link.with_context(|| confirmed.text())?;
            let page = alice.browser().follow(&confirmed, link).await?;
            ensure!(alice.begin(APP).await?.is_handed_over(), "a look at the page ends nothing");
            let onward = page.form_with("csrf")?.submit(alice.browser()).await?;
            let (_, place) =
                onward.links().into_iter().find(|(label, _)| label == "Continue").context("a way on")?;
            ensure!(place.as_str().starts_with(provider.sign_out_url().as_str()), "{place}");
            let asked = alice.browser().follow(&onward, place).await?;
            ensure!(alice.begin(APP).await?.is_handed_over(), "the provider asks before it ends anything");
            let done = asked.form_with("logout")?.submit(alice.browser()).await?;
            let is_back = done.url().path() == "/_usher/signed-out" && done.text().contains("You are back");
            assert_eq!(is_back, is_sent_back, "{} {}", done.url(), done.text());

            let anew = alice.begin(APP).await?;
            ensure!(anew.form_with("password").is_ok(), "the provider has forgotten her: {}", anew.text());
            let synapse = &world.components().eng;
            let ended = async {
                while synapse.whoami(phone.access_token()).await?.is_some() {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                anyhow::Ok(())
            };
            tokio::time::timeout(PATIENCE, ended)
                .await
                .context("the provider says so, and her session ends")??;
        }
        Ok(())
    })
}

#[test]
fn whoever_signs_out_at_the_provider_is_signed_out_at_the_homeserver() -> anyhow::Result<()> {
    run(async {
        let provider = oidc_provider().await?;
        for kind in Kind::BOTH {
            let world = world(kind, plain, |_| {}).await?;
            let synapse = &world.components().eng;
            let elsewhere = lands(&world, provider, "alice").await?;
            let person = world.person("alice");
            let session = world.client.redeem(&person.sign_in().await?.login_token()?).await?.expect_ok()?;
            let access_token = session.field("access_token")?;
            ensure!(synapse.whoami(access_token).await?.is_some(), "the session is good");

            let page = person.browser().open(provider.sign_out_url()).await?;
            page.form_with("logout")?.submit(person.browser()).await?;
            let ended = async {
                while synapse.whoami(access_token).await?.is_some() {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                anyhow::Ok(())
            };
            let outcome = tokio::time::timeout(PATIENCE, ended).await;
            ensure!(outcome.is_ok(), "the session goes on: {} {}", provider.log_tail(), world.usher.log()?);
            outcome??;
            let other = synapse.whoami(elsewhere.field("access_token")?).await?;
            ensure!(other.is_some(), "her session in another browser goes on");
        }
        Ok(())
    })
}
