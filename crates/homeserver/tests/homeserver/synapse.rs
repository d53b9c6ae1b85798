//! What is asked and done with UI auth in mind, at a real Synapse, which is installed if it is not.

use std::{net::IpAddr, time::Duration};

use reqwest::Method;
use ruma_common::{DeviceId, OwnedUserId};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, json};
use usher_homeserver::{
    Act, ActError, AsPersonError, Asked, Handoff, HandoffError, Homeserver, LogIn, Probe, Refusal,
};
use usher_http::Outgoing;
use usher_lab::{
    cross_signing::keys,
    real::{
        Progress,
        install::{self, Component},
        synapse::{ApplicationService, Synapse, SynapseOptions},
    },
    scripted::mail::ScriptedMail,
};

use crate::lab::{CLIENT, object, user};

const SERVER: &str = "eng.localhost";
const AS_TOKEN: &str = "as-token-of-the-lab";

/// A Synapse on which alice has an account.
struct Site {
    synapse: Synapse,
    homeserver: Homeserver,
    mail: ScriptedMail,
}

impl Site {
    async fn start() -> anyhow::Result<Self> {
        install::ensure(&[Component::Synapse], &Progress::printing()).await?;
        let mail = ScriptedMail::start().await?;
        let service = ApplicationService::for_all_users_of(SERVER, AS_TOKEN, "hs-token-of-the-lab");
        let options = SynapseOptions {
            server_name: SERVER.to_owned(),
            application_services: vec![service.registration()],
            mail_port: Some(mail.port()),
            ..SynapseOptions::default()
        };
        let synapse = Synapse::start(options, &Progress::printing()).await?;
        let homeserver = Homeserver::new(
            SERVER.try_into()?,
            synapse.upstream_url().clone(),
            Handoff::ApplicationService { as_token: AS_TOKEN.into() },
            Outgoing::new(None, Duration::from_secs(30), 1_000_000)?,
        )?;
        homeserver.register(&alice()).await?;
        Ok(Self { synapse, homeserver, mail })
    }

    async fn log_in(&self, device: &str, name: Option<&str>) -> Result<SecretString, HandoffError> {
        let login = LogIn {
            user: &alice(),
            device_id: <&DeviceId>::from(device),
            initial_device_display_name: name,
            refresh_token: false,
            client: Some(CLIENT),
        };
        Ok(self.homeserver.log_in(&login).await?.access_token)
    }

    async fn act(&self, act: Act) -> Result<Map<String, Value>, ActError> {
        self.homeserver.act(&alice(), CLIENT, &act).await
    }

    async fn upload(&self, token: &SecretString, body: &Map<String, Value>) -> anyhow::Result<Asked> {
        Ok(self.homeserver.upload_cross_signing_as_person(token, CLIENT, body).await?)
    }

    /// The errcode a token is refused with; `None` if it is good.
    async fn refusal_of(&self, token: &SecretString) -> Option<String> {
        match self.homeserver.whoami(token, CLIENT).await {
            Ok(_) => None,
            Err(AsPersonError::Refused(refusal)) => Some(refusal.errcode),
            Err(AsPersonError::Call(error)) => panic!("{error:?}"),
        }
    }

    /// Alice's master key, as others see it.
    async fn master_key(&self, token: &SecretString) -> anyhow::Result<Value> {
        let body = json!({ "device_keys": { alice(): [] } });
        let path = "_matrix/client/v3/keys/query";
        let (_, mut said) =
            self.synapse.call(Method::POST, path, Some(token.expose_secret()), Some(&body)).await?;
        Ok(said["master_keys"][alice().as_str()].take())
    }
}

fn alice() -> OwnedUserId {
    user("@alice:eng.localhost")
}

