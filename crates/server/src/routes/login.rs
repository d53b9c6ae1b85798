//! `POST /_matrix/client/v3/login` with `m.login.token`, answered with `well_known` (MSC1730).
//! <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3login>

use std::{net::IpAddr, sync::Arc};

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use ruma_common::OwnedServerName;
use secrecy::ExposeSecret as _;
use serde_json::{Map, Value, json};

use crate::{
    app::App,
    http::{self, BodyError, MatrixError, read_body},
    login::{LoggedIn, TokenLogin, redeem},
};

/// Longer than any login.
pub(crate) const MAX_BODY_BYTES: usize = 64 * 1024;
/// Synapse's bound on device ids.
const MAX_DEVICE_ID_CHARACTERS: usize = 512;
/// Well over any login token of ours.
const MAX_TOKEN_BYTES: usize = 1024;

pub(super) async fn post(app: web::Data<App>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    match answer(&app, http::arrival(&request).client, payload).await {
        Ok(body) => http::json(StatusCode::OK, &body),
        Err(error) => error.response(),
    }
}

async fn answer(app: &Arc<App>, client: IpAddr, payload: web::Payload) -> Result<Value, MatrixError> {
    let body = read_body(payload, MAX_BODY_BYTES).await.map_err(|error| match error {
        BodyError::TooLarge => MatrixError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "M_TOO_LARGE",
            "The request is longer than 64 KiB",
        ),
        BodyError::Incomplete => incomplete(),
    })?;
    trade(app, client, &body, None).await
}

/// The same at the host of the homeserver `audience`, with a body that has come already.
pub(crate) async fn log_in_at(
    app: &Arc<App>,
    client: IpAddr,
    body: &[u8],
    audience: OwnedServerName,
) -> Result<Value, MatrixError> {
    trade(app, client, body, Some(audience)).await
}

/// 400: the client went away, or was too slow.
pub(crate) fn incomplete() -> MatrixError {
    bad_request("M_NOT_JSON", "The request did not come whole")
}

async fn trade(
    app: &Arc<App>,
    client: IpAddr,
    body: &[u8],
    audience: Option<OwnedServerName>,
) -> Result<Value, MatrixError> {
    let login = parse(body, client, audience)?;
    let owned = Arc::clone(app);
    let logged_in = app.run(async move { redeem(&owned, &login).await }).await;
    Ok(body_of(app, &logged_in.map_err(|error| MatrixError::from(&error))?))
}

fn bad_request(errcode: &'static str, sentence: impl Into<String>) -> MatrixError {
    MatrixError::new(StatusCode::BAD_REQUEST, errcode, sentence)
}

fn parse(body: &[u8], client: IpAddr, audience: Option<OwnedServerName>) -> Result<TokenLogin, MatrixError> {
    let value: Value = serde_json::from_slice(body)
        .map_err(|_| bad_request("M_NOT_JSON", "The request is not valid JSON"))?;
    let Value::Object(fields) = value else {
        return Err(bad_request("M_BAD_JSON", "The request is not a JSON object"));
    };
    match string(&fields, "type")?.as_deref() {
        Some("m.login.token") => {}
        Some(_) => return Err(bad_request("M_UNKNOWN", "This portal does not have this login type")),
        None => return Err(missing("type")),
    }
    let token = string(&fields, "token")?.ok_or_else(|| missing("token"))?;
    if token.len() > MAX_TOKEN_BYTES {
        return Err(MatrixError::new(StatusCode::FORBIDDEN, "M_FORBIDDEN", "The login token is not valid"));
    }
    let refresh_token = match fields.get("refresh_token") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(wanted)) => *wanted,
        Some(_) => return Err(wrong_type("refresh_token", "a boolean")),
    };
    Ok(TokenLogin {
        token,
        device_id: device_id(&fields)?,
        initial_device_display_name: string(&fields, "initial_device_display_name")?,
        refresh_token,
        client,
        audience,
    })
}

fn device_id(fields: &Map<String, Value>) -> Result<Option<ruma_common::OwnedDeviceId>, MatrixError> {
    let Some(device_id) = string(fields, "device_id")? else { return Ok(None) };
    // Empty: Synapse takes it literally, and everybody without a device id would share one device.
    let is_good = !device_id.is_empty()
        && device_id.chars().count() <= MAX_DEVICE_ID_CHARACTERS
        && !device_id.chars().any(char::is_control);
    if !is_good {
        let sentence = "device_id must have 1 to 512 characters, none of them control characters";
        return Err(bad_request("M_INVALID_PARAM", sentence));
    }
    Ok(Some(device_id.into()))
}

/// An optional string; `null` is absent.
fn string(fields: &Map<String, Value>, name: &'static str) -> Result<Option<String>, MatrixError> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(wrong_type(name, "a string")),
    }
}

fn missing(name: &str) -> MatrixError {
    bad_request("M_MISSING_PARAM", format!("{name} is missing"))
}

fn wrong_type(name: &str, expected: &str) -> MatrixError {
    bad_request("M_BAD_JSON", format!("{name} must be {expected}"))
}

/// The homeserver's answer, and where the client finds it from now on.
fn body_of(app: &App, logged_in: &LoggedIn) -> Value {
    let LoggedIn { session, homeserver } = logged_in;
    let mut body = Map::from_iter([
        ("user_id".to_owned(), json!(session.user_id)),
        ("access_token".to_owned(), json!(session.access_token.expose_secret())),
        ("device_id".to_owned(), json!(session.device_id)),
    ]);
    let optional = [
        ("refresh_token", session.refresh_token.as_ref().map(|token| json!(token.expose_secret()))),
        ("expires_in_ms", session.expires_in_ms.map(|millis| json!(millis))),
        ("home_server", session.home_server.as_ref().map(|name| json!(name))),
    ];
    let present = optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    body.extend(present);
    if let Some(served) = app.homeservers.get(homeserver) {
        let mut well_known = served.config.well_known.clone();
        well_known.insert("m.homeserver".to_owned(), json!({ "base_url": served.config.base_url }));
        body.insert("well_known".to_owned(), Value::Object(well_known));
    }
    Value::Object(body)
}

#[cfg(test)]
mod tests;
