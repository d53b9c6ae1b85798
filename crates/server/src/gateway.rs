//! The gateway: at a homeserver's own host, what is ours is answered and everything else passes through.
//!
//! The reverse proxy of the homeserver hands us a few endpoints; whatever else arrives passes through all the same, byte
//! for byte and a part at a time. Ours is how people log in there: `GET /login` names our single sign-on beside
//! the homeserver's own ways, a login by single sign-on goes to the portal, and a login token of ours is redeemed as
//! there. And ours is what needs UI auth (MSC2454), of people who are linked.
//!
//! A room of its own: it knows `login`, `ui_auth` and the homeserver's client, and nothing of providers and attempts.

mod access_token;
mod body;
mod capabilities;
mod fallback;
mod flows;
mod headers;
mod log_in;
mod pass_through;
mod redirect;
mod route;
mod ui_auth;

use actix_web::{
    Error, HttpMessage as _, HttpRequest, HttpResponse,
    body::{EitherBody, MessageBody},
    dev::{Payload, ServiceRequest, ServiceResponse},
    http::Method,
    middleware::Next,
    web,
};
use usher_http::Relay;

pub(crate) use self::{
    fallback::{HINTS, answer as fallback},
    pass_through::{PassError, PassedThrough},
};
use self::{pass_through::Inbound, route::Route};
use crate::{
    app::{App, ServedHomeserver},
    http::{MatrixError, arrival},
    serve::Listener,
};

/// Whether there is something of ours, for who looks from outside: a reverse proxy has to hand it over.
#[cfg(test)]
pub(crate) fn is_ours(method: &str, path: &str) -> bool {
    Route::of(method, path).is_some()
}

/// Between the outer layer and the portal's routes: a request that is for a homeserver goes no further.
pub(crate) async fn gate<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let app = request.app_data::<web::Data<App>>().expect("the server is built around an App").clone();
    let Some((homeserver, relay)) = served_at(&app, request.request()) else {
        return Ok(next.call(request).await?.map_into_left_body());
    };
    request.extensions_mut().insert(AtHomeserver);
    tracing::Span::current().record("homeserver", homeserver.config.server_name.as_str());
    let (request, payload) = request.into_parts();
    let response = answer(&At { app: &app, homeserver, relay, request: &request }, payload).await;
    Ok(ServiceResponse::new(request, response).map_into_right_body())
}

/// The homeserver that a request is for: that of the listener it came by, or of the host it asks for.
pub(crate) fn served_at<'a>(
    app: &'a App,
    request: &HttpRequest,
) -> Option<(&'a ServedHomeserver, &'a Relay)> {
    if let Some(Listener::Homeserver(name)) = request.app_data::<Listener>() {
        return app.homeservers.get(name).and_then(ServedHomeserver::with_relay);
    }
    let host = arrival(request).host.map(|host| host.name())?;
    app.homeservers.at_host(&host)
}

/// In a request's extensions: it is for a homeserver, whose host has no style sheet of ours.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AtHomeserver;

/// A request at a homeserver's host.
struct At<'a> {
    app: &'a web::Data<App>,
    homeserver: &'a ServedHomeserver,
    relay: &'a Relay,
    request: &'a HttpRequest,
}

async fn answer(at: &At<'_>, payload: Payload) -> HttpResponse {
    // A preflight asks about another method; who could be let in by that one is answered by us.
    let method = match at.request.method() {
        &Method::OPTIONS => return preflight(at, payload).await,
        // A tunnel to the homeserver is no request that could be looked at.
        &Method::CONNECT => {
            return MatrixError::wrong_method("DELETE, GET, HEAD, OPTIONS, POST, PUT").response();
        }
        method => method,
    };
    match (Route::of(method.as_str(), at.request.uri().path()), method) {
        (Some(Route::Login), &Method::GET) => flows::get(at).await,
        (Some(Route::Login), &Method::POST) => log_in::post(at, payload).await,
        (Some(Route::Redirect { provider }), &Method::GET) => redirect::get(at, provider.as_deref()),
        // HEAD would begin a login at the homeserver's own single sign-on, if it has one.
        (Some(Route::Redirect { .. }), _) => MatrixError::wrong_method("GET, OPTIONS").response(),
        (Some(Route::Fallback), _) => self::fallback::any(at, payload).await,
        (Some(Route::Capabilities), &Method::GET) => capabilities::get(at, payload).await,
        (Some(Route::UiAuth(endpoint)), _) => ui_auth::handle(at, endpoint, payload).await,
        (Some(Route::Ambiguous), _) => ui_auth::ambiguous().response(),
        (Some(Route::Login | Route::Capabilities) | None, _) => {
            pass_through::pass(at, Inbound::Streamed(payload)).await
        }
    }
}

/// Of what is ours; the outer layer adds what a preflight asks about.
async fn preflight(at: &At<'_>, payload: Payload) -> HttpResponse {
    let path = at.request.uri().path();
    let is_ours = ["GET", "POST", "DELETE"].iter().any(|method| Route::of(method, path).is_some());
    if is_ours {
        HttpResponse::NoContent().finish()
    } else {
        pass_through::pass(at, Inbound::Streamed(payload)).await
    }
}
