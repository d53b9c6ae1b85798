//! A real homeserver is told where a person is, and not where Usher is.

use reqwest::{Method, StatusCode};
use serde_json::json;
use usher_lab::browser::loopback_client;

use crate::{
    components::{eventually, run},
    database::Kind,
    world::World,
};

/// An address for documentation (RFC 5737), which nothing else in these tests has.
const HOME: &str = "203.0.113.77";
/// Likewise: what somebody claims who would like to be elsewhere.
const CLAIM: &str = "198.51.100.77";

#[test]
fn synapse_sees_the_address_of_whoever_logs_in() -> anyhow::Result<()> {
    run(async {
        let world =
            World::start_with(Kind::Sqlite, |config| config.trusted_proxies = vec!["127.0.0.1".to_owned()])
                .await?;
        let token = world.sign_in("alice").await?.login_token()?;
        let url = world.config.public_base_url().join("_matrix/client/v3/login")?;
        let answer = loopback_client(std::time::Duration::from_mins(1))?
            .request(Method::POST, url)
            .header("x-forwarded-for", format!("{CLAIM}, {HOME}"))
            .body(json!({ "type": "m.login.token", "token": token }).to_string())
            .send()
            .await?;
        assert_eq!(answer.status(), StatusCode::OK);
        let synapse = &world.components().eng;
        // Its access log begins with the address it takes the request to come from.
        let line = eventually("Synapse has logged the login", async || {
            let log = synapse.log()?;
            let line = log.lines().find(|line| line.contains(HOME) || line.contains(CLAIM));
            Ok(line.map(str::to_owned))
        })
        .await?;
        assert!(line.contains(&format!("{HOME} - ")) && line.contains("/_matrix/client/v3/login"), "{line}");
        assert!(!synapse.log()?.contains(CLAIM), "the leftmost address counts there, and there is one");
        Ok(())
    })
}
