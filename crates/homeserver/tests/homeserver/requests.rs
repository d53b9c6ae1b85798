//! What is sent: where to, with which query, header and body.

use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use url::Url;
use usher_homeserver::{Handoff, Homeserver, InvalidHomeserver};
use usher_http::{HOP_HEADER, Outgoing};
use usher_lab::scripted::{
    Request,
    homeserver::{Endpoint, ScriptedHomeserver},
};

use crate::lab::{Kind, Lab, Operation, alice, client, keys, user};

fn body(call: &Request) -> Value {
    if call.body.is_empty() { Value::Null } else { serde_json::from_slice(&call.body).expect("JSON") }
}

#[tokio::test]
async fn each_call_is_exactly_this() {
    let login = json!({
        "type": "m.login.application_service",
        "identifier": { "type": "m.id.user", "user": "@alice:eng.example" },
        "device_id": "PHONE", "initial_device_display_name": "Alice's phone",
    });
    let register =
        json!({ "type": "m.login.application_service", "username": "alice", "inhibit_login": true });
    let as_alice = "user_id=%40alice%3Aeng.example";
    let rows = [
        (Operation::Probe, "GET /account/whoami", as_alice, Value::Null),
        (Operation::Register, "POST /register", "", register),
        (Operation::ListDevices, "GET /devices", as_alice, Value::Null),
        (
            Operation::SetDisplayName,
            "PUT /profile/@alice:eng.example/displayname",
            as_alice,
            json!({ "displayname": "Alice" }),
        ),
        (Operation::Join, "POST /join/%23welcome:eng.example", as_alice, json!({})),
        (
            Operation::IsAdministrator,
            "GET /_synapse/admin/v1/users/@alice:eng.example/admin",
            as_alice,
            Value::Null,
        ),
        (Operation::LogIn, "POST /login", "", login),
        (Operation::DevicesOf, "GET /devices", as_alice, Value::Null),
        (Operation::WhoAmI, "GET /account/whoami", "", Value::Null),
        (Operation::Capabilities, "GET /capabilities", "", Value::Null),
        (Operation::UploadCrossSigning, "POST /keys/device_signing/upload", "", keys("first").into()),
        (
            Operation::Act(Kind::DeleteDevices),
            "POST /delete_devices",
            as_alice,
            json!({ "devices": ["PHONE"] }),
        ),
        (
            Operation::Act(Kind::UploadCrossSigning),
            "POST /keys/device_signing/upload",
            as_alice,
            keys("first").into(),
        ),
        (
            Operation::Act(Kind::AddThreepid),
            "POST /account/3pid",
            as_alice,
            json!({ "three_pid_creds": { "client_secret": "her secret", "sid": "7" } }),
        ),
        (Operation::Act(Kind::Deactivate), "POST /account/deactivate", as_alice, json!({ "erase": true })),
    ];
    for (operation, line, query, expected) in rows {
        let lab = Lab::with_alice().await;
        let token = lab.session_on("LAPTOP");
        operation.run(&lab.homeserver, &alice(), &token).await.expect("it works");
        let calls = lab.scripted.calls();
        let [call] = calls.as_slice() else { panic!("{operation:?}: {calls:?}") };
        assert_eq!(format!("{} {}", call.method, call.path.replace("/_matrix/client/v3", "")), line);
        assert_eq!(call.query, query, "{operation:?}");
        assert_eq!(body(call), expected, "{operation:?}");
        let sent = if operation.is_as_person() { token.expose_secret() } else { lab.scripted.as_token() };
        assert_eq!(call.headers["authorization"], format!("Bearer {sent}"), "{operation:?}");
        assert!(call.headers.contains_key(HOP_HEADER), "{operation:?}");
        // The address of whoever it is done for, once.
        let addresses: Vec<_> = call.headers.get_all("x-forwarded-for").into_iter().collect();
        let expected_addresses: &[&str] = if operation.has_client() { &["192.0.2.1"] } else { &[] };
        assert_eq!(addresses, expected_addresses, "{operation:?}");
        let has_body = expected != Value::Null;
        assert_eq!(call.headers.get("content-type").is_some(), has_body, "{operation:?}");
    }
}

