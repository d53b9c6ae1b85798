//! The endpoints and what they answer, in Synapse's own words where Usher reads them.

use hyper::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Account, Site, admin};
use crate::scripted::{Reply, Request};

/// An endpoint that can be watched, spoiled and held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `GET /account/whoami`
    WhoAmI,
    /// `POST /register`
    Register,
    /// `GET /devices`
    Devices,
    /// `PUT /profile/{userId}/displayname`
    DisplayName,
    /// `GET /login`
    Flows,
    /// `POST /login`
    Login,
    /// `POST /join/{roomIdOrAlias}`
    Join,
    /// `GET /_synapse/admin/v1/users/{userId}/admin`
    AdminFlag,
    /// `GET` and `PUT /_synapse/admin/v2/users/{userId}`
    AdminUser,
    /// `GET /_synapse/admin/v1/threepid/email/users/{address}`
    AdminEmail,
}

/// An endpoint and what its path names.
#[derive(Clone, Debug)]
pub(super) enum Route {
    WhoAmI,
    Register,
    Devices,
    DisplayName { user: String },
    Flows,
    Login,
    Join { room: String },
    AdminFlag { user: String },
    AdminUser { user: String },
    AdminEmail { address: String },
}

/// Who asks: the application service's own user or the one it names, or the owner of an access token.
pub(super) struct Requester {
    pub(super) user: String,
    device: Option<String>,
}

#[derive(Deserialize)]
struct Registration {
    r#type: String,
    username: String,
    #[serde(default)]
    inhibit_login: bool,
}

#[derive(Deserialize)]
struct LoginBody {
    r#type: String,
    identifier: Identifier,
    device_id: Option<String>,
    initial_device_display_name: Option<String>,
    #[serde(default)]
    refresh_token: bool,
}

#[derive(Deserialize)]
struct Identifier {
    user: String,
}

#[derive(Deserialize)]
struct DisplayNameBody {
    displayname: String,
}

impl Route {
    pub(super) fn of(prefix: &str, request: &Request) -> Option<Self> {
        let path = request.path.strip_prefix(prefix)?;
        if let Some(path) = path.strip_prefix("/_synapse/admin/") {
            return Self::of_admin(request, path);
        }
        let path = path.strip_prefix("/_matrix/client/")?;
        let path = path.strip_prefix("v3/").or_else(|| path.strip_prefix("r0/"))?;
        let segments: Vec<_> = path.split('/').collect();
        match (&request.method, segments.as_slice()) {
            (&Method::GET, ["account", "whoami"]) => Some(Self::WhoAmI),
            (&Method::POST, ["register"]) => Some(Self::Register),
            (&Method::GET, ["devices"]) => Some(Self::Devices),
            (&Method::PUT, ["profile", user, "displayname"]) => {
                Some(Self::DisplayName { user: percent_decode(user)? })
            }
            (&Method::GET, ["login"]) => Some(Self::Flows),
            (&Method::POST, ["login"]) => Some(Self::Login),
            (&Method::POST, ["join", room]) => Some(Self::Join { room: percent_decode(room)? }),
            _ => None,
        }
    }

    fn of_admin(request: &Request, path: &str) -> Option<Self> {
        let segments: Vec<_> = path.split('/').collect();
        match (&request.method, segments.as_slice()) {
            (&Method::GET, ["v1", "users", user, "admin"]) => {
                Some(Self::AdminFlag { user: percent_decode(user)? })
            }
            (&Method::GET | &Method::PUT, ["v2", "users", user]) => {
                Some(Self::AdminUser { user: percent_decode(user)? })
            }
            (&Method::GET, ["v1", "threepid", "email", "users", address]) => {
                Some(Self::AdminEmail { address: percent_decode(address)? })
            }
            _ => None,
        }
    }

    pub(super) fn endpoint(&self) -> Endpoint {
        match self {
            Self::WhoAmI => Endpoint::WhoAmI,
            Self::Register => Endpoint::Register,
            Self::Devices => Endpoint::Devices,
            Self::DisplayName { .. } => Endpoint::DisplayName,
            Self::Flows => Endpoint::Flows,
            Self::Login => Endpoint::Login,
            Self::Join { .. } => Endpoint::Join,
            Self::AdminFlag { .. } => Endpoint::AdminFlag,
            Self::AdminUser { .. } => Endpoint::AdminUser,
            Self::AdminEmail { .. } => Endpoint::AdminEmail,
        }
    }

