//! A person at a real browser.

use anyhow::{Context as _, ensure};
use url::{Url, form_urlencoded};
use usher_lab::real::{
    cas_server,
    chromium::{Look, Request, Tab, Window},
};

use crate::components::{chromium, eventually};

/// Somebody who has never been here before.
#[derive(Debug)]
pub(crate) struct Visitor {
    pub(crate) window: Window,
    portal: Url,
    /// Another place whose pages are Usher's.
    host: Option<Url>,
}

impl Visitor {
    /// At a desktop, in English.
    pub(crate) async fn at(portal: &Url) -> anyhow::Result<Self> {
        let window = chromium().await?.open().await?;
        window.look(Look::DESKTOP).await?;
        Ok(Self { window, portal: portal.clone(), host: None })
    }

    /// Somebody whose homeserver's own host has pages of Usher's too.
    pub(crate) async fn at_both(portal: &Url, host: &Url) -> anyhow::Result<Self> {
        Ok(Self { host: Some(host.clone()), ..Self::at(portal).await? })
    }

    /// Where a client sends its browser; without a provider, the picker if there are several.
    pub(crate) fn login_url(&self, provider: Option<&str>, redirect_url: &str) -> String {
        let encoded: String = form_urlencoded::byte_serialize(redirect_url.as_bytes()).collect();
        let provider = provider.map(|provider| format!("/{provider}")).unwrap_or_default();
        format!("{}_matrix/client/v3/login/sso/redirect{provider}?redirectUrl={encoded}", self.portal)
    }

    /// A client sends the browser to the portal's first provider.
    pub(crate) async fn begin(&self, redirect_url: &str) -> anyhow::Result<()> {
        self.window.open(&self.login_url(Some("corp"), redirect_url)).await
    }

    /// Types name and password into the CAS server's form, and Enter.
    pub(crate) async fn sign_in_at_cas(&self, person: &cas_server::Person) -> anyhow::Result<()> {
        self.sees_cas_form().await?;
        self.window.fill("input[name=username]", person.username).await?;
        self.window.fill("input[name=password]", person.password).await?;
        self.window.press_enter().await
    }

    /// Waits for the CAS server's form.
    pub(crate) async fn sees_cas_form(&self) -> anyhow::Result<()> {
        let form = "return document.readyState === 'complete' &&
            document.querySelector('input[name=password]') !== null";
        eventually("the browser shows the CAS server's form", async || {
            Ok((self.window.run(form).await? == true).then_some(()))
        })
        .await
    }

    /// Waits until the page has what `selector` finds.
    pub(crate) async fn comes_to(&self, selector: &str) -> anyhow::Result<()> {
        let find = format!("return document.querySelector('{selector}') !== null");
        eventually(selector, async || Ok((self.window.run(&find).await? == true).then_some(()))).await
    }

    /// Waits until the page has this heading.
    pub(crate) async fn sees(&self, heading: &str) -> anyhow::Result<()> {
        let seen = eventually(heading, async || {
            // Between two pages there is no heading.
            let seen = self.window.text("h1").await.unwrap_or_default();
            Ok((seen == heading).then_some(()))
        });
        seen.await.with_context(|| format!("expected the page {heading:?}"))
    }

    /// Clicks what opens a window, and comes to that.
    pub(crate) async fn opens_window(&self, selector: &str) -> anyhow::Result<Tab> {
        let before = self.window.tabs().await?;
        self.window.click(selector).await?;
        let opened = eventually("a window opens", async || {
            Ok(self.window.tabs().await?.into_iter().find(|tab| !before.contains(tab)))
        })
        .await?;
        self.window.bring_to_front(&opened).await?;
        Ok(opened)
    }

    /// Waits until the browser is at a site, and gives the login token in its address.
    pub(crate) async fn lands_at(&self, site: &str) -> anyhow::Result<String> {
        let url = eventually("the browser is at the client", async || {
            let url = self.window.url().await?;
            Ok(url.as_str().starts_with(site).then_some(url))
        });
        let url = match url.await {
            Ok(url) => url,
            Err(error) => {
                let seen = (self.window.title().await?, self.window.text("body").await?);
                return Err(error.context(format!("the browser shows {seen:?}")));
            }
        };
        let token = url.query_pairs().find(|(name, _)| name == "loginToken");
        Ok(token.context("the client was given no login token")?.1.into_owned())
    }

    /// Waits until the browser was sent to an address that begins like this, and gives all that it was sent to.
    pub(crate) async fn is_sent_to(&self, prefix: &str) -> anyhow::Result<Vec<Request>> {
        let mut requests = Vec::new();
        eventually("the browser is sent to the app", async || {
            requests.extend(self.window.requests().await?);
            Ok(requests.iter().any(|request| request.url.starts_with(prefix)).then_some(()))
        })
        .await?;
        Ok(requests)
    }

    /// Fails if the browser has complained about a page of Usher's since the last time.
    pub(crate) async fn nothing_is_wrong(&self) -> anyhow::Result<()> {
        let mut complaints = self.window.complaints().await?;
        let places: Vec<_> = [Some(&self.portal), self.host.as_ref()].into_iter().flatten().collect();
        // Each begins with the page it is about, if it is about one.
        complaints.retain(|text| {
            !text.starts_with("http") || places.iter().any(|place| text.starts_with(place.as_str()))
        });
        ensure!(complaints.is_empty(), "the browser complains: {complaints:#?}");
        Ok(())
    }

    /// The status of the page that is shown.
    pub(crate) async fn status(&self) -> anyhow::Result<u64> {
        let status =
            self.window.run("return performance.getEntriesByType('navigation')[0].responseStatus").await?;
        status.as_u64().context("a page has a status")
    }
}
