//! The scripted homeserver answers as a real one does, wherever UI auth is asked for: one walk through both.

use reqwest::{Client, Method};
use serde_json::{Value, json};
use url::Url;
use usher_lab::{
    browser::loopback_client,
    cross_signing::keys,
    real::{
        Progress,
        install::{self, Component},
        synapse::{ApplicationService, Synapse, SynapseOptions},
    },
    scripted::{homeserver::ScriptedHomeserver, mail::ScriptedMail},
};

const SERVER: &str = "eng.localhost";
const PASSWORD: &str = "a long password";
const DAVE: &str = "@dave:eng.localhost";
const ADDRESS: &str = "dave@elsewhere.example";

/// A homeserver on which dave has a password and alice has none.
struct Site {
    client: Client,
    url: Url,
    as_token: String,
    homeserver: Homeserver,
}

enum Homeserver {
    Scripted(ScriptedHomeserver),
    Real(Box<Synapse>, ScriptedMail),
}

impl Site {
    async fn scripted() -> anyhow::Result<Self> {
        let homeserver = ScriptedHomeserver::start(SERVER).await?;
        homeserver.set_password(DAVE, PASSWORD);
        let as_token = homeserver.as_token().to_owned();
        Self::of(homeserver.url(), as_token, Homeserver::Scripted(homeserver)).await
    }

    async fn real() -> anyhow::Result<Self> {
        install::ensure(&[Component::Synapse], &Progress::printing()).await?;
        let as_token = "as-token-of-the-lab";
        let service = ApplicationService::for_all_users_of(SERVER, as_token, "hs-token-of-the-lab");
        let mail = ScriptedMail::start().await?;
        let options = SynapseOptions {
            server_name: SERVER.to_owned(),
            application_services: vec![service.registration()],
            password_login: true,
            mail_port: Some(mail.port()),
            ..SynapseOptions::default()
        };
        let synapse = Synapse::start(options, &Progress::printing()).await?;
        synapse.register_user("dave", PASSWORD).await?;
        Self::of(
            synapse.upstream_url().clone(),
            as_token.to_owned(),
            Homeserver::Real(Box::new(synapse), mail),
        )
        .await
    }

    async fn of(url: Url, as_token: String, homeserver: Homeserver) -> anyhow::Result<Self> {
        let client = loopback_client(std::time::Duration::from_secs(30))?;
        let site = Self { client, url, as_token, homeserver };
        let registration =
            json!({ "type": "m.login.application_service", "username": "alice", "inhibit_login": true });
        site.as_service("POST v3/register", &registration).await.is(200, &json!({}));
        Ok(site)
    }

    /// `line` is a method and a path after `/_matrix/client/`.
    async fn call(&self, line: &str, token: Option<&str>, body: &Value) -> Said {
        let (method, path) = line.split_once(' ').expect("a method and a path");
        let url = self.url.join(&format!("_matrix/client/{path}")).expect("a path");
        let mut request = self.client.request(Method::from_bytes(method.as_bytes()).expect("a method"), url);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if !body.is_null() {
            request = request.body(body.to_string());
        }
        let answer = request.send().await.expect("an answer");
        let status = answer.status().as_u16();
        let body = answer.bytes().await.expect("a whole answer");
        Said { line: line.to_owned(), status, body: serde_json::from_slice(&body).unwrap_or(Value::Null) }
    }

    async fn as_service(&self, line: &str, body: &Value) -> Said {
        self.call(line, Some(&self.as_token), body).await
    }

    async fn alice_on(&self, device: &str) -> String {
        let body = json!({
            "type": "m.login.application_service", "device_id": device,
            "identifier": { "type": "m.id.user", "user": "alice" },
        });
        self.as_service("POST v3/login", &body).await.text("access_token")
    }

    async fn dave_on(&self, device: &str) -> String {
        let body = json!({
            "type": "m.login.password", "device_id": device, "password": PASSWORD,
            "identifier": { "type": "m.id.user", "user": "dave" },
        });
        self.call("POST v3/login", None, &body).await.text("access_token")
    }

