//! What the tests of this binary share: a runtime that outlives each of them, the real components, and a place for
//! all their files that is gone when this process is, however it ends.

use std::{
    fs::Permissions,
    future::Future,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::Path,
    process::{Child, Command, Stdio},
    sync::LazyLock,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::{runtime::Runtime, sync::OnceCell};
use usher_lab::{
    real::{
        Progress,
        axe::Axe,
        cas_server::{CasServer, CasServerOptions},
        chromium::Chromium,
        install::{self, Component},
        matrix_js_sdk::MatrixJsSdk,
        oidc_provider::OidcProvider,
        postgres::Postgres,
        pysaml2::Pysaml2,
        simplesamlphp::SimpleSamlPhp,
        synapse::{ApplicationService, Synapse, SynapseOptions},
    },
    scripted::mail::ScriptedMail,
    usher::Usher,
};

use crate::{config, world::BINARY};

/// Much longer than the slowest test on a busy machine: a test that hangs fails and says so.
const TEST_DEADLINE: Duration = Duration::from_mins(5);
/// Between two looks at something that is going to happen.
const POLL: Duration = Duration::from_millis(10);
/// How long something that is going to happen may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// Components talk over connections that belong to a runtime, so there is one for all tests, and it never ends.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    keep_files_together().expect("a temporary directory, and a shell that clears it away");
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime")
});

/// Runs a test.
pub(crate) fn run(test: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    RUNTIME.block_on(async { tokio::time::timeout(TEST_DEADLINE, test).await })?
}

/// Looks until `look` finds what it looks for.
pub(crate) async fn eventually<T>(
    what: &str,
    mut look: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let looking = async {
        loop {
            if let Some(found) = look().await? {
                return Ok(found);
            }
            tokio::time::sleep(POLL).await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.with_context(|| format!("this did not happen: {what}"))?
}

/// The real components. Their processes end with this one; statics are not dropped.
#[derive(Debug)]
pub(crate) struct Components {
    /// `eng.localhost`
    pub(crate) eng: Synapse,
    /// `hist.localhost`
    pub(crate) hist: Synapse,
    /// Six people in three departments.
    pub(crate) cas: CasServer,
    /// What Usher and each of the two know of each other.
    pub(crate) tokens: [config::Tokens; 2],
    /// Another application service of `eng.localhost`, which has nothing to do with Usher.
    pub(crate) bridge: ApplicationService,
    /// Takes the mail of `eng.localhost`.
    pub(crate) mail: ScriptedMail,
}

/// An administrator of a Synapse.
pub(crate) struct Operator<'a> {
    synapse: &'a Synapse,
    access_token: String,
}

/// Starts them, if no other test has. Where one cannot be started, every test that needs it fails and says why.
pub(crate) async fn components() -> anyhow::Result<&'static Components> {
    static COMPONENTS: OnceCell<Components> = OnceCell::const_new();
    COMPONENTS.get_or_try_init(Components::start).await
}

/// An OpenID Provider, at which every test registers a client of its own.
pub(crate) async fn oidc_provider() -> anyhow::Result<&'static OidcProvider> {
    static PROVIDER: OnceCell<OidcProvider> = OnceCell::const_new();
    let start = async || {
        install::ensure(&[Component::OidcProvider], &Progress::printing()).await?;
        OidcProvider::start(None, &Progress::printing()).await
    };
    PROVIDER.get_or_try_init(start).await
}

/// A SAML identity provider, at which every test registers a service of its own.
pub(crate) async fn simplesamlphp() -> anyhow::Result<&'static SimpleSamlPhp> {
    static PROVIDER: OnceCell<SimpleSamlPhp> = OnceCell::const_new();
    let start = async || {
        install::ensure(&[Component::SimpleSamlPhp], &Progress::printing()).await?;
        SimpleSamlPhp::start(None, &Progress::printing()).await
    };
    PROVIDER.get_or_try_init(start).await
}

