//! `POST /account/password`, for who has one and, as far as its question goes, for who has forgotten it.

use serde_json::{Value, json};

use super::{
    Site,
    endpoint::error,
    requester::{Requester, bearer},
    ui_auth::{self, failed},
};
use crate::scripted::{Reply, Request};

pub(super) fn change(site: &Site, request: &Request) -> Result<Reply, Reply> {
    if bearer(request).is_none() {
        return Err(ui_auth::ask_for_email(site, request)?);
    }
    let requester = Requester::of(site, request)?;
    let Some(device) = requester.device.clone() else { return Err(failed()) };
    let body = ui_auth::confirm(site, request, &requester)?;
    let Some(password) = body.get("new_password").and_then(Value::as_str) else {
        return Err(error(400, "M_MISSING_PARAM", "Missing params: password"));
    };
    let mut people = site.people();
    people.add(&requester.user).password = Some(password.to_owned());
    if body.get("logout_devices").and_then(Value::as_bool).unwrap_or(true) {
        people.delete_devices_but(&requester.user, &device);
    }
    Ok(Reply::json(200, &json!({})))
}
