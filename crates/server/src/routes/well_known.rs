//! `GET /.well-known/matrix/client`: the portal itself, for clients that were given its name alone.
//! <https://spec.matrix.org/v1.19/client-server-api/#getwell-knownmatrixclient>

use actix_web::{HttpResponse, http::StatusCode, web};
use serde_json::json;

use crate::app::App;

pub(super) async fn get(app: web::Data<App>) -> HttpResponse {
    let base_url = app.config.public_base_url.as_str().trim_end_matches('/');
    crate::http::json(StatusCode::OK, &json!({ "m.homeserver": { "base_url": base_url } }))
}