/// Any number of SAML identity providers that do as they are told.
pub(crate) async fn pysaml2() -> anyhow::Result<&'static Pysaml2> {
    static PROVIDERS: OnceCell<Pysaml2> = OnceCell::const_new();
    let start = async || {
        install::ensure(&[Component::Pysaml2], &Progress::printing()).await?;
        Pysaml2::start(&Progress::printing()).await
    };
    PROVIDERS.get_or_try_init(start).await
}

/// A key pair for Usher as a service, as an entry of `keys`.
pub(crate) fn saml_keys() -> anyhow::Result<Value> {
    let directory = tempfile::tempdir()?.keep();
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=usher"])
        .args(["-keyout", "key", "-out", "certificate"])
        .current_dir(&directory)
        .output()
        .context("openssl cannot be run")?;
    ensure!(made.status.success(), "openssl: {}", String::from_utf8_lossy(&made.stderr));
    Ok(json!({ "key_file": directory.join("key"), "certificate_file": directory.join("certificate") }))
}

/// The cluster in which every test has a database of its own.
pub(crate) async fn postgres() -> anyhow::Result<&'static Postgres> {
    static POSTGRES: OnceCell<Postgres> = OnceCell::const_new();
    let start = || async {
        install::ensure(&[Component::Postgres], &Progress::printing()).await?;
        Postgres::start().await
    };
    POSTGRES.get_or_try_init(start).await
}

/// The driver that opens browsers.
pub(crate) async fn chromium() -> anyhow::Result<&'static Chromium> {
    static CHROMIUM: OnceCell<Chromium> = OnceCell::const_new();
    let start = || async {
        install::ensure(&[Component::Chromium], &Progress::printing()).await?;
        Chromium::start(&Progress::printing()).await
    };
    CHROMIUM.get_or_try_init(start).await
}

/// What audits pages in a browser.
pub(crate) async fn axe() -> anyhow::Result<Axe> {
    install::ensure(&[Component::Axe], &Progress::printing()).await?;
    Axe::read()
}

/// A client's library, for pages in a browser.
pub(crate) async fn matrix_js_sdk() -> anyhow::Result<MatrixJsSdk> {
    install::ensure(&[Component::MatrixJsSdk], &Progress::printing()).await?;
    MatrixJsSdk::read()
}

impl Components {
    async fn start() -> anyhow::Result<Self> {
        install::ensure(&[Component::Synapse, Component::CasServer], &Progress::printing()).await?;
        let tokens = [config::Tokens::generate()?, config::Tokens::generate()?];
        let [mut eng, hist] =
            [synapse_options("eng.localhost", &tokens[0])?, synapse_options("hist.localhost", &tokens[1])?];
        let (bridge, mail) = (bridge()?, ScriptedMail::start().await?);
        eng.application_services.push(bridge.registration());
        eng.mail_port = Some(mail.port());
        let progress = Progress::printing();
        let (eng, hist, cas) = tokio::try_join!(
            Synapse::start(eng, &progress),
            Synapse::start(hist, &progress),
            CasServer::start(CasServerOptions::default(), &progress),
        )?;
        Ok(Self { eng, hist, cas, tokens, bridge, mail })
    }

    /// One more `eng.localhost`, with nobody on it, for a test that stops it.
    pub(crate) async fn another_eng(&self) -> anyhow::Result<Synapse> {
        Synapse::start(synapse_options("eng.localhost", &self.tokens[0])?, &Progress::printing()).await
    }

    /// What `docs/mapping.md` tells an operator to do before new accounts can be given an address.
    pub(crate) async fn promote_service_of_eng(&self, operator: &Operator<'_>) -> anyhow::Result<()> {
        let register =
            json!({ "type": "m.login.application_service", "username": "usher", "inhibit_login": true });
        let token = Some(self.tokens[0].as_token.as_str());
        let (status, body) =
            self.eng.call(Method::POST, "_matrix/client/v3/register", token, Some(&register)).await?;
        ensure!(status.is_success() || body["errcode"] == "M_USER_IN_USE", "@usher: {status} {body}");
        operator.promote("@usher:eng.localhost").await
    }

