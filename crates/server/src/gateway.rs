//! The gateway: at a homeserver's own host, what is ours is answered and everything else passes through.
//!
//! The reverse proxy of the homeserver hands us a few endpoints; whatever else arrives passes through all the same, byte
//! for byte and a part at a time. Ours, so far: how people log in there. `GET /login` names our single sign-on beside
//! the homeserver's own ways, a login by single sign-on goes to the portal, and a login token of ours is redeemed as
//! there.
//!
//! A room of its own: it knows `login` and the homeserver's client, and nothing of providers and attempts.

mod body;
mod flows;
mod headers;
mod log_in;
mod pass_through;
mod redirect;
mod route;

use actix_web::{
    Error, HttpRequest, HttpResponse,
    body::{EitherBody, MessageBody},
    dev::{Payload, ServiceRequest, ServiceResponse},
    http::Method,
    middleware::Next,
    web,
};
use usher_http::Relay;

pub(crate) use self::pass_through::{PassError, PassedThrough};
use self::{pass_through::Inbound, route::Route};
use crate::{
    app::{App, ServedHomeserver},
    http::{MatrixError, arrival},
};

/// Between the outer layer and the portal's routes: a request that is for a homeserver goes no further.
pub(crate) async fn gate<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let app = request.app_data::<web::Data<App>>().expect("the server is built around an App").clone();
    let host = arrival(request.request()).host.map(|host| host.name());
    let Some((homeserver, relay)) = host.and_then(|host| app.homeservers.at_host(&host)) else {
        return Ok(next.call(request).await?.map_into_left_body());
    };
    tracing::Span::current().record("homeserver", homeserver.config.server_name.as_str());
    let (request, payload) = request.into_parts();
    let response = answer(&At { app: &app, homeserver, relay, request: &request }, payload).await;
    Ok(ServiceResponse::new(request, response).map_into_right_body())
}

/// A request at a homeserver's host.
struct At<'a> {
    app: &'a web::Data<App>,
    homeserver: &'a ServedHomeserver,
    relay: &'a Relay,
    request: &'a HttpRequest,
}

async fn answer(at: &At<'_>, payload: Payload) -> HttpResponse {
    match (Route::of(at.request.uri().path()), at.request.method()) {
        // Preflights of what is ours; the outer layer adds what they ask about.
        (Some(_), &Method::OPTIONS) => HttpResponse::NoContent().finish(),
        (Some(Route::Login), &Method::GET) => flows::get(at).await,
        (Some(Route::Login), &Method::POST) => log_in::post(at, payload).await,
        (Some(Route::Redirect { provider }), &Method::GET) => redirect::get(at, provider.as_deref()),
        // HEAD would begin a login at the homeserver's own single sign-on, if it has one.
        (Some(Route::Redirect { .. }), _) => MatrixError::wrong_method("GET, OPTIONS").response(),
        (Some(Route::Login) | None, _) => pass_through::pass(at, Inbound::Streamed(payload)).await,
    }
}
