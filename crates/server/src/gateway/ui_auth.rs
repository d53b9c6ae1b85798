//! What needs UI auth at a homeserver's host: passed through for those who are not linked, challenged and done for those
//! who are. <https://spec.matrix.org/v1.19/client-server-api/#user-interactive-api-in-the-rest-api>
//!
//! Whose a request is, is known before its body is read: it streams through for people who are not ours. Nothing passes
//! through that has not been found to be nobody's of ours.

use actix_web::{
    FromRequest as _, HttpResponse,
    dev::Payload,
    http::{StatusCode, header::USER_AGENT},
    web,
};
use serde_json::{Value, json};
use usher_store::ui_auth_sessions::Failure;

use super::{
    At,
    access_token::{AccessToken, access_token, unreadable},
    pass_through::{Inbound, pass},
};
use crate::{
    config::PasswordChange,
    http::{self, BodyError, MatrixError, arrival, read_body},
    ui_auth::{self, Asked, Auth, Challenged, Endpoint, Origin, Parsed, UiAuthError},
};

/// Cross-signing keys are a few KiB; a thousand device ids are some ten.
const MAX_BODY_BYTES: usize = 256 * 1024;
/// So much of a client's name for itself is shown.
const MAX_USER_AGENT: usize = 120;

pub(super) async fn handle(at: &At<'_>, endpoint: Endpoint, payload: Payload) -> HttpResponse {
    let At { app, homeserver, request, .. } = *at;
    let token = match access_token(request) {
        // Forgotten passwords: nobody is known yet, so it is the homeserver's.
        AccessToken::None => return pass(at, Inbound::Streamed(payload)).await,
        AccessToken::Unreadable => return unreadable().response(),
        AccessToken::One(token) => token,
    };
    let client = arrival(request).client;
    let who = match app.run_while_wanted(ui_auth::identify(app, homeserver, &token, client)).await {
        Ok(who) => who,
        Err(error) => return MatrixError::from(&error).response(),
    };
    let is_the_homeservers = !who.is_linked
        || (endpoint == Endpoint::ChangePassword
            && app.config.ui_auth.password == PasswordChange::PassedThrough);
    if is_the_homeservers {
        return pass(at, Inbound::Streamed(payload)).await;
    }
    let mut payload = payload;
    let payload =
        web::Payload::from_request(request, &mut payload).await.expect("a payload can always be taken");
    let bytes = match read_body(payload, MAX_BODY_BYTES).await {
        Ok(bytes) => bytes,
        Err(error) => return unread(error).response(),
    };
    let Parsed { auth, rest } = match Parsed::read(&bytes) {
        Ok(parsed) => parsed,
        Err(error) => return MatrixError::from(&UiAuthError::from(error)).response(),
    };
    let origin = Origin { client, user_agent: user_agent(at) };
    let asked = Asked { endpoint, body: rest, origin };
    let outcome = match auth {
        Auth::None => {
            let (app, homeserver) = (app.clone().into_inner(), homeserver.clone());
            let running = async move { ui_auth::challenge(&app, &homeserver, &who, &token, &asked).await };
            at.app.run(running).await
        }
        Auth::Ours(session) => {
            let (app, homeserver) = (app.clone().into_inner(), homeserver.clone());
            let running = async move { ui_auth::resume(&app, &homeserver, &who, &asked, &session).await };
            at.app.run(running).await
        }
    };
    match outcome {
        Ok(Challenged::Done(answer)) => http::json(StatusCode::OK, &Value::Object(answer)),
        Ok(Challenged::SignIn { session, failure }) => sign_in(&session, failure),
        Err(error) => MatrixError::from(&error).response(),
    }
}

/// 401: one flow of one stage. The stage has no parameters. There is no `completed`: the one stage is not, and once it is
/// the request is done.
fn sign_in(session: &str, failure: Option<Failure>) -> HttpResponse {
    let flows = json!([{ "stages": ["m.login.sso"] }]);
    let mut body = json!({ "flows": flows, "params": {}, "session": session });
    if let Some(failure) = failure {
        body["errcode"] = json!("M_FORBIDDEN");
        body["error"] = json!(sentence(failure));
    }
    http::json(StatusCode::UNAUTHORIZED, &body)
}

/// What happened at the last try, and what to do.
fn sentence(failure: Failure) -> &'static str {
    match failure {
        Failure::NotSignedIn => "Your organisation's single sign-on signed nobody in: try again",
        Failure::AnotherPerson => {
            "Somebody else signed in than the person whose account this is: sign in again as that person"
        }
        Failure::NotFresh => {
            "The single sign-on did not prove that you have signed in just now: sign in again, and enter your credentials anew"
        }
        Failure::NotAdmitted => {
            "Whoever signed in may not use this homeserver at the moment: ask your organisation's help desk"
        }
    }
}

fn unread(error: BodyError) -> MatrixError {
    match error {
        BodyError::TooLarge => {
            MatrixError::new(StatusCode::PAYLOAD_TOO_LARGE, "M_TOO_LARGE", "The body is too large")
        }
        BodyError::Incomplete => {
            MatrixError::new(StatusCode::REQUEST_TIMEOUT, "M_UNKNOWN", "The body did not come whole in time")
        }
    }
}

/// What the client calls itself: for a person to recognise, so short and printable.
fn user_agent(at: &At<'_>) -> String {
    let said = at.request.headers().get(USER_AGENT).and_then(|value| value.to_str().ok());
    said.unwrap_or_default().trim().chars().filter(|c| !c.is_control()).take(MAX_USER_AGENT).collect()
}

/// What some homeservers would take for something that needs UI auth, and others not.
pub(super) fn ambiguous() -> MatrixError {
    MatrixError::new(
        StatusCode::BAD_REQUEST,
        "M_UNRECOGNIZED",
        "This address can be read in two ways: spell it without dots, escaped slashes and parameters",
    )
}