    /// Has dave's address validated; the homeserver's id of that.
    async fn validate(&self, token: &str, client_secret: &str) -> anyhow::Result<String> {
        match &self.homeserver {
            Homeserver::Scripted(homeserver) => {
                homeserver.validate_email(client_secret, "1", ADDRESS);
                Ok("1".to_owned())
            }
            Homeserver::Real(synapse, mail) => {
                synapse.validate_email(mail, token, client_secret, ADDRESS).await
            }
        }
    }

    /// Whether an access token is good.
    async fn knows(&self, token: &str) -> bool {
        let said = self.call("GET v3/account/whoami", Some(token), &Value::Null).await;
        if said.status == 200 {
            return true;
        }
        said.is(401, &json!({ "errcode": "M_UNKNOWN_TOKEN", "soft_logout": false }));
        false
    }

    /// Sends `body`, is asked for dave's password, and sends it again with that.
    async fn confirmed(&self, line: &str, token: &str, body: &Value) -> Said {
        let session = self.call(line, Some(token), body).await.asks(&json!([["m.login.password"]]));
        let mut body = body.clone();
        body["auth"] = with_password(&session, PASSWORD);
        self.call(line, Some(token), &body).await
    }
}

/// What was answered to what.
struct Said {
    line: String,
    status: u16,
    body: Value,
}

impl Said {
    /// Checks the status and that the body says at least this.
    #[track_caller]
    fn is(self, status: u16, body: &Value) -> Self {
        let Self { line, .. } = &self;
        assert_eq!(self.status, status, "{line}: {}", self.body);
        for (key, value) in body.as_object().expect("an object") {
            assert_eq!(self.body[key], *value, "{key} at {line}: {}", self.body);
        }
        self
    }

    /// Checks that UI auth is asked for, with these flows. Its session.
    #[track_caller]
    fn asks(self, flows: &Value) -> String {
        let flows: Vec<_> =
            flows.as_array().expect("a list").iter().map(|f| json!({ "stages": f })).collect();
        self.is(401, &json!({ "flows": flows, "params": {} })).text("session")
    }

    #[track_caller]
    fn text(&self, key: &str) -> String {
        let text = self.body[key].as_str().map(str::to_owned);
        text.unwrap_or_else(|| panic!("{key} at {}: {}", self.line, self.body))
    }
}

fn with_password(session: &str, password: &str) -> Value {
    json!({
        "type": "m.login.password", "session": session, "password": password,
        "identifier": { "type": "m.id.user", "user": "dave" },
    })
}

#[tokio::test]
async fn the_scripted_homeserver_asks_as_it_should() -> anyhow::Result<()> {
    walk(&Site::scripted().await?).await
}

#[tokio::test]
async fn a_real_synapse_asks_as_the_scripted_homeserver_does() -> anyhow::Result<()> {
    walk(&Site::real().await?).await
}

async fn walk(site: &Site) -> anyhow::Result<()> {
    devices_of_who_has_a_password(site).await;
    devices_of_who_has_none(site).await;
    cross_signing(site).await;
    addresses(site).await?;
    capabilities_and_login_tokens(site).await;
    passwords(site).await;
    ends(site).await;
    Ok(())
}

