//! What a provider has a browser keep, sealed, that has signed in there: what it takes to sign out again, and, while it is on its way to
//! do so, what the answer is held against. Each provider has one of each in a browser, the last one.

use usher_core::{ProviderId, provider::Keepsake};

use super::{Jar, SetCookie};
use crate::app::App;

/// What it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// To sign out.
    Session,
    /// To be back from signing out.
    Departure,
}

/// The cookie that keeps it.
pub(crate) fn keep(app: &App, provider: &ProviderId, occasion: Occasion, keepsake: &Keepsake) -> SetCookie {
    let sealed = app.keyring.seal(keepsake.as_str().as_bytes(), &context(provider, occasion), &*app.entropy);
    SetCookie::Keepsake(provider.clone(), occasion, Some(sealed))
}

/// The cookie that is there no longer.
pub(crate) fn forget(provider: &ProviderId, occasion: Occasion) -> SetCookie {
    SetCookie::Keepsake(provider.clone(), occasion, None)
}

/// What this browser keeps, if we sealed it for that.
pub(crate) fn open(app: &App, jar: &Jar, provider: &ProviderId, occasion: Occasion) -> Option<Keepsake> {
    let plaintext = app.keyring.open(jar.keepsake(provider, occasion)?, &context(provider, occasion))?;
    Keepsake::new(String::from_utf8(plaintext).ok()?)
}

/// No id of a provider has the separator.
fn context(provider: &ProviderId, occasion: Occasion) -> Vec<u8> {
    format!("keepsake\0{provider}\0{occasion:?}").into_bytes()
}
