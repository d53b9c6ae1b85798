//! Everything around Usher in the benchmark: people, a scripted single sign-on, two scripted homeservers, and the config
//! that knows them.

use std::sync::Arc;

use anyhow::Context as _;
use hyper::body::Bytes;
use serde_json::{Value, json};
use usher_lab::scripted::{
    Reply,
    homeserver::{Endpoint, Fault, ScriptedHomeserver},
};

use super::sso::{Protocol, SingleSignOn};

/// Where the client waits for its login token; trusted, so that nobody is asked about it.
pub(super) const CLIENT: &str = "https://app.bench.localhost/";
/// The same in a query.
pub(super) const ENCODED_CLIENT: &str = "https%3A%2F%2Fapp.bench.localhost%2F";

/// Department and server name; long enough for the scripted homeserver's `as_token` to be a good one.
pub(super) const HOMESERVERS: [(&str, &str); 2] =
    [("engineering", "engineering.bench.localhost"), ("history", "history.of.bench.localhost")];
/// What everybody is called, before their number.
pub(super) const NAME: &str = "person-";
/// What each person's device is called, before their number.
pub(super) const DEVICE: &str = "DEVICE";
/// The device that people delete.
pub(super) const OLD_DEVICE: &str = "OLD";
/// A long request and a long answer, in bytes.
const LONG: usize = 20 << 20;
/// Accounts that nobody is linked to: more than browsers at the same time.
const STRANGERS: usize = 200;
/// More people than browsers at the same time, few enough for their first logins to take no time.
const MAX_PEOPLE: usize = 200;

/// What is around Usher.
#[derive(Debug)]
pub(super) struct Site {
    sso: SingleSignOn,
    sso_origin: String,
    homeservers: Vec<ScriptedHomeserver>,
    people: Vec<Person>,
    strangers: Vec<Stranger>,
    long_body: Bytes,
    /// Whether Usher answers at the homeservers' own hosts.
    is_at_hosts: bool,
}

/// Somebody, and where they must land.
#[derive(Debug)]
pub(super) struct Person {
    number: usize,
    /// What they are called at the single sign-on.
    pub(super) user: String,
    /// Tells the scripted single sign-on who sits at the browser.
    pub(super) sso_cookie: String,
    /// Their account.
    pub(super) mxid: String,
    /// The `base_url` of their homeserver.
    pub(super) base_url: String,
    /// Its own host.
    pub(super) host: String,
    /// Of the device they are logged in on, if they are.
    pub(super) access_token: Option<String>,
}

/// Somebody on a homeserver whom nobody at the CAS server is linked to.
#[derive(Debug)]
pub(super) struct Stranger {
    /// The homeserver's own host.
    pub(super) host: String,
    /// Of their device.
    pub(super) access_token: String,
}

impl Site {
    /// Starts the servers, with as many people as are needed for `logins`.
    pub(super) async fn start(logins: usize) -> anyhow::Result<Arc<Self>> {
        Self::start_with(0..logins.min(MAX_PEOPLE)).await
    }

    /// The same with another single sign-on.
    pub(super) async fn start_speaking(protocol: Protocol, logins: usize) -> anyhow::Result<Arc<Self>> {
        Self::new(protocol, 0..logins.min(MAX_PEOPLE)).await.map(Arc::new)
    }

    /// Starts the servers, with the people of these numbers.
    pub(super) async fn start_with(numbers: impl Iterator<Item = usize>) -> anyhow::Result<Arc<Self>> {
        Self::new(Protocol::Cas, numbers).await.map(Arc::new)
    }

    /// The same with Usher at the homeservers' own hosts, where everybody is logged in on a device, and so are others.
    pub(super) async fn start_at_hosts(numbers: impl Iterator<Item = usize>) -> anyhow::Result<Arc<Self>> {
        let mut site = Self::new(Protocol::Cas, numbers).await?;
        site.is_at_hosts = true;
        site.long_body = vec![b' '; LONG].into();
        for homeserver in &site.homeservers {
            let long = Reply::new(200, "application/json", site.long_body.clone());
            homeserver.set_fault(Endpoint::CrossSigning, Fault::Says(long));
        }
        for person in &mut site.people {
            let homeserver = of_server(&site.homeservers, server_name_of(&person.mxid))?;
            let device = format!("{DEVICE}{}", person.number);
            person.access_token = Some(homeserver.open_session(&person.mxid, &device, Some("A computer")));
        }
        for number in 0..STRANGERS {
            let (_, server_name) = HOMESERVERS[number % HOMESERVERS.len()];
            let homeserver = of_server(&site.homeservers, server_name)?;
            let mxid = format!("@stranger-{number}:{server_name}");
            let access_token = homeserver.open_session(&mxid, "THEIRS", None);
            site.strangers.push(Stranger { host: host(server_name), access_token });
        }
        Ok(Arc::new(site))
    }

