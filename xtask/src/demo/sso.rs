//! The single sign-on of the demo. Whichever it is, it has the same people, and asks them for name and password.

use std::path::Path;

use anyhow::Context as _;
use serde_json::json;
use url::Url;
use usher_lab::real::{
    Progress,
    cas_server::{CasServer, CasServerOptions},
    install::Component,
    oidc_provider::OidcProvider,
};

/// The provider's id in Usher's config.
pub(super) const PROVIDER: &str = "sso";
/// What the OpenID Provider calls the portal.
const CLIENT_ID: &str = "usher";
/// The file of the client's secret.
const CLIENT_SECRET: &str = "oidc-client";

/// Which of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Kind {
    /// django-cas-server.
    #[default]
    Cas,
    /// oidc-provider.
    Oidc,
}

/// A running one.
#[derive(Debug)]
pub(super) enum SingleSignOn {
    /// CAS 3.
    Cas(CasServer),
    /// OpenID Connect.
    Oidc(OidcProvider),
}

impl Kind {
    /// What is to be installed.
    pub(super) fn component(self) -> Component {
        match self {
            Self::Cas => Component::CasServer,
            Self::Oidc => Component::OidcProvider,
        }
    }

    /// The program's name.
    pub(super) fn program(self) -> &'static str {
        match self {
            Self::Cas => "django-cas-server",
            Self::Oidc => "oidc-provider",
        }
    }

    /// What stories call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Cas => "CAS server",
            Self::Oidc => "OpenID Provider",
        }
    }

    /// Secrets that it and Usher share, by the names of their files.
    pub(super) fn secrets(self) -> &'static [&'static str] {
        match self {
            Self::Cas => &[],
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
        }
    }

    /// Starts it at `port` for the portal at `portal`, whose secrets are in `secrets`.
    pub(super) async fn start(
        self,
        port: u16,
        portal: &Url,
        secrets: &Path,
        progress: &Progress,
    ) -> anyhow::Result<SingleSignOn> {
        match self {
            Self::Cas => {
                let options = CasServerOptions { port: Some(port), ..CasServerOptions::default() };
                Ok(SingleSignOn::Cas(CasServer::start(options, progress).await?))
            }
            Self::Oidc => {
                let provider = OidcProvider::start(Some(port), progress).await?;
                let secret = std::fs::read_to_string(secrets.join(CLIENT_SECRET));
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
        }
    }
}

impl SingleSignOn {
    /// What stories call it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Cas(_) => Kind::Cas.name(),
            Self::Oidc(_) => Kind::Oidc.name(),
        }
    }

    /// Where it is.
    pub(super) fn url(&self) -> Url {
        match self {
            Self::Cas(server) => server.base_url().clone(),
            Self::Oidc(provider) => Url::parse(&provider.issuer()).expect("an issuer is a URL"),
        }
    }

    /// Stops it in an orderly way.
    pub(super) async fn stop(&mut self) -> anyhow::Result<()> {
        match self {
            Self::Cas(server) => server.stop().await,
            Self::Oidc(provider) => provider.stop().await,
        }
    }
}
