//! A browser without a screen: cookies, redirects and forms as Chromium treats them, no scripts.
//!
//! It speaks the language of the person before it: open an address, fill in a form, press a button. Where it matters
//! to a login it is exact (which cookie goes where, what is a redirect, what a form sends); what only a script or a
//! screen would show needs a real browser.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, bail};
use reqwest::{
    Client, Method, StatusCode,
    header::{CONTENT_TYPE, COOKIE, DATE, HeaderMap, LOCATION, ORIGIN, SET_COOKIE},
};
use url::Url;

use crate::real::people::Person;

mod cookies;
mod form;
mod html;
mod loopback;
mod page;

pub use form::Form;
pub use loopback::loopback_client;
pub use page::Page;

/// As many as Chromium follows before it says "redirected too many times".
const MAX_REDIRECTS: usize = 20;
/// For one answer; a login page that takes longer is a failure worth seeing.
const TIMEOUT: Duration = Duration::from_secs(30);

/// One browser with its own cookies; several tabs of it are several calls at once. Another browser is another person.
pub struct Browser {
    client: Client,
    jar: Mutex<cookies::Jar>,
    apps: Vec<String>,
}

/// One request as this browser makes it.
struct Navigation {
    method: Method,
    url: Url,
    /// The page that caused it; `None` if the person typed the address.
    initiator: Option<Url>,
    /// The `Origin` header, which only a form post has.
    origin: Option<String>,
    /// A form's fields, encoded.
    form: Option<String>,
}

impl Browser {
    /// A browser without cookies.
    ///
    /// # Panics
    /// If the system has no readable store of certificate authorities.
    #[must_use]
    pub fn new() -> Self {
        let client = loopback_client(TIMEOUT).expect("the system has certificate authorities");
        Self { client, jar: Mutex::default(), apps: Vec::new() }
    }

    /// Addresses that begin with `prefix` belong to an app: a redirect there ends the trip, and is not fetched.
    /// Addresses that are neither http nor https always do.
    #[must_use]
    pub fn with_app_at(mut self, prefix: &str) -> Self {
        self.apps.push(prefix.to_owned());
        self
    }

    /// Opens an address as if typed, and follows redirects to a page, or to an app ([`Page::is_handed_over`]).
    pub async fn open(&self, url: impl AsRef<str>) -> anyhow::Result<Page> {
        let mut page = self.open_once(url).await?;
        self.follow_redirects(&mut page, None).await?;
        Ok(page)
    }

    /// Opens an address as if typed, and stays at the first answer, redirect or not.
    pub async fn open_once(&self, url: impl AsRef<str>) -> anyhow::Result<Page> {
        let url = Url::parse(url.as_ref()).with_context(|| format!("{:?} is no URL", url.as_ref()))?;
        let (initiator, origin, form) = (None, None, None);
        self.navigate(Navigation { method: Method::GET, url, initiator, origin, form }).await
    }

    /// Follows a link of `page` to `url`.
    pub async fn follow(&self, page: &Page, url: Url) -> anyhow::Result<Page> {
        self.get_from(page.url(), url).await
    }

    async fn get_from(&self, page: &Url, url: Url) -> anyhow::Result<Page> {
        let initiator = Some(page.clone());
        let (origin, form) = (None, None);
        let navigation = Navigation { method: Method::GET, url, initiator, origin, form };
        let mut landed = self.navigate(navigation).await?;
        self.follow_redirects(&mut landed, Some(page)).await?;
        Ok(landed)
    }

    /// Fills in the sign-in form of a CAS server (or any with `username` and `password`) and submits it.
    pub async fn sign_in_at_cas(&self, page: Page, person: &Person) -> anyhow::Result<Page> {
        let form = page.form_with("password").context("this should be the sign-in page of the CAS server")?;
        form.fill("username", person.username).fill("password", person.password).submit(self).await
    }

    /// The cookies set by `host`, as `(name, value)`.
    #[must_use]
    pub fn cookies(&self, host: &str) -> Vec<(String, String)> {
        self.jar().at_host(host)
    }

    /// Forgets the cookies of `host`, or all of them.
    pub fn forget_cookies(&self, host: Option<&str>) {
        self.jar().clear(host);
    }