#[tokio::test]
async fn devices_are_named_and_deleted_with_their_sessions() -> anyhow::Result<()> {
    let site = Site::start().await?;
    assert_eq!(site.homeserver.devices_of(&alice()).await?, []);
    let phone = site.log_in("PHONE", Some("Alice's phone \u{1f4f1}")).await?;
    let laptop = site.log_in("LAPTOP", None).await?;
    let odd = ["A/B", "..", "ä?b#c", "%2E"];
    for id in odd {
        site.log_in(id, None).await?;
    }

    let who = site.homeserver.whoami(&phone, "192.0.2.7".parse::<IpAddr>()?).await?;
    assert_eq!(who.user_id, alice());
    assert_eq!((who.device_id.as_deref(), who.is_guest), (Some("PHONE".into()), false));
    let devices = site.homeserver.devices_of(&alice()).await?;
    assert_eq!(devices.len(), 6, "{devices:?}");
    let find = |id: &str| devices.iter().find(|device| device.device_id == id).expect("it is listed");
    assert_eq!(find("PHONE").display_name.as_deref(), Some("Alice's phone \u{1f4f1}"));
    assert_eq!(find("PHONE").last_seen_ip.as_deref(), Some("192.0.2.7"), "whose client asked");
    assert!(find("PHONE").last_seen_ts.is_some_and(|ts| ts > 1_700_000_000_000));
    let laptop_seen = find("LAPTOP");
    assert_eq!(
        (&laptop_seen.display_name, laptop_seen.last_seen_ts, &laptop_seen.last_seen_ip),
        (&None, None, &None)
    );

    let gone = odd.into_iter().chain(["PHONE", "MISSING"]).map(Into::into).collect();
    assert_eq!(site.act(Act::DeleteDevices(gone)).await?, Map::new());
    let left = site.homeserver.devices_of(&alice()).await?;
    assert_eq!(left.iter().map(|device| device.device_id.as_str()).collect::<Vec<_>>(), ["LAPTOP"]);
    assert_eq!(site.refusal_of(&phone).await.as_deref(), Some("M_UNKNOWN_TOKEN"));
    assert_eq!(site.refusal_of(&laptop).await, None);
    assert_eq!(site.refusal_of(&"syt_of_nobody".into()).await.as_deref(), Some("M_UNKNOWN_TOKEN"));
    Ok(())
}

#[tokio::test]
async fn other_keys_need_ui_auth_and_the_service_needs_none() -> anyhow::Result<()> {
    let site = Site::start().await?;
    let token = site.log_in("PHONE", None).await?;
    let capabilities = site.homeserver.capabilities(&token, CLIENT).await?;
    assert!(capabilities["capabilities"]["m.room_versions"].is_object(), "{capabilities:?}");

    let [first, second] = [1, 2].map(|seed| keys(alice().as_str(), seed));
    let mut forged = keys(alice().as_str(), 3);
    forged.insert("self_signing_key".to_owned(), first["self_signing_key"].clone());
    let is_invalid =
        |refusal: &Refusal| (refusal.status, refusal.errcode.as_str()) == (400, "M_INVALID_SIGNATURE");
    match site.upload(&token, &forged).await? {
        Asked::Refused(refusal) => assert!(is_invalid(&refusal), "{refusal}"),
        other => panic!("{other:?}"),
    }
    for time in ["first", "again"] {
        assert_eq!(site.upload(&token, &first).await?, Asked::Done(Map::new()), "{time}");
    }
    assert_eq!(site.upload(&token, &second).await?, Asked::NeedsUiAuth);
    assert_eq!(site.master_key(&token).await?, first["master_key"]);
    match site.act(Act::UploadCrossSigning(forged)).await {
        Err(ActError::Refused(refusal)) => assert!(is_invalid(&refusal), "{refusal}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(site.act(Act::UploadCrossSigning(second.clone())).await?, Map::new());
    assert_eq!(site.master_key(&token).await?, second["master_key"]);
    match site.upload(&"syt_of_nobody".into(), &second).await? {
        Asked::Refused(refusal) => assert_eq!((refusal.status, refusal.soft_logout), (401, false)),
        other => panic!("{other:?}"),
    }
    Ok(())
}

#[tokio::test]
async fn an_address_is_added_and_the_account_ends() -> anyhow::Result<()> {
    const ADDRESS: &str = "alice@elsewhere.example";
    let site = Site::start().await?;
    let token = site.log_in("PHONE", None).await?;
    let own = token.expose_secret();
    let add = |sid: &str| Act::AddThreepid { client_secret: "her_secret".to_owned(), sid: sid.to_owned() };
    match site.act(add("99")).await {
        Err(ActError::Refused(refusal)) => assert_eq!(refusal.errcode, "M_THREEPID_AUTH_FAILED"),
        other => panic!("{other:?}"),
    }
    let sid = site.synapse.validate_email(&site.mail, own, "her_secret", ADDRESS).await?;
    assert!(site.synapse.email_addresses(own).await?.is_empty(), "validated is not added");
    assert_eq!(site.act(add(&sid)).await?, Map::new());
    assert_eq!(site.synapse.email_addresses(own).await?, [ADDRESS]);

    let ended = site.act(Act::Deactivate(object(json!({ "erase": true })))).await?;
    assert_eq!(ended["id_server_unbind_result"], "success");
    assert_eq!(site.refusal_of(&token).await.as_deref(), Some("M_UNKNOWN_TOKEN"));
    let login = site.log_in("PHONE", None).await;
    assert!(matches!(login, Err(HandoffError::Deactivated)), "{login:?}");
    assert_eq!(site.homeserver.probe(&alice()).await?, Probe::Taken, "nobody else is given the name");
    Ok(())
}
