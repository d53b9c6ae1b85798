//! `GET /_usher/health`: 200 if this replica can serve a login, 503 if its database does not answer.

use actix_web::{HttpResponse, http::StatusCode, web};
use serde_json::json;

use crate::{app::App, error, http};

pub(super) async fn get(app: web::Data<App>) -> HttpResponse {
    let store = app.store.clone();
    match app.run(async move { store.ping().await }).await {
        Ok(()) => http::json(StatusCode::OK, &json!({ "status": "ok" })),
        Err(cause) => {
            tracing::warn!(cause = error::chain(&cause), "the database does not answer");
            http::json(StatusCode::SERVICE_UNAVAILABLE, &json!({ "status": "database unavailable" }))
        }
    }
}
