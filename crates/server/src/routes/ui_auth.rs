//! `/_usher/ui-auth/{handle}`: what is about to happen, whether it is wanted, and if so, on to the provider (MSC2454).
//!
//! The page and the attempt's cookie are of one origin, the portal's, so that nobody is led past the page. Its form carries
//! a token made from a cookie that only this origin can set.
//!
//! The click is answered by a page and not by a redirect: Chromium applies `form-action` to every redirect that follows a
//! form, and where a provider sends people on to, nobody here can know.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use subtle::ConstantTimeEq as _;
use url::form_urlencoded;
use usher_core::{Handle, ProviderId, provider::BrowserStep};

use crate::{
    app::App,
    attempt::Begun,
    gateway::HINTS,
    http::{self, PageProblem, PageSecret, page, problem_page, read_body, redirect},
    pages::Page,
    ui_auth::{self, Clicked, PageError, Shown, Wanted},
};

/// Where the pages are.
pub(super) const PATH: &str = "/_usher/ui-auth/{handle}";
/// A provider's id, a token and a word.
const MAX_FORM_BYTES: usize = 4096;

pub(super) async fn get(app: web::Data<App>, request: HttpRequest) -> HttpResponse {
    let Some(handle) = handle(&request) else { return problem(&app, &request, &PageError::Unknown, None) };
    let query = request.query_string();
    let value = |name: &str| {
        form_urlencoded::parse(query.as_bytes())
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    };
    let hint = HINTS.iter().find_map(|name| value(name));
    let is_stop = value(ui_auth::STOP_PARAMETER).is_some();
    let (owned, client) = (app.clone().into_inner(), http::arrival(&request).client);
    let shown = {
        let handle = handle.clone();
        app.run(async move {
            let wanted = if is_stop { Wanted::Stop } else { Wanted::Question(hint.as_deref()) };
            ui_auth::view(&owned, &handle, wanted, client).await
        })
        .await
    };
    let (view, onward) = match shown {
        Ok(Shown::Complete(location)) => return redirect(StatusCode::FOUND, &location, &[]),
        Ok(Shown::Ask(view)) => (view, None),
        Ok(Shown::Stop { view, onward }) => (view, Some(onward)),
        Err(error) => return problem(&app, &request, &error, Some(&handle)),
    };
    let secret = PageSecret::of(&request).unwrap_or_else(|| PageSecret::generate(&*app.entropy));
    let csrf = secret.csrf(handle.as_str());
    let action = ui_auth::page_path(&handle);
    let content = match &onward {
        None => Page::UiAuth { view: &view, action: &action, csrf: &csrf },
        Some(onward) => Page::UiAuthConfirmed { view: &view, action: &action, csrf: &csrf, onward },
    };
    let mut response = page(&app, &request, StatusCode::OK, &content, &["'self'".to_owned()], &[]);
    secret.set(&mut response);
    response
}

pub(super) async fn post(app: web::Data<App>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let Some(handle) = handle(&request) else { return problem(&app, &request, &PageError::Unknown, None) };
    let form = match form(payload).await {
        Some(form) if is_of_page(&request, &handle, &form.csrf) => form,
        Some(_) | None => return problem(&app, &request, &PageError::Csrf, Some(&handle)),
    };
    let (owned, jar, client) =
        (app.clone().into_inner(), http::jar(&request), http::arrival(&request).client);
    match form.answer {
        Answer::Deny => {
            let denied = {
                let handle = handle.clone();
                app.run(async move { ui_auth::deny(&owned, &handle, client).await }).await
            };
            match denied {
                Ok(denied) => {
                    page(&app, &request, StatusCode::OK, &Page::UiAuthDenied { denied: &denied }, &[], &[])
                }
                Err(error) => problem(&app, &request, &error, Some(&handle)),
            }
        }
        Answer::SignIn(provider) => {
            let clicked = {
                let handle = handle.clone();
                app.run(async move { ui_auth::click(&owned, &handle, &provider, client, &jar).await }).await
            };
            match clicked {
                Ok(Clicked::Complete(location)) => {
                    page(&app, &request, StatusCode::OK, &Page::Onward { url: &location }, &[], &[])
                }
                Ok(Clicked::Begun(Begun { step: BrowserStep::Redirect(url), cookies })) => {
                    let content = Page::Onward { url: url.as_str() };
                    page(&app, &request, StatusCode::OK, &content, &[], &cookies)
                }
                Ok(Clicked::Begun(Begun { step, cookies })) => http::step(&app, &request, &step, &cookies),
                Err(error) => problem(&app, &request, &error, Some(&handle)),
            }
        }
    }
}

fn handle(request: &HttpRequest) -> Option<Handle> {
    Handle::parse(request.match_info().get("handle")?).ok()
}

fn problem(app: &App, request: &HttpRequest, error: &PageError, handle: Option<&Handle>) -> HttpResponse {
    let again = handle.map(ui_auth::page_path);
    problem_page(app, request, &PageProblem::from(error), again.as_deref())
}

fn is_of_page(request: &HttpRequest, handle: &Handle, csrf: &str) -> bool {
    let expected = PageSecret::of(request).map(|secret| secret.csrf(handle.as_str()));
    // Of one length, or not the same.
    expected.is_some_and(|expected| bool::from(expected.as_bytes().ct_eq(csrf.as_bytes())))
}

enum Answer {
    /// "This was not me".
    Deny,
    /// At this provider.
    SignIn(ProviderId),
}

struct Form {
    csrf: String,
    answer: Answer,
}

async fn form(payload: web::Payload) -> Option<Form> {
    let bytes = read_body(payload, MAX_FORM_BYTES).await.ok()?;
    let mut values = [const { None }; 3];
    for (name, value) in form_urlencoded::parse(&bytes) {
        let index = ["csrf", "provider", "deny"].iter().position(|known| *known == name)?;
        if values[index].replace(value.into_owned()).is_some() {
            return None;
        }
    }
    let [csrf, provider, deny] = values;
    let answer = match (provider, deny) {
        (Some(provider), None) => Answer::SignIn(ProviderId::parse(provider).ok()?),
        (None, Some(_)) => Answer::Deny,
        (None, None) | (Some(_), Some(_)) => return None,
    };
    Some(Form { csrf: csrf?, answer })
}