    async fn new(protocol: Protocol, numbers: impl Iterator<Item = usize>) -> anyhow::Result<Self> {
        let sso =
            SingleSignOn::start(protocol).await.context("the scripted single sign-on does not start")?;
        let sso_origin = sso.origin()?;
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
            sso.add_person(&user, department);
            Person {
                number,
                sso_cookie: sso.cookie_of(&user),
                mxid: format!("@{user}:{server_name}"),
                user,
                base_url: base_url(server_name),
                host: host(server_name),
                access_token: None,
            }
        };
        let people = numbers.map(person).collect();
        Ok(Self {
            sso,
            sso_origin,
            homeservers,
            people,
            strangers: Vec::new(),
            long_body: Bytes::new(),
            is_at_hosts: false,
        })
    }

    /// `http://127.0.0.1:PORT`
    pub(super) fn sso_origin(&self) -> &str {
        &self.sso_origin
    }

    /// What people sign in at.
    pub(super) fn sso(&self) -> &SingleSignOn {
        &self.sso
    }

    /// What Usher calls it in its database.
    pub(super) fn issuer(&self) -> String {
        self.sso.issuer()
    }

    /// Has the homeservers know everybody already, as if they had their accounts before.
    pub(super) fn register_all(&self) -> anyhow::Result<()> {
        for person in &self.people {
            self.homeserver_of(person)?.add_user(&person.mxid);
        }
        Ok(())
    }

    /// Where somebody has their account.
    pub(super) fn homeserver_of(&self, person: &Person) -> anyhow::Result<&ScriptedHomeserver> {
        of_server(&self.homeservers, server_name_of(&person.mxid))
    }

    /// What a stranger uploads, and is answered with.
    pub(super) fn long_body(&self) -> Bytes {
        self.long_body.clone()
    }

    /// Whom nobody is linked to; empty unless Usher is at the homeservers' hosts.
    pub(super) fn strangers(&self) -> &[Stranger] {
        &self.strangers
    }

    /// Everybody; never empty.
    pub(super) fn people(&self) -> &[Person] {
        &self.people
    }

    /// A config of Usher as an operator would write it, all defaults left alone but for the limits: all browsers are at one
    /// address, and each person signs in many times a minute.
    pub(super) fn config(&self, listen: &str, database_url: &str) -> Value {
        let homeserver = |homeserver: &ScriptedHomeserver| {
            let hosts = self.is_at_hosts.then(|| host(homeserver.server_name()));
            json!({
                "server_name": homeserver.server_name(),
                "base_url": base_url(homeserver.server_name()),
                "hosts": hosts.as_slice(),
                "upstream_url": homeserver.url(),
                "handoff": { "application_service": {
                    "as_token": homeserver.as_token(),
                    "hs_token": "never-shown-to-anybody-in-the-benchmark",
                } },
            })
        };
        let (backend, section) = self.sso.section();
        let row = |(department, server_name)| json!({ "value": department, "homeserver": server_name });
        json!({
            "public_base_url": format!("http://{listen}"),
            "listen": [listen],
            "database": { "url": database_url },
            "keys": [{ "id": "bench", "secret": "5eed".repeat(16) }],
            "providers": [{
                "id": "corp",
                "name": "University of Canadialand",
                (backend): section,
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
    format!("https://{}", host(server_name))
}

fn host(server_name: &str) -> String {
    format!("matrix.{server_name}")
}

fn server_name_of(mxid: &str) -> &str {
    mxid.split_once(':').map_or("", |(_, server_name)| server_name)
}

fn of_server<'a>(
    homeservers: &'a [ScriptedHomeserver],
    server_name: &str,
) -> anyhow::Result<&'a ScriptedHomeserver> {
    let found = homeservers.iter().find(|homeserver| homeserver.server_name() == server_name);
    found.with_context(|| format!("{server_name} is no homeserver of the benchmark"))
}
