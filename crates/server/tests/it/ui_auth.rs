//! UI auth at a homeserver's own host (MSC2454): an unmodified client, its person's browser, a CAS server and a homeserver
//! that can lie.

mod binding;
mod bypass;
mod endpoints;
mod failures;
mod fallback;
mod faults;
mod freshness;
mod once;
mod passing;
mod session;
mod sign_out;
mod stopping;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use url::Url;
use usher_lab::scripted::homeserver::Endpoint;

use crate::app::{Answer, Replica, TestApp};

pub(crate) const ENG: &str = "matrix.eng.ac.cdl";
pub(crate) const HIST: &str = "matrix.hist.ac.cdl";
const V3: &str = "/_matrix/client/v3";

/// Usher, answering at both homeservers' hosts.
pub(crate) async fn start() -> TestApp {
    start_with(|_| {}).await
}

pub(crate) async fn start_with(change: impl FnOnce(&mut Value)) -> TestApp {
    TestApp::start_with(|config| {
        for (index, host) in [ENG, HIST].into_iter().enumerate() {
            config["homeservers"][index]["hosts"] = json!([host]);
            config["homeservers"][index]["pass_through_timeout"] = json!("1s");
        }
        change(config);
    })
    .await
}

/// An app of somebody who has signed in by way of Usher.
pub(crate) struct Client<'a> {
    pub(crate) app: &'a TestApp,
    pub(crate) host: &'static str,
    pub(crate) token: String,
    pub(crate) user: String,
    replica: Option<&'a Replica>,
}

/// Signs `person` in on a device of that name.
pub(crate) async fn client<'a>(app: &'a TestApp, person: &str, device: &str) -> Client<'a> {
    let token = app.sign_in().as_person(person).await.login_token();
    let body = json!({ "type": "m.login.token", "token": token, "device_id": device,
        "initial_device_display_name": format!("{person}'s {device}") });
    Client::of(app, &app.post_login(&body).await.json())
}

impl<'a> Client<'a> {
    /// The app that was given this session.
    pub(crate) fn of(app: &'a TestApp, session: &Value) -> Self {
        let text = |key: &str| session[key].as_str().unwrap_or_else(|| panic!("{session}")).to_owned();
        let user = text("user_id");
        let host = if user.ends_with(":eng.ac.cdl") { ENG } else { HIST };
        Self { app, host, token: text("access_token"), user, replica: None }
    }

    /// The same person's app with another token.
    pub(crate) fn with_token(&self, token: &str) -> Client<'a> {
        Client { token: token.to_owned(), user: self.user.clone(), ..*self }
    }

    /// The same app, sent to another replica by the proxy.
    pub(crate) fn at(&self, replica: &'a Replica) -> Client<'a> {
        Client {
            token: self.token.clone(),
            user: self.user.clone(),
            replica: Some(replica),
            app: self.app,
            host: self.host,
        }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = match self.replica {
            Some(replica) => self.app.request_at_host(replica, method, path, self.host),
            None => self.app.request(method, path).header("host", self.host),
        };
        request.bearer_auth(&self.token)
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: &Value) -> Answer {
        Answer::read(self.request(method, &format!("{V3}{path}")).body(body.to_string())).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, body).await
    }

    pub(crate) async fn delete_device(&self, device: &str, body: &Value) -> Answer {
        self.send(Method::DELETE, &format!("/devices/{device}"), body).await
    }

    /// Asks to delete a device, and is to sign in again: the session.
    pub(crate) async fn session_to_delete(&self, device: &str) -> String {
        session_of(&self.delete_device(device, &json!({})).await)
    }

    pub(crate) fn has_device(&self, device: &str) -> bool {
        let homeserver = if self.host == ENG { &self.app.eng } else { &self.app.hist };
        homeserver.user(&self.user).is_some_and(|person| person.devices.contains_key(device))
    }

    /// The browser that the app opens at the fallback page.
    pub(crate) fn browser(&self, session: &str) -> Browser<'a> {
        let path = format!("{V3}/auth/m.login.sso/fallback/web?session={session}");
        Browser { app: self.app, host: self.host, path, cookies: Vec::new(), replica: self.replica }
    }
}

/// The answer of a challenge, or of one more try before anybody has signed in.
pub(crate) fn session_of(answer: &Answer) -> String {
    let body = answer.json();
    assert!(body.get("errcode").is_none() && body.get("error").is_none(), "nothing went wrong: {body}");
    session_in(answer)
}

/// The same after a try that came to nothing: the session, and what the client is told.
pub(crate) fn failure_of(answer: &Answer) -> (String, String) {
    let body = answer.json();
    assert_eq!(body["errcode"], "M_FORBIDDEN", "{body}");
    (session_in(answer), body["error"].as_str().expect("a sentence").to_owned())
}

