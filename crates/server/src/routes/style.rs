//! The one style sheet.

use actix_web::{HttpRequest, HttpResponse, http::header};

use crate::pages::{STYLE, style_name};

pub(super) async fn get(request: HttpRequest) -> HttpResponse {
    // While replicas are being replaced, a page of one may ask another for its sheet: ours is better than none, once.
    let is_ours = request.path().rsplit('/').next() == Some(style_name());
    let caching = if is_ours { "public, max-age=31536000, immutable" } else { "no-store" };
    HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, caching))
        .content_type("text/css; charset=utf-8")
        .body(STYLE)
}