async fn devices_of_who_has_a_password(site: &Site) {
    const DELETE: &str = "DELETE v3/devices/TABLET";
    let (laptop, tablet) = (site.dave_on("LAPTOP").await, site.dave_on("TABLET").await);
    let laptop = Some(laptop.as_str());

    let session = site.call(DELETE, laptop, &json!({})).await.asks(&json!([["m.login.password"]]));
    let with = |auth: Value| json!({ "auth": auth });
    let wrong = site.call(DELETE, laptop, &with(with_password(&session, "another"))).await;
    let wrong = wrong.is(401, &json!({ "errcode": "M_FORBIDDEN", "completed": [], "session": session }));
    wrong.asks(&json!([["m.login.password"]]));
    let again = site.call(DELETE, laptop, &with(json!({ "session": session }))).await;
    again.is(401, &json!({ "completed": [] })).asks(&json!([["m.login.password"]]));
    let other = json!({ "devices": ["TABLET"], "auth": with_password(&session, PASSWORD) });
    site.call("POST v3/delete_devices", laptop, &other).await.is(403, &json!({}));
    site.call(DELETE, laptop, &with(json!({ "session": "no_such_session" }))).await.is(400, &json!({}));
    assert!(site.knows(&tablet).await);

    site.call(DELETE, laptop, &with(with_password(&session, PASSWORD))).await.is(200, &json!({}));
    assert!(!site.knows(&tablet).await);
    site.call(DELETE, laptop, &with(json!({ "session": session }))).await.is(200, &json!({}));
    let list = site.call("GET v3/devices", laptop, &Value::Null).await.is(200, &json!({}));
    let devices = list.body["devices"].as_array().expect("a list");
    let find = |id: &str| devices.iter().find(|device| device["device_id"] == id);
    assert_eq!(find("TABLET"), None);
    let device = find("LAPTOP").expect("it is kept");
    for key in ["display_name", "last_seen_ts", "last_seen_ip"] {
        assert!(device.get(key).is_some(), "{key}: {device}");
    }
}

async fn devices_of_who_has_none(site: &Site) {
    let (phone, old) = (site.alice_on("PHONE").await, site.alice_on("OLD").await);
    site.call("DELETE v3/devices/OLD", Some(&phone), &json!({})).await.asks(&json!([]));
    let several = json!({ "devices": ["OLD", "MISSING"] });
    let session = site.call("POST v3/delete_devices", Some(&phone), &several).await.asks(&json!([]));
    let with_auth = json!({ "devices": ["OLD"], "auth": { "session": session } });
    site.call("POST v3/delete_devices", Some(&phone), &with_auth).await.asks(&json!([]));
    assert!(site.knows(&old).await);
    let as_alice = "POST v3/delete_devices?user_id=@alice:eng.localhost";
    site.as_service(as_alice, &several).await.is(200, &json!({}));
    assert!(!site.knows(&old).await && site.knows(&phone).await);
    site.as_service("DELETE v3/devices/PHONE?user_id=@alice:eng.localhost", &json!({}))
        .await
        .is(200, &json!({}));
    assert!(!site.knows(&phone).await);
}

async fn cross_signing(site: &Site) {
    const UPLOAD: &str = "POST v3/keys/device_signing/upload";
    let alice = site.alice_on("PHONE").await;
    let [first, second] = [1, 2].map(|seed| Value::Object(keys("@alice:eng.localhost", seed)));
    let not_hers = keys(DAVE, 1).into();
    site.call(UPLOAD, Some(&alice), &not_hers).await.is(400, &json!({ "errcode": "M_INVALID_PARAM" }));
    for _ in 0..2 {
        site.call(UPLOAD, Some(&alice), &first).await.is(200, &json!({}));
    }
    site.call(UPLOAD, Some(&alice), &second).await.asks(&json!([]));
    let as_alice = format!("{UPLOAD}?user_id=@alice:eng.localhost");
    site.as_service(&as_alice, &second).await.is(200, &json!({}));
    site.call(UPLOAD, Some(&alice), &second).await.is(200, &json!({}));
    site.call(UPLOAD, Some(&alice), &first).await.asks(&json!([]));

    let dave = site.dave_on("LAPTOP").await;
    let [first, second] = [3, 4].map(|seed| Value::Object(keys(DAVE, seed)));
    site.call(UPLOAD, Some(&dave), &first).await.is(200, &json!({}));
    site.confirmed(UPLOAD, &dave, &second).await.is(200, &json!({}));
    site.call(UPLOAD, Some(&dave), &second).await.is(200, &json!({}));
}

