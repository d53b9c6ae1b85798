//! What Usher and an identity provider tell each other of themselves: our metadata before there is any of theirs, and theirs
//! when it comes late.

use std::{
    io::Write as _,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context as _, ensure};
use reqwest::StatusCode;
use serde_json::json;
use tempfile::NamedTempFile;
use usher_lab::{
    scripted::{Reply, ScriptedServer},
    usher::Usher,
};

use crate::{
    components::{eventually, run, saml_keys, simplesamlphp},
    config::{APP, Portal},
    database::Kind,
    saml::metadata_of,
    world::{BINARY, World, unique},
};

/// What `usher saml metadata` prints.
fn printed(config: &Portal) -> anyhow::Result<String> {
    let directory = tempfile::tempdir()?;
    std::fs::write(directory.path().join("usher.yaml"), config.to_yaml().to_string())?;
    let output = Usher::run(Path::new(BINARY), directory.path(), &["saml", "metadata"])?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).context("metadata is UTF-8")
}

/// The certificate of what signs this metadata, as a file.
fn certificate_in(metadata: &str) -> anyhow::Result<NamedTempFile> {
    let found = metadata.split_once("X509Certificate>").and_then(|(_, rest)| rest.split_once("</"));
    let base64: String = found.context("there is no certificate")?.0.split_whitespace().collect();
    let mut file = NamedTempFile::new()?;
    writeln!(file, "-----BEGIN CERTIFICATE-----\n{base64}\n-----END CERTIFICATE-----")?;
    Ok(file)
}

#[test]
fn an_identity_provider_whose_metadata_comes_late_keeps_only_its_own_people_waiting() -> anyhow::Result<()> {
    run(async {
        let provider = simplesamlphp().await?;
        let said = Arc::new(Mutex::new(Reply::Cut));
        let answer = Arc::clone(&said);
        let place = ScriptedServer::start(move |_| {
            std::future::ready(answer.lock().unwrap_or_else(PoisonError::into_inner).clone())
        })
        .await?;
        let theirs = provider.metadata().await?;
        let certificate = certificate_in(&theirs)?;
        let keys = saml_keys()?;
        let world = World::start_with(Kind::Sqlite, |portal| {
            let saml = json!({
                "metadata_url": place.url(),
                "idp": provider.entity_id(),
                "metadata_certificate_file": certificate.path(),
                "subject": "uid",
                "keys": [keys],
            });
            portal.provider = Some(json!({ "id": "corp", "name": "Canadialand", "saml": saml }));
            let cas = json!({ "base_url": portal.cas_base_url });
            portal.more_providers.push(json!({ "id": "other", "name": "Elsewhere", "cas": cas }));
        })
        .await?;
        // For the identity provider's operator, who has to know us first.
        let ours = printed(&world.config)?;
        assert_eq!(ours, metadata_of(&world, "corp").await?, "printed and served");
        provider.register(&unique("usher-"), &ours, &json!({}))?;

        let alice = world.person("alice");
        let (status, text) = alice.sign_in().await?.page();
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{text}");
        assert!(text.contains("The sign-in page cannot be reached"), "{text}");
        let bob = world.person("bob");
        let elsewhere = bob.login_url("v3", APP).replace("/redirect/corp?", "/redirect/other?");
        let landed = bob.go_on(bob.browser().open(&elsewhere).await?).await?;
        let session = world.client.redeem(&landed.login_token()?).await?.expect_ok()?;
        assert_eq!(session.field("user_id")?, world.eng("bob"));

        *said.lock().unwrap_or_else(PoisonError::into_inner) =
            Reply::new(200, "application/samlmetadata+xml", theirs);
        let token = eventually("the metadata is fetched and Alice signs in", async || {
            Ok(alice.sign_in().await?.login_token().ok())
        });
        let session = world.client.redeem(&token.await?).await?.expect_ok()?;
        assert_eq!(session.field("user_id")?, world.eng("alice"));
        assert_eq!(ours, metadata_of(&world, "corp").await?, "nothing of ours depends on theirs");
        Ok(())
    })
}
