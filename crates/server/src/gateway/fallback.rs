//! `GET /auth/m.login.sso/fallback/web` at a homeserver's host: on to the portal's page, or, once the person has signed in,
//! the page that tells their client. <https://spec.matrix.org/v1.19/client-server-api/#fallback>
//!
//! Clients check where the message comes from, so the completion page is here and not at the portal. It is found by the
//! session id, which the client has, or by the handle, with which the portal sends people back.

use actix_web::{
    HttpRequest, HttpResponse,
    dev::Payload,
    http::{Method, StatusCode},
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use url::form_urlencoded;
use usher_core::Handle;

use super::{
    At,
    pass_through::{Inbound, pass},
};
use crate::{
    app::{App, ServedHomeserver},
    http::{MatrixError, PageProblem, page, problem_page, redirect},
    pages::Page,
    sign_out,
    ui_auth::{self, HANDLE_PARAMETER, Looked, PageError},
};

/// The provider that a client asks for (MSC4450), under its name to be and its unstable one.
pub(crate) const HINTS: [&str; 2] = ["idp_id", "io.element.idp_id"];

pub(super) async fn any(at: &At<'_>, payload: Payload) -> HttpResponse {
    let sessions = values(at.request.query_string(), "session");
    let is_foreign = sessions.iter().any(|session| !ui_auth::claims_to_be_ours(session));
    if is_foreign {
        return pass(at, Inbound::Streamed(payload)).await;
    }
    answer(at.app, at.request, Some(at.homeserver)).await
}

/// For a session of ours, whatever the host.
pub(crate) async fn answer(
    app: &App,
    request: &HttpRequest,
    homeserver: Option<&ServedHomeserver>,
) -> HttpResponse {
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        return MatrixError::wrong_method("GET, HEAD, OPTIONS").response();
    }
    let query = request.query_string();
    let (sessions, handles) = (values(query, "session"), values(query, HANDLE_PARAMETER));
    let looked = match (sessions.as_slice(), handles.as_slice()) {
        ([session], []) => app.run_while_wanted(ui_auth::look_by_session(app, homeserver, session)).await,
        ([], [handle]) => match Handle::parse(handle.as_str()) {
            Ok(handle) => app.run_while_wanted(ui_auth::look(app, homeserver, handle)).await,
            Err(_) => Err(PageError::Unknown),
        },
        _ => Err(PageError::Unknown),
    };
    match looked {
        Ok(Looked::Ask(handle)) => redirect(StatusCode::FOUND, &at_portal(app, query, &handle), &[]),
        Ok(Looked::Complete { stop, provider }) => {
            let stop = stop.map(|handle| format!("{}{}", portal(app), ui_auth::stop_path(&handle)));
            let sign_out = provider.and_then(|provider| sign_out::link(app, &provider));
            let content = Page::UiAuthComplete { stop: stop.as_deref(), sign_out: sign_out.as_ref() };
            page(app, request, StatusCode::OK, &content, &[], &[])
        }
        Err(error) => problem_page(app, request, &PageProblem::from(&error), None),
    }
}

fn at_portal(app: &App, query: &str, handle: &Handle) -> String {
    let base = portal(app);
    let path = ui_auth::page_path(handle);
    let hint = HINTS.iter().find_map(|name| values(query, name).into_iter().next());
    match hint {
        Some(hint) => {
            format!("{base}{path}?{}={}", HINTS[0], utf8_percent_encode(&hint, NON_ALPHANUMERIC))
        }
        None => format!("{base}{path}"),
    }
}

fn portal(app: &App) -> &str {
    app.config.public_base_url.as_str().trim_end_matches('/')
}

fn values(query: &str, name: &str) -> Vec<String> {
    form_urlencoded::parse(query.as_bytes())
        .filter(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
        .collect()
}
