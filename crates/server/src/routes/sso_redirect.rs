//! `GET /_matrix/client/v3/login/sso/redirect` and `…/redirect/{idpId}`
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3loginssoredirect>,
//! `action`: MSC3824.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use url::form_urlencoded;
use usher_core::{ProviderId, provider::Hints};

use crate::{
    app::App,
    attempt::{self, ClientRedirect},
    http::{self, PageProblem, page, problem_page},
    pages::{Page, PickerEntry},
};

pub(super) async fn get(app: web::Data<App>, request: HttpRequest) -> HttpResponse {
    let client = match ClientRedirect::from_query(request.query_string()) {
        Ok(client) => client,
        Err(error) => return problem_page(&app, &request, &PageProblem::from(&error), None),
    };
    let chosen = match request.match_info().get("provider").filter(|id| !id.is_empty()) {
        // An id with characters no id has is simply unknown.
        Some(id) => ProviderId::parse(id).ok(),
        None if app.providers.iter().len() > 1 => return picker(&app, &request, &client),
        None => {
            if let Some(only) = app.providers.iter().next() {
                Some(only.provider.descriptor().id.clone())
            } else {
                let problem = PageProblem::new(StatusCode::NOT_FOUND, "no-provider");
                return problem_page(&app, &request, &problem, None);
            }
        }
    };
    let Some(provider) = chosen else {
        return problem_page(
            &app,
            &request,
            &PageProblem::new(StatusCode::NOT_FOUND, "unknown-provider"),
            None,
        );
    };
    let (owned, jar, hints) = (app.clone().into_inner(), http::jar(&request), hints(request.query_string()));
    let begun = {
        let (provider, client) = (provider.clone(), client.clone());
        app.run(async move { attempt::begin(&owned, &provider, &client, hints, &jar).await }).await
    };
    match begun {
        Ok(begun) => http::step(&app, &request, &begun.step, &begun.cookies),
        Err(error) => {
            let again = location(&provider, &client);
            problem_page(&app, &request, &PageProblem::from(&error), Some(&again))
        }
    }
}

/// Where a login at `provider` begins, relative to the portal: the client's URL decodes to the bytes it had.
pub(super) fn location(provider: &ProviderId, client: &ClientRedirect) -> String {
    let redirect_url = utf8_percent_encode(client.as_str(), NON_ALPHANUMERIC);
    format!("/_matrix/client/v3/login/sso/redirect/{provider}?redirectUrl={redirect_url}")
}

fn picker(app: &App, request: &HttpRequest, client: &ClientRedirect) -> HttpResponse {
    let entry = |descriptor: &usher_core::Descriptor| PickerEntry {
        name: descriptor.name.clone(),
        href: location(&descriptor.id, client),
    };
    let providers: Vec<_> =
        app.providers.iter().map(|configured| entry(configured.provider.descriptor())).collect();
    page(app, request, StatusCode::OK, &Page::Picker { providers: &providers }, &[], &[])
}

/// The stable name wins over the unstable one; values nobody has defined are ignored.
fn hints(query: &str) -> Hints {
    let value = |name: &str| {
        form_urlencoded::parse(query.as_bytes())
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    };
    let action = value("action").or_else(|| value("org.matrix.msc3824.action"));
    Hints { register: action.as_deref() == Some("register"), login: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stable_action_wins_and_unknown_ones_are_ignored() {
        for (name, query, expected) in [
            ("none", "", false),
            ("register", "action=register", true),
            ("login", "action=login", false),
            ("unknown", "action=REGISTER", false),
            ("unstable", "org.matrix.msc3824.action=register", true),
            ("both", "org.matrix.msc3824.action=register&action=login", false),
        ] {
            assert_eq!(hints(query).register, expected, "{name}");
        }
    }
}
