//! `GET /_matrix/client/v3/login/sso/redirect` and `…/redirect/{idpId}`
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3loginssoredirect>,
//! `action`: MSC3824.
//!
//! An attempt's cookie must be set at the host that the provider sends the browser back to. Whoever comes to another
//! host, port or scheme is sent to the public one first - once: where a proxy rewrites `Host`, every request looks so.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, Uri},
    web,
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ruma_common::{OwnedServerName, ServerName};
use url::{Url, form_urlencoded};
use usher_core::{ProviderId, provider::Hints};

use crate::{
    app::App,
    attempt::{self, ClientRedirect},
    http::{self, PageProblem, page, problem_page, redirect},
    pages::{Page, PickerEntry},
};

/// Marks a request that was sent here from another host; nobody else reads it.
const CANONICAL: &str = "usher_canonical";
/// The homeserver at whose host the login began.
const HOMESERVER: &str = "usher_homeserver";
/// A server name has nothing else that a query could take for something.
const IN_QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'-');

pub(super) async fn get(app: web::Data<App>, request: HttpRequest) -> HttpResponse {
    let arrival = http::arrival(&request);
    if arrival.host.is_none() {
        return problem_page(&app, &request, &PageProblem::new(StatusCode::BAD_REQUEST, "host"), None);
    }
    if !arrival.is_at(&app.config.public_base_url) && !was_sent_here(request.query_string()) {
        return redirect(StatusCode::FOUND, &at_portal(&app.config.public_base_url, request.uri()), &[]);
    }
    if let Err(limited) = app.limits.redirect(arrival.client) {
        return problem_page(&app, &request, &PageProblem::from(limited), None);
    }
    let client = match ClientRedirect::from_query(request.query_string()) {
        Ok(client) => client,
        Err(error) => return problem_page(&app, &request, &PageProblem::from(&error), None),
    };
    let only = match only(&app, request.query_string()) {
        Ok(only) => only,
        Err(problem) => return problem_page(&app, &request, &problem, None),
    };
    let in_path = request.match_info().get("provider").filter(|id| !id.is_empty());
    let provider = match chosen(&app, in_path, request.query_string()) {
        Chosen::Provider(provider) => provider,
        Chosen::Nobody => return picker(&app, &request, &client, only.as_deref()),
        Chosen::Problem(problem) => return problem_page(&app, &request, &problem, None),
    };
    let (owned, jar, hints) = (app.clone().into_inner(), http::jar(&request), hints(request.query_string()));
    let begun = {
        let (provider, client, only) = (provider.clone(), client.clone(), only.clone());
        app.run(async move { attempt::begin(&owned, &provider, &client, only, hints, &jar).await }).await
    };
    match begun {
        Ok(begun) => http::step(&app, &request, &begun.step, &begun.cookies),
        Err(error) => {
            let again = location(&provider, &client, only.as_deref());
            problem_page(&app, &request, &PageProblem::from(&error), Some(&again))
        }
    }
}

fn was_sent_here(query: &str) -> bool {
    form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == CANONICAL)
}

/// The same path and query, byte for byte, at the public base URL; nothing of the request's host.
fn at_portal(portal: &Url, uri: &Uri) -> String {
    let base = portal.as_str().trim_end_matches('/');
    let query = uri.query().map_or(String::new(), |query| format!("{query}&"));
    format!("{base}{}?{query}{CANONICAL}=1", uri.path())
}

enum Chosen {
    Provider(ProviderId),
    /// Not yet: the person picks.
    Nobody,
    Problem(PageProblem),
}

/// The id in the path; without one, `idp` of the query, as pickers of other servers send it; without that, the only
/// provider there is.
fn chosen(app: &App, in_path: Option<&str>, query: &str) -> Chosen {
    // An id with characters no id has is simply unknown.
    let known = |id: &str| ProviderId::parse(id).ok().filter(|id| app.providers.get(id).is_some());
    if let Some(id) = in_path {
        let unknown = PageProblem::new(StatusCode::NOT_FOUND, "unknown-provider");
        return known(id).map_or(Chosen::Problem(unknown), Chosen::Provider);
    }
    let mut picked = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == "idp");
    match (picked.next(), picked.next()) {
        (Some((_, id)), None) => {
            let unknown = PageProblem::new(StatusCode::BAD_REQUEST, "unknown-provider");
            known(&id).map_or(Chosen::Problem(unknown), Chosen::Provider)
        }
        (Some(_), Some(_)) => Chosen::Problem(PageProblem::new(StatusCode::BAD_REQUEST, "unknown-provider")),
        (None, _) => {
            let mut all = app.providers.iter().map(|configured| &configured.provider.descriptor().id);
            match (all.next(), all.next()) {
                (Some(only), None) => Chosen::Provider(only.clone()),
                (Some(_), Some(_)) => Chosen::Nobody,
                (None, _) => Chosen::Problem(PageProblem::new(StatusCode::NOT_FOUND, "no-provider")),
            }
        }
    }
}

