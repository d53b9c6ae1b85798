//! A person signs in, step by step.

use url::Url;

use super::{Answer, TRUSTED, TestApp};

/// A sign-in about to begin.
#[derive(Clone)]
pub(crate) struct SignIn<'a> {
    app: &'a TestApp,
    provider: Option<String>,
    redirect_url: String,
    cookies: Vec<String>,
    from: Option<String>,
}

/// A browser that is at the provider.
#[derive(Clone)]
pub(crate) struct AtProvider<'a> {
    app: &'a TestApp,
    /// The provider's login URL.
    pub(crate) login: Url,
    /// The browser's cookies for the portal.
    pub(crate) cookies: Vec<String>,
    from: Option<String>,
}

impl<'a> SignIn<'a> {
    pub(super) fn new(app: &'a TestApp) -> Self {
        let (redirect_url, cookies) = (TRUSTED.to_owned(), Vec::new());
        Self { app, provider: None, redirect_url, cookies, from: None }
    }

    pub(crate) fn at(mut self, provider: &str) -> Self {
        self.provider = Some(provider.to_owned());
        self
    }

    pub(crate) fn to(mut self, redirect_url: &str) -> Self {
        redirect_url.clone_into(&mut self.redirect_url);
        self
    }

    pub(crate) fn with_cookies(mut self, cookies: &[String]) -> Self {
        self.cookies = cookies.to_vec();
        self
    }

    /// As a proxy would say it in `X-Forwarded-For`.
    pub(crate) fn from(mut self, address: &str) -> Self {
        self.from = Some(address.to_owned());
        self
    }

    /// The portal's answer to the first request.
    pub(crate) async fn first_answer(&self) -> Answer {
        let provider = self.provider.as_ref().map_or(String::new(), |id| format!("/{id}"));
        let encoded: String = url::form_urlencoded::byte_serialize(self.redirect_url.as_bytes()).collect();
        let path = format!("/_matrix/client/v3/login/sso/redirect{provider}?redirectUrl={encoded}");
        Answer::read(self.app.request_from(self.from.as_deref(), &path, &self.cookies)).await
    }

    /// Goes to the provider and stays there.
    pub(crate) async fn at_provider(&self) -> AtProvider<'a> {
        let answer = self.first_answer().await;
        let login = Url::parse(answer.location()).expect("a URL");
        let mut cookies = self.cookies.clone();
        cookies.extend(answer.cookies());
        AtProvider { app: self.app, login, cookies, from: self.from.clone() }
    }

    /// Signs somebody in and brings the browser back to the portal, whatever it answers.
    pub(crate) async fn as_person(&self, person: &str) -> Answer {
        self.at_provider().await.come_back_as(person).await
    }
}

impl AtProvider<'_> {
    /// The callback that the provider sends the browser to once `person` has signed in.
    pub(crate) fn callback_for(&self, person: &str) -> Url {
        self.app.cas.log_in(&self.login, person).expect("the provider knows the person and the service")
    }

    pub(crate) async fn come_back_as(&self, person: &str) -> Answer {
        self.open(&self.callback_for(person)).await
    }

    /// Opens a URL of the portal with this browser's cookies.
    pub(crate) async fn open(&self, url: &Url) -> Answer {
        let path = &url[url::Position::BeforePath..];
        Answer::read(self.app.request_from(self.from.as_deref(), path, &self.cookies)).await
    }
}