fn session_in(answer: &Answer) -> String {
    let body = answer.json();
    assert_eq!(answer.status, 401, "{body}");
    assert_eq!(body["flows"], json!([{ "stages": ["m.login.sso"] }]), "{body}");
    assert_eq!(body["params"], json!({}), "{body}");
    assert!(body.get("completed").is_none(), "{body}");
    let session = body["session"].as_str().unwrap_or_default();
    assert!(session.starts_with("ushu_") && session.len() > 40, "{body}");
    session.to_owned()
}

pub(crate) fn auth(session: &str) -> Value {
    json!({ "auth": { "session": session } })
}

/// A browser on its way from the fallback page.
#[derive(Clone)]
pub(crate) struct Browser<'a> {
    app: &'a TestApp,
    host: &'static str,
    path: String,
    pub(crate) cookies: Vec<String>,
    replica: Option<&'a Replica>,
}

/// A browser at the page that asks.
pub(crate) struct Asked<'a> {
    pub(crate) browser: Browser<'a>,
    pub(crate) page: Answer,
    /// The page's path at the portal.
    pub(crate) path: String,
}

impl<'a> Browser<'a> {
    pub(crate) fn at_fallback(&self) -> RequestBuilder {
        self.app.request(Method::GET, &self.path).header("host", self.host)
    }

    /// What the fallback page answers.
    pub(crate) async fn fallback(&self) -> Answer {
        Answer::read(self.at_fallback()).await
    }

    fn at_portal(&self, method: Method, path: &str) -> RequestBuilder {
        let request = match self.replica {
            Some(replica) => self.app.request_at(replica, method, path),
            None => self.app.request(method, path),
        };
        request.header("cookie", self.cookies.join("; "))
    }

    pub(crate) async fn open(&mut self, method: Method, path: &str, form: Option<String>) -> Answer {
        let mut request = self.at_portal(method, path);
        if let Some(form) = form {
            request = request.header("content-type", "application/x-www-form-urlencoded").body(form);
        }
        let answer = Answer::read(request).await;
        for cookie in answer.cookies() {
            // One of a name that is there already takes its place, as in any browser.
            let name = cookie.split('=').next().unwrap_or_default().to_owned();
            self.cookies.retain(|kept| kept.split('=').next() != Some(name.as_str()));
            self.cookies.push(cookie);
        }
        answer
    }

    /// Follows the fallback page to the portal's.
    pub(crate) async fn asked(mut self) -> Asked<'a> {
        let to = self.fallback().await;
        let base = self.app.base().as_str().trim_end_matches('/').to_owned();
        let path = to.location().strip_prefix(&base).expect("the portal").to_owned();
        let page = self.open(Method::GET, &path, None).await;
        Asked { browser: self, page, path }
    }

    /// The whole way: the page, a click, `person` at the provider, and back. The answer to the callback.
    pub(crate) async fn confirmed_by(self, person: &str) -> Answer {
        self.asked().await.signs_in_as(person).await
    }
}

impl Asked<'_> {
    pub(crate) fn csrf(&self) -> String {
        let after = self.page.body.split_once("name=\"csrf\" value=\"").expect("a form").1;
        after.split_once('"').expect("its token").0.to_owned()
    }

    /// Clicks, and is at the provider: its login URL.
    pub(crate) async fn clicked(&mut self) -> Url {
        let form = format!("csrf={}&provider=corp", self.csrf());
        let path = self.path.clone();
        let answer = self.browser.open(Method::POST, &path, Some(form)).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let url = answer.body.split_once("content=\"0;url=").expect("it goes on by itself").1;
        let url = url.split_once('"').expect("an address").0;
        Url::parse(&unescaped(url)).expect("a URL")
    }

    pub(crate) async fn signs_in_as(mut self, person: &str) -> Answer {
        let login = self.clicked().await;
        let callback = self.browser.app.cas.log_in(&login, person).expect("the provider knows them");
        self.browser.open(Method::GET, &callback[url::Position::BeforePath..], None).await
    }
}

/// What the template engine escapes.
fn unescaped(text: &str) -> String {
    text.replace("&#x2f;", "/").replace("&quot;", "\"").replace("&#x27;", "'").replace("&amp;", "&")
}

/// Calls that changed something at engineering's homeserver.
pub(crate) fn deeds(app: &TestApp) -> usize {
    let endpoints = [
        Endpoint::DeleteDevice,
        Endpoint::DeleteDevices,
        Endpoint::Deactivate,
        Endpoint::AddThreepid,
        Endpoint::Threepid,
    ];
    endpoints.into_iter().map(|endpoint| app.eng.calls_to(endpoint).len()).sum()
}