/// Where a login at `provider` begins, relative to the portal: the client's URL decodes to the bytes it had.
pub(super) fn location(provider: &ProviderId, client: &ClientRedirect, only: Option<&ServerName>) -> String {
    let redirect_url = utf8_percent_encode(client.as_str(), NON_ALPHANUMERIC);
    let query = format!("redirectUrl={redirect_url}");
    let query = only.map_or(query.clone(), |only| for_homeserver(&query, only));
    format!("/_matrix/client/v3/login/sso/redirect/{provider}?{query}")
}

/// The query of a login that began at a homeserver's host; all else in it stays byte for byte.
pub(crate) fn for_homeserver(query: &str, server_name: &ServerName) -> String {
    let is_ours = |pair: &&str| {
        let name = pair.split_once('=').map_or(*pair, |(name, _)| name);
        form_urlencoded::parse(name.as_bytes())
            .next()
            .is_some_and(|(name, _)| name == HOMESERVER || name == CANONICAL)
    };
    let server_name = utf8_percent_encode(server_name.as_str(), IN_QUERY).to_string();
    let ours = format!("{HOMESERVER}={server_name}");
    if query.is_empty() {
        return ours;
    }
    query.split('&').filter(|pair| !is_ours(pair)).chain([ours.as_str()]).collect::<Vec<_>>().join("&")
}

/// The homeserver at whose host the login began, if it did.
fn only(app: &App, query: &str) -> Result<Option<OwnedServerName>, PageProblem> {
    let mut named = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == HOMESERVER);
    let Some((_, name)) = named.next() else { return Ok(None) };
    let served = ServerName::parse(&*name).ok().filter(|name| app.homeservers.get(name).is_some());
    match (served, named.next()) {
        (Some(served), None) => Ok(Some(served)),
        _ => Err(PageProblem::new(StatusCode::BAD_REQUEST, "unknown-homeserver")),
    }
}

fn picker(
    app: &App,
    request: &HttpRequest,
    client: &ClientRedirect,
    only: Option<&ServerName>,
) -> HttpResponse {
    let entry = |descriptor: &usher_core::Descriptor| PickerEntry {
        name: descriptor.name.clone(),
        href: location(&descriptor.id, client, only),
    };
    let providers: Vec<_> =
        app.providers.iter().map(|configured| entry(configured.provider.descriptor())).collect();
    page(app, request, StatusCode::OK, &Page::Picker { providers: &providers }, &[], &[])
}

/// Wishes longer than this are not passed on.
const MAX_WISH_BYTES: usize = 255;

/// The stable name of `action` wins over the unstable one; values nobody has defined are ignored. The other wishes have
/// the names that OpenID Connect gives them (Core 3.1.2.1), whatever the provider speaks.
fn hints(query: &str) -> Hints {
    let value = |name: &str| {
        form_urlencoded::parse(query.as_bytes())
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    };
    let wish = |name: &str| {
        let is_good = |wish: &String| {
            !wish.is_empty() && wish.len() <= MAX_WISH_BYTES && !wish.chars().any(char::is_control)
        };
        value(name).filter(is_good)
    };
    let action = value("action").or_else(|| value("org.matrix.msc3824.action"));
    Hints {
        register: action.as_deref() == Some("register"),
        login: wish("login_hint"),
        contexts: wish("acr_values"),
        locales: wish("ui_locales"),
        origin: None,
    }
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
            ("unknown and unstable", "org.matrix.msc3824.action=LOGIN", false),
            ("both", "org.matrix.msc3824.action=register&action=login", false),
            ("both the other way", "org.matrix.msc3824.action=login&action=register", true),
        ] {
            assert_eq!(hints(query).register, expected, "{name}");
        }
    }

    #[test]
    fn wishes_are_read_if_they_are_short_and_printable() {
        let long = format!("login_hint={}", "x".repeat(256));
        for (name, query, expected) in [
            ("none", "", None),
            ("one", "login_hint=alice%40ac.cdl", Some("alice@ac.cdl")),
            ("empty", "login_hint=", None),
            ("a line break", "login_hint=a%0D%0Ab", None),
            ("too long", long.as_str(), None),
        ] {
            assert_eq!(hints(query).login.as_deref(), expected, "{name}");
        }
        let all = hints("ui_locales=fr+en&acr_values=urn%3Amfa");
        assert_eq!((all.locales.as_deref(), all.contexts.as_deref()), (Some("fr en"), Some("urn:mfa")));
    }
}
