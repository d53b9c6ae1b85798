//! `GET /_usher/health`: 200 if this replica can serve a login, 503 if its database does not answer.

use actix_web::{HttpResponse, http::StatusCode, web};
use serde_json::json;

use crate::{app::App, http};

pub(super) async fn get(app: web::Data<App>) -> HttpResponse {
    let owned = app.clone().into_inner();
    if app.run(async move { owned.health.is_good(&owned.store, &*owned.clock).await }).await {
        http::json(StatusCode::OK, &json!({ "status": "ok" }))
    } else {
        http::json(StatusCode::SERVICE_UNAVAILABLE, &json!({ "status": "database unavailable" }))
    }
}
