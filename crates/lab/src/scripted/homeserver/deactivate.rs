//! `POST /account/deactivate`

use serde_json::json;

use super::{Site, requester::Requester, ui_auth};
use crate::scripted::{Reply, Request};

pub(super) fn answer(site: &Site, request: &Request) -> Result<Reply, Reply> {
    let requester = Requester::of(site, request)?;
    ui_auth::confirm(site, request, &requester)?;
    site.people().deactivate(&requester.user);
    Ok(Reply::json(200, &json!({ "id_server_unbind_result": "success" })))
}
