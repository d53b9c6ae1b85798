//! `GET /.well-known/matrix/client`: the portal itself, for clients that were given its name alone.
//! <https://spec.matrix.org/v1.19/client-server-api/#getwell-knownmatrixclient>

use actix_web::{HttpResponse, http::StatusCode, web};
use serde_json::{Value, json};

use crate::{
    app::App,
    http::{self, MatrixError},
};

pub(super) async fn get(app: web::Data<App>) -> HttpResponse {
    let well_known = &app.config.well_known;
    if !well_known.is_served {
        return MatrixError::unrecognized().response();
    }
    let base_url = app.config.public_base_url.as_str().trim_end_matches('/');
    let mut content = well_known.content.clone();
    content.insert("m.homeserver".to_owned(), json!({ "base_url": base_url }));
    http::json(StatusCode::OK, &Value::Object(content))
}