    async fn post_form(&self, url: Url, page: &Url, null_origin: bool, form: String) -> anyhow::Result<Page> {
        let origin = if null_origin { "null".to_owned() } else { page.origin().ascii_serialization() };
        let initiator = Some(page.clone());
        let (origin, form) = (Some(origin), Some(form));
        let navigation = Navigation { method: Method::POST, url, initiator, origin, form };
        let mut landed = self.navigate(navigation).await?;
        self.follow_redirects(&mut landed, Some(page)).await?;
        Ok(landed)
    }

    /// The initiator stays the page where the trip began: Chromium's rule for `SameSite`.
    async fn follow_redirects(&self, page: &mut Page, initiator: Option<&Url>) -> anyhow::Result<()> {
        for _ in 0..MAX_REDIRECTS {
            let Some(target) = page.redirect_target()? else { return Ok(()) };
            if self.is_app(&target) {
                page.hand_over(target);
                return Ok(());
            }
            // 307 and 308 repeat a form post as it was; all others become a GET.
            let repeats =
                matches!(page.status(), StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT)
                    && page.sent_form.is_some();
            let form = page.sent_form.take().filter(|_| repeats);
            let method = if form.is_some() { Method::POST } else { Method::GET };
            // Chromium's rule: a form post that another origin passes on has lost its origin.
            let is_same_origin = target.origin() == page.url().origin();
            let origin =
                if is_same_origin { target.origin().ascii_serialization() } else { "null".to_owned() };
            let origin = form.is_some().then_some(origin);
            let navigation = Navigation { method, url: target, initiator: initiator.cloned(), origin, form };
            *page = self.navigate(navigation).await?;
        }
        bail!("redirected more than {MAX_REDIRECTS} times, lately to {}", page.url())
    }

    async fn navigate(&self, navigation: Navigation) -> anyhow::Result<Page> {
        let Navigation { method, url, initiator, origin, form } = navigation;
        let is_safe = method == Method::GET;
        let occasion = cookies::Occasion { url: &url, initiator: initiator.as_ref(), is_safe };
        let mut headers = HeaderMap::new();
        if let Some(cookies) = self.jar().header(occasion) {
            headers.insert(COOKIE, cookies.parse().context("a cookie with a control character")?);
        }
        if let Some(origin) = origin {
            headers.insert(ORIGIN, origin.parse().context("an origin is printable")?);
        }
        let mut request = self.client.request(method, url.clone());
        if let Some(form) = &form {
            headers.insert(CONTENT_TYPE, "application/x-www-form-urlencoded".parse()?);
            request = request.body(form.clone());
        }
        // Without the query: it may be a ticket.
        let answer = request.headers(headers).send().await.map_err(reqwest::Error::without_url);
        let answer = answer.with_context(|| {
            format!("no answer from {}{}", url.origin().ascii_serialization(), url.path())
        })?;
        self.keep_cookies(&url, answer.headers());
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = answer.text().await.map_err(reqwest::Error::without_url);
        let body = body.with_context(|| format!("the page at {} did not come whole", url.path()))?;
        Ok(Page::new(url, status, headers, body, form))
    }

    fn keep_cookies(&self, url: &Url, headers: &HeaderMap) {
        let date = headers.get(DATE).and_then(|date| date.to_str().ok());
        let mut jar = self.jar();
        for line in headers.get_all(SET_COOKIE) {
            jar.store(url, &String::from_utf8_lossy(line.as_bytes()), date);
        }
    }

    fn is_app(&self, url: &Url) -> bool {
        !matches!(url.scheme(), "http" | "https")
            || self.apps.iter().any(|prefix| url.as_str().starts_with(prefix.as_str()))
    }

    fn jar(&self) -> MutexGuard<'_, cookies::Jar> {
        // A tab that panicked leaves whole cookies behind.
        self.jar.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Browser {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Browser {
    /// Without the cookies: they are somebody's session.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Browser").field("apps", &self.apps).finish_non_exhaustive()
    }
}

/// Where a 3xx answer leads, resolved against `url`.
fn location(url: &Url, status: StatusCode, headers: &HeaderMap) -> anyhow::Result<Option<Url>> {
    let is_redirect = matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308);
    let Some(location) = headers.get(LOCATION).filter(|_| is_redirect) else { return Ok(None) };
    let location = location.to_str().context("a Location that is not ASCII")?;
    let target = url.join(location).with_context(|| format!("{url} redirects to {location:?}, no URL"))?;
    Ok(Some(target))
}
