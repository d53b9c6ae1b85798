//! Somebody logs out at a real CAS server: their session at a real homeserver ends, and that of another browser does not.

use std::time::Duration;

use anyhow::ensure;

use crate::{components::run, database::Kind, world::World};

const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn a_logout_at_the_single_sign_on_ends_the_session_at_the_homeserver() -> anyhow::Result<()> {
    run(async {
        for kind in Kind::BOTH {
            let world = World::start(kind).await?;
            let synapse = &world.components().eng;
            let elsewhere = world.log_in("alice").await?;
            let person = world.person("alice");
            let token = person.sign_in().await?.login_token()?;
            let session = world.client.redeem(&token).await?.expect_ok()?;
            let access_token = session.field("access_token")?;
            ensure!(synapse.whoami(access_token).await?.is_some(), "the session is good");

            let cas = world.components().cas.base_url().to_string();
            let page = person.browser().open(format!("{}/logout", cas.trim_end_matches('/'))).await?;
            ensure!(page.status().is_success(), "{page:?} says {}", page.text());
            let ended = async {
                while synapse.whoami(access_token).await?.is_some() {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                anyhow::Ok(())
            };
            tokio::time::timeout(PATIENCE, ended).await??;
            let other = synapse.whoami(elsewhere.field("access_token")?).await?;
            ensure!(
                other.is_some(),
                "another session of hers, of another session at the CAS server, goes on"
            );
        }
        Ok(())
    })
}
