//! The pages of a request, looked at from all sides: see [`crate::browser::audit`]. Those about what is in the way are in
//! `problems`.

use std::time::Duration;

use serde_json::{Value, json};
use usher_lab::{
    cross_signing::keys,
    real::chromium::Look,
    scripted::{
        Reply, ScriptedServer,
        homeserver::{Endpoint, Fault},
    },
};

use crate::{
    at_host::{App, is_complete},
    browser::{audit::audit, pages::pages, visitor::Visitor},
    client::Client,
    components::{axe, run},
    config::Portal,
    database::Kind,
    scripted::{ALICE, Stage},
};

const TIMEOUT: Duration = Duration::from_secs(5);
/// What is looked at in English and in French.
pub(super) const LANGUAGES: [&str; 2] = ["en", "fr"];
pub(super) const DELETE: &str = "DELETE v3/devices/LAPTOP";
const UPLOAD: &str = "POST v3/keys/device_signing/upload";

/// What may be stopped still, in both.
const CONFIRMED: [&str; 2] = ["Stop what you have confirmed?", "Arrêter ce que vous avez confirmé\u{202f}?"];

/// Devices with names as people give them, and as nobody should.
const DEVICES: [(&str, Option<&str>, &str); 5] = [
    (
        "LAPTOP",
        Some("Alice’s laptop in the laboratory of communications engineering, second floor"),
        "2001:db8:85a3:8d3:1319:8a2e:370:7348",
    ),
    ("TABLET", Some("لوح أليس"), "192.0.2.7"),
    ("AVERYLONGDEVICEIDTHATNOBODYHASEVERSEENANYWHERE", None, "192.0.2.8"),
    ("WATCH", Some("Rindfleischetikettierungsüberwachungsaufgabenübertragungsgesetz"), "192.0.2.9"),
    ("EVIL", Some("<b>Your bank</b><script>alert(1)</script>"), "192.0.2.10"),
];

/// Alice, her telephone, and a browser.
pub(super) struct Scene {
    pub(super) stage: Stage,
    pub(super) phone: App,
    pub(super) visitor: Visitor,
}

impl Scene {
    pub(super) async fn set(edit: impl FnOnce(&mut Portal)) -> anyhow::Result<Self> {
        let stage = Stage::set_with(Kind::Sqlite, TIMEOUT, |portal| {
            portal.stand_at_host();
            portal.pages = pages();
            edit(portal);
        })
        .await?;
        let host = Client::at(&stage.config.host_url())?;
        let phone = App::of(&host, &stage.person(), "Alice’s telephone").await?;
        for (device, name, address) in DEVICES {
            let _ = stage.homeserver.open_session(ALICE, device, name);
            stage.homeserver.set_last_seen(ALICE, device, 1_800_000_000_000, address);
        }
        let visitor = Visitor::at_both(&stage.config.public_base_url(), host.base()).await?;
        Ok(Self { stage, phone, visitor })
    }

    pub(super) async fn asked(&self, line: &str, body: &Value) -> anyhow::Result<String> {
        Ok(self.phone.fallback(&self.phone.is_asked(line, body).await?))
    }

    /// Opens an address in a language.
    pub(super) async fn opens(&self, url: &str, language: &'static str) -> anyhow::Result<()> {
        self.visitor.window.look(Look { language, ..Look::DESKTOP }).await?;
        self.visitor.window.open(url).await
    }
}

