//! `POST /_usher/choose`: the person has chosen their homeserver.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use ruma_common::ServerName;
use url::form_urlencoded;
use usher_core::{Handle, ProviderId};

use super::finished;
use crate::{
    app::App,
    attempt::{self, ChooseForm},
    http::{self, PageProblem, problem_page, read_body},
};

/// Where the page's form goes.
pub(super) const PATH: &str = "/_usher/choose";
/// Two ids, a token, a server name, and a `redirectUrl` with every byte escaped.
const MAX_FORM_BYTES: usize = 8192;

pub(super) async fn post(app: web::Data<App>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let Some(form) = form(payload).await else {
        return problem_page(&app, &request, &PageProblem::new(StatusCode::BAD_REQUEST, "form"), None);
    };
    let (owned, jar, client) =
        (app.clone().into_inner(), http::jar(&request), http::arrival(&request).client);
    let chosen = async move { attempt::choose(&owned, &form, client, &jar).await };
    finished::render(&app, &request, StatusCode::SEE_OTHER, app.run(chosen).await)
}

async fn form(payload: web::Payload) -> Option<ChooseForm> {
    let bytes = read_body(payload, MAX_FORM_BYTES).await.ok()?;
    let mut values = [const { None }; 5];
    for (name, value) in form_urlencoded::parse(&bytes) {
        let index = ["provider", "attempt", "csrf", "homeserver", "redirect_url"]
            .iter()
            .position(|known| *known == name)?;
        if values[index].replace(value.into_owned()).is_some() {
            return None;
        }
    }
    let [provider, handle, csrf, homeserver, redirect_url] = values;
    Some(ChooseForm {
        provider: ProviderId::parse(provider?).ok()?,
        handle: Handle::parse(handle?).ok()?,
        csrf: csrf?,
        homeserver: ServerName::parse(homeserver?).ok()?,
        redirect_url,
    })
}
