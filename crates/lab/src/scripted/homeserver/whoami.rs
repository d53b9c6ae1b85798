//! `GET /account/whoami`

use serde_json::json;

use super::{Site, requester::Requester};
use crate::scripted::{Reply, Request};

pub(super) fn answer(site: &Site, request: &Request) -> Result<Reply, Reply> {
    let Requester { user, device } = Requester::of(site, request)?;
    let mut answer = json!({ "user_id": user, "is_guest": false });
    if let Some(device) = device {
        answer["device_id"] = device.into();
    }
    Ok(Reply::json(200, &answer))
}
