//! `POST /keys/device_signing/upload`: a first upload and the same keys again need no UI auth, others do. Signatures are
//! not looked at.

use serde_json::{Value, json};

use super::{
    Site,
    endpoint::error,
    requester::{Requester, parse},
    ui_auth,
};
use crate::scripted::{Reply, Request};

const KEYS: [&str; 3] = ["master_key", "self_signing_key", "user_signing_key"];

pub(super) fn upload(site: &Site, request: &Request) -> Result<Reply, Reply> {
    let requester = Requester::of(site, request)?;
    let mut body: serde_json::Map<String, Value> = parse(request)?;
    let own =
        site.people().find(&requester.user).map(|person| person.cross_signing.clone()).unwrap_or_default();
    if KEYS.iter().all(|key| body.get(*key).is_none_or(|given| own.get(*key) == Some(given))) {
        return Ok(Reply::json(200, &json!({})));
    }
    if own.contains_key("master_key") {
        body = ui_auth::confirm(site, request, &requester)?;
    }
    for (key, given) in body.iter().filter(|(key, _)| KEYS.contains(&key.as_str())) {
        if given["user_id"] != requester.user.as_str() {
            return Err(error(400, "M_INVALID_PARAM", &format!("Invalid {key}")));
        }
    }
    if !own.contains_key("master_key") && !body.contains_key("master_key") {
        return Err(error(400, "M_MISSING_PARAM", "No master key available"));
    }
    let keys = body.into_iter().filter(|(key, _)| KEYS.contains(&key.as_str()));
    site.people().add(&requester.user).cross_signing.extend(keys);
    Ok(Reply::json(200, &json!({})))
}