#[test]
fn what_is_asked_is_asked_of_everybody() -> anyhow::Result<()> {
    run(async {
        let axe = axe().await?;
        // A sign-in page that never comes: the browser stays where it is.
        let silent = ScriptedServer::start(|_| std::future::ready(Reply::new(204, "text/html", ""))).await?;
        let scene = Scene::set(|portal| {
            let more =
                |id: &str, name: &str| json!({ "id": id, "name": name, "cas": { "base_url": silent.url() } });
            portal.more_providers = vec![
                more(
                    "health",
                    "Hôpital universitaire – Universitätsklinikum – University Hospital of Canadialand",
                ),
                more("guests", "Rindfleischetikettierungsüberwachungsaufgabenübertragungsgesetz"),
            ];
        })
        .await?;
        let [first, second] = [1, 2].map(|seed| Value::Object(keys(ALICE, seed)));
        scene.phone.send(UPLOAD, &first).await?.expect_ok()?;
        let several: Vec<_> = DEVICES.iter().map(|(device, ..)| *device).collect();
        let many: Vec<_> = (0..60).map(|number| format!("DEVICE{number}")).collect();
        let credentials = json!({ "client_secret": "c", "sid": "1" });
        let delete_several = "POST v3/delete_devices";
        for (name, line, body, headings) in [
            ("delete-device", DELETE, json!({}), ["Sign a device out?", "Déconnecter un appareil\u{202f}?"]),
            (
                "delete-devices",
                delete_several,
                json!({ "devices": several }),
                ["Sign devices out?", "Déconnecter des appareils\u{202f}?"],
            ),
            (
                "delete-many-devices",
                delete_several,
                json!({ "devices": many }),
                ["Sign devices out?", "Déconnecter des appareils\u{202f}?"],
            ),
            (
                "cross-signing",
                UPLOAD,
                second,
                ["Reset your digital identity?", "Réinitialiser votre identité numérique\u{202f}?"],
            ),
            (
                "add-threepid",
                "POST v3/account/3pid/add",
                credentials,
                ["Add an address to your account?", "Ajouter une adresse à votre compte\u{202f}?"],
            ),
            (
                "deactivate",
                "POST v3/account/deactivate",
                json!({}),
                ["Delete your account for good?", "Supprimer votre compte pour toujours\u{202f}?"],
            ),
            (
                "login-token",
                "POST v1/login/get_token",
                json!({}),
                ["Sign another app in?", "Connecter une autre application\u{202f}?"],
            ),
        ] {
            let fallback = scene.asked(line, &body).await?;
            for (language, heading) in LANGUAGES.into_iter().zip(headings) {
                scene.opens(&fallback, language).await?;
                scene.visitor.sees(heading).await?;
                audit(&scene.visitor, &axe, &format!("ask-{name}"), language).await?;
            }
        }
        // She is known at other providers too, and one of them leads nowhere.
        for provider in ["health", "guests"] {
            let sql = format!(
                "INSERT INTO links (provider, issuer, subject, server_name, mxid, created_at)
                 SELECT '{provider}', issuer, subject, server_name, mxid, created_at FROM links WHERE provider = 'corp'"
            );
            scene.stage.database.execute(sqlx::AssertSqlSafe(sql)).await?;
        }
        let fallback = scene.asked(DELETE, &json!({})).await?;
        for (language, headings) in LANGUAGES.into_iter().zip([
            ["Sign a device out?", "On to your sign-in page"],
            ["Déconnecter un appareil\u{202f}?", "Vers votre page de connexion"],
        ]) {
            scene.opens(&fallback, language).await?;
            scene.visitor.sees(headings[0]).await?;
            audit(&scene.visitor, &axe, "ask-at-several", language).await?;
            scene.visitor.window.click("button[value=health]").await?;
            scene.visitor.sees(headings[1]).await?;
            audit(&scene.visitor, &axe, "onward", language).await?;
        }
        Ok(())
    })
}

#[test]
fn how_it_ends_is_said_to_everybody() -> anyhow::Result<()> {
    run(async {
        let axe = axe().await?;
        let scene = Scene::set(|_| {}).await?;
        let (stage, visitor) = (&scene.stage, &scene.visitor);
        let confirmed = scene.asked(DELETE, &json!({})).await?;
        is_complete(&stage.person().confirm(&confirmed).await?)?;
        for (language, heading) in LANGUAGES.into_iter().zip(["Thank you", "Merci"]) {
            scene.opens(&confirmed, language).await?;
            visitor.sees(heading).await?;
            audit(visitor, &axe, "complete", language).await?;
            visitor.window.click("main a").await?;
            visitor.sees(CONFIRMED[usize::from(language != "en")]).await?;
            audit(visitor, &axe, "confirmed", language).await?;
        }
        for (name, fault) in [("will-be-signed-out", Some(Fault::server_error())), ("signed-out", None)] {
            stage.homeserver.clear_fault(Endpoint::DeleteDevices);
            if let Some(fault) = fault {
                stage.homeserver.set_fault(Endpoint::DeleteDevices, fault);
            }
            let headings = [
                ["The request was stopped", "This request was stopped"],
                ["La demande est arrêtée", "Cette demande a été arrêtée"],
            ];
            for (language, [stopped, was_stopped]) in LANGUAGES.into_iter().zip(headings) {
                let app = App::of(&Client::at(&stage.config.host_url())?, &stage.person(), "Another").await?;
                let fallback = app.fallback(&app.is_asked(DELETE, &json!({})).await?);
                scene.opens(&fallback, language).await?;
                let question = visitor.window.url().await?;
                visitor.window.click("button.refuse").await?;
                visitor.sees(stopped).await?;
                audit(visitor, &axe, &format!("stopped-{name}"), language).await?;
                if name == "signed-out" {
                    visitor.window.open(question.as_str()).await?;
                    visitor.sees(was_stopped).await?;
                    audit(visitor, &axe, "denied", language).await?;
                }
            }
        }
        Ok(())
    })
}
