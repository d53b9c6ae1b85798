//! What the browser is told at the end of an attempt, or at a page on its way: for the provider's callback and for the
//! forms of those pages alike.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode};
use usher_core::{Candidate, Purpose};

use super::sso_redirect;
use crate::{
    app::App,
    attempt::{Attempt, ClientRedirect, Failed, Finished},
    http::{self, PageProblem, page, problem_page, redirect},
    pages::{ChooserEntry, Page},
    sign_out, ui_auth,
};

/// `status` is that of a redirect: 302, or 303 after a form.
pub(super) fn render(
    app: &App,
    request: &HttpRequest,
    status: StatusCode,
    finished: Result<Finished, Failed>,
) -> HttpResponse {
    match finished {
        Ok(Finished::ToClient { location, cookies } | Finished::Confirmed { location, cookies }) => {
            redirect(status, &location, &cookies)
        }
        Ok(Finished::Continue { step, cookies }) => http::step(app, request, &step, &cookies),
        Ok(Finished::Choose { attempt, csrf, client, candidates, cookies }) => {
            let homeservers: Vec<_> = candidates.iter().map(entry).collect();
            let content = Page::Chooser {
                homeservers: &homeservers,
                action: super::choose::PATH,
                provider: attempt.provider.as_str(),
                handle: attempt.handle.as_str(),
                csrf: &csrf,
                redirect_url: client.as_str(),
            };
            page(app, request, StatusCode::OK, &content, &form_action(&client), &cookies)
        }
        Ok(Finished::Confirm { attempt, csrf, client, user, cookies }) => {
            let content = Page::Confirm {
                site: &client.site(),
                is_app: client.is_app(),
                user: user.as_str(),
                action: super::confirm::PATH,
                provider: attempt.provider.as_str(),
                handle: attempt.handle.as_str(),
                csrf: &csrf,
                redirect_url: attempt.is_without_client().then(|| client.as_str()),
            };
            page(app, request, StatusCode::OK, &content, &form_action(&client), &cookies)
        }
        Err(Failed { error, attempt }) => {
            let mut problem = PageProblem::from(&error);
            if problem.can_sign_out {
                problem.sign_out =
                    attempt.as_ref().and_then(|attempt| sign_out::link(app, &attempt.provider));
            }
            let again = attempt.and_then(|attempt| again(&attempt));
            problem_page(app, request, &problem, again.as_deref())
        }
    }
}

/// Chromium applies `form-action` to the redirect that answers the form.
fn form_action(client: &ClientRedirect) -> [String; 2] {
    ["'self'".to_owned(), client.csp_source()]
}

fn entry(candidate: &Candidate) -> ChooserEntry {
    ChooserEntry { name: candidate.name.clone(), server_name: candidate.server_name.to_string() }
}

/// Where the person starts again.
pub(super) fn again(attempt: &Attempt) -> Option<String> {
    match &attempt.purpose {
        Purpose::Login { client_redirect_url, only } => {
            let client = ClientRedirect::parse(client_redirect_url).ok()?;
            Some(sso_redirect::location(&attempt.provider, &client, only.as_deref()))
        }
        // The page that asks: a click there begins another attempt.
        Purpose::UiAuth { session, .. } => {
            usher_core::Handle::parse(session.as_str()).ok().map(|handle| ui_auth::page_path(&handle))
        }
    }
}
