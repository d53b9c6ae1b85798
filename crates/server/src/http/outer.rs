//! Around every route: a request id, the answers that need no route, and the headers that every answer has.

use actix_web::{
    Error, HttpMessage as _, HttpResponse,
    body::{EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method, StatusCode,
        header::{self, HeaderMap, HeaderName, HeaderValue},
    },
    middleware::Next,
    web,
};
use tracing::Instrument as _;
use usher_http::HOP_HEADER;

use super::{MatrixError, RequestId};
use crate::{
    app::App,
    gateway::{PassedThrough, served_at},
};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longer than any path of ours; a stranger's may be as long as a request's head.
const MAX_LOGGED_PATH: usize = 200;

/// Client-server API v1.19, "Web Browser Clients": on every answer, errors included.
const CORS: [(HeaderName, &str); 3] = [
    (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, PUT, DELETE, OPTIONS"),
    (header::ACCESS_CONTROL_ALLOW_HEADERS, "X-Requested-With, Content-Type, Authorization"),
];

/// Wraps all routes.
pub(crate) async fn outer<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let app = request.app_data::<web::Data<App>>().expect("the server is built around an App").clone();
    let id = app.entropy.base64url::<9>();
    let arrival = app.forwarding.arrival(request.peer_addr(), request.headers());
    request.extensions_mut().insert(RequestId(id.clone()));
    // The path without its query: queries carry tickets and tokens.
    // What the use cases find out is recorded in the same span, so that a failure says whom it is about.
    let path: String = request.path().chars().take(MAX_LOGGED_PATH).collect();
    let span = tracing::info_span!(
        "request",
        request.id = %id,
        method = %request.method(),
        path,
        provider.id = tracing::field::Empty,
        attempt.id = tracing::field::Empty,
        user.mxid = tracing::field::Empty,
        homeserver = tracing::field::Empty,
    );
    request.extensions_mut().insert(arrival);
    let response = without_route(&app, &request);
    let mut response = match response {
        Some(response) => request.into_response(response).map_into_right_body(),
        None => next.call(request).instrument(span).await?.map_into_left_body(),
    };
    if response.response().extensions().contains::<PassedThrough>() {
        // The homeserver's own: it says itself what a browser may do with it, and saying it twice would be nothing.
        return Ok(response);
    }
    let headers = response.headers_mut();
    for (name, value) in CORS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    set_request_id(headers, &id);
    Ok(response)
}

fn without_route(app: &App, request: &ServiceRequest) -> Option<HttpResponse> {
    if request.headers().contains_key(HOP_HEADER.as_str()) {
        // Anybody can send the header; the call's own failure is logged as an error where it was made.
        tracing::debug!("a request of Usher's own came back: an upstream_url points at Usher");
        let sentence = "This request came from Usher itself: homeservers[].upstream_url must be the homeserver's own address";
        return Some(MatrixError::new(StatusCode::LOOP_DETECTED, "M_UNKNOWN", sentence).response());
    }
    // At a homeserver's own host it is the gateway's to say whose preflight it is.
    let is_at_homeserver = || served_at(app, request.request()).is_some();
    (request.method() == Method::OPTIONS && !is_at_homeserver()).then(|| HttpResponse::NoContent().finish())
}

fn set_request_id(headers: &mut HeaderMap, id: &str) {
    // base64url is visible ASCII.
    if let Ok(value) = HeaderValue::from_str(id) {
        headers.insert(X_REQUEST_ID, value);
    }
}
