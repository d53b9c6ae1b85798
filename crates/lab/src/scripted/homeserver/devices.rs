//! `GET /devices`

use serde_json::{Value, json};

use super::{Site, requester::Requester};
use crate::scripted::{Reply, Request};

pub(super) fn list(site: &Site, request: &Request) -> Result<Reply, Reply> {
    let user = Requester::of(site, request)?.user;
    let people = site.people();
    let devices: Vec<Value> = people
        .find(&user)
        .into_iter()
        .flat_map(|person| &person.devices)
        .map(|(id, device)| json!({ "user_id": user, "device_id": id, "display_name": device.display_name }))
        .collect();
    Ok(Reply::json(200, &json!({ "devices": devices })))
}
