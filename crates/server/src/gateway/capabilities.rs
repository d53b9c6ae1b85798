//! `GET /capabilities` at a homeserver's host: told right for people who sign in by single sign-on.
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3capabilities>
//!
//! They can be given a login token (ours), and have no password to change. All else is as the homeserver says it, and
//! people who are not linked are told what it says.

use actix_web::{HttpResponse, dev::Payload, http::StatusCode};
use serde_json::{Map, Value, json};

use super::{
    At,
    access_token::{AccessToken, access_token, unreadable},
    pass_through::{Inbound, pass},
};
use crate::{
    config::PasswordChange,
    http::{self, MatrixError, arrival},
    ui_auth::{self, UiAuthError},
};

pub(super) async fn get(at: &At<'_>, payload: Payload) -> HttpResponse {
    let At { app, homeserver, request, .. } = *at;
    let token = match access_token(request) {
        AccessToken::None => return pass(at, Inbound::Streamed(payload)).await,
        AccessToken::Unreadable => return unreadable().response(),
        AccessToken::One(token) => token,
    };
    let client = arrival(request).client;
    let said = app.run_while_wanted(async {
        let who = ui_auth::identify(app, homeserver, &token, client).await?;
        if !who.is_linked {
            return Ok(None);
        }
        homeserver.client.capabilities(&token, client).await.map(Some).map_err(UiAuthError::from)
    });
    match said.await {
        Ok(None) => pass(at, Inbound::Streamed(payload)).await,
        Ok(Some(said)) => {
            let can_change = app.config.ui_auth.password == PasswordChange::PassedThrough;
            http::json(StatusCode::OK, &Value::Object(told(said, can_change)))
        }
        Err(error) => MatrixError::from(&error).response(),
    }
}

/// `m.change_password` is left as it is where it is the homeserver's.
fn told(mut said: Map<String, Value>, can_change_password: bool) -> Map<String, Value> {
    let capabilities = said.entry("capabilities").or_insert_with(|| json!({}));
    if !capabilities.is_object() {
        *capabilities = json!({});
    }
    if let Some(capabilities) = capabilities.as_object_mut() {
        capabilities.insert("m.get_login_token".to_owned(), json!({ "enabled": true }));
        if !can_change_password {
            capabilities.insert("m.change_password".to_owned(), json!({ "enabled": false }));
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_capabilities_are_told_anew_and_the_rest_is_untouched() {
        let said = json!({ "x": 1, "capabilities": {
            "m.change_password": { "enabled": true }, "m.room_versions": { "default": "11" },
            "m.get_login_token": { "enabled": false, "y": 1 },
        } });
        let map = |value: Value| value.as_object().cloned().expect("an object");
        let on = json!({ "enabled": true });
        for (name, said, can_change, expected) in [
            (
                "both",
                said.clone(),
                false,
                json!({ "x": 1, "capabilities": {
                    "m.change_password": { "enabled": false }, "m.room_versions": { "default": "11" },
                    "m.get_login_token": on,
                } }),
            ),
            (
                "a password of the homeserver's",
                said,
                true,
                json!({ "x": 1, "capabilities": {
                    "m.change_password": { "enabled": true }, "m.room_versions": { "default": "11" },
                    "m.get_login_token": on,
                } }),
            ),
            (
                "nothing said",
                json!({}),
                true,
                json!({ "capabilities": { "m.get_login_token": { "enabled": true } } }),
            ),
        ] {
            assert_eq!(told(map(said), can_change), map(expected), "{name}");
        }
    }
}