#[tokio::test]
async fn upstream_url_may_have_a_path_and_a_slash_at_its_end() {
    for (name, prefix, given) in [
        ("bare", "", ""),
        ("a slash", "", "/"),
        ("a path", "/hs/eng", "/hs/eng"),
        ("a path and a slash", "/hs/eng", "/hs/eng/"),
        ("an escaped path", "/h%2Fs", "/h%2Fs"),
    ] {
        let scripted = ScriptedHomeserver::start_under("eng.example", prefix).await.expect("a free port");
        scripted.add_user("@alice:eng.example");
        scripted.add_room("#welcome:eng.example");
        scripted.set_admin("@usher:eng.example", true);
        scripted.validate_email("her secret", "7", "alice@elsewhere.example");
        let token = scripted.open_session("@alice:eng.example", "LAPTOP", None).into();
        let url = Url::parse(&format!("http://{}{given}", scripted.url().authority())).expect("a URL");
        let homeserver = client(&scripted, url);
        for operation in Operation::ALL {
            operation
                .run(&homeserver, &alice(), &token)
                .await
                .unwrap_or_else(|error| panic!("{name}: {error:?}"));
        }
        let path = &scripted.calls_to(Endpoint::Login)[0].path;
        assert_eq!(*path, format!("{prefix}/_matrix/client/v3/login"), "{name}");
    }
}

#[tokio::test]
async fn no_name_escapes_from_its_place() {
    for id in [
        "@a/../b:eng.example",
        "@a?user_id=@admin:eng.example",
        "@a&user_id=%40admin:eng.example",
        "@a+b=c:eng.example",
        "@a#b%2f:eng.example",
    ] {
        let lab = Lab::start().await;
        let user = user(id);
        lab.scripted.add_user(id);
        lab.homeserver.set_display_name(&user, "A").await.expect("set");
        assert_eq!(
            lab.scripted.user(id).and_then(|person| person.display_name).as_deref(),
            Some("A"),
            "{id}"
        );
        lab.homeserver.probe(&user).await.expect("taken");
        for call in lab.scripted.calls() {
            assert_eq!(call.query_values("user_id"), [id]);
            assert_eq!(call.query.matches('=').count(), 1, "{id}");
        }
    }
}

#[test]
fn a_homeserver_that_cannot_be_called_is_refused() {
    let rows = [
        ("https", "https://matrix.eng.example", "token", Ok(())),
        ("http with a path", "http://127.0.0.1:8008/hs", "t0k-en_=", Ok(())),
        ("another scheme", "ftp://eng.example", "token", Err(InvalidHomeserver::NotHttp)),
        ("no host", "mailto:hs@eng.example", "token", Err(InvalidHomeserver::NotHttp)),
        ("a user name", "https://me@eng.example", "token", Err(InvalidHomeserver::HasUserinfo)),
        ("a password", "https://:pw@eng.example", "token", Err(InvalidHomeserver::HasUserinfo)),
        ("a query", "https://eng.example/?a", "token", Err(InvalidHomeserver::HasQueryOrFragment)),
        ("a fragment", "https://eng.example/#a", "token", Err(InvalidHomeserver::HasQueryOrFragment)),
        ("no token", "https://eng.example", "", Err(InvalidHomeserver::AsToken)),
        ("two words", "https://eng.example", "to ken", Err(InvalidHomeserver::AsToken)),
        ("a line", "https://eng.example", "token\n", Err(InvalidHomeserver::AsToken)),
        ("not ASCII", "https://eng.example", "tökén", Err(InvalidHomeserver::AsToken)),
    ];
    let outgoing = Outgoing::new(None, std::time::Duration::from_secs(1), 1).expect("a client");
    for (name, url, token, expected) in rows {
        let handoff = Handoff::ApplicationService { as_token: token.into() };
        let server_name = "eng.example".try_into().expect("a server name");
        let url = Url::parse(url).expect("a URL");
        let got = Homeserver::new(server_name, url, handoff, outgoing.clone()).map(drop);
        assert_eq!(got, expected, "{name}");
    }
}
