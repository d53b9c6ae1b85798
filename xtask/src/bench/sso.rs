//! What people of the benchmark sign in at: scripted, in this process, and asking nobody for a password.

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
}

/// The same, running.
#[derive(Debug)]
pub(super) enum SingleSignOn {
    Cas(CasServer),
    Oidc(OidcServer),
}

impl SingleSignOn {
    pub(super) async fn start(protocol: Protocol) -> std::io::Result<Self> {
        match protocol {
            Protocol::Cas => CasServer::start().await.map(Self::Cas),
            Protocol::Oidc => OidcServer::start().await.map(Self::Oidc),
        }
    }

    /// `http://127.0.0.1:PORT`
    pub(super) fn origin(&self) -> anyhow::Result<String> {
        Ok(match self {
            Self::Cas(server) => server.base_url().origin().ascii_serialization(),
            Self::Oidc(server) => Url::parse(&server.issuer())?.origin().ascii_serialization(),
        })
    }

    /// What Usher calls it in its database.
    pub(super) fn issuer(&self) -> String {
        match self {
            Self::Cas(server) => server.base_url().as_str().trim_end_matches('/').to_owned(),
            Self::Oidc(server) => server.issuer(),
        }
    }

    /// The cookie of a browser at which `user` sits.
    pub(super) fn cookie_of(&self, user: &str) -> String {
        let name = match self {
            Self::Cas(_) => CAS_COOKIE,
            Self::Oidc(_) => OIDC_COOKIE,
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
        }
    }

    /// How often the OpenID Provider was asked for its discovery document, and for its keys.
    pub(super) fn documents(&self) -> (u64, u64) {
        match self {
            Self::Cas(_) => (0, 0),
            Self::Oidc(server) => {
                let script = server.script();
                (script.asked(Place::Discovery), script.asked(Place::Jwks))
            }
        }
    }
}
