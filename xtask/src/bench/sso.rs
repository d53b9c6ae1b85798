//! What people of the benchmark sign in at: scripted, in this process, and asking nobody for a password.
//!
//! An identity provider of SAML is no server: browsers carry everything, so that here each browser is its own.

#[cfg(feature = "saml")]
mod saml;

use anyhow::bail;
use serde_json::{Value, json};
use url::Url;
use usher_lab::scripted::{
    cas::{CasPerson, CasServer, PERSON_COOKIE as CAS_COOKIE},
    oidc::{CLIENT_ID, CLIENT_SECRET, OidcServer, PERSON_COOKIE as OIDC_COOKIE, Place},
};

/// What it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// CAS 3.
    Cas,
    /// OpenID Connect, with id_tokens that ES256 signs.
    Oidc,
    /// SAML, with responses that RSA with SHA-256 signs.
    #[cfg(feature = "saml")]
    Saml,
}

/// The same, running.
#[derive(Debug)]
pub(super) enum SingleSignOn {
    Cas(CasServer),
    Oidc(OidcServer),
    #[cfg(feature = "saml")]
    Saml(saml::Idp),
}

/// How a browser comes back.
#[derive(Clone, Debug)]
pub(super) struct Back {
    /// Path and query.
    pub(super) path: String,
    /// What it posts there; `None`: it only goes there.
    pub(super) form: Option<String>,
}

impl SingleSignOn {
    pub(super) async fn start(protocol: Protocol) -> anyhow::Result<Self> {
        Ok(match protocol {
            Protocol::Cas => Self::Cas(CasServer::start().await?),
            Protocol::Oidc => Self::Oidc(OidcServer::start().await?),
            #[cfg(feature = "saml")]
            Protocol::Saml => Self::Saml(saml::Idp::new()?),
        })
    }

    /// Whether it is a server.
    pub(super) fn is_server(&self) -> bool {
        match self {
            Self::Cas(_) | Self::Oidc(_) => true,
            #[cfg(feature = "saml")]
            Self::Saml(_) => false,
        }
    }

    /// What a browser brings back from there, at which `user` sits, if no server has to be asked.
    pub(super) fn answer(&self, path: &str, user: &str, portal: &str) -> anyhow::Result<Back> {
        match self {
            Self::Cas(_) | Self::Oidc(_) => bail!("{path} is a page of a server, for {user} and {portal}"),
            #[cfg(feature = "saml")]
            Self::Saml(idp) => idp.answer(path, user, portal),
        }
    }

    /// The identity provider, if it is one of SAML.
    #[cfg(feature = "saml")]
    pub(super) fn saml(&self) -> anyhow::Result<&saml::Idp> {
        match self {
            Self::Cas(_) | Self::Oidc(_) => bail!("nothing is signed there"),
            Self::Saml(idp) => Ok(idp),
        }
    }

    /// `http://127.0.0.1:PORT`
    pub(super) fn origin(&self) -> anyhow::Result<String> {
        Ok(match self {
            Self::Cas(server) => server.base_url().origin().ascii_serialization(),
            Self::Oidc(server) => Url::parse(&server.issuer())?.origin().ascii_serialization(),
            #[cfg(feature = "saml")]
            Self::Saml(_) => saml::ORIGIN.to_owned(),
        })
    }

    /// What Usher calls it in its database.
    pub(super) fn issuer(&self) -> String {
        match self {
            Self::Cas(server) => server.base_url().as_str().trim_end_matches('/').to_owned(),
            Self::Oidc(server) => server.issuer(),
            #[cfg(feature = "saml")]
            Self::Saml(idp) => idp.entity_id().to_owned(),
        }
    }

    /// The cookie of a browser at which `user` sits.
    pub(super) fn cookie_of(&self, user: &str) -> String {
        let name = match self {
            Self::Cas(_) => CAS_COOKIE,
            Self::Oidc(_) => OIDC_COOKIE,
            #[cfg(feature = "saml")]
            Self::Saml(_) => "nobody-looks",
        };
        format!("{name}={user}")
    }

    pub(super) fn add_person(&self, user: &str, department: &str) {
        let attributes = [("department", department), ("displayName", "A Person"), ("mail", "person@ac.cdl")];
        match self {
            Self::Cas(server) => {
                let person = CasPerson::new(user);
                server.script().add_person(
                    attributes.into_iter().fold(person, |person, (name, value)| person.with(name, value)),
                );
            }
            Self::Oidc(server) => {
                server.script().add_person(user, &attributes.into_iter().collect::<Value>());
            }
            #[cfg(feature = "saml")]
            Self::Saml(idp) => idp.add_person(user, department),
        }
    }

    /// The backend and its section in Usher's config.
    pub(super) fn section(&self) -> (&'static str, Value) {
        match self {
            Self::Cas(server) => ("cas", json!({ "base_url": server.base_url() })),
            Self::Oidc(server) => {
                let issuer = server.issuer();
                ("oidc", json!({ "issuer": issuer, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET }))
            }
            #[cfg(feature = "saml")]
            Self::Saml(idp) => ("saml", idp.section()),
        }
    }

    /// How often the OpenID Provider was asked for its discovery document, and for its keys.
    pub(super) fn documents(&self) -> (u64, u64) {
        match self {
            Self::Cas(_) => (0, 0),
            #[cfg(feature = "saml")]
            Self::Saml(_) => (0, 0),
            Self::Oidc(server) => {
                let script = server.script();
                (script.asked(Place::Discovery), script.asked(Place::Jwks))
            }
        }
    }
}
