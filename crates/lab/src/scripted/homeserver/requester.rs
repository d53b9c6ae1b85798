//! Who asks: the owner of an access token, or the application service, for itself or for whom it names.

use serde::Deserialize;
use serde_json::json;

use super::{Account, Site, endpoint::error};
use crate::scripted::{Reply, Request};

/// Whoever is answered.
#[derive(Debug)]
pub(super) struct Requester {
    pub(super) user: String,
    /// Of the access token; an application service has none.
    pub(super) device: Option<String>,
}

impl Requester {
    /// Like Synapse: the first `user_id` counts, and without one the service is itself.
    pub(super) fn of(site: &Site, request: &Request) -> Result<Self, Reply> {
        let token = bearer(request).ok_or_else(|| error(401, "M_MISSING_TOKEN", "Missing access token"))?;
        let people = site.people();
        if token != site.as_token {
            let (user, device) = people.session(token).ok_or_else(unknown_token)?;
            return match people.find(&user).map(|person| person.account) {
                Some(Account::Active) => Ok(Self { user, device: Some(device) }),
                Some(Account::Locked) => Err(locked()),
                Some(Account::Deactivated) | None => Err(unknown_token()),
            };
        }
        let own = format!("@usher:{}", site.server_name);
        let user = request.query_values("user_id").into_iter().next().unwrap_or_else(|| own.clone());
        if user != own && (people.is_excluded(&user) || !user.ends_with(&format!(":{}", site.server_name))) {
            let said = format!("Application service cannot masquerade as this user ({user}).");
            return Err(error(403, "M_FORBIDDEN", &said));
        }
        if user != own && people.find(&user).is_none() {
            let said = format!("Application service has not registered this user ({user})");
            return Err(error(403, "M_FORBIDDEN", &said));
        }
        Ok(Self { user, device: None })
    }

    /// Whether it is the application service that asks, whoever it names.
    pub(super) fn is_service(&self) -> bool {
        self.device.is_none()
    }
}

pub(super) fn bearer(request: &Request) -> Option<&str> {
    request.headers.get("authorization")?.to_str().ok()?.strip_prefix("Bearer ")
}

pub(super) fn locked() -> Reply {
    let said =
        json!({ "errcode": "M_USER_LOCKED", "error": "User account has been locked", "soft_logout": true });
    Reply::json(401, &said)
}

pub(super) fn unknown_token() -> Reply {
    let said = json!({ "errcode": "M_UNKNOWN_TOKEN", "error": "Invalid access token passed.", "soft_logout": false });
    Reply::json(401, &said)
}

/// A body as the shape that is used.
pub(super) fn parse<'a, T: Deserialize<'a>>(request: &'a Request) -> Result<T, Reply> {
    serde_json::from_slice(&request.body).map_err(|problem| bad_body(&problem))
}

pub(super) fn bad_body(problem: &serde_json::Error) -> Reply {
    if problem.is_data() {
        error(400, "M_BAD_JSON", "The body has another shape")
    } else {
        error(400, "M_NOT_JSON", "Content not JSON.")
    }
}
