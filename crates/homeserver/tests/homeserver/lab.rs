//! A scripted homeserver and a client for it.

use std::{net::IpAddr, time::Duration};

use ruma_common::{OwnedUserId, UserId, owned_device_id, room_alias_id};
use secrecy::SecretString;
use serde_json::{Map, Value, json};
use url::Url;
use usher_homeserver::{
    Act, ActError, AsPersonError, Asked, CallError, Handoff, HandoffError, Homeserver, LogIn, Refusal,
    RegisterError, Session,
};
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

    /// A homeserver on which alice has an account, and has shown an address to be hers.
    pub(crate) async fn with_alice() -> Self {
        let lab = Self::start().await;
        lab.scripted.add_user(alice().as_str());
        lab.scripted.add_room("#welcome:eng.example");
        lab.scripted.set_admin("@usher:eng.example", true);
        lab.scripted.validate_email("her secret", "7", "alice@elsewhere.example");
        lab
    }

    /// Alice's own access token, on a device of hers.
    pub(crate) fn session_on(&self, device: &str) -> SecretString {
        self.scripted.open_session(alice().as_str(), device, None).into()
    }

    pub(crate) async fn log_in(&self, user: &UserId) -> Result<Session, HandoffError> {
        log_in(&self.homeserver, user).await
    }
}

/// Every call there is, with what a failure of each has in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Probe,
    Register,
    ListDevices,
    DevicesOf,
    SetDisplayName,
    Join,
    IsAdministrator,
    AddEmail,
    LogIn,
    WhoAmI,
    Capabilities,
    UploadCrossSigning,
    Act(Kind),
}

/// Of an [`Act`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    DeleteDevices,
    UploadCrossSigning,
    AddThreepid,
    Deactivate,
}

/// Why an operation failed, whatever it was.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Handoff(#[from] HandoffError),
    #[error(transparent)]
    AsPerson(AsPersonError),
    #[error(transparent)]
    Act(ActError),
    #[error("refused")]
    Upload(#[source] Refusal),
}

impl Kind {
    pub(crate) const ALL: [Self; 4] =
        [Self::DeleteDevices, Self::UploadCrossSigning, Self::AddThreepid, Self::Deactivate];

    pub(crate) fn endpoint(self) -> Endpoint {
        match self {
            Self::DeleteDevices => Endpoint::DeleteDevices,
            Self::UploadCrossSigning => Endpoint::CrossSigning,
            Self::AddThreepid => Endpoint::Threepid,
            Self::Deactivate => Endpoint::Deactivate,
        }
    }

    pub(crate) fn act(self) -> Act {
        match self {
            Self::DeleteDevices => Act::DeleteDevices(vec![owned_device_id!("PHONE")]),
            Self::UploadCrossSigning => Act::UploadCrossSigning(keys("first")),
            Self::AddThreepid => {
                Act::AddThreepid { client_secret: "her secret".to_owned(), sid: "7".to_owned() }
            }
            Self::Deactivate => Act::Deactivate(object(json!({ "erase": true }))),
        }
    }
}

impl Operation {
    pub(crate) const ALL: [Self; 16] = [
        Self::Probe,
        Self::Register,
        Self::ListDevices,
        Self::DevicesOf,
        Self::SetDisplayName,
        Self::Join,
        Self::IsAdministrator,
        Self::AddEmail,
        Self::LogIn,
        Self::WhoAmI,
        Self::Capabilities,
        Self::UploadCrossSigning,
        Self::Act(Kind::DeleteDevices),
        Self::Act(Kind::UploadCrossSigning),
        Self::Act(Kind::AddThreepid),
        Self::Act(Kind::Deactivate),
    ];

    /// Those with a person's own access token.
    pub(crate) const AS_PERSON: [Self; 3] = [Self::WhoAmI, Self::Capabilities, Self::UploadCrossSigning];

    pub(crate) fn endpoint(self) -> Endpoint {
        match self {
            Self::Probe | Self::WhoAmI => Endpoint::WhoAmI,
            Self::Register => Endpoint::Register,
            Self::ListDevices | Self::DevicesOf => Endpoint::Devices,
            Self::SetDisplayName => Endpoint::DisplayName,
            Self::Join => Endpoint::Join,
            Self::IsAdministrator => Endpoint::AdminFlag,
            Self::AddEmail => Endpoint::AdminUser,
            Self::LogIn => Endpoint::Login,
            Self::Capabilities => Endpoint::Capabilities,
            Self::UploadCrossSigning => Endpoint::CrossSigning,
            Self::Act(kind) => kind.endpoint(),
        }
    }

