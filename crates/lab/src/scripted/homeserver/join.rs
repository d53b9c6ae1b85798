//! `POST /join/{roomIdOrAlias}`

use serde_json::json;

use super::{Site, endpoint::error, requester::Requester};
use crate::scripted::{Reply, Request};

pub(super) fn answer(site: &Site, request: &Request, room: &str) -> Result<Reply, Reply> {
    let user = Requester::of(site, request)?.user;
    let mut people = site.people();
    if !people.has_room(room) {
        return Err(error(404, "M_NOT_FOUND", &format!("Room alias {room} not found")));
    }
    people.add(&user).rooms.insert(room.to_owned());
    let room_id = format!("!{}:{}", room.len(), site.server_name);
    Ok(Reply::json(200, &json!({ "room_id": room_id })))
}
