//! `POST /_usher/confirm`: the person says that a site may have their login token.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use url::form_urlencoded;
use usher_core::{Handle, ProviderId};

use super::finished;
use crate::{
    app::App,
    attempt::{self, ConfirmForm, Failed},
    http::{self, PageProblem, problem_page, read_body, redirect},
};

/// Where the page's form goes.
pub(super) const PATH: &str = "/_usher/confirm";
/// Two ids, a token, and maybe a `redirectUrl` with every byte escaped.
const MAX_FORM_BYTES: usize = 8192;

pub(super) async fn post(app: web::Data<App>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let Some(form) = form(payload).await else {
        return problem_page(&app, &request, &PageProblem::new(StatusCode::BAD_REQUEST, "form"), None);
    };
    let (owned, jar, client) =
        (app.clone().into_inner(), http::jar(&request), http::arrival(&request).client);
    let confirmed = app.run(async move { attempt::confirm(&owned, &form, client, &jar).await }).await;
    match confirmed {
        Ok(confirmed) => redirect(StatusCode::SEE_OTHER, &confirmed.location, &confirmed.cookies),
        Err(Failed { error, attempt }) => {
            let again = attempt.and_then(|attempt| finished::again(&attempt));
            problem_page(&app, &request, &PageProblem::from(&error), again.as_deref())
        }
    }
}

async fn form(payload: web::Payload) -> Option<ConfirmForm> {
    let bytes = read_body(payload, MAX_FORM_BYTES).await.ok()?;
    let mut values = [const { None }; 4];
    for (name, value) in form_urlencoded::parse(&bytes) {
        let index =
            ["provider", "attempt", "csrf", "redirect_url"].iter().position(|known| *known == name)?;
        if values[index].replace(value.into_owned()).is_some() {
            return None;
        }
    }
    let [provider, handle, csrf, redirect_url] = values;
    Some(ConfirmForm {
        provider: ProviderId::parse(provider?).ok()?,
        handle: Handle::parse(handle?).ok()?,
        csrf: csrf?,
        redirect_url,
    })
}
