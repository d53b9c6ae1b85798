//! `GET /devices`, `DELETE /devices/{deviceId}` and `POST /delete_devices`

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Site, endpoint::error, requester::Requester, ui_auth};
use crate::scripted::{Reply, Request};

#[derive(Deserialize)]
struct Several {
    devices: Vec<String>,
}

pub(super) fn list(site: &Site, request: &Request) -> Result<Reply, Reply> {
    let user = Requester::of(site, request)?.user;
    let people = site.people();
    let devices: Vec<Value> = people
        .find(&user)
        .into_iter()
        .flat_map(|person| &person.devices)
        .map(|(id, device)| {
            json!({
                "user_id": user,
                "device_id": id,
                "display_name": device.display_name,
                "last_seen_ts": device.last_seen_ts,
                "last_seen_ip": device.last_seen_ip,
            })
        })
        .collect();
    Ok(Reply::json(200, &json!({ "devices": devices })))
}

pub(super) fn delete(site: &Site, request: &Request, device: &str) -> Result<Reply, Reply> {
    let requester = Requester::of(site, request)?;
    ui_auth::confirm(site, request, &requester)?;
    site.people().delete_device(&requester.user, device);
    Ok(Reply::json(200, &json!({})))
}

pub(super) fn delete_several(site: &Site, request: &Request) -> Result<Reply, Reply> {
    let requester = Requester::of(site, request)?;
    let body = ui_auth::confirm(site, request, &requester)?;
    let several: Several = serde_json::from_value(Value::Object(body))
        .map_err(|_| error(400, "M_BAD_JSON", "The body has another shape"))?;
    for device in several.devices {
        site.people().delete_device(&requester.user, &device);
    }
    Ok(Reply::json(200, &json!({})))
}
