//! `/_usher/sign-out/{provider}`: whether somebody wants to sign out at their provider, and if so, on to it; and
//! `/_usher/signed-out`, where a provider may send them back to.
//!
//! Pages elsewhere link here, the completion page at a homeserver's host among them. To open the page does nothing: that another
//! site's link or picture led here signs nobody out. The form carries a token made from a cookie that only this origin can
//! set. Where it leads is in the config and the provider's own documents, never in the request.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use subtle::ConstantTimeEq as _;
use url::form_urlencoded;
use usher_core::{ProviderId, provider::BrowserStep};

use crate::{
    app::App,
    http::{self, PageProblem, PageSecret, page, problem_page, read_body},
    pages::Page,
    sign_out::{self, SignOutError},
};

/// Where the pages are.
pub(super) const PATH: &str = "/_usher/sign-out/{provider}";
/// A token.
const MAX_FORM_BYTES: usize = 1024;

pub(super) async fn get(app: web::Data<App>, request: HttpRequest) -> HttpResponse {
    let Some(provider) = provider(&request) else {
        return problem(&app, &request, &SignOutError::NotOffered);
    };
    let configured = match sign_out::view(&app, &provider, http::arrival(&request).client) {
        Ok(configured) => configured,
        Err(error) => return problem(&app, &request, &error),
    };
    let secret = PageSecret::of(&request).unwrap_or_else(|| PageSecret::generate(&*app.entropy));
    let action = sign_out::page_path(&provider);
    let content = Page::SignOut {
        provider: &configured.provider.descriptor().name,
        ends_sessions: configured.ends_sessions,
        action: &action,
        csrf: &secret.csrf(&action),
    };
    let mut response = page(&app, &request, StatusCode::OK, &content, &["'self'".to_owned()], &[]);
    secret.set(&mut response);
    response
}

pub(super) async fn post(app: web::Data<App>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let Some(provider) = provider(&request) else {
        return problem(&app, &request, &SignOutError::NotOffered);
    };
    let csrf = csrf(payload).await;
    if !csrf.is_some_and(|csrf| is_of_page(&request, &provider, &csrf)) {
        return problem(&app, &request, &SignOutError::Csrf);
    }
    let clicked = {
        let (owned, client, locale) =
            (app.clone().into_inner(), http::arrival(&request).client, http::locale(&request));
        let jar = http::jar(&request);
        app.run(async move { sign_out::click(&owned, &provider, client, locale, &jar).await }).await
    };
    match clicked {
        // A page and not a redirect: Chromium applies `form-action` to every redirect after a form.
        Ok((BrowserStep::Redirect(url), cookie)) => {
            let content = Page::Onward { url: url.as_str() };
            page(&app, &request, StatusCode::OK, &content, &[], cookie.as_slice())
        }
        Ok((step @ (BrowserStep::PostForm { .. } | BrowserStep::Ask(_)), cookie)) => {
            http::step(&app, &request, &step, cookie.as_slice())
        }
        Err(error) => problem(&app, &request, &error),
    }
}

/// Anybody can open it: it says nothing that would not be true then.
pub(super) async fn done(app: web::Data<App>, request: HttpRequest) -> HttpResponse {
    page(&app, &request, StatusCode::OK, &Page::SignedOut, &[], &[])
}

fn provider(request: &HttpRequest) -> Option<ProviderId> {
    ProviderId::parse(request.match_info().get("provider")?).ok()
}

fn problem(app: &App, request: &HttpRequest, error: &SignOutError) -> HttpResponse {
    let again = provider(request).map(|provider| sign_out::page_path(&provider));
    problem_page(app, request, &PageProblem::from(error), again.as_deref())
}

fn is_of_page(request: &HttpRequest, provider: &ProviderId, csrf: &str) -> bool {
    let expected = PageSecret::of(request).map(|secret| secret.csrf(&sign_out::page_path(provider)));
    // Of one length, or not the same.
    expected.is_some_and(|expected| bool::from(expected.as_bytes().ct_eq(csrf.as_bytes())))
}

/// The form's only field.
async fn csrf(payload: web::Payload) -> Option<String> {
    let bytes = read_body(payload, MAX_FORM_BYTES).await.ok()?;
    let mut fields = form_urlencoded::parse(&bytes);
    let (name, value) = fields.next()?;
    (name == "csrf" && fields.next().is_none()).then(|| value.into_owned())
}
