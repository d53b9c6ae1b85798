//! The real Synapse, as an application service and an ordinary person use it. Synapse is installed if it is not.

use std::{net::TcpListener, time::Duration};

use reqwest::{Method, StatusCode};
use serde_json::json;
use url::Url;
use usher_lab::real::{
    Progress,
    install::{self, Component},
    synapse::{ApplicationService, Synapse, SynapseOptions},
};

const AS_TOKEN: &str = "as-token-of-the-lab";

fn options() -> SynapseOptions {
    let service = ApplicationService::for_all_users_of("eng.localhost", AS_TOKEN, "hs-token-of-the-lab");
    SynapseOptions {
        server_name: "eng.localhost".to_owned(),
        application_services: vec![service.registration()],
        ..SynapseOptions::default()
    }
}

async fn synapse(options: SynapseOptions) -> anyhow::Result<Synapse> {
    install::ensure(&[Component::Synapse], &Progress::printing()).await?;
    Synapse::start(options, &Progress::printing()).await
}

/// Logs `localpart` in as the application service; the answer as it came.
async fn log_in(
    synapse: &Synapse,
    localpart: &str,
    more: serde_json::Value,
) -> anyhow::Result<(StatusCode, serde_json::Value)> {
    let mut body = json!({
        "type": "m.login.application_service",
        "identifier": { "type": "m.id.user", "user": localpart },
    });
    if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
        body.extend(more.clone());
    }
    synapse.call(Method::POST, "_matrix/client/v3/login", Some(AS_TOKEN), Some(&body)).await
}

async fn register(synapse: &Synapse, localpart: &str) -> anyhow::Result<(StatusCode, serde_json::Value)> {
    let body = json!({ "type": "m.login.application_service", "username": localpart, "inhibit_login": true });
    synapse.call(Method::POST, "_matrix/client/v3/register", Some(AS_TOKEN), Some(&body)).await
}

#[tokio::test]
async fn an_application_service_registers_logs_in_and_the_session_outlives_a_crash() -> anyhow::Result<()> {
    let client_url = Url::parse("http://eng.localhost:8448/")?;
    let options = SynapseOptions { client_url: Some(client_url.clone()), ..options() };
    let mut synapse = synapse(options).await?;
    assert_eq!(synapse.client_url(), &client_url);

    assert_eq!(register(&synapse, "alice").await?.0, StatusCode::OK);
    let (status, again) = register(&synapse, "alice").await?;
    assert_eq!((status, &again["errcode"]), (StatusCode::BAD_REQUEST, &json!("M_USER_IN_USE")));

    let more = json!({ "device_id": "PHONE", "initial_device_display_name": "Phone", "refresh_token": true });
    let (status, login) = log_in(&synapse, "alice", more).await?;
    assert_eq!(status, StatusCode::OK, "{login}");
    assert_eq!(login["user_id"], "@alice:eng.localhost");
    assert!(login["refresh_token"].is_string(), "refresh tokens are on: {login}");
    assert!(login["expires_in_ms"].is_u64(), "{login}");
    let token = login["access_token"].as_str().expect("a login has an access token").to_owned();

    synapse.kill()?;
    assert!(synapse.whoami(&token).await.is_err(), "nobody is there");
    synapse.start_again(&Progress::printing()).await?;
    let who = synapse.whoami(&token).await?.expect("the session is in the database");
    assert_eq!((who.user_id.as_str(), who.device_id.as_deref()), ("@alice:eng.localhost", Some("PHONE")));
    let devices = synapse.devices(&token).await?;
    assert_eq!(devices.len(), 1, "{devices:?}");
    assert_eq!(devices[0].display_name.as_deref(), Some("Phone"));
    assert_eq!(synapse.whoami("no such token").await?, None);
    synapse.stop().await?;
    synapse.stop().await
}

#[tokio::test]
async fn a_name_that_somebody_has_is_taken_and_only_passwords_that_are_on_work() -> anyhow::Result<()> {
    let synapse = synapse(SynapseOptions { password_login: true, ..options() }).await?;
    synapse.register_user("dave", "a long password").await?;
    let (status, body) = register(&synapse, "dave").await?;
    assert_eq!((status, &body["errcode"]), (StatusCode::BAD_REQUEST, &json!("M_USER_IN_USE")));
    let (status, login) = synapse.log_in_with_password("dave", "a long password").await?;
    assert_eq!((status, &login["user_id"]), (StatusCode::OK, &json!("@dave:eng.localhost")));
    assert_eq!(synapse.log_in_with_password("dave", "another").await?.0, StatusCode::FORBIDDEN);
    let error = synapse.register_user("dave", "x").await.expect_err("the name is taken").to_string();
    assert!(error.contains("dave was not registered"), "{error}");
    assert!(error.contains("taken"), "{error}");

    synapse.register_admin("root", "a long password").await?;
    let path = "_synapse/admin/v1/users/@root:eng.localhost/admin?user_id=@root:eng.localhost";
    let (status, body) = synapse.call(Method::GET, path, Some(AS_TOKEN), None).await?;
    assert_eq!((status, &body["admin"]), (StatusCode::OK, &json!(true)));
    Ok(())
}

#[tokio::test]
async fn a_synapse_that_hangs_goes_on_when_it_is_let() -> anyhow::Result<()> {
    let mut synapse = synapse(options()).await?;
    synapse.process().expect("it runs").pause()?;
    let asked = tokio::time::timeout(Duration::from_millis(300), synapse.whoami("x")).await;
    assert!(asked.is_err(), "it answered while paused");
    synapse.process().expect("it runs").resume()?;
    assert_eq!(synapse.whoami("x").await?, None);
    Ok(())
}

#[tokio::test]
async fn a_synapse_that_cannot_start_says_why() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let taken = Some(listener.local_addr()?.port());
    let cases = [
        ("port in use", SynapseOptions { port: taken, ..options() }, "is in use"),
        (
            "broken setting",
            SynapseOptions { extra_yaml: "database: {name: oracle}".to_owned(), ..options() },
            "oracle",
        ),
        ("not YAML", SynapseOptions { extra_yaml: "a: [".to_owned(), ..options() }, "extra.yaml"),
        (
            "broken registration",
            SynapseOptions { application_services: vec!["{id: usher}".to_owned()], ..options() },
            "as_token",
        ),
    ];
    for (name, options, reason) in cases {
        let error = format!("{:#}", synapse(options).await.expect_err(name));
        assert!(error.contains("Synapse eng.localhost"), "{name}: {error}");
        assert!(error.contains(reason), "{name}: {error}");
    }
    Ok(())
}
