//! `GET /auth/{stage}/fallback/web` at the portal: for clients that have not moved to their homeserver's own address.
//! <https://spec.matrix.org/v1.19/client-server-api/#fallback>

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};

use crate::{
    app::App,
    gateway,
    http::{PageProblem, problem_page},
};

/// The stage, and its name before it was in the specification.
const STAGES: [&str; 2] = ["m.login.sso", "org.matrix.login.sso"];

pub(super) async fn any(app: web::Data<App>, request: HttpRequest) -> HttpResponse {
    let stage = request.match_info().get("stage").unwrap_or_default();
    if !STAGES.contains(&stage) {
        let problem = PageProblem::new(StatusCode::NOT_FOUND, "ui-auth-stage");
        return problem_page(&app, &request, &problem, None);
    }
    gateway::fallback(&app, &request, None).await
}
