//! Looks at one page in every way people look at it.

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use usher_lab::real::{axe::Axe, chromium::Look};

use super::visitor::Visitor;

/// What a page is like at the moment: the width it needs, what it is missing, and what is too small to touch.
const MEASURE: &str = "
const small = [...document.querySelectorAll('a, button')].filter((one) => {
  const box = one.getBoundingClientRect();
  return box.height < 44 || box.width < 44;
});
return {
  width: document.documentElement.scrollWidth,
  small: small.map((one) => one.textContent.trim()),
  // The sheet may be another host's, whose rules scripts cannot count.
  styled: document.styleSheets.length === 1 && getComputedStyle(document.body).display === 'grid',
};";
const LARGE: &str = "document.documentElement.style.fontSize = '200%'";
const ORDINARY: &str = "document.documentElement.style.fontSize = ''";

/// Audits the page that is shown, in light and in dark, on a desktop and on a small telephone, with ordinary and with
/// large letters, and leaves pictures called after `name`.
pub(crate) async fn audit(
    visitor: &Visitor,
    axe: &Axe,
    name: &str,
    language: &'static str,
) -> anyhow::Result<()> {
    let audited = look_at(visitor, axe, name, language).await;
    visitor.window.look(Look { language, ..Look::DESKTOP }).await?;
    audited.with_context(|| format!("the page {name} in {language}"))
}

async fn look_at(visitor: &Visitor, axe: &Axe, name: &str, language: &'static str) -> anyhow::Result<()> {
    let window = &visitor.window;
    let lang = window.run("return document.documentElement.lang").await?;
    ensure!(lang == language, "the page is in {lang}");
    visitor.nothing_is_wrong().await?;
    let desktop = Look { language, ..Look::DESKTOP };
    let phone = Look { language, ..Look::PHONE };
    for (kind, look) in [
        ("desktop-light", desktop),
        ("desktop-dark", Look { is_dark: true, wants_no_motion: true, ..desktop }),
        ("phone-light", phone),
        ("phone-dark", Look { is_dark: true, ..phone }),
    ] {
        window.look(look).await?;
        window.screenshot(&format!("{name}-{language}-{kind}")).await?;
        // Colours are the same on both; what else the rules look at differs by nothing but size.
        if !look.is_phone {
            let violations = axe.violations(window).await?;
            ensure!(violations.is_empty(), "{kind}: {violations:#?}");
        }
        fits(&window.run(MEASURE).await?, look.width).context(kind)?;
    }
    window.look(phone).await?;
    window.run(LARGE).await?;
    window.screenshot(&format!("{name}-{language}-phone-large")).await?;
    let large = window.run(MEASURE).await?;
    window.run(ORDINARY).await?;
    fits(&large, phone.width).context("with letters of twice the size")?;
    visitor.nothing_is_wrong().await
}

fn fits(measured: &Value, width: u32) -> anyhow::Result<()> {
    ensure!(measured["styled"] == json!(true), "the style sheet did not load");
    let needed = measured["width"].as_u64().context("a width")?;
    ensure!(needed <= u64::from(width), "the page is {needed} wide, the screen {width}");
    ensure!(measured["small"] == json!([]), "too small to touch: {}", measured["small"]);
    Ok(())
}
