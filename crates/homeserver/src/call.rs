//! One call to the homeserver and what its answer means, as far as that is the same for every endpoint.
//!
//! Errors: <https://spec.matrix.org/v1.19/client-server-api/#standard-error-response>. An answer is read leniently
//! where it says more than we use and strictly where we use it. Bodies are never kept: they may hold access tokens,
//! and so may the message of a JSON error.

use std::{net::IpAddr, time::Duration};

use reqwest::{Method, RequestBuilder};
use ruma_common::{OwnedUserId, UserId};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use url::Url;
use usher_http::{Answer, SendError, header};

use crate::{Handoff, Homeserver, retry_after::retry_after};

/// How much of what a homeserver says about an error is kept, in characters.
const MAX_SAID: usize = 256;

/// Why a call did not do what it was for, one variant per reaction.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No connection was made: the homeserver did nothing. Try again.
    #[error("no connection to the homeserver could be made")]
    NotConnected(#[source] reqwest::Error),
    /// The call was under way when it timed out or was cut: the homeserver may have acted on it.
    #[error("the homeserver's answer did not come, or not whole")]
    Ambiguous(#[source] reqwest::Error),
    /// 429: try again after that time, if it says which.
    #[error("the homeserver limits the rate of calls")]
    RateLimited {
        /// From `Retry-After` or `retry_after_ms`.
        retry_after: Option<Duration>,
    },
    /// 5xx: the homeserver, or the proxy before it, has a fault. Try again.
    #[error("the homeserver answered {status}")]
    ServerError {
        /// The status.
        status: u16,
    },
    /// An answer that is none: somebody must look at the homeserver, or at what stands before it.
    #[error("the homeserver did not answer as the specification says")]
    Misbehaved(#[source] Misbehaviour),
    /// The homeserver does not let the application service do this: an operator must mend its registration there.
    #[error("the homeserver does not allow this to the application service")]
    NotAllowed(#[source] Refusal),
    /// 508: the call came to an Usher. An operator must mend `upstream_url`.
    #[error("upstream_url leads to Usher itself")]
    Looped,
    /// The user belongs to another server name. A fault of the caller; nothing was sent.
    #[error("the user is not of this homeserver")]
    ForeignUser,
}

/// In what way an answer was none.
#[derive(Debug, thiserror::Error)]
pub enum Misbehaviour {
    /// HTML or anything else that is not JSON; often a proxy's page.
    #[error("status {status} with a body that is not JSON")]
    NotJson {
        /// The status it came with.
        status: u16,
    },
    /// JSON without the fields, or with other types, than the specification gives it.
    #[error("status {status} with JSON of another shape than the specification's")]
    WrongShape {
        /// The status it came with.
        status: u16,
    },
    /// The answer is longer than we read.
    #[error("an answer longer than {max_body} bytes")]
    TooLarge {
        /// The bound, in bytes.
        max_body: usize,
    },
    /// A redirect or another status that these endpoints do not have.
    #[error("status {status}, which this endpoint does not have")]
    Status {
        /// The status.
        status: u16,
    },
    /// `M_UNRECOGNIZED`: whatever answers there does not know the endpoint.
    #[error("status {status}: the endpoint is not known there")]
    NoSuchEndpoint {
        /// The status.
        status: u16,
    },
    /// Success, but for somebody else than was asked for: the homeserver did not heed `user_id`.
    #[error("an answer about {got} instead of the user asked for")]
    AnotherUser {
        /// Whom it named.
        got: OwnedUserId,
    },
}

/// A 4xx with a Matrix error. For the log: a person is not shown what a homeserver says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{status} {errcode}: {error:?}")]
pub struct Refusal {
    /// The status.
    pub status: u16,
    /// Such as `M_FORBIDDEN`; at most 256 characters.
    pub errcode: String,
    /// The homeserver's own words; at most 256 characters, any token that was sent taken out should they repeat it.
    pub error: String,
    /// Whether a client may log in again on the same device (with `M_USER_LOCKED`).
    pub soft_logout: bool,
}

/// A value that was sent and is not kept, and what stands in its place should an answer repeat it.
pub(crate) type Secret<'a> = (&'a str, &'static str);

/// What the homeserver said to a call that it understood.
pub(crate) enum Said {
    /// 200, with this body.
    Done(Vec<u8>),
    /// No. What that means depends on the endpoint.
    Refused(Refusal),
}

impl CallError {
    /// Whether it is certain that nothing more comes of the call, so that it can be repeated at once. The one
    /// exception is a call that was under way when we lost sight of it.
    #[must_use]
    pub fn is_definite(&self) -> bool {
        !matches!(self, Self::Ambiguous(_))
    }

    /// One word for a row or a label: the homeserver's errcode, or what kind of failure it was.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::NotConnected(_) => "not-connected",
            Self::Ambiguous(_) => "no-answer",
            Self::RateLimited { .. } => "M_LIMIT_EXCEEDED",
            Self::ServerError { .. } => "server-error",
            Self::Misbehaved(Misbehaviour::NoSuchEndpoint { .. }) => "M_UNRECOGNIZED",
            Self::Misbehaved(_) => "misbehaved",
            Self::NotAllowed(refusal) => &refusal.errcode,
            Self::Looped => "loop",
            Self::ForeignUser => "foreign-user",
        }
    }
}

impl From<SendError> for CallError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::NotConnected(error) => Self::NotConnected(error),
            SendError::Ambiguous(error) => Self::Ambiguous(error),
            SendError::TooLarge { max_body } => Self::Misbehaved(Misbehaviour::TooLarge { max_body }),
        }
    }
}