    pub(super) fn act(&self, site: &Site, request: &Request) -> Reply {
        match self {
            Self::WhoAmI => whoami(site, request),
            Self::Register => register(site, request),
            Self::Devices => devices(site, request),
            Self::DisplayName { user } => set_display_name(site, request, user),
            Self::Flows => Ok(flows()),
            Self::Login => log_in(site, request),
            Self::Join { room } => join(site, request, room),
            Self::AdminFlag { user } => admin::flag(site, request, user),
            Self::AdminUser { user } => admin::user(site, request, user),
            Self::AdminEmail { address } => admin::owner_of_email(site, request, address),
        }
        .unwrap_or_else(|refusal| refusal)
    }
}

/// A Matrix error.
pub(super) fn error(status: u16, errcode: &str, error: &str) -> Reply {
    Reply::json(status, &json!({ "errcode": errcode, "error": error }))
}

pub(super) fn unrecognized() -> Reply {
    error(404, "M_UNRECOGNIZED", "Unrecognized request")
}

fn whoami(site: &Site, request: &Request) -> Result<Reply, Reply> {
    let Requester { user, device } = requester(site, request)?;
    let mut answer = json!({ "user_id": user, "is_guest": false });
    if let Some(device) = device {
        answer["device_id"] = device.into();
    }
    Ok(Reply::json(200, &answer))
}

fn register(site: &Site, request: &Request) -> Result<Reply, Reply> {
    let body: Registration = parse(request)?;
    if body.r#type != "m.login.application_service" {
        return Err(error(403, "M_FORBIDDEN", "Registration has been disabled"));
    }
    if bearer(request) != Some(&site.as_token) {
        return Err(unknown_token());
    }
    let user = format!("@{}:{}", body.username, site.server_name);
    let mut people = site.people();
    if people.is_excluded(&user) {
        return Err(error(400, "M_EXCLUSIVE", "Invalid user localpart for this application service."));
    }
    if people.find(&user).is_some() {
        return Err(error(400, "M_USER_IN_USE", "User ID already taken."));
    }
    people.add(&user).display_name = Some(body.username);
    let mut answer = json!({ "user_id": user, "home_server": site.server_name });
    if !body.inhibit_login {
        let (device_id, access_token) = people.open(&user, None, None);
        answer["device_id"] = device_id.into();
        answer["access_token"] = access_token.into();
    }
    Ok(Reply::json(200, &answer))
}

fn devices(site: &Site, request: &Request) -> Result<Reply, Reply> {
    let user = requester(site, request)?.user;
    let people = site.people();
    let devices: Vec<Value> = people
        .find(&user)
        .into_iter()
        .flat_map(|person| &person.devices)
        .map(|(id, device)| json!({ "user_id": user, "device_id": id, "display_name": device.display_name }))
        .collect();
    Ok(Reply::json(200, &json!({ "devices": devices })))
}

fn set_display_name(site: &Site, request: &Request, user: &str) -> Result<Reply, Reply> {
    if requester(site, request)?.user != user {
        return Err(error(400, "M_FORBIDDEN", "Cannot set another user's displayname"));
    }
    let body: DisplayNameBody = parse(request)?;
    site.people().add(user).display_name = Some(body.displayname);
    Ok(Reply::json(200, &json!({})))
}

fn join(site: &Site, request: &Request, room: &str) -> Result<Reply, Reply> {
    let user = requester(site, request)?.user;
    let mut people = site.people();
    if !people.has_room(room) {
        return Err(error(404, "M_NOT_FOUND", &format!("Room alias {room} not found")));
    }
    people.add(&user).rooms.insert(room.to_owned());
    let room_id = format!("!{}:{}", room.len(), site.server_name);
    Ok(Reply::json(200, &json!({ "room_id": room_id })))
}

