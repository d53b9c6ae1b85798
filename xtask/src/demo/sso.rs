//! The single sign-on of the demo. Whichever it is, it has the same people, and asks them for name and password.

use std::{fs, path::Path, process::Command, time::Duration};

use anyhow::{Context as _, ensure};
use serde_json::json;
use url::Url;
use usher_lab::{
    browser::loopback_client,
    real::{
        Progress,
        cas_server::{CasServer, CasServerOptions},
        install::Component,
        oidc_provider::OidcProvider,
        simplesamlphp::SimpleSamlPhp,
    },
};

/// The provider's id in Usher's config.
pub(super) const PROVIDER: &str = "sso";
/// What the OpenID Provider calls the portal.
const CLIENT_ID: &str = "usher";
/// The file of the client's secret.
const CLIENT_SECRET: &str = "oidc-client";
/// The file of the SAML identity provider's metadata.
const METADATA: &str = "idp-metadata.xml";
/// The files of the portal's key pair.
const KEY: &str = "saml-key";
const CERTIFICATE: &str = "saml-certificate";
const TIMEOUT: Duration = Duration::from_secs(10);

/// Which of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Kind {
    /// django-cas-server.
    #[default]
    Cas,
    /// oidc-provider.
    Oidc,
    /// SimpleSAMLphp.
    Saml,
}

/// A running one.
#[derive(Debug)]
pub(super) enum SingleSignOn {
    /// CAS 3.
    Cas(CasServer),
    /// OpenID Connect.
    Oidc(OidcProvider),
    /// SAML 2.0.
    Saml(SimpleSamlPhp),
}

impl Kind {
    /// What is to be installed.
    pub(super) fn component(self) -> Component {
        match self {
            Self::Cas => Component::CasServer,
            Self::Oidc => Component::OidcProvider,
            Self::Saml => Component::SimpleSamlPhp,
        }
    }

    /// The program's name.
    pub(super) fn program(self) -> &'static str {
        match self {
            Self::Cas => "django-cas-server",
            Self::Oidc => "oidc-provider",
            Self::Saml => "SimpleSAMLphp",
        }
    }

    /// What stories call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Cas => "CAS server",
            Self::Oidc => "OpenID Provider",
            Self::Saml => "SAML identity provider",
        }
    }

    /// Secrets that it and Usher share, by the names of their files.
    pub(super) fn secrets(self) -> &'static [&'static str] {
        match self {
            Self::Cas | Self::Saml => &[],
            Self::Oidc => &[CLIENT_SECRET],
        }
    }

    /// The provider's section in Usher's config, for one that listens at `port`.
    pub(super) fn section(self, port: u16) -> String {
        match self {
            Self::Cas => format!("    cas:\n      base_url: http://127.0.0.1:{port}/cas\n"),
            Self::Oidc => format!(
                "    oidc:\n      issuer: http://127.0.0.1:{port}\n      client_id: {CLIENT_ID}\n      \
                 client_secret_file: secrets/{CLIENT_SECRET}\n"
            ),
            Self::Saml => format!(
                "    saml:\n      metadata_file: {METADATA}\n      keys:\n        - key_file: secrets/{KEY}\n          \
                 certificate_file: secrets/{CERTIFICATE}\n      signed: both\n      require_encryption: true\n      \
                 subject: uid\n"
            ),
        }
    }

    /// Starts it at `port` for the portal at `portal`, whose files are in `directory`: what of it the portal's config needs
    /// is there afterwards.
    pub(super) async fn start(
        self,
        port: u16,
        portal: &Url,
        directory: &Path,
        progress: &Progress,
    ) -> anyhow::Result<SingleSignOn> {
        let secrets = directory.join("secrets");
        match self {
            Self::Cas => {
                let options = CasServerOptions { port: Some(port), ..CasServerOptions::default() };
                Ok(SingleSignOn::Cas(CasServer::start(options, progress).await?))
            }
            Self::Oidc => {
                let provider = OidcProvider::start(Some(port), progress).await?;
                let secret = fs::read_to_string(secrets.join(CLIENT_SECRET));
                let secret = secret.context("the client's secret was written before")?;
                let at_portal = |path: &str| format!("{portal}_usher/oidc/{PROVIDER}/{path}");
                let client = json!({
                    "client_id": CLIENT_ID,
                    "client_secret": secret.trim(),
                    "redirect_uris": [at_portal("callback")],
                    "backchannel_logout_uri": at_portal("backchannel-logout"),
                    "backchannel_logout_session_required": true,
                });
                provider.register(&client).await?;
                Ok(SingleSignOn::Oidc(provider))
            }
            Self::Saml => {
                let provider = SimpleSamlPhp::start(Some(port), progress).await?;
                fs::write(directory.join(METADATA), provider.metadata().await?)?;
                make_key_pair(&secrets)?;
                Ok(SingleSignOn::Saml(provider))
            }
        }
    }
}

/// As docs/saml.md says.
fn make_key_pair(secrets: &Path) -> anyhow::Result<()> {
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "rsa:3072", "-nodes", "-days", "3650", "-subj", "/CN=usher"]);
    let made = openssl.args(["-keyout", KEY, "-out", CERTIFICATE]).current_dir(secrets).output();
    let made = made.context("openssl cannot be run")?;
    ensure!(made.status.success(), "openssl: {}", String::from_utf8_lossy(&made.stderr));
    Ok(())
}

impl SingleSignOn {
    /// Tells it what only the running portal at `portal` can tell.
    pub(super) async fn meet(&self, portal: &Url) -> anyhow::Result<()> {
        match self {
            Self::Cas(_) | Self::Oidc(_) => Ok(()),
            Self::Saml(provider) => {
                let url = portal.join(&format!("_usher/saml/{PROVIDER}/metadata"))?;
                let answer = loopback_client(TIMEOUT)?.get(url).send().await?.error_for_status()?;
                let options = json!({
                    "saml20.sign.response": true,
                    "saml20.sign.assertion": true,
                    "assertion.encryption": true,
                    "validate.authnrequest": true,
                });
                provider.register("usher", &answer.text().await?, &options)
            }
        }
    }

    /// What stories call it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Cas(_) => Kind::Cas.name(),
            Self::Oidc(_) => Kind::Oidc.name(),
            Self::Saml(_) => Kind::Saml.name(),
        }
    }

    /// Where it is.
    pub(super) fn url(&self) -> Url {
        match self {
            Self::Cas(server) => server.base_url().clone(),
            Self::Oidc(provider) => Url::parse(&provider.issuer()).expect("an issuer is a URL"),
            Self::Saml(provider) => provider.base_url().clone(),
        }
    }

    /// Stops it in an orderly way.
    pub(super) async fn stop(&mut self) -> anyhow::Result<()> {
        match self {
            Self::Cas(server) => server.stop().await,
            Self::Oidc(provider) => provider.stop().await,
            Self::Saml(provider) => provider.stop().await,
        }
    }
}