async fn addresses(site: &Site) -> anyhow::Result<()> {
    const ADD: &str = "POST v3/account/3pid/add";
    let dave = site.dave_on("LAPTOP").await;
    let none = json!({ "client_secret": "his_secret", "sid": "99" });
    let failed = json!({ "errcode": "M_THREEPID_AUTH_FAILED" });
    site.confirmed(ADD, &dave, &none).await.is(400, &failed);
    let unasked = json!({ "three_pid_creds": none });
    site.call("POST v3/account/3pid", Some(&dave), &unasked).await.is(400, &failed);
    let validated =
        json!({ "client_secret": "his_secret", "sid": site.validate(&dave, "his_secret").await? });
    site.as_service(&format!("{ADD}?user_id={DAVE}"), &validated).await.is(500, &json!({}));
    let unasked = json!({ "three_pid_creds": validated });
    site.as_service(&format!("POST v3/account/3pid?user_id={DAVE}"), &unasked).await.is(200, &json!({}));
    let list = site.call("GET v3/account/3pid", Some(&dave), &Value::Null).await.is(200, &json!({}));
    let [threepid] = list.body["threepids"].as_array().expect("a list").as_slice() else {
        panic!("{}", list.body)
    };
    assert_eq!((&threepid["medium"], &threepid["address"]), (&json!("email"), &json!(ADDRESS)));
    Ok(())
}

async fn capabilities_and_login_tokens(site: &Site) {
    const TOKEN: &str = "POST v1/login/get_token";
    let dave = site.dave_on("LAPTOP").await;
    let said = site.call("GET v3/capabilities", Some(&dave), &Value::Null).await.is(200, &json!({}));
    assert_eq!(said.body["capabilities"]["m.change_password"], json!({ "enabled": true }));
    site.call("GET v3/capabilities", None, &Value::Null)
        .await
        .is(401, &json!({ "errcode": "M_MISSING_TOKEN" }));
    site.as_service(&format!("{TOKEN}?user_id={DAVE}"), &json!({})).await.is(500, &json!({}));
    let token = site.confirmed(TOKEN, &dave, &json!({})).await.is(200, &json!({}));
    assert!(token.body["login_token"].is_string() && token.body["expires_in_ms"].is_u64(), "{}", token.body);
}

async fn passwords(site: &Site) {
    const CHANGE: &str = "POST v3/account/password";
    let (laptop, tablet) = (site.dave_on("LAPTOP").await, site.dave_on("TABLET").await);
    let change = |logout| json!({ "new_password": PASSWORD, "logout_devices": logout });
    site.call(CHANGE, None, &change(true)).await.asks(&json!([["m.login.email.identity"]]));
    site.as_service(&format!("{CHANGE}?user_id={DAVE}"), &change(true)).await.is(500, &json!({}));
    site.confirmed(CHANGE, &laptop, &change(false)).await.is(200, &json!({}));
    assert!(site.knows(&tablet).await);
    site.confirmed(CHANGE, &laptop, &change(true)).await.is(200, &json!({}));
    assert!(site.knows(&laptop).await && !site.knows(&tablet).await);
}

async fn ends(site: &Site) {
    const END: &str = "POST v3/account/deactivate";
    let done = json!({ "id_server_unbind_result": "success" });
    site.call(END, None, &json!({})).await.is(401, &json!({ "errcode": "M_MISSING_TOKEN" }));
    let alice = site.alice_on("PHONE").await;
    site.as_service(&format!("{END}?user_id=@alice:eng.localhost"), &json!({ "erase": false }))
        .await
        .is(200, &done);
    assert!(!site.knows(&alice).await);
    let dave = site.dave_on("LAPTOP").await;
    site.confirmed(END, &dave, &json!({ "erase": false })).await.is(200, &done);
    assert!(!site.knows(&dave).await);
    let login = json!({
        "type": "m.login.application_service", "identifier": { "type": "m.id.user", "user": "dave" },
    });
    site.as_service("POST v3/login", &login).await.is(403, &json!({ "errcode": "M_USER_DEACTIVATED" }));
}
