//! `POST /_matrix/client/v1/login/get_token`

use serde_json::json;

use super::{
    Site,
    requester::Requester,
    ui_auth::{self, failed},
};
use crate::scripted::{Reply, Request};

pub(super) fn answer(site: &Site, request: &Request) -> Result<Reply, Reply> {
    let requester = Requester::of(site, request)?;
    if requester.is_service() {
        return Err(failed());
    }
    ui_auth::confirm(site, request, &requester)?;
    let number = site.people().count();
    Ok(Reply::json(200, &json!({ "login_token": format!("syl_{number}"), "expires_in_ms": 120_000 })))
}
