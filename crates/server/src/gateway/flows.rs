//! `GET /login` at a homeserver's host: the homeserver's own flows, with our single sign-on among them.
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3login>
//!
//! Application services and people with passwords find there what they found before. If the homeserver does not answer,
//! neither do we: half a list would send them elsewhere.

use actix_web::{HttpResponse, http::StatusCode};
use serde_json::{Map, Value, json};

use super::At;
use crate::{
    http::{self, MatrixError, arrival},
    routes::login_flows,
};

const SSO: &str = "m.login.sso";
const TOKEN: &str = "m.login.token";
const GET_LOGIN_TOKEN: &str = "get_login_token";

pub(super) async fn get(at: &At<'_>) -> HttpResponse {
    let At { app, homeserver, request, .. } = *at;
    let (client, address) = (homeserver.client.clone(), arrival(request).client);
    let said = app.run_while_wanted(async move { client.login_flows(address).await }).await;
    match said {
        Ok(said) => {
            let mut body = said.rest;
            body.insert("flows".to_owned(), merged(said.flows, login_flows::sso(app)));
            http::json(StatusCode::OK, &Value::Object(body))
        }
        Err(error) => MatrixError::from(&error).response(),
    }
}

/// Ours stands where the homeserver's own single sign-on stood, or first; a token flow is there once, as the homeserver
/// describes it, or last.
fn merged(flows: Vec<Map<String, Value>>, sso: Option<Value>) -> Value {
    let is = |flow: &Value, kind: &str| flow.get("type").and_then(Value::as_str) == Some(kind);
    let mut flows: Vec<Value> = flows.into_iter().map(Value::Object).collect();
    let place = flows.iter().position(|flow| is(flow, SSO)).unwrap_or(0);
    flows.retain(|flow| !is(flow, SSO));
    if let Some(sso) = sso {
        flows.insert(place, sso);
    }
    // Ours to give, whatever the homeserver's own are worth: `POST /login/get_token` (MSC3882).
    match flows.iter_mut().find(|flow| is(flow, TOKEN)).and_then(Value::as_object_mut) {
        Some(flow) => drop(flow.insert(GET_LOGIN_TOKEN.to_owned(), Value::Bool(true))),
        None => flows.push(json!({ "type": TOKEN, GET_LOGIN_TOKEN: true })),
    }
    Value::Array(flows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_single_sign_on_takes_the_place_of_the_homeservers() {
        let ours = || Some(json!({ "type": "m.login.sso", "identity_providers": [] }));
        let flow = |kind: &str| json!({ "type": kind });
        let service = || flow("m.login.application_service");
        let token = || json!({ "type": TOKEN, "get_login_token": true });
        let theirs_off = json!({ "type": TOKEN, "get_login_token": false, "x": 1 });
        for (name, theirs, sso, expected) in [
            ("nothing there", json!([]), ours(), json!([ours(), token()])),
            (
                "a password",
                json!([flow("m.login.password")]),
                ours(),
                json!([ours(), flow("m.login.password"), token()]),
            ),
            (
                "their own single sign-on",
                json!([flow("m.login.password"), { "type": SSO, "identity_providers": [{ "id": "x" }] }, service()]),
                ours(),
                json!([flow("m.login.password"), ours(), service(), token()]),
            ),
            (
                "two of them",
                json!([flow(SSO), service(), flow(SSO)]),
                ours(),
                json!([ours(), service(), token()]),
            ),
            (
                "their own tokens",
                json!([theirs_off, service()]),
                ours(),
                json!([ours(), { "type": TOKEN, "get_login_token": true, "x": 1 }, service()]),
            ),
            (
                "a flow nobody knows",
                json!([{ "type": 5, "x": null }]),
                ours(),
                json!([ours(), { "type": 5, "x": null }, token()]),
            ),
            ("no provider of ours", json!([flow(SSO), service()]), None, json!([service(), token()])),
        ] {
            let flows = serde_json::from_value(theirs).expect("objects");
            assert_eq!(merged(flows, sso), expected, "{name}");
        }
    }
}
