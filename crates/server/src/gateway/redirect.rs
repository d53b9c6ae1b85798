//! `GET /login/sso/redirect[/{idpId}]` at a homeserver's host: it goes on at the portal, for this homeserver alone.
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3loginssoredirect>
//!
//! The attempt's cookie must be the portal's, where the provider sends the browser back to.

use actix_web::{HttpResponse, http::StatusCode};

use super::At;
use crate::{http::redirect, routes::sso_redirect};

pub(super) fn get(at: &At<'_>, provider: Option<&str>) -> HttpResponse {
    let At { app, homeserver, request, .. } = *at;
    let path = provider.map_or(String::new(), |provider| format!("/{provider}"));
    let query = sso_redirect::for_homeserver(request.query_string(), &homeserver.config.server_name);
    let base = app.config.public_base_url.as_str().trim_end_matches('/');
    let location = format!("{base}/_matrix/client/v3/login/sso/redirect{path}?{query}");
    redirect(StatusCode::FOUND, &location, &[])
}