/// With a single sign-on of its own, which nobody is to be sent to by way of Usher.
fn flows() -> Reply {
    let sso = json!({ "type": "m.login.sso", "identity_providers": [{ "id": "own", "name": "Its own" }] });
    let flows = json!([
        { "type": "m.login.password" },
        sso,
        { "type": "m.login.application_service" },
    ]);
    Reply::json(200, &json!({ "flows": flows }))
}

fn log_in(site: &Site, request: &Request) -> Result<Reply, Reply> {
    let body: LoginBody = parse(request)?;
    if body.r#type != "m.login.application_service" {
        return Err(error(400, "M_UNKNOWN", &format!("Unknown login type {}", body.r#type)));
    }
    if bearer(request) != Some(&site.as_token) {
        return Err(unknown_token());
    }
    let user = body.identifier.user;
    let user = if user.starts_with('@') { user } else { format!("@{user}:{}", site.server_name) };
    let mut people = site.people();
    if people.is_excluded(&user) || !user.ends_with(&format!(":{}", site.server_name)) {
        return Err(error(403, "M_FORBIDDEN", "Invalid access_token"));
    }
    match people.find(&user).map(|person| person.account) {
        None => return Err(error(404, "M_UNKNOWN", "No row found (users)")),
        Some(Account::Deactivated) => {
            return Err(error(403, "M_USER_DEACTIVATED", "This account has been deactivated"));
        }
        Some(Account::Locked) => return Err(locked()),
        Some(Account::Active) => {}
    }
    if body.device_id.as_ref().is_some_and(|id| id.chars().count() > 512) {
        return Err(error(400, "M_INVALID_PARAM", "device_id cannot be longer than 512 characters."));
    }
    let (device_id, access_token) =
        people.open(&user, body.device_id.as_deref(), body.initial_device_display_name.as_deref());
    let mut answer = json!({
        "user_id": user,
        "device_id": device_id,
        "home_server": site.server_name,
        // Of no use to anybody who came by way of Usher, which must put its own in its place.
        "well_known": { "m.homeserver": { "base_url": "http://not-for-clients.invalid/" } },
    });
    if body.refresh_token {
        answer["refresh_token"] = access_token.replace("syt_", "syr_").into();
        answer["expires_in_ms"] = 300_000.into();
    }
    answer["access_token"] = access_token.into();
    Ok(Reply::json(200, &answer))
}

/// Like Synapse: the first `user_id` counts, and without one the service is itself.
pub(super) fn requester(site: &Site, request: &Request) -> Result<Requester, Reply> {
    let token = bearer(request).ok_or_else(|| error(401, "M_MISSING_TOKEN", "Missing access token"))?;
    let people = site.people();
    if token != site.as_token {
        let (user, device) = people.session(token).ok_or_else(unknown_token)?;
        return match people.find(&user).map(|person| person.account) {
            Some(Account::Active) => Ok(Requester { user, device: Some(device) }),
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
    Ok(Requester { user, device: None })
}

fn locked() -> Reply {
    let said =
        json!({ "errcode": "M_USER_LOCKED", "error": "User account has been locked", "soft_logout": true });
    Reply::json(401, &said)
}

fn unknown_token() -> Reply {
    let said = json!({ "errcode": "M_UNKNOWN_TOKEN", "error": "Invalid access token passed.", "soft_logout": false });
    Reply::json(401, &said)
}

fn bearer(request: &Request) -> Option<&str> {
    request.headers.get("authorization")?.to_str().ok()?.strip_prefix("Bearer ")
}

pub(super) fn parse<'a, T: Deserialize<'a>>(request: &'a Request) -> Result<T, Reply> {
    serde_json::from_slice(&request.body).map_err(|problem| {
        if problem.is_data() {
            error(400, "M_BAD_JSON", "The body has another shape")
        } else {
            error(400, "M_NOT_JSON", "Content not JSON.")
        }
    })
}

fn percent_decode(segment: &str) -> Option<String> {
    let mut decoded = Vec::new();
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            decoded.push(u8::from_str_radix(str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            decoded.push(byte);
        }
    }
    String::from_utf8(decoded).ok()
}
