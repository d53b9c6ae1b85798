//! A person at a browser, on their way from a client to the portal, to their single sign-on, and back.

use anyhow::{Context as _, ensure};
use reqwest::StatusCode;
use url::{Url, form_urlencoded};
use usher_lab::{
    browser::{Browser, Form, Page},
    real::cas_server,
};

use crate::config::APP;

/// How the single sign-on learns who sits at the browser.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SignIn {
    /// By its form.
    Form(&'static cas_server::Person),
    /// It knows: the script said so.
    Known,
}

/// Somebody at a browser of their own.
#[derive(Debug)]
pub(crate) struct Person {
    browser: Browser,
    portal: Url,
    sign_in: SignIn,
}

/// Where a trip ended.
#[derive(Debug)]
pub(crate) struct Landed(Page);

impl Person {
    pub(crate) fn at(portal: &Url, sign_in: SignIn) -> Self {
        Self { browser: Browser::new().with_app_at(APP), portal: portal.clone(), sign_in }
    }

    /// Somebody whose browser stops before it goes back to the portal, at the address with the ticket.
    pub(crate) fn stopping_at_callback(portal: &Url, sign_in: SignIn) -> Self {
        let callbacks = format!("{portal}_usher/cas/");
        let browser = Browser::new().with_app_at(APP).with_app_at(&callbacks);
        Self { browser, portal: portal.clone(), sign_in }
    }

    /// The whole trip for a trusted client.
    pub(crate) async fn sign_in(&self) -> anyhow::Result<Landed> {
        self.sign_in_for(APP).await
    }

    /// The whole trip for a client at `redirect_url`.
    pub(crate) async fn sign_in_for(&self, redirect_url: &str) -> anyhow::Result<Landed> {
        let page = self.begin(redirect_url).await?;
        self.go_on(page).await
    }

    /// As far as the single sign-on's page; to the end if no page is shown.
    pub(crate) async fn begin(&self, redirect_url: &str) -> anyhow::Result<Page> {
        let page = self.browser.open(self.login_url("v3", redirect_url)).await?;
        self.carry_request(page).await
    }

    /// A request that goes to the single sign-on as a form sends itself in a browser with scripts.
    pub(crate) async fn carry_request(&self, page: Page) -> anyhow::Result<Page> {
        match page.form_with("SAMLRequest") {
            Ok(form) => form.submit(&self.browser).await,
            Err(_) => Ok(page),
        }
    }

    /// From the single sign-on's page to the end.
    pub(crate) async fn go_on(&self, page: Page) -> anyhow::Result<Landed> {
        let page = match self.sign_in {
            SignIn::Form(person) if page.form_with("password").is_ok() => {
                self.browser.sign_in_at_cas(page, person).await?
            }
            SignIn::Form(_) | SignIn::Known => page,
        };
        // An answer that comes as a form sends itself in a browser with scripts.
        let is_answer = |form: &Form| form.value("code").is_some() || form.value("SAMLResponse").is_some();
        match page.form_with("state").or_else(|_| page.form_with("SAMLResponse")) {
            Ok(form) if is_answer(&form) => Ok(Landed(form.submit(&self.browser).await?)),
            Ok(_) | Err(_) => Ok(Landed(page)),
        }
    }

    /// The address with the ticket, for somebody who [stops there](Self::stopping_at_callback).
    pub(crate) async fn callback(&self) -> anyhow::Result<Url> {
        self.callback_for(APP).await
    }

    /// The same for a client at `redirect_url`.
    pub(crate) async fn callback_for(&self, redirect_url: &str) -> anyhow::Result<Url> {
        let Landed(page) = self.sign_in_for(redirect_url).await?;
        ensure!(page.query("ticket").is_some(), "no ticket: {page:?} says {}", page.text());
        Ok(page.url().clone())
    }

    /// Opens an address, and goes wherever it leads.
    pub(crate) async fn open(&self, url: &Url) -> anyhow::Result<Landed> {
        Ok(Landed(self.browser.open(url).await?))
    }

    /// Where a client sends its browser. `version`: `v3` or `r0`.
    pub(crate) fn login_url(&self, version: &str, redirect_url: &str) -> String {
        let encoded: String = form_urlencoded::byte_serialize(redirect_url.as_bytes()).collect();
        format!("{}_matrix/client/{version}/login/sso/redirect/corp?redirectUrl={encoded}", self.portal)
    }

    pub(crate) fn browser(&self) -> &Browser {
        &self.browser
    }

    /// The cookies that the portal has set, as `(name, value)`.
    pub(crate) fn cookies(&self) -> Vec<(String, String)> {
        self.browser.cookies(self.portal.host_str().unwrap_or_default())
    }
}

impl Landed {
    /// What the client was handed. Fails with what the person was told instead.
    pub(crate) fn login_token(&self) -> anyhow::Result<String> {
        let Self(page) = self;
        let token = page.query("loginToken").filter(|_| page.is_handed_over());
        token.with_context(|| format!("no login token: {page:?} says {}", page.text()))
    }

    /// Status and words of the page that the person was shown instead.
    pub(crate) fn page(&self) -> (StatusCode, String) {
        let Self(page) = self;
        assert!(!page.is_handed_over(), "a client was handed something: {page:?}");
        (page.status(), page.text())
    }

    pub(crate) fn into_page(self) -> Page {
        self.0
    }
}

impl From<Page> for Landed {
    fn from(page: Page) -> Self {
        Self(page)
    }
}
