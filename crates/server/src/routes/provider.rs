//! `/_usher/{kind}/{provider}/…`: the paths that operators register at their provider. What a path is about,
//! the provider says.

use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse,
    http::{Method, StatusCode, header},
    web,
};
use percent_encoding::percent_decode_str;
use usher_core::{
    Callback, Ctx, ProviderId,
    provider::{self, Endpoint},
};

use super::finished;
use crate::{
    app::{App, ConfiguredProvider},
    attempt,
    http::{self, PageProblem, problem_page, read_body},
    logout, sign_out,
};

/// A SAML response with a few certificates and a hundred attributes is under 100 KiB, a third more as base64.
const MAX_FORM_BYTES: usize = 256 * 1024;
/// Anybody may send one: a signed logout message with its certificates and an encrypted name, or a logout token, is under 16 KiB.
const MAX_LOGOUT_FORM_BYTES: usize = 64 * 1024;

pub(super) async fn any(app: web::Data<App>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let not_found =
        || problem_page(&app, &request, &PageProblem::new(StatusCode::NOT_FOUND, "not-found"), None);
    let Some((configured, tail)) = addressed(&app, &request) else { return not_found() };
    let method = match *request.method() {
        Method::GET => provider::Method::Get,
        Method::POST => provider::Method::Post,
        _ => return HttpResponse::MethodNotAllowed().insert_header((header::ALLOW, "GET, POST")).finish(),
    };
    let Some(endpoint) = configured.provider.endpoint(method, &tail) else { return not_found() };
    let Some(callback) = received(&request, method, tail, endpoint, payload).await else {
        let problem = PageProblem::new(StatusCode::BAD_REQUEST, "form");
        return problem_page(&app, &request, &problem, None);
    };
    match endpoint {
        Endpoint::Answer => answer(&app, &request, configured, callback).await,
        Endpoint::Document => document(&app, configured, callback.tail).await,
        Endpoint::Logout => logged_out(&app, configured, callback).await,
        Endpoint::BrowserLogout => browser_logged_out(&app, &request, configured, callback).await,
    }
}

/// The provider, and the path below it decoded once.
fn addressed<'a>(app: &'a App, request: &HttpRequest) -> Option<(&'a ConfiguredProvider, String)> {
    // From the path as received: actix decodes some characters and leaves others.
    let mut segments = request.path().strip_prefix("/_usher/")?.splitn(3, '/');
    let (kind, id, tail) = (segments.next()?, segments.next()?, segments.next()?);
    let id = ProviderId::parse(id).ok()?;
    let configured = app.providers.get(&id).filter(|configured| configured.kind == kind)?;
    let tail = percent_decode_str(tail).decode_utf8().ok()?.into_owned();
    Some((configured, tail))
}

/// What came, decoded. Too much, cut off or no text: it is no message of a provider's, which is all that a person has to
/// know.
async fn received(
    request: &HttpRequest,
    method: provider::Method,
    tail: String,
    endpoint: Endpoint,
    payload: web::Payload,
) -> Option<Callback> {
    let limit = match endpoint {
        Endpoint::Answer | Endpoint::Document => MAX_FORM_BYTES,
        Endpoint::Logout | Endpoint::BrowserLogout => MAX_LOGOUT_FORM_BYTES,
    };
    let body = match method {
        provider::Method::Get => web::Bytes::new(),
        provider::Method::Post => read_body(payload, limit).await.ok()?,
    };
    Callback::decode(method, tail, request.query_string(), std::str::from_utf8(&body).ok()?).ok()
}

async fn answer(
    app: &Arc<App>,
    request: &HttpRequest,
    configured: &ConfiguredProvider,
    callback: Callback,
) -> HttpResponse {
    let provider = &configured.provider.descriptor().id;
    let finished = {
        let (app, provider, jar) = (Arc::clone(app), provider.clone(), http::jar(request));
        let client = http::arrival(request).client;
        async move { attempt::finish(&app, &provider, &callback, client, &jar).await }
    };
    finished::render(app, request, StatusCode::FOUND, app.run(finished).await)
}

/// A provider says that sessions ended. OpenID Connect Back-Channel Logout 1.0 section 2.8: 200
/// once it is kept, 400 if it is refused, and never cached. Senders try again after anything else.
async fn logged_out(app: &Arc<App>, configured: &ConfiguredProvider, callback: Callback) -> HttpResponse {
    let received = {
        let (app, configured) = (Arc::clone(app), configured.clone());
        async move { logout::receive(&app, &configured, &callback).await }
    };
    match app.run(received).await {
        Ok(()) => HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).finish(),
        Err(error) => http::NoticeProblem::from(&error).response(),
    }
}

/// The same of a browser, which goes on with an answer. A person may be looking, or the provider shows it in a frame.
async fn browser_logged_out(
    app: &Arc<App>,
    request: &HttpRequest,
    configured: &ConfiguredProvider,
    callback: Callback,
) -> HttpResponse {
    let received = {
        let (app, configured, jar) = (Arc::clone(app), configured.clone(), http::jar(request));
        let client = http::arrival(request).client;
        async move { logout::receive_from_browser(&app, &configured, &callback, client, &jar).await }
    };
    match app.run(received).await {
        Ok(logout::Onward::Answer(step)) => http::framed_step(app, request, &step),
        // The answer came by a form, perhaps.
        Ok(logout::Onward::SignedOut(cookies)) => {
            http::redirect(StatusCode::SEE_OTHER, sign_out::DONE_PATH, &cookies)
        }
        Err(error) => problem_page(app, request, &PageProblem::from(&error), None),
    }
}

async fn document(app: &Arc<App>, configured: &ConfiguredProvider, tail: String) -> HttpResponse {
    let document = {
        let (app, provider, skew) = (Arc::clone(app), Arc::clone(&configured.provider), configured.skew);
        async move {
            let ctx = Ctx { now: app.clock.now(), skew, entropy: &*app.entropy };
            provider.document(&ctx, &tail).await
        }
    };
    match app.run(document).await {
        Ok(document) => HttpResponse::Ok().content_type(document.content_type).body(document.body),
        Err(error) => {
            tracing::error!(cause = crate::error::chain(&error), "a document could not be made");
            HttpResponse::ServiceUnavailable().finish()
        }
    }
}
