//! `PUT /profile/{userId}/displayname`

use serde::Deserialize;
use serde_json::json;

use super::{
    Site,
    endpoint::error,
    requester::{Requester, parse},
};
use crate::scripted::{Reply, Request};

#[derive(Deserialize)]
struct Body {
    displayname: String,
}

pub(super) fn set(site: &Site, request: &Request, user: &str) -> Result<Reply, Reply> {
    if Requester::of(site, request)?.user != user {
        return Err(error(400, "M_FORBIDDEN", "Cannot set another user's displayname"));
    }
    let body: Body = parse(request)?;
    site.people().add(user).display_name = Some(body.displayname);
    Ok(Reply::json(200, &json!({})))
}
