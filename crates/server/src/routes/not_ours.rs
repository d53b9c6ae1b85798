//! What is not ours. MSC1730: a server that moves all its clients must expect requests other than `/login`
//! from clients that cannot be moved, and answers 401. At its own host, that is: to a client of a homeserver that Usher stands
//! before, 401 means that its session is over, and it forgets what it is signed in with.

use actix_web::{
    HttpRequest, HttpResponse, Route,
    http::{
        Method, StatusCode,
        header::{self, HeaderValue},
    },
    web,
};
use url::form_urlencoded;

use crate::{
    app::App,
    http::{MatrixError, PageProblem, arrival, problem_page},
};

/// First segments of the client-server API (v1.19) below `/_matrix/client/{r0,v1,v3}/`, but for `login`; of `register`, what lies below it.
const ENDPOINTS: [&str; 36] = [
    "account",
    "admin",
    "auth",
    "capabilities",
    "createRoom",
    "delete_devices",
    "devices",
    "directory",
    "events",
    "initialSync",
    "join",
    "joined_rooms",
    "keys",
    "knock",
    "logout",
    "media",
    "notifications",
    "presence",
    "profile",
    "publicRooms",
    "pushers",
    "pushrules",
    "rendezvous",
    "refresh",
    "register",
    "room_keys",
    "room_summary",
    "rooms",
    "search",
    "sendToDevice",
    "sync",
    "thirdparty",
    "user",
    "user_directory",
    "users",
    "voip",
];

/// Where the endpoint has other methods than the one that was asked with; `allow` lists them (RFC 9110 section 10.2.1).
pub(super) fn only(allow: &'static str) -> Route {
    web::to(move || async move { MatrixError::wrong_method(allow).response() })
}

/// The address of a form's answer, opened as a page: a browser shows it above the page that the form led to.
pub(super) async fn form_alone(app: web::Data<App>, request: HttpRequest) -> HttpResponse {
    let problem = PageProblem::new(StatusCode::METHOD_NOT_ALLOWED, "form-alone");
    let mut response = problem_page(&app, &request, &problem, None);
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
    response
}

pub(super) async fn any(app: web::Data<App>, request: HttpRequest) -> HttpResponse {
    let path = request.path();
    if !path.starts_with("/_matrix/") && !path.starts_with("/.well-known/") {
        return problem_page(&app, &request, &PageProblem::new(StatusCode::NOT_FOUND, "not-found"), None);
    }
    answer(&app, &request).response()
}

fn answer(app: &App, request: &HttpRequest) -> MatrixError {
    match part(request.path()) {
        // A homeserver's, whose reverse proxy does not say so: 401 would have its clients forget who they are.
        Part::Known if !is_at_portal(app, request) => {
            if app.limits.may_mention_misdirected() {
                let host = arrival(request).host.map(|host| host.name());
                tracing::warn!(
                    host,
                    path = request.path(),
                    "a request of a client came to a host that is neither the portal's nor in any homeservers[].hosts: does \
                     its reverse proxy hand on Host? More of this is not logged for a minute"
                );
            }
            MatrixError::unrecognized()
        }
        Part::Register if request.method() == Method::POST => MatrixError::new(
            StatusCode::FORBIDDEN,
            "M_FORBIDDEN",
            "Accounts are made by signing in with your organisation's single sign-on",
        ),
        Part::Register => MatrixError::wrong_method("POST, OPTIONS"),
        Part::Known if has_access_token(request) => MatrixError::new(
            StatusCode::UNAUTHORIZED,
            "M_UNKNOWN_TOKEN",
            "This portal only signs people in: use the homeserver it named",
        ),
        Part::Known => {
            MatrixError::new(StatusCode::UNAUTHORIZED, "M_MISSING_TOKEN", "The request has no access token")
        }
        Part::Unknown => MatrixError::unrecognized(),
    }
}

/// Whatever the port and the scheme: proxies tell them less well than the host.
fn is_at_portal(app: &App, request: &HttpRequest) -> bool {
    let host = arrival(request).host.map(|host| host.name());
    host.as_deref() == app.config.public_base_url.host_str()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Register,
    Known,
    Unknown,
}

fn part(path: &str) -> Part {
    let mut segments = path.split('/').skip(1);
    let (root, api, version, first) = (segments.next(), segments.next(), segments.next(), segments.next());
    match (root, api, version, first) {
        (Some("_matrix"), Some("client"), Some("r0" | "v1" | "v3"), Some("register"))
            if segments.next().is_none() =>
        {
            Part::Register
        }
        (Some("_matrix"), Some("client"), Some("r0" | "v1" | "v3"), Some(first))
            if ENDPOINTS.contains(&first) =>
        {
            Part::Known
        }
        (Some("_matrix"), Some("client"), Some("v1"), Some("login"))
            if segments.next() == Some("get_token") =>
        {
            Part::Known
        }
        (Some("_matrix"), Some("media"), Some("r0" | "v1" | "v3"), Some(_)) => Part::Known,
        _ => Part::Unknown,
    }
}

fn has_access_token(request: &HttpRequest) -> bool {
    let in_header = request.headers().get(header::AUTHORIZATION).is_some_and(|value| {
        // The scheme is case-insensitive (RFC 9110 section 11.1).
        value.to_str().is_ok_and(|value| {
            value
                .split_once(' ')
                .is_some_and(|(scheme, token)| scheme.eq_ignore_ascii_case("bearer") && !token.is_empty())
        })
    });
    in_header
        || form_urlencoded::parse(request.query_string().as_bytes())
            .any(|(name, value)| name == "access_token" && !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_server_api_is_known_and_the_rest_is_not() {
        for (path, expected) in [
            ("/_matrix/client/v3/sync", Part::Known),
            ("/_matrix/client/r0/devices/ABC", Part::Known),
            ("/_matrix/client/v1/media/download/a/b", Part::Known),
            ("/_matrix/client/v1/login/get_token", Part::Known),
            ("/_matrix/media/v3/upload", Part::Known),
            ("/_matrix/client/v3/register", Part::Register),
            ("/_matrix/client/v3/register/available", Part::Known),
            ("/_matrix/client/v1/auth_metadata", Part::Unknown),
            ("/_matrix/client/v3/nonsense", Part::Unknown),
            ("/_matrix/client/v9/sync", Part::Unknown),
            ("/_matrix/federation/v1/version", Part::Unknown),
            ("/_matrix/client", Part::Unknown),
        ] {
            assert_eq!(part(path), expected, "{path}");
        }
    }
}
