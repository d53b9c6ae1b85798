//! `GET /_matrix/client/versions`
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientversions>

use actix_web::{HttpResponse, http::StatusCode};
use serde_json::json;

/// What the login half of the API has been in; matrix-js-sdk wants one of v1.1 to v1.13.
const SUPPORTED: [&str; 14] = [
    "r0.6.1", "v1.1", "v1.2", "v1.3", "v1.4", "v1.5", "v1.6", "v1.7", "v1.8", "v1.9", "v1.10", "v1.11",
    "v1.12", "v1.13",
];

pub(super) async fn get() -> HttpResponse {
    crate::http::json(StatusCode::OK, &json!({ "versions": SUPPORTED, "unstable_features": {} }))
}
