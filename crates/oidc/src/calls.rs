//! Calls to the provider, and what their failures mean before anything is read.
//!
//! There are two clients. URLs of the config, and those at the issuer's own or an allowed origin, may be anywhere: the
//! operator named them. Whatever else a discovery document or a token names must be at a public address and encrypted, or
//! whoever writes those could have this machine talk to its neighbours (server-side request forgery; OpenID Connect
//! Discovery 7.2, RFC 9700 section 4).

use std::{error::Error, fmt, net::IpAddr, sync::Arc};

use serde::de::DeserializeOwned;
use url::{Host, Url};
use usher_core::{ConfigError, ProviderError};
use usher_http::{BuildError, Method, Outgoing, SendError, header, is_public};

use crate::config::{Settings, is_of_this_machine};

/// The longest answer that is read, in bytes.
const MAX_BODY: usize = 512 * 1024;

/// Makes calls. Clones share their connections.
#[derive(Clone, Debug)]
pub(crate) struct Calls {
    anywhere: Outgoing,
    public: Outgoing,
}

/// Where a call goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    url: Url,
    is_trusted: bool,
}

/// A request to be filled in.
pub(crate) type Request = usher_http::RequestBuilder;

/// An answer with a status that was asked for.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) body: Vec<u8>,
}

/// A failure as more than one person is told of it.
#[derive(Clone)]
pub(crate) struct Failure {
    reaction: Reaction,
    cause: Arc<dyn Error + Send + Sync>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reaction {
    Unavailable,
    Internal,
    Unverified,
}

/// A URL that somebody else than the operator named, and that is not called.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Forbidden {
    #[error("the provider's {what} is not https; if it is right, name its origin in `allowed_origins`")]
    InTheClear { what: &'static str },
    #[error(
        "the provider's {what} is at an address that is not public; if it is right, name its origin in `allowed_origins`"
    )]
    Inside { what: &'static str },
    #[error("the provider's {what} has a user name or a fragment in it")]
    Adorned { what: &'static str },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the provider's {what} answered {status}")]
struct UnexpectedStatus {
    what: &'static str,
    status: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the provider's {what} answered with something else than JSON of its kind")]
struct Garbage {
    what: &'static str,
}

#[derive(Debug, thiserror::Error)]
#[error("the provider's {what} cannot be reached")]
struct Unreachable {
    what: &'static str,
    #[source]
    error: SendError,
}

impl Calls {
    pub(crate) fn new(http: &Outgoing, settings: &Settings) -> Result<Self, ConfigError> {
        let (pem, timeout) = (settings.ca_pem.as_deref(), settings.timeout);
        let anywhere = match pem {
            None => Ok(http.with_timeout(timeout).with_max_body(MAX_BODY)),
            Some(pem) => Outgoing::new(Some(pem), timeout, MAX_BODY),
        };
        let public = Outgoing::public_only(pem, timeout, MAX_BODY);
        let refuse = |error| match error {
            BuildError::CaBundle(_) => {
                ConfigError::at("ca_file", "has no readable certificate; write a PEM file with at least one")
            }
            BuildError::Client(error) => ConfigError::at("ca_file", format!("cannot be used: {error}")),
        };
        Ok(Self { anywhere: anywhere.map_err(refuse)?, public: public.map_err(refuse)? })
    }

    /// A request to `target`.
    pub(crate) fn request(&self, method: Method, target: &Target) -> Request {
        self.client(target).request(method, target.url.clone())
    }

    /// Sends `request`, made for `target`. A status that `is_fine` does not take is a failure; a redirect always is.
    pub(crate) async fn send(
        &self,
        what: &'static str,
        target: &Target,
        request: Request,
        is_fine: fn(u16) -> bool,
    ) -> Result<Answer, Failure> {
        let answer = match self.client(target).send(request).await {
            Ok(answer) => answer,
            Err(
                error @ (SendError::NotConnected(_) | SendError::Ambiguous(_) | SendError::TooLarge { .. }),
            ) => return Err(Failure::unavailable(Unreachable { what, error })),
        };
        let status = answer.status.as_u16();
        if !is_fine(status) {
            return Err(Failure::of_status(what, status));
        }
        let content_type = answer.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let content_type = content_type.unwrap_or_default().to_ascii_lowercase();
        Ok(Answer { status, content_type, body: answer.body })
    }

    /// Fetches a JSON document.
    pub(crate) async fn get_json<T: DeserializeOwned>(
        &self,
        what: &'static str,
        target: &Target,
    ) -> Result<T, Failure> {
        let request = self.request(Method::GET, target).header(header::ACCEPT, "application/json");
        let answer = self.send(what, target, request, |status| status == 200).await?;
        read_json(what, &answer.body)
    }

    fn client(&self, target: &Target) -> &Outgoing {
        if target.is_trusted { &self.anywhere } else { &self.public }
    }
}

/// What serde says of it may repeat it, so that nobody is told.
pub(crate) fn read_json<T: DeserializeOwned>(what: &'static str, body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|_| Failure::unavailable(Garbage { what }))
}

impl Target {
    /// A URL of the config.
    pub(crate) fn configured(url: Url) -> Self {
        Self { url, is_trusted: true }
    }

    /// A URL that the provider names as its `what`.
    pub(crate) fn named(what: &'static str, url: Url, settings: &Settings) -> Result<Self, Forbidden> {
        let is_plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        if !is_plain {
            return Err(Forbidden::Adorned { what });
        }
        if settings.trusted_origins.contains(&url.origin()) {
            return Ok(Self { url, is_trusted: true });
        }
        if url.scheme() != "https" {
            return Err(Forbidden::InTheClear { what });
        }
        // Names are judged when they are resolved, addresses are not resolved.
        let address = match url.host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            Some(Host::Domain(_)) | None => None,
        };
        if url.host().is_none()
            || is_of_this_machine(&url)
            || address.is_some_and(|address| !is_public(address))
        {
            return Err(Forbidden::Inside { what });
        }
        Ok(Self { url, is_trusted: false })
    }

    /// A URL that nobody vouches for, whatever it looks like.
    #[cfg(test)]
    pub(crate) fn judged_by_nobody(url: Url) -> Self {
        Self { url, is_trusted: false }
    }

    pub(crate) fn url(&self) -> &Url {
        &self.url
    }
}

impl Failure {
    /// Try later.
    pub(crate) fn unavailable(cause: impl Error + Send + Sync + 'static) -> Self {
        Self { reaction: Reaction::Unavailable, cause: Arc::new(cause) }
    }

    /// An operator must act.
    pub(crate) fn internal(cause: impl Error + Send + Sync + 'static) -> Self {
        Self { reaction: Reaction::Internal, cause: Arc::new(cause) }
    }

    /// The answer proves nobody.
    pub(crate) fn unverified(cause: impl Error + Send + Sync + 'static) -> Self {
        Self { reaction: Reaction::Unverified, cause: Arc::new(cause) }
    }

    /// Nothing a browser brings causes the first group: the config leads elsewhere, or does not know the client.
    pub(crate) fn of_status(what: &'static str, status: u16) -> Self {
        let cause = UnexpectedStatus { what, status };
        match status {
            300..=399 | 401 | 403 | 404 | 405 | 410 => Self::internal(cause),
            _ => Self::unavailable(cause),
        }
    }
}

impl From<Failure> for ProviderError {
    fn from(failure: Failure) -> Self {
        match failure.reaction {
            Reaction::Unavailable => Self::unavailable(failure),
            Reaction::Internal => Self::Internal(failure.into()),
            Reaction::Unverified => Self::unverified(failure),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cause.fmt(f)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cause.fmt(f)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.source()
    }
}
