//! The endpoints: which of them a request is for, and who answers it.

use hyper::Method;
use serde_json::json;

use super::{
    Site, admin, capabilities, cross_signing, deactivate, devices, display_name, join, login, login_token,
    password, register, threepids, whoami,
};
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
    /// `DELETE /devices/{deviceId}`
    DeleteDevice,
    /// `POST /delete_devices`
    DeleteDevices,
    /// `POST /keys/device_signing/upload`
    CrossSigning,
    /// `POST /account/deactivate`
    Deactivate,
    /// `POST /account/password`
    Password,
    /// `GET /account/3pid`
    Threepids,
    /// `POST /account/3pid`, which is deprecated and asks for no UI auth
    Threepid,
    /// `POST /account/3pid/add`
    AddThreepid,
    /// `GET /capabilities`
    Capabilities,
    /// `PUT /profile/{userId}/displayname`
    DisplayName,
    /// `GET /login`
    Flows,
    /// `POST /login`
    Login,
    /// `POST /_matrix/client/v1/login/get_token`
    LoginToken,
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
    DeleteDevice { device: String },
    DeleteDevices,
    CrossSigning,
    Deactivate,
    Password,
    Threepids,
    Threepid,
    AddThreepid,
    Capabilities,
    DisplayName { user: String },
    Flows,
    Login,
    LoginToken,
    Join { room: String },
    AdminFlag { user: String },
    AdminUser { user: String },
    AdminEmail { address: String },
}

impl Route {
    pub(super) fn of(prefix: &str, request: &Request) -> Option<Self> {
        let path = request.path.strip_prefix(prefix)?;
        if let Some(path) = path.strip_prefix("/_synapse/admin/") {
            return Self::of_admin(request, path);
        }
        let path = path.strip_prefix("/_matrix/client/")?;
        if let Some(path) = path.strip_prefix("v1/") {
            let is_it = request.method == Method::POST && path == "login/get_token";
            return is_it.then_some(Self::LoginToken);
        }
        let path = path.strip_prefix("v3/").or_else(|| path.strip_prefix("r0/"))?;
        let segments: Vec<_> = path.split('/').collect();
        match (&request.method, segments.as_slice()) {
            (&Method::GET, ["account", "whoami"]) => Some(Self::WhoAmI),
            (&Method::POST, ["register"]) => Some(Self::Register),
            (&Method::GET, ["devices"]) => Some(Self::Devices),
            (&Method::DELETE, ["devices", device]) => {
                Some(Self::DeleteDevice { device: percent_decode(device)? })
            }
            (&Method::POST, ["delete_devices"]) => Some(Self::DeleteDevices),
            (&Method::POST, ["keys", "device_signing", "upload"]) => Some(Self::CrossSigning),
            (&Method::POST, ["account", "deactivate"]) => Some(Self::Deactivate),
            (&Method::POST, ["account", "password"]) => Some(Self::Password),
            (&Method::GET, ["account", "3pid"]) => Some(Self::Threepids),
            (&Method::POST, ["account", "3pid"]) => Some(Self::Threepid),
            (&Method::POST, ["account", "3pid", "add"]) => Some(Self::AddThreepid),
            (&Method::GET, ["capabilities"]) => Some(Self::Capabilities),
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
            Self::DeleteDevice { .. } => Endpoint::DeleteDevice,
            Self::DeleteDevices => Endpoint::DeleteDevices,
            Self::CrossSigning => Endpoint::CrossSigning,
            Self::Deactivate => Endpoint::Deactivate,
            Self::Password => Endpoint::Password,
            Self::Threepids => Endpoint::Threepids,
            Self::Threepid => Endpoint::Threepid,
            Self::AddThreepid => Endpoint::AddThreepid,
            Self::Capabilities => Endpoint::Capabilities,
            Self::DisplayName { .. } => Endpoint::DisplayName,
            Self::Flows => Endpoint::Flows,
            Self::Login => Endpoint::Login,
            Self::LoginToken => Endpoint::LoginToken,
            Self::Join { .. } => Endpoint::Join,
            Self::AdminFlag { .. } => Endpoint::AdminFlag,
            Self::AdminUser { .. } => Endpoint::AdminUser,
            Self::AdminEmail { .. } => Endpoint::AdminEmail,
        }
    }

    pub(super) fn act(&self, site: &Site, request: &Request) -> Reply {
        match self {
            Self::WhoAmI => whoami::answer(site, request),
            Self::Register => register::answer(site, request),
            Self::Devices => devices::list(site, request),
            Self::DeleteDevice { device } => devices::delete(site, request, device),
            Self::DeleteDevices => devices::delete_several(site, request),
            Self::CrossSigning => cross_signing::upload(site, request),
            Self::Deactivate => deactivate::answer(site, request),
            Self::Password => password::change(site, request),
            Self::Threepids => threepids::list(site, request),
            Self::Threepid => threepids::add_unasked(site, request),
            Self::AddThreepid => threepids::add(site, request),
            Self::Capabilities => capabilities::answer(site, request),
            Self::DisplayName { user } => display_name::set(site, request, user),
            Self::Flows => Ok(login::flows()),
            Self::Login => login::log_in(site, request),
            Self::LoginToken => login_token::answer(site, request),
            Self::Join { room } => join::answer(site, request, room),
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
