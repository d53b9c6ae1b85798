//! A scripted homeserver and a client for it.

use std::time::Duration;

use ruma_common::{OwnedUserId, UserId, owned_device_id, room_alias_id};
use url::Url;
use usher_homeserver::{Handoff, HandoffError, Homeserver, LogIn, RegisterError, Session};
use usher_http::Outgoing;
use usher_lab::scripted::{
    Reply,
    homeserver::{Endpoint, Fault, ScriptedHomeserver},
};

pub(crate) struct Lab {
    pub(crate) scripted: ScriptedHomeserver,
    pub(crate) homeserver: Homeserver,
}

impl Lab {
    pub(crate) async fn start() -> Self {
        let scripted = ScriptedHomeserver::start("eng.example").await.expect("a free port");
        let homeserver = client(&scripted, scripted.url());
        Self { scripted, homeserver }
    }

    /// A homeserver on which alice has an account.
    pub(crate) async fn with_alice() -> Self {
        let lab = Self::start().await;
        lab.scripted.add_user(alice().as_str());
        lab.scripted.add_room("#welcome:eng.example");
        lab.scripted.set_admin("@usher:eng.example", true);
        lab
    }

    pub(crate) async fn log_in(&self, user: &UserId) -> Result<Session, HandoffError> {
        log_in(&self.homeserver, user).await
    }
}

/// Every call there is, with what a failure of each has in common.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Operation {
    Probe,
    Register,
    ListDevices,
    SetDisplayName,
    Join,
    IsAdministrator,
    AddEmail,
    LogIn,
}

impl Operation {
    pub(crate) const ALL: [Self; 8] = [
        Self::Probe,
        Self::Register,
        Self::ListDevices,
        Self::SetDisplayName,
        Self::Join,
        Self::IsAdministrator,
        Self::AddEmail,
        Self::LogIn,
    ];

    pub(crate) fn endpoint(self) -> Endpoint {
        match self {
            Self::Probe => Endpoint::WhoAmI,
            Self::Register => Endpoint::Register,
            Self::ListDevices => Endpoint::Devices,
            Self::SetDisplayName => Endpoint::DisplayName,
            Self::Join => Endpoint::Join,
            Self::IsAdministrator => Endpoint::AdminFlag,
            Self::AddEmail => Endpoint::AdminUser,
            Self::LogIn => Endpoint::Login,
        }
    }

    pub(crate) async fn run(self, homeserver: &Homeserver, user: &UserId) -> Result<(), HandoffError> {
        match self {
            Self::Probe => Ok(homeserver.probe(user).await.map(drop)?),
            Self::Register => match homeserver.register(user).await {
                Ok(_) => Ok(()),
                Err(RegisterError::Call(error)) => Err(error.into()),
                Err(error) => panic!("{error}"),
            },
            Self::ListDevices => Ok(homeserver.list_devices_of(user).await.map(drop)?),
            Self::SetDisplayName => Ok(homeserver.set_display_name(user, "Alice").await?),
            Self::Join => Ok(homeserver.join(user, room_alias_id!("#welcome:eng.example").into()).await?),
            Self::IsAdministrator => Ok(homeserver.is_administrator(user).await.map(drop)?),
            Self::AddEmail => Ok(homeserver.add_email(user, "alice@eng.example").await.map(drop)?),
            Self::LogIn => log_in(homeserver, user).await.map(drop),
        }
    }
}

pub(crate) fn client(scripted: &ScriptedHomeserver, upstream_url: Url) -> Homeserver {
    client_with(scripted.as_token(), upstream_url)
}

pub(crate) fn client_with(as_token: &str, upstream_url: Url) -> Homeserver {
    let outgoing = Outgoing::new(None, Duration::from_millis(500), 100_000).expect("a client");
    let handoff = Handoff::ApplicationService { as_token: as_token.into() };
    Homeserver::new("eng.example".try_into().expect("a server name"), upstream_url, handoff, outgoing)
        .expect("a homeserver")
}

pub(crate) async fn log_in(homeserver: &Homeserver, user: &UserId) -> Result<Session, HandoffError> {
    let device_id = owned_device_id!("PHONE");
    let login = LogIn {
        user,
        device_id: &device_id,
        initial_device_display_name: Some("Alice's phone"),
        refresh_token: false,
        client: Some("192.0.2.1".parse().expect("an address")),
    };
    homeserver.log_in(&login).await
}

pub(crate) fn alice() -> OwnedUserId {
    user("@alice:eng.example")
}

pub(crate) fn user(id: &str) -> OwnedUserId {
    UserId::parse(id).expect("a user id")
}

pub(crate) fn says_json(status: u16, body: &serde_json::Value) -> Fault {
    Fault::Says(Reply::json(status, body))
}

pub(crate) fn says(status: u16, content_type: &str, body: &'static str) -> Fault {
    Fault::Says(Reply::new(status, content_type, body))
}

/// The variant of an error, for tables.
pub(crate) fn word(error: &HandoffError) -> &'static str {
    match error {
        HandoffError::NotConnected(_) => "not connected",
        HandoffError::Ambiguous(_) => "ambiguous",
        HandoffError::RateLimited { .. } => "rate limited",
        HandoffError::ServerError { .. } => "server error",
        HandoffError::Misbehaved(_) => "misbehaved",
        HandoffError::NotAllowed(_) => "not allowed",
        HandoffError::Looped => "looped",
        HandoffError::ForeignUser => "foreign user",
        HandoffError::Deactivated => "deactivated",
        HandoffError::Locked { .. } => "locked",
        HandoffError::UnknownUser(_) => "unknown user",
        HandoffError::AnotherUser { .. } => "another user",
    }
}