    /// Whether somebody of that name is, or was, on `synapse`; asked as Usher would.
    pub(crate) async fn has_user(&self, synapse: &Synapse, user: &str) -> anyhow::Result<bool> {
        let tokens = if synapse.server_name() == "eng.localhost" { &self.tokens[0] } else { &self.tokens[1] };
        let path = format!("_matrix/client/v3/account/whoami?user_id={user}");
        let (status, body) = synapse.call(Method::GET, &path, Some(&tokens.as_token), None).await?;
        match status.as_u16() {
            200 => Ok(true),
            403 => Ok(false),
            _ => anyhow::bail!("whoami as {user}: {status} {body}"),
        }
    }
}

/// Its people are `@_bridge_…`, as those of a bridge are.
fn bridge() -> anyhow::Result<ApplicationService> {
    let config::Tokens { as_token, hs_token } = config::Tokens::generate()?;
    Ok(ApplicationService {
        id: "bridge".to_owned(),
        as_token,
        hs_token,
        sender_localpart: "_bridge".to_owned(),
        users: r"@_bridge_.*:eng\.localhost".to_owned(),
    })
}

/// The registration file is the one that the real command writes.
fn synapse_options(server_name: &str, tokens: &config::Tokens) -> anyhow::Result<SynapseOptions> {
    let directory = tempfile::tempdir()?;
    let homeserver = config::homeserver(server_name, "http://127.0.0.1:9/", "http://127.0.0.1:9/", tokens);
    let config = config::Portal { homeservers: vec![homeserver], ..config::Portal::default() };
    std::fs::write(directory.path().join("usher.yaml"), config.to_yaml().to_string())?;
    let written = Usher::run(Path::new(BINARY), directory.path(), &["registration", server_name])?;
    ensure!(written.status.success(), "usher registration: {}", String::from_utf8_lossy(&written.stderr));
    Ok(SynapseOptions {
        server_name: server_name.to_owned(),
        application_services: vec![String::from_utf8(written.stdout)?],
        password_login: true,
        ..SynapseOptions::default()
    })
}

impl<'a> Operator<'a> {
    /// Makes an administrator called `localpart` and logs them in.
    pub(crate) async fn of(synapse: &'a Synapse, localpart: &str) -> anyhow::Result<Self> {
        const PASSWORD: &str = "a password that is long";
        synapse.register_admin(localpart, PASSWORD).await?;
        let (status, body) = synapse.log_in_with_password(localpart, PASSWORD).await?;
        let access_token = body["access_token"].as_str();
        let access_token = access_token.with_context(|| format!("{localpart} cannot log in: {status}"))?;
        Ok(Self { synapse, access_token: access_token.to_owned() })
    }

    /// `POST /_synapse/admin/v1/deactivate/{user}`
    pub(crate) async fn deactivate(&self, user: &str) -> anyhow::Result<()> {
        let path = format!("_synapse/admin/v1/deactivate/{user}");
        self.call(Method::POST, &path, Some(&json!({ "erase": false }))).await?;
        Ok(())
    }

    /// `PUT /_synapse/admin/v2/users/{user}`
    pub(crate) async fn lock(&self, user: &str) -> anyhow::Result<()> {
        let path = format!("_synapse/admin/v2/users/{user}");
        self.call(Method::PUT, &path, Some(&json!({ "locked": true }))).await?;
        Ok(())
    }

    /// `GET /_synapse/admin/v2/users/{user}/devices`: their ids.
    pub(crate) async fn devices(&self, user: &str) -> anyhow::Result<Vec<String>> {
        let path = format!("_synapse/admin/v2/users/{user}/devices");
        let answer = self.call(Method::GET, &path, None).await?;
        let devices = answer["devices"].as_array().into_iter().flatten();
        Ok(devices.filter_map(|device| device["device_id"].as_str().map(str::to_owned)).collect())
    }

