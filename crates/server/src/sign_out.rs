//! A person ends the session that their browser has at a provider. Usher only shows them there: what ended, the provider says
//! itself, to everybody who is to know (`logout`).

use std::net::IpAddr;

use url::Url;
use usher_core::{
    Ctx, ProviderError, ProviderId,
    provider::{BrowserStep, SignOut, WayOut},
};

use crate::{
    app::{App, ConfiguredProvider},
    attempt::{Jar, Occasion, SetCookie, keep_keepsake, open_keepsake},
    config::SignOutOffer,
    limits::Limited,
    pages::{Locale, SignOutLink},
};

/// Where the page is: a link to it does nothing.
const PATH: &str = "/_usher/sign-out/";
/// Where a provider may send people back to.
pub(crate) const DONE_PATH: &str = "/_usher/signed-out";

/// Why nobody is shown out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignOutError {
    /// There is no such provider, it has no place for that, or the operator does not want it.
    #[error("nobody signs out at this provider from here")]
    NotOffered,
    /// The form is not the page's.
    #[error("the form does not carry the page's token")]
    Csrf,
    /// The address comes too often.
    #[error("the address is limited")]
    Limited(#[from] Limited),
    /// The provider does not say where.
    #[error("the provider does not say where people sign out")]
    Provider(#[source] ProviderError),
}

/// The page's path.
pub(crate) fn page_path(provider: &ProviderId) -> String {
    format!("{PATH}{provider}")
}

/// The provider, if its people are offered to sign out there.
pub(crate) fn offered<'a>(app: &'a App, provider: &ProviderId) -> Option<&'a ConfiguredProvider> {
    app.providers.get(provider).filter(|configured| {
        configured.sign_out != SignOutOffer::Never && configured.provider.offers_sign_out()
    })
}

/// The link to the page, at the portal's own host, if it is offered.
pub(crate) fn link(app: &App, provider: &ProviderId) -> Option<SignOutLink> {
    let configured = offered(app, provider)?;
    let portal = app.config.public_base_url.as_str().trim_end_matches('/');
    Some(SignOutLink {
        provider: configured.provider.descriptor().name.clone(),
        href: format!("{portal}{}", page_path(provider)),
    })
}

/// The page of a provider.
pub(crate) fn view<'a>(
    app: &'a App,
    provider: &ProviderId,
    client: IpAddr,
) -> Result<&'a ConfiguredProvider, SignOutError> {
    app.limits.redirect(client)?;
    offered(app, provider).ok_or(SignOutError::NotOffered)
}

/// The person has clicked: where their browser goes.
pub(crate) async fn click(
    app: &App,
    provider: &ProviderId,
    client: IpAddr,
    locale: Locale,
    jar: &Jar,
) -> Result<(BrowserStep, Option<SetCookie>), SignOutError> {
    app.limits.click(client)?;
    let configured = offered(app, provider).ok_or(SignOutError::NotOffered)?;
    let back = (configured.sign_out == SignOutOffer::OfferAndReturn).then(|| return_to(app));
    let keepsake = open_keepsake(app, jar, provider, Occasion::Session);
    let wish = SignOut { return_to: back.as_ref(), locale: locale.code(), keepsake: keepsake.as_ref() };
    let ctx = Ctx { now: app.clock.now(), skew: configured.skew, entropy: &*app.entropy };
    let way = configured.provider.sign_out(&ctx, &wish).await.map_err(SignOutError::Provider)?;
    let WayOut { step, awaited } = way.ok_or(SignOutError::NotOffered)?;
    Ok((step, awaited.map(|awaited| keep_keepsake(app, provider, Occasion::Departure, &awaited))))
}

/// Without a query: providers compare it to the letter.
fn return_to(app: &App) -> Url {
    let mut url = app.config.public_base_url.clone();
    url.set_path(DONE_PATH);
    url
}
