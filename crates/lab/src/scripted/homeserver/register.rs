//! `POST /register`, closed but to the application service.

use serde::Deserialize;
use serde_json::json;

use super::{
    Site,
    endpoint::error,
    requester::{bearer, parse, unknown_token},
};
use crate::scripted::{Reply, Request};

#[derive(Deserialize)]
struct Registration {
    r#type: String,
    username: String,
    #[serde(default)]
    inhibit_login: bool,
}

pub(super) fn answer(site: &Site, request: &Request) -> Result<Reply, Reply> {
    let body: Registration = parse(request)?;
    if body.r#type != "m.login.application_service" {
        return Err(error(403, "M_FORBIDDEN", "Registration has been disabled"));
    }
    if bearer(request) != Some(&site.as_token) {
        return Err(unknown_token());
    }
    let user = format!("@{}:{}", body.username, site.server_name);
    let mut people = site.people();
    if people.is_excluded(&user) {
        return Err(error(400, "M_EXCLUSIVE", "Invalid user localpart for this application service."));
    }
    if people.find(&user).is_some() {
        return Err(error(400, "M_USER_IN_USE", "User ID already taken."));
    }
    people.add(&user).display_name = Some(body.username);
    let mut answer = json!({ "user_id": user, "home_server": site.server_name });
    if !body.inhibit_login {
        let (device_id, access_token) = people.open(&user, None, None);
        answer["device_id"] = device_id.into();
        answer["access_token"] = access_token.into();
    }
    Ok(Reply::json(200, &answer))
}
