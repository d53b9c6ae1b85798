//! `POST /login` at a homeserver's host: a login token of ours is redeemed as at the portal, for this homeserver alone;
//! every other login is the homeserver's.
//!
//! Which it is, the body says, so it is looked at before it is passed on: as far as a login of ours could be long, and
//! for as long as one may take. Whatever is longer or slower is none.

use std::time::Duration;

use actix_web::{HttpResponse, dev::Payload, http::StatusCode};
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};

use super::{
    At,
    body::next_part,
    pass_through::{Inbound, pass},
};
use crate::{
    http::{self, arrival},
    login,
    routes::login as portal,
};

/// For as long as a login of ours may take to come whole.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn post(at: &At<'_>, payload: Payload) -> HttpResponse {
    let At { app, homeserver, request, .. } = *at;
    let body = match look(payload).await {
        Some(Inbound::Whole(body)) if is_ours(&body) => body,
        Some(other) => return pass(at, other).await,
        None => return portal::incomplete().response(),
    };
    let audience = homeserver.config.server_name.clone();
    match portal::log_in_at(app, arrival(request).client, &body, audience).await {
        Ok(body) => http::json(StatusCode::OK, &body),
        Err(error) => error.response(),
    }
}

/// `None`: the client went away in the middle.
async fn look(mut payload: Payload) -> Option<Inbound> {
    let deadline = Instant::now() + PATIENCE;
    let (mut parts, mut length) = (Vec::new(), 0);
    while length <= portal::MAX_BODY_BYTES {
        match timeout_at(deadline, next_part(&mut payload)).await {
            Ok(Some(Ok(part))) => {
                length += part.len();
                parts.push(part);
            }
            Ok(None) => return Some(Inbound::Whole(parts.concat().into())),
            Ok(Some(Err(_))) => return None,
            // Slow: the homeserver has as much patience as it has.
            Err(_) => break,
        }
    }
    Some(Inbound::Begun(parts, payload))
}

/// A login with a token that says it is ours. Whether it is, redeeming finds out.
fn is_ours(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct TokenLogin {
        r#type: String,
        token: String,
    }

    serde_json::from_slice(body).is_ok_and(|TokenLogin { r#type, token }| {
        r#type == "m.login.token" && login::claims_to_be_ours(&token)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_ours_by_its_type_and_the_prefix_of_its_token() {
        for (name, body, expected) in [
            ("ours", r#"{"type":"m.login.token","token":"ushl_x"}"#, true),
            ("with more", r#"{"device_id":"D","token":"ushl_x","type":"m.login.token"}"#, true),
            ("escaped", r#"{"type":"m.login.token","token":"\u0075shl_x"}"#, true),
            ("another's token", r#"{"type":"m.login.token","token":"syl_x"}"#, false),
            ("the prefix further on", r#"{"type":"m.login.token","token":"xushl_x"}"#, false),
            ("another type", r#"{"type":"m.login.password","token":"ushl_x"}"#, false),
            ("no type", r#"{"token":"ushl_x"}"#, false),
            ("a token that is no string", r#"{"type":"m.login.token","token":5}"#, false),
            ("no JSON", "type=m.login.token&token=ushl_x", false),
            ("empty", "", false),
        ] {
            assert_eq!(is_ours(body.as_bytes()), expected, "{name}");
        }
    }
}