    /// Makes a user an administrator.
    async fn promote(&self, user: &str) -> anyhow::Result<()> {
        let path = format!("_synapse/admin/v1/users/{user}/admin");
        self.call(Method::PUT, &path, Some(&json!({ "admin": true }))).await?;
        Ok(())
    }

    /// A user's e-mail addresses, in order.
    pub(crate) async fn emails(&self, user: &str) -> anyhow::Result<Vec<String>> {
        let answer = self.call(Method::GET, &format!("_synapse/admin/v2/users/{user}"), None).await?;
        let threepids = answer["threepids"].as_array().into_iter().flatten();
        let mut emails: Vec<_> =
            threepids.filter_map(|threepid| threepid["address"].as_str().map(str::to_owned)).collect();
        emails.sort();
        Ok(emails)
    }

    /// Gives a user addresses in place of those they have.
    pub(crate) async fn set_emails(&self, user: &str, emails: &[&str]) -> anyhow::Result<()> {
        let threepids: Vec<_> =
            emails.iter().map(|address| json!({ "medium": "email", "address": address })).collect();
        let path = format!("_synapse/admin/v2/users/{user}");
        self.call(Method::PUT, &path, Some(&json!({ "threepids": threepids }))).await?;
        Ok(())
    }

    /// Makes a room that everybody may join, with the alias `#alias:…`; its id.
    pub(crate) async fn make_room(&self, alias: &str) -> anyhow::Result<String> {
        let body = json!({ "preset": "public_chat", "room_alias_name": alias });
        let answer = self.call(Method::POST, "_matrix/client/v3/createRoom", Some(&body)).await?;
        Ok(answer["room_id"].as_str().context("a room id")?.to_owned())
    }

    /// The rooms a user is in.
    pub(crate) async fn rooms(&self, user: &str) -> anyhow::Result<Vec<String>> {
        let answer =
            self.call(Method::GET, &format!("_synapse/admin/v1/users/{user}/joined_rooms"), None).await?;
        let rooms = answer["joined_rooms"].as_array().into_iter().flatten();
        Ok(rooms.filter_map(|room| room.as_str().map(str::to_owned)).collect())
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        let (status, answer) = self.synapse.call(method, path, Some(&self.access_token), body).await?;
        ensure!(status.is_success(), "{path}: {status} {answer}");
        Ok(answer)
    }
}

/// Puts every temporary file of this process below one directory, and has a shell wait for the end of this process
/// to remove it: statics are not dropped, and a pipe is closed however its holder ends.
fn keep_files_together() -> anyhow::Result<()> {
    static CLEANER: std::sync::OnceLock<Child> = std::sync::OnceLock::new();
    const SCRIPT: &str =
        r#"read -r _; for _ in 1 2 3 4 5 6 7 8 9 10; do rm -rf "$1" 2>/dev/null && exit; sleep 0.5; done"#;
    // Postgres runs as somebody else and must be able to pass through.
    let root = tempfile::Builder::new()
        .prefix("usher-e2e-")
        .permissions(Permissions::from_mode(0o755))
        .tempdir()?
        .keep();
    let mut cleaner = Command::new("sh");
    cleaner.args(["-c", SCRIPT, "sh"]).arg(&root).stdin(Stdio::piped());
    // A group of its own: Ctrl-C ends the tests, and the cleaner after them.
    let cleaner = cleaner.process_group(0).spawn().context("sh cannot be run")?;
    ensure!(CLEANER.set(cleaner).is_ok(), "there is one cleaner");
    tempfile::env::override_temp_dir(&root)
        .map_err(|taken| anyhow::anyhow!("files are at {}", taken.display()))
}
