//! `GET` and `POST /login`: by application service, and with a password for who has one.

use serde::Deserialize;
use serde_json::json;

use super::{
    Account, Site,
    endpoint::error,
    people::People,
    requester::{bearer, locked, parse, unknown_token},
};
use crate::scripted::{Reply, Request};

#[derive(Deserialize)]
struct Body {
    r#type: String,
    identifier: Identifier,
    password: Option<String>,
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
    let user = site.full_id(&body.identifier.user);
    let mut people = site.people();
    match body.r#type.as_str() {
        "m.login.application_service" => check_service(site, &people, request, &user)?,
        "m.login.password" => check_password(&people, &user, body.password.as_deref())?,
        other => return Err(error(400, "M_UNKNOWN", &format!("Unknown login type {other}"))),
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

fn check_service(site: &Site, people: &People, request: &Request, user: &str) -> Result<(), Reply> {
    if bearer(request) != Some(&site.as_token) {
        return Err(unknown_token());
    }
    if people.is_excluded(user) || !user.ends_with(&format!(":{}", site.server_name)) {
        return Err(error(403, "M_FORBIDDEN", "Invalid access_token"));
    }
    check_account(people, user)
}

/// Who is not there, has no password or gives another is told the same.
fn check_password(people: &People, user: &str, password: Option<&str>) -> Result<(), Reply> {
    let own = people.find(user).and_then(|person| person.password.as_deref());
    if own.is_none() || own != password {
        return Err(error(403, "M_FORBIDDEN", "Invalid username or password"));
    }
    check_account(people, user)
}

fn check_account(people: &People, user: &str) -> Result<(), Reply> {
    match people.find(user).map(|person| person.account) {
        None => Err(error(404, "M_UNKNOWN", "No row found (users)")),
        Some(Account::Deactivated) => {
            Err(error(403, "M_USER_DEACTIVATED", "This account has been deactivated"))
        }
        Some(Account::Locked) => Err(locked()),
        Some(Account::Active) => Ok(()),
    }
}
