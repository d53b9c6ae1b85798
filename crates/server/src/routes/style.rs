//! The one style sheet.

use actix_web::{HttpResponse, http::header};

pub(super) async fn get() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "public, max-age=86400"))
        .content_type("text/css; charset=utf-8")
        .body(crate::pages::STYLE)
}
