//! Everything around Usher in the benchmark: people, a scripted CAS server, two scripted homeservers, and the config
//! that knows them.

use std::sync::Arc;

use anyhow::Context as _;
use serde_json::{Value, json};
use usher_lab::scripted::{
    cas::{CasPerson, CasServer, PERSON_COOKIE},
    homeserver::ScriptedHomeserver,
};

/// Where the client waits for its login token; trusted, so that nobody is asked about it.
pub(super) const CLIENT: &str = "https://app.bench.localhost/";
/// The same in a query.
pub(super) const ENCODED_CLIENT: &str = "https%3A%2F%2Fapp.bench.localhost%2F";

/// Department and server name; long enough for the scripted homeserver's `as_token` to be a good one.
pub(super) const HOMESERVERS: [(&str, &str); 2] =
    [("engineering", "engineering.bench.localhost"), ("history", "history.of.bench.localhost")];
/// What everybody is called, before their number.
pub(super) const NAME: &str = "person-";
/// More people than browsers at the same time, few enough for their first logins to take no time.
const MAX_PEOPLE: usize = 200;

/// What is around Usher.
#[derive(Debug)]
pub(super) struct Site {
    cas: CasServer,
    cas_origin: String,
    homeservers: Vec<ScriptedHomeserver>,
    people: Vec<Person>,
}

/// Somebody, and where they must land.
#[derive(Debug)]
pub(super) struct Person {
    /// Tells the scripted CAS server who sits at the browser.
    pub(super) cas_cookie: String,
    /// Their account.
    pub(super) mxid: String,
    /// The `base_url` of their homeserver.
    pub(super) base_url: String,
}

impl Site {
    /// Starts the servers, with as many people as are needed for `logins`.
    pub(super) async fn start(logins: usize) -> anyhow::Result<Arc<Self>> {
        Self::start_with(0..logins.min(MAX_PEOPLE)).await
    }

    /// Starts the servers, with the people of these numbers.
    pub(super) async fn start_with(numbers: impl Iterator<Item = usize>) -> anyhow::Result<Arc<Self>> {
        let cas = CasServer::start().await.context("the scripted CAS server does not start")?;
        let cas_origin = cas.base_url().origin().ascii_serialization();
        let mut homeservers = Vec::new();
        for (_, server_name) in HOMESERVERS {
            let homeserver = ScriptedHomeserver::start(server_name).await;
            let homeserver = homeserver.context("a scripted homeserver does not start")?;
            homeserver.set_recording(false);
            homeservers.push(homeserver);
        }
        let person = |number: usize| {
            let (department, server_name) = HOMESERVERS[number % HOMESERVERS.len()];
            let user = format!("{NAME}{number}");
            let attributes =
                [("department", department), ("displayName", "A Person"), ("mail", "person@ac.cdl")];
            let known = CasPerson::new(user.as_str());
            cas.script().add_person(
                attributes.into_iter().fold(known, |known, (name, value)| known.with(name, value)),
            );
            Person {
                cas_cookie: format!("{PERSON_COOKIE}={user}"),
                mxid: format!("@{user}:{server_name}"),
                base_url: base_url(server_name),
            }
        };
        let people = numbers.map(person).collect();
        Ok(Arc::new(Self { cas, cas_origin, homeservers, people }))
    }

    /// `http://127.0.0.1:PORT`
    pub(super) fn cas_origin(&self) -> &str {
        &self.cas_origin
    }

    /// What Usher calls the CAS server in its database.
    pub(super) fn issuer(&self) -> String {
        self.cas.base_url().as_str().trim_end_matches('/').to_owned()
    }

    /// Has the homeservers know everybody already, as if they had their accounts before.
    pub(super) fn register_all(&self) {
        for person in &self.people {
            let homeserver = self.homeservers.iter().find(|homeserver| {
                person.mxid.split_once(':').is_some_and(|(_, name)| name == homeserver.server_name())
            });
            if let Some(homeserver) = homeserver {
                homeserver.add_user(&person.mxid);
            }
        }
    }

    /// Everybody; never empty.
    pub(super) fn people(&self) -> &[Person] {
        &self.people
    }

    /// A config of Usher as an operator would write it, all defaults left alone but for the limits: all browsers are at one
    /// address, and each person signs in many times a minute.
    pub(super) fn config(&self, listen: &str, database_url: &str) -> Value {
        let homeserver = |homeserver: &ScriptedHomeserver| {
            json!({
                "server_name": homeserver.server_name(),
                "base_url": base_url(homeserver.server_name()),
                "upstream_url": homeserver.url(),
                "handoff": { "application_service": {
                    "as_token": homeserver.as_token(),
                    "hs_token": "never-shown-to-anybody-in-the-benchmark",
                } },
            })
        };
        let row = |(department, server_name)| json!({ "value": department, "homeserver": server_name });
        json!({
            "public_base_url": format!("http://{listen}"),
            "listen": [listen],
            "database": { "url": database_url },
            "keys": [{ "id": "bench", "secret": "5eed".repeat(16) }],
            "providers": [{
                "id": "corp",
                "name": "University of Canadialand",
                "cas": { "base_url": self.cas.base_url() },
            }],
            "homeservers": self.homeservers.iter().map(homeserver).collect::<Vec<_>>(),
            "selection": [
                { "sticky": {} },
                { "attribute": { "name": "department", "rows": HOMESERVERS.map(row) } },
            ],
            "login": { "trusted_clients": [CLIENT] },
            "limits": { "redirect": "off", "callback": "off", "click": "off", "login": "off", "account": "off" },
        })
    }
}

fn base_url(server_name: &str) -> String {
    format!("https://matrix.{server_name}")
}
