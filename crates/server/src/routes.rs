//! The portal's surface. A route extracts, calls one use case, renders.

mod choose;
mod confirm;
mod fallback;
mod finished;
mod health;
pub(crate) mod login;
pub(crate) mod login_flows;
mod not_ours;
mod provider;
mod sign_out;
pub(crate) mod sso_redirect;
mod style;
mod ui_auth;
mod versions;
mod well_known;

use actix_web::web::{self, ServiceConfig};

/// Every path under `/_matrix/client/v3` is served under `r0` as well: some clients know nothing else.
const VERSIONS: [&str; 2] = ["v3", "r0"];

/// All routes.
pub(crate) fn configure(config: &mut ServiceConfig) {
    for version in VERSIONS {
        let path = |tail: &str| format!("/_matrix/client/{version}{tail}");
        config
            .service(
                web::resource(path("/login"))
                    .get(login_flows::get)
                    .head(login_flows::get)
                    .post(login::post)
                    .default_service(not_ours::only("GET, HEAD, POST, OPTIONS")),
            )
            .service(
                web::resource([path("/login/sso/redirect"), path("/login/sso/redirect/{provider}")])
                    .get(sso_redirect::get)
                    // Not HEAD: it would begin an attempt, or say that it did.
                    .default_service(not_ours::only("GET, OPTIONS")),
            )
            .service(web::resource(path("/auth/{stage}/fallback/web")).to(fallback::any));
    }
    config
        .service(
            web::resource("/_matrix/client/versions")
                .get(versions::get)
                .head(versions::get)
                .default_service(not_ours::only("GET, HEAD, OPTIONS")),
        )
        .service(
            web::resource("/.well-known/matrix/client")
                .get(well_known::get)
                .head(well_known::get)
                .default_service(not_ours::only("GET, HEAD, OPTIONS")),
        )
        .service(web::resource("/_usher/health").get(health::get).head(health::get))
        .service(web::resource("/_usher/style-{hash}.css").get(style::get))
        .service(
            web::resource(choose::PATH).post(choose::post).default_service(web::to(not_ours::form_alone)),
        )
        .service(
            web::resource(confirm::PATH).post(confirm::post).default_service(web::to(not_ours::form_alone)),
        )
        .service(
            web::resource(ui_auth::PATH)
                .get(ui_auth::get)
                .head(ui_auth::get)
                .post(ui_auth::post)
                .default_service(not_ours::only("GET, HEAD, POST, OPTIONS")),
        )
        .service(
            web::resource(sign_out::PATH)
                .get(sign_out::get)
                .head(sign_out::get)
                .post(sign_out::post)
                .default_service(not_ours::only("GET, HEAD, POST, OPTIONS")),
        )
        .service(
            web::resource(crate::sign_out::DONE_PATH)
                .get(sign_out::done)
                .head(sign_out::done)
                .default_service(not_ours::only("GET, HEAD, OPTIONS")),
        )
        .service(web::resource("/_usher/{kind}/{provider}/{tail:.*}").to(provider::any))
        .default_service(web::to(not_ours::any));
}