impl Homeserver {
    /// Nothing is asked of a homeserver about users of another: with `register` only the localpart would go there.
    pub(crate) fn check_own(&self, user: &UserId) -> Result<(), CallError> {
        if user.server_name() == self.server_name() { Ok(()) } else { Err(CallError::ForeignUser) }
    }

    /// Asks as the application service. The token goes into the header and nowhere else.
    pub(crate) async fn get(&self, url: Url) -> Result<Said, CallError> {
        self.ask(Method::GET, url, None, None).await
    }

    /// The same with a JSON body.
    pub(crate) async fn send<B: Serialize>(
        &self,
        method: Method,
        url: Url,
        body: &B,
    ) -> Result<Said, CallError> {
        self.send_for(None, method, url, body).await
    }

    /// The same, on behalf of somebody at `client`.
    pub(crate) async fn send_for<B: Serialize>(
        &self,
        client: Option<IpAddr>,
        method: Method,
        url: Url,
        body: &B,
    ) -> Result<Said, CallError> {
        self.ask(method, url, Some(json(body)), client).await
    }

    async fn ask(
        &self,
        method: Method,
        url: Url,
        body: Option<Vec<u8>>,
        client: Option<IpAddr>,
    ) -> Result<Said, CallError> {
        let answer = self.deliver(self.as_service(method, url), body, client).await?;
        self.understand(answer, &[])
    }

    /// Asks as anybody could, on behalf of somebody at `client`.
    pub(crate) async fn get_as_anybody(&self, client: IpAddr, url: Url) -> Result<Said, CallError> {
        let answer = self.deliver(self.outgoing.request(Method::GET, url), None, Some(client)).await?;
        self.understand(answer, &[])
    }

    /// A request of the application service's, to be delivered.
    pub(crate) fn as_service(&self, method: Method, url: Url) -> RequestBuilder {
        let Handoff::ApplicationService { as_token } = &self.handoff;
        self.outgoing.request(method, url).bearer_auth(as_token.expose_secret())
    }

    /// Sends `request` and comes back with whatever is answered.
    pub(crate) async fn deliver(
        &self,
        request: RequestBuilder,
        body: Option<Vec<u8>>,
        client: Option<IpAddr>,
    ) -> Result<Answer, CallError> {
        let mut request = request.header(header::ACCEPT, "application/json");
        if let Some(body) = body {
            request = request.header(header::CONTENT_TYPE, "application/json").body(body);
        }
        if let Some(client) = client {
            request = request.header("x-forwarded-for", client.to_string());
        }
        Ok(self.outgoing.send(request).await?)
    }

    /// What an answer means. Nothing of `secrets`, and no `as_token`, is kept of it.
    pub(crate) fn understand(&self, answer: Answer, secrets: &[Secret<'_>]) -> Result<Said, CallError> {
        let status = answer.status.as_u16();
        match status {
            200 => Ok(Said::Done(answer.body)),
            429 => Err(CallError::RateLimited { retry_after: retry_after(&answer) }),
            508 => Err(CallError::Looped),
            500..=599 => Err(CallError::ServerError { status }),
            400..=499 => {
                let Handoff::ApplicationService { as_token } = &self.handoff;
                let secrets = [&[(as_token.expose_secret(), "[as_token]")], secrets].concat();
                refusal(status, &answer.body, &secrets).map(Said::Refused).map_err(CallError::Misbehaved)
            }
            _ => Err(CallError::Misbehaved(Misbehaviour::Status { status })),
        }
    }
}

/// A body to send.
pub(crate) fn json<B: Serialize>(body: &B) -> Vec<u8> {
    serde_json::to_vec(body).expect("strings, booleans and what was JSON can be JSON")
}

/// A body of 200 as the shape that is used.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, CallError> {
    parse(200, body).map_err(CallError::Misbehaved)
}

fn refusal(status: u16, body: &[u8], secrets: &[Secret<'_>]) -> Result<Refusal, Misbehaviour> {
    #[derive(Deserialize)]
    struct MatrixError {
        errcode: String,
        #[serde(default)]
        error: String,
        #[serde(default)]
        soft_logout: bool,
    }

    let said: MatrixError = parse(status, body)?;
    if said.errcode == "M_UNRECOGNIZED" {
        return Err(Misbehaviour::NoSuchEndpoint { status });
    }
    let keep = |text: &str| bounded(&without(secrets, text));
    let (errcode, error) = (keep(&said.errcode), keep(&said.error));
    Ok(Refusal { status, errcode, error, soft_logout: said.soft_logout })
}

/// The longest first: one may be a part of another. An empty one is everywhere, and is no secret.
fn without(secrets: &[Secret<'_>], text: &str) -> String {
    let mut secrets: Vec<_> = secrets.iter().filter(|(value, _)| !value.is_empty()).collect();
    secrets.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
    secrets.iter().fold(text.to_owned(), |text, (value, instead)| text.replace(value, instead))
}

/// The first characters of what a homeserver says, as many as a [`Refusal`] keeps.
pub(crate) fn bounded(text: &str) -> String {
    text.chars().take(MAX_SAID).collect()
}

fn parse<T: DeserializeOwned>(status: u16, body: &[u8]) -> Result<T, Misbehaviour> {
    serde_json::from_slice(body).map_err(|error| {
        if error.is_data() { Misbehaviour::WrongShape { status } } else { Misbehaviour::NotJson { status } }
    })
}