    pub(crate) fn is_as_person(self) -> bool {
        Self::AS_PERSON.contains(&self)
    }

    /// Whether it is done for somebody at [`CLIENT`].
    pub(crate) fn has_client(self) -> bool {
        self.is_as_person() || matches!(self, Self::LogIn | Self::Act(_))
    }

    /// Does it for `user`, who has `token`.
    pub(crate) async fn run(
        self,
        homeserver: &Homeserver,
        user: &UserId,
        token: &SecretString,
    ) -> Result<(), Failure> {
        match self {
            Self::Probe => Ok(homeserver.probe(user).await.map(drop)?),
            Self::Register => match homeserver.register(user).await {
                Ok(_) => Ok(()),
                Err(RegisterError::Call(error)) => Err(error.into()),
                Err(error) => panic!("{error}"),
            },
            Self::ListDevices => Ok(homeserver.list_devices_of(user).await.map(drop)?),
            Self::DevicesOf => Ok(homeserver.devices_of(user).await.map(drop)?),
            Self::SetDisplayName => Ok(homeserver.set_display_name(user, "Alice").await?),
            Self::Join => Ok(homeserver.join(user, room_alias_id!("#welcome:eng.example").into()).await?),
            Self::IsAdministrator => Ok(homeserver.is_administrator(user).await.map(drop)?),
            Self::AddEmail => Ok(homeserver.add_email(user, "alice@eng.example").await.map(drop)?),
            Self::LogIn => Ok(log_in(homeserver, user).await.map(drop)?),
            Self::WhoAmI => homeserver.whoami(token, CLIENT).await.map(drop).map_err(Failure::AsPerson),
            Self::Capabilities => {
                homeserver.capabilities(token, CLIENT).await.map(drop).map_err(Failure::AsPerson)
            }
            Self::UploadCrossSigning => {
                match homeserver.upload_cross_signing_as_person(token, CLIENT, &keys("first")).await? {
                    Asked::Done(_) => Ok(()),
                    Asked::Refused(refusal) => Err(Failure::Upload(refusal)),
                    Asked::NeedsUiAuth => panic!("the first keys there are"),
                }
            }
            Self::Act(kind) => {
                homeserver.act(user, CLIENT, &kind.act()).await.map(drop).map_err(Failure::Act)
            }
        }
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        Self::Handoff(error.into())
    }
}

impl Failure {
    /// The variant, for tables.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Handoff(error) => word(error),
            Self::AsPerson(AsPersonError::Call(error)) | Self::Act(ActError::Call(error)) => call_word(error),
            Self::AsPerson(AsPersonError::Refused(_)) | Self::Act(ActError::Refused(_)) | Self::Upload(_) => {
                "refused"
            }
        }
    }

    pub(crate) fn is_definite(&self) -> bool {
        match self {
            Self::Handoff(error) => error.is_definite(),
            Self::AsPerson(AsPersonError::Call(error)) | Self::Act(ActError::Call(error)) => {
                error.is_definite()
            }
            Self::AsPerson(AsPersonError::Refused(_)) | Self::Act(ActError::Refused(_)) | Self::Upload(_) => {
                true
            }
        }
    }
}

/// Where people's clients are.
pub(crate) const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

/// Cross-signing keys of alice's, as far as the scripted homeserver looks at them.
pub(crate) fn keys(key: &str) -> Map<String, Value> {
    let of = |usage: &str| {
        let name = format!("ed25519:{usage}-{key}");
        json!({ "user_id": alice(), "usage": [usage], "keys": { name: key } })
    };
    object(json!({
        "master_key": of("master"),
        "self_signing_key": of("self_signing"),
        "user_signing_key": of("user_signing"),
    }))
}

pub(crate) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        other => panic!("{other} is no object"),
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
        client: Some(CLIENT),
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

fn call_word(error: &CallError) -> &'static str {
    match error {
        CallError::NotConnected(_) => "not connected",
        CallError::Ambiguous(_) => "ambiguous",
        CallError::RateLimited { .. } => "rate limited",
        CallError::ServerError { .. } => "server error",
        CallError::Misbehaved(_) => "misbehaved",
        CallError::NotAllowed(_) => "not allowed",
        CallError::Looped => "looped",
        CallError::ForeignUser => "foreign user",
    }
}
