//! What somebody does whose login was cut short, and what is true of them afterwards.

use anyhow::{Context as _, ensure};
use reqwest::StatusCode;
use url::Url;

use crate::{
    client::Answer,
    config::APP,
    person::{Landed, Person},
    scripted::Stage,
};

/// Nobody trusts it: a page asks before it is given a token.
const UNTRUSTED: &str = "unheard-of.client://connect";

/// Where a login token goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    /// A client that is trusted.
    Trusted,
    /// One that is not.
    Untrusted,
}

impl At {
    /// Where its tokens go.
    pub(crate) fn client(self) -> &'static str {
        match self {
            Self::Trusted => APP,
            Self::Untrusted => UNTRUSTED,
        }
    }
}

/// The token, by way of the page that asks if there is one.
pub(crate) async fn token_of(person: &Person, landed: Landed, at: At) -> anyhow::Result<String> {
    match at {
        At::Trusted => landed.login_token(),
        At::Untrusted => {
            let page = landed.into_page();
            Landed::from(page.form()?.submit(person.browser()).await?).login_token()
        }
    }
}

impl Stage {
    /// The same browser reloads the page where it was left, and if the ticket is spent they are told so and start again.
    /// Whether the ticket was still good.
    pub(crate) async fn gets_a_token(
        &self,
        person: &Person,
        callback: &Url,
        at: At,
    ) -> anyhow::Result<(String, bool)> {
        let page = person.open(callback).await?.into_page();
        if page.is_handed_over() || page.status() == StatusCode::OK {
            return Ok((token_of(person, page.into(), at).await?, true));
        }
        let (status, text) = (page.status(), page.text());
        ensure!(
            status == StatusCode::FORBIDDEN && text.contains("could not be verified"),
            "{status}: {text}"
        );
        let callback = person.callback_for(at.client()).await?;
        Ok((token_of(person, person.open(&callback).await?, at).await?, false))
    }

    /// What is true of somebody who got in, however.
    pub(crate) async fn is_in(
        &self,
        user: &str,
        session: &Answer,
        devices: usize,
        name: &str,
    ) -> anyhow::Result<()> {
        assert_eq!(session.field("user_id")?, user, "{name}");
        assert_eq!(self.database.account(user).await?, "active", "{name}");
        let found = self.devices(user);
        assert_eq!(found.len(), devices, "{name}: {found:?}");
        let device = session.field("device_id")?;
        let known = self.homeserver.user(user).unwrap_or_default().devices.remove(device);
        let access_tokens = known.unwrap_or_default().access_tokens;
        let delivered = session.field("access_token")?;
        assert_eq!(access_tokens.last().map(String::as_str), Some(delivered), "{name}");
        Ok(())
    }

    /// Uses a token twice: it opens one session, of somebody who then has so many devices.
    pub(crate) async fn is_good_once(
        &self,
        token: &str,
        user: &str,
        devices: usize,
        name: &str,
    ) -> anyhow::Result<()> {
        let session = self.client.redeem_patiently(token).await?.expect_ok();
        self.is_in(user, &session.with_context(|| name.to_owned())?, devices, name).await?;
        let again = self.client.redeem(token).await?;
        assert_eq!((again.status, again.errcode()), (StatusCode::FORBIDDEN, "M_FORBIDDEN"), "{name}");
        Ok(())
    }
}
