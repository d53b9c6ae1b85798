//! Every page a person can meet, looked at from all sides: see [`super::audit`]. Each is brought about by what brings
//! it about for people.

use std::time::Duration;

use serde_json::{Value, json};
use usher_lab::{
    real::chromium::Look,
    real::{
        Progress,
        install::{self, Component},
    },
    scripted::cas::CasFault,
};

use super::{audit::audit, visitor::Visitor};
use crate::{
    components::{axe, run},
    config::Portal,
    database::Kind,
    scripted::{Stage, engineer},
    world::World,
};

/// A site whose name is as long as names get.
const LONG_SITE: &str = "https://a-client-with-a-very-long-name-indeed.communications.faculty-of-engineering.canadialand.example/";
const APP: &str = "im.fluffychat://login";

/// What the organisation says of itself.
pub(crate) fn pages() -> Value {
    json!({
        "organisation": "Canadialand University",
        "help_url": "https://help.ac.cdl/matrix",
        "help_text": "Service Desk",
    })
}

fn with_several_providers(portal: &mut Portal) {
    let more =
        |id: &str, name: &str| json!({ "id": id, "name": name, "cas": { "base_url": portal.cas_base_url } });
    portal.more_providers = vec![
        more("health", "Hôpital universitaire – Universitätsklinikum – University Hospital of Canadialand"),
        more("guests", "Rindfleischetikettierungsüberwachungsaufgabenübertragungsgesetz"),
    ];
    portal.pages = pages();
}

/// Where a page is, and its heading in English and French.
struct Address {
    name: &'static str,
    path: String,
    headings: [&'static str; 2],
}

#[test]
fn pages_that_an_address_leads_to_are_for_everybody() -> anyhow::Result<()> {
    run(async {
        let axe = axe().await?;
        let world = World::start_with(Kind::Sqlite, with_several_providers).await?;
        let visitor = Visitor::at(&world.config.public_base_url()).await?;
        let redirect = "_matrix/client/v3/login/sso/redirect";
        for Address { name, path, headings } in [
            Address {
                name: "picker",
                path: format!("{redirect}?redirectUrl={LONG_SITE}"),
                headings: ["Sign in", "Connexion"],
            },
            Address {
                name: "not-found",
                path: String::new(),
                headings: ["There is nothing here", "Il n’y a rien ici"],
            },
            Address {
                name: "redirect-url",
                path: format!("{redirect}/corp?redirectUrl=javascript:alert(1)"),
                headings: [
                    "The app gave an address that cannot be used",
                    "L’application a donné une adresse inutilisable",
                ],
            },
            Address {
                name: "unknown-provider",
                path: format!("{redirect}/ghost?redirectUrl={LONG_SITE}"),
                headings: ["There is no such sign-in", "Ce moyen de connexion n’existe pas"],
            },
            Address {
                name: "unknown-attempt",
                path: format!("_usher/cas/corp/callback/{}?ticket=ST-1", "A".repeat(22)),
                headings: ["This sign-in cannot be continued", "Cette connexion ne peut pas continuer"],
            },
        ] {
            for (language, heading) in ["en", "fr"].into_iter().zip(headings) {
                visitor.window.look(Look { language, ..Look::DESKTOP }).await?;
                visitor.window.open(&format!("{}{path}", world.config.public_base_url)).await?;
                visitor.sees(heading).await?;
                audit(&visitor, &axe, name, language).await?;
            }
        }
        Ok(())
    })
}

#[test]
fn pages_on_the_way_are_for_everybody() -> anyhow::Result<()> {
    run(async {
        let axe = axe().await?;
        let mut world = World::start_with(Kind::Sqlite, |portal| portal.pages = pages()).await?;
        let cas = &world.components().cas;
        let visitor = Visitor::at(&world.config.public_base_url()).await?;
        visitor.begin(LONG_SITE).await?;
        visitor.window.screenshot("cas-form").await?;
        visitor.sign_in_at_cas(cas.person("alice")).await?;
        for (name, redirect_url, headings) in [
            ("confirm-site", LONG_SITE, ["Continue to this site?", "Continuer vers ce site\u{202f}?"]),
            ("confirm-app", APP, ["Continue to this app?", "Continuer vers cette application\u{202f}?"]),
        ] {
            for (language, heading) in ["en", "fr"].into_iter().zip(headings) {
                visitor.window.look(Look { language, ..Look::DESKTOP }).await?;
                visitor.begin(redirect_url).await?;
                visitor.sees(heading).await?;
                audit(&visitor, &axe, name, language).await?;
            }
        }
        visitor.window.look(Look::DESKTOP).await?;

        // The button is pressed when the time is over.
        install::ensure(&[Component::FakeTime], &Progress::printing()).await?;
        visitor.begin(LONG_SITE).await?;
        visitor.sees("Continue to this site?").await?;
        world.usher.stop().await?;
        world.usher.start_again_ahead(16 * 60).await?;
        visitor.window.click("button").await?;
        visitor.sees("This took too long").await?;
        audit(&visitor, &axe, "expired", "en").await?;
        assert_eq!(world.database.login_tokens().await?, Vec::<String>::new());

        // Erin's department has no homeserver.
        let erin = Visitor::at(&world.config.public_base_url()).await?;
        erin.begin(LONG_SITE).await?;
        erin.sign_in_at_cas(cas.person("erin")).await?;
        erin.sees("No homeserver for you yet").await?;
        audit(&erin, &axe, "no-homeserver", "en").await?;
        Ok(())
    })
}

#[test]
fn pages_about_what_is_away_are_for_everybody_and_say_what_to_do() -> anyhow::Result<()> {
    run(async {
        let axe = axe().await?;
        let stage =
            Stage::set_with(Kind::Sqlite, Duration::from_secs(5), |portal| portal.pages = pages()).await?;
        let visitor = Visitor::at(&stage.config.public_base_url()).await?;
        // (name, what the CAS server does, the page in English and in French)
        for (name, fault, headings) in [
            (
                "unverified",
                CasFault::CommentInUser,
                ["The sign-in could not be verified", "La connexion n’a pas pu être vérifiée"],
            ),
            (
                "provider-internal",
                CasFault::Failure("INVALID_REQUEST".to_owned()),
                ["The sign-in service does not accept us", "Le service de connexion ne nous accepte pas"],
            ),
            (
                "provider-unavailable",
                CasFault::Html,
                ["The sign-in page cannot be reached", "La page de connexion est injoignable"],
            ),
        ] {
            stage.cas.script().set_fault(Some(fault));
            for (language, heading) in ["en", "fr"].into_iter().zip(headings) {
                visitor.window.look(Look { language, ..Look::DESKTOP }).await?;
                visitor.begin(LONG_SITE).await?;
                visitor.sees(heading).await?;
                audit(&visitor, &axe, name, language).await?;
            }
        }
        stage.cas.script().set_fault(None);
        // The page's own link is the next step, and it works.
        visitor.window.look(Look::DESKTOP).await?;
        visitor.window.click("a.act").await?;
        visitor.sees("Continue to this site?").await?;

        stage.homeserver.stop().await?;
        stage.enter(&engineer("newcomer", "New Comer"));
        visitor.begin(LONG_SITE).await?;
        visitor.sees("Your homeserver cannot be reached").await?;
        audit(&visitor, &axe, "homeserver-unavailable", "en").await?;
        stage.homeserver.restart().await?;
        visitor.window.click("a.act").await?;
        visitor.sees("Continue to this site?").await?;
        Ok(())
    })
}
