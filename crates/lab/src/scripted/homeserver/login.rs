//! `GET` and `POST /login`, by application service.

use serde::Deserialize;
use serde_json::json;

use super::{
    Account, Site,
    endpoint::error,
    requester::{bearer, locked, parse, unknown_token},
};
use crate::scripted::{Reply, Request};

#[derive(Deserialize)]
struct Body {
    r#type: String,
    identifier: Identifier,
    device_id: Option<String>,
    initial_device_display_name: Option<String>,
    #[serde(default)]
    refresh_token: bool,
}

#[derive(Deserialize)]
struct Identifier {
    user: String,
}

/// With a single sign-on of its own, which nobody is to be sent to by way of Usher.
pub(super) fn flows() -> Reply {
    let sso = json!({ "type": "m.login.sso", "identity_providers": [{ "id": "own", "name": "Its own" }] });
    let flows = json!([
        { "type": "m.login.password" },
        sso,
        { "type": "m.login.application_service" },
    ]);
    Reply::json(200, &json!({ "flows": flows }))
}

pub(super) fn log_in(site: &Site, request: &Request) -> Result<Reply, Reply> {
    let body: Body = parse(request)?;
    if body.r#type != "m.login.application_service" {
        return Err(error(400, "M_UNKNOWN", &format!("Unknown login type {}", body.r#type)));
    }
    if bearer(request) != Some(&site.as_token) {
        return Err(unknown_token());
    }
    let user = body.identifier.user;
    let user = if user.starts_with('@') { user } else { format!("@{user}:{}", site.server_name) };
    let mut people = site.people();
    if people.is_excluded(&user) || !user.ends_with(&format!(":{}", site.server_name)) {
        return Err(error(403, "M_FORBIDDEN", "Invalid access_token"));
    }
    match people.find(&user).map(|person| person.account) {
        None => return Err(error(404, "M_UNKNOWN", "No row found (users)")),
        Some(Account::Deactivated) => {
            return Err(error(403, "M_USER_DEACTIVATED", "This account has been deactivated"));
        }
        Some(Account::Locked) => return Err(locked()),
        Some(Account::Active) => {}
    }
    if body.device_id.as_ref().is_some_and(|id| id.chars().count() > 512) {
        return Err(error(400, "M_INVALID_PARAM", "device_id cannot be longer than 512 characters."));
    }
    let (device_id, access_token) =
        people.open(&user, body.device_id.as_deref(), body.initial_device_display_name.as_deref());
    let mut answer = json!({
        "user_id": user,
        "device_id": device_id,
        "home_server": site.server_name,
        // Of no use to anybody who came by way of Usher, which must put its own in its place.
        "well_known": { "m.homeserver": { "base_url": "http://not-for-clients.invalid/" } },
    });
    if body.refresh_token {
        answer["refresh_token"] = access_token.replace("syt_", "syr_").into();
        answer["expires_in_ms"] = 300_000.into();
    }
    answer["access_token"] = access_token.into();
    Ok(Reply::json(200, &answer))
}
