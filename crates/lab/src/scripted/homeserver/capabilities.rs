//! `GET /capabilities`

use serde_json::json;

use super::{Site, requester::Requester};
use crate::scripted::{Reply, Request};

/// With things that nobody between the homeserver and a client understands.
pub(super) fn answer(site: &Site, request: &Request) -> Result<Reply, Reply> {
    Requester::of(site, request)?;
    let answer = json!({
        "capabilities": {
            "m.change_password": { "enabled": true },
            "m.room_versions": { "default": "11", "available": { "10": "stable", "11": "stable" } },
            "m.get_login_token": { "enabled": false },
            "m.3pid_changes": { "enabled": true },
            "org.example.numbers": { "large": 9_007_199_254_740_993_u64, "negative": -3, "part": 0.25 },
        },
        "org.example.more": [null, "\u{fe}"],
    });
    Ok(Reply::json(200, &answer))
}
