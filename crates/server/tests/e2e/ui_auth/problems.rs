//! What can be in the way of a request, said on pages that are for everybody.

use serde_json::json;
use usher_lab::real::{
    Progress,
    axe::Axe,
    install::{self, Component},
};

use super::pages::{DELETE, LANGUAGES, Scene};
use crate::{
    at_host::{auth, is_complete},
    browser::audit::audit,
    components::{axe, run},
    scripted::engineer,
};

#[test]
fn whatever_is_in_the_way_is_said_to_everybody() -> anyhow::Result<()> {
    run(async {
        let axe = axe().await?;
        let mut scene = Scene::set(|_| {}).await?;
        let portal = scene.stage.config.public_base_url();
        let fallback = scene.asked(DELETE, &json!({})).await?;
        let stage = format!("{portal}_matrix/client/v3/auth/m.login.nothing/fallback/web?session=x");
        for (name, url, headings) in [
            (
                "unknown",
                scene.phone.fallback("ushu_nobody"),
                ["There is nothing to confirm here", "Il n’y a rien à confirmer ici"],
            ),
            ("stage", stage, ["There is no such step here", "Cette étape n’existe pas ici"]),
        ] {
            for (language, heading) in LANGUAGES.into_iter().zip(headings) {
                scene.opens(&url, language).await?;
                scene.visitor.sees(heading).await?;
                audit(&scene.visitor, &axe, name, language).await?;
            }
        }

        // The provider that she is known at is none of the config's any more.
        scene.stage.database.execute("UPDATE links SET provider = 'ghost'").await?;
        let headings = ["You cannot confirm this here", "Vous ne pouvez pas confirmer cela ici"];
        for (language, heading) in LANGUAGES.into_iter().zip(headings) {
            scene.opens(&fallback, language).await?;
            scene.visitor.sees(heading).await?;
            audit(&scene.visitor, &axe, "no-provider", language).await?;
        }
        scene.stage.database.execute("UPDATE links SET provider = 'corp'").await?;

        // Whoever sits there is somebody else.
        scene.stage.enter(&engineer("bob", "Bob Böhm"));
        scene.stage.sign_in().await?.login_token()?;
        let headings = ["Somebody else is signed in", "Quelqu’un d’autre utilise cette connexion"];
        for (language, heading) in LANGUAGES.into_iter().zip(headings) {
            scene.opens(&fallback, language).await?;
            scene.visitor.window.click("button.act").await?;
            scene.visitor.sees(heading).await?;
            audit(&scene.visitor, &axe, "another-person", language).await?;
        }
        scene.stage.enter(&engineer("alice", "Alice Liddell"));

        // A browser that keeps no cookies.
        let headings = ["This form cannot be used", "Ce formulaire ne peut pas être utilisé"];
        for (language, heading) in LANGUAGES.into_iter().zip(headings) {
            scene.opens(&fallback, language).await?;
            scene.visitor.window.devtools("Network.clearBrowserCookies", json!({})).await?;
            scene.visitor.window.click("button.act").await?;
            scene.visitor.sees(heading).await?;
            audit(&scene.visitor, &axe, "form", language).await?;
        }
        scene.visitor.window.click("a.act").await?;
        scene.visitor.sees("Déconnecter un appareil\u{202f}?").await?;

        is_too_late(&scene, &axe).await?;
        is_expired(&mut scene, &axe).await
    })
}

/// It is done while the question is open.
async fn is_too_late(scene: &Scene, axe: &Axe) -> anyhow::Result<()> {
    let headings = [
        ["It is too late to stop this", "This was confirmed already"],
        ["Il est trop tard pour arrêter cela", "C’est déjà confirmé"],
    ];
    for (language, [too_late, confirmed]) in LANGUAGES.into_iter().zip(headings) {
        let session = scene.phone.is_asked(DELETE, &json!({})).await?;
        let fallback = scene.phone.fallback(&session);
        scene.opens(&fallback, language).await?;
        let question = scene.visitor.window.url().await?;
        is_complete(&scene.stage.person().confirm(&fallback).await?)?;
        scene.phone.send(DELETE, &auth(&session)).await?.expect_ok()?;
        scene.visitor.window.click("button.refuse").await?;
        scene.visitor.sees(too_late).await?;
        audit(&scene.visitor, axe, "too-late", language).await?;
        scene.visitor.window.open(question.as_str()).await?;
        scene.visitor.sees(confirmed).await?;
        audit(&scene.visitor, axe, "spent", language).await?;
    }
    Ok(())
}

/// The button is pressed when the time is over.
async fn is_expired(scene: &mut Scene, axe: &Axe) -> anyhow::Result<()> {
    install::ensure(&[Component::FakeTime], &Progress::printing()).await?;
    let session = scene.phone.is_asked(DELETE, &json!({})).await?;
    let fallback = scene.phone.fallback(&session);
    scene.opens(&fallback, "en").await?;
    scene.visitor.sees("Sign a device out?").await?;
    scene.stage.usher.stop().await?;
    scene.stage.usher.start_again_ahead(11 * 60).await?;
    scene.visitor.window.click("button.act").await?;
    scene.visitor.sees("This took too long").await?;
    audit(&scene.visitor, axe, "expired", "en").await?;
    // At the homeserver's host too, and to the app.
    scene.opens(&fallback, "fr").await?;
    scene.visitor.sees("Cela a pris trop de temps").await?;
    audit(&scene.visitor, axe, "expired", "fr").await?;
    let late = scene.phone.send(DELETE, &auth(&session)).await?;
    assert_eq!((late.status.as_u16(), late.errcode()), (400, "M_UNKNOWN"), "{late:?}");
    Ok(())
}
