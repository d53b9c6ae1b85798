//! Calls with a person's own access token, made on behalf of their client.
//!
//! The token comes from a client, so it may be anything: it is looked at before it is sent, goes into the header alone
//! (<https://spec.matrix.org/v1.19/client-server-api/#using-access-tokens>) and is kept nowhere.

use std::net::IpAddr;

use reqwest::Method;
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;
use usher_http::Answer;

use crate::{CallError, Homeserver, Misbehaviour, Refusal, call::Said};

/// Why a person was not told what they asked, one variant per reaction.
#[derive(Debug, thiserror::Error)]
pub enum AsPersonError {
    /// The call failed as any call may.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The homeserver says no to this token: 401, or 403. The person is told the same.
    #[error("the homeserver says no to the person's access token")]
    Refused(#[source] Refusal),
}

/// An access token that can be sent.
#[derive(Clone, Copy)]
pub(crate) struct PersonsToken<'a>(&'a str);

impl<'a> PersonsToken<'a> {
    /// What no homeserver can have issued is refused in a homeserver's words, and not sent: Synapse splits the header
    /// at spaces, and a line break would begin another.
    pub(crate) fn parse(access_token: &'a SecretString) -> Result<Self, Refusal> {
        let token = access_token.expose_secret();
        if !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Ok(Self(token));
        }
        Err(Refusal {
            status: 401,
            errcode: "M_UNKNOWN_TOKEN".to_owned(),
            error: "The access token is not one word of visible ASCII characters.".to_owned(),
            soft_logout: false,
        })
    }
}

impl Homeserver {
    /// Asks with the person's own token; `url` has no query.
    pub(crate) async fn deliver_as_person(
        &self,
        token: PersonsToken<'_>,
        client: IpAddr,
        method: Method,
        url: Url,
        body: Option<Vec<u8>>,
    ) -> Result<Answer, CallError> {
        let request = self.outgoing.request(method, url).bearer_auth(token.0);
        self.deliver(request, body, Some(client)).await
    }

    pub(crate) fn understand_as_person(
        &self,
        token: PersonsToken<'_>,
        answer: Answer,
    ) -> Result<Said, CallError> {
        self.understand(answer, &[(token.0, "[access_token]")])
    }

    /// What the homeserver tells the owner of a token at `url`: the body of its 200.
    pub(crate) async fn read_as_person(
        &self,
        access_token: &SecretString,
        client: IpAddr,
        url: Url,
    ) -> Result<Vec<u8>, AsPersonError> {
        let token = PersonsToken::parse(access_token).map_err(AsPersonError::Refused)?;
        let answer = self.deliver_as_person(token, client, Method::GET, url, None).await?;
        match self.understand_as_person(token, answer)? {
            Said::Done(body) => Ok(body),
            Said::Refused(refusal) if matches!(refusal.status, 401 | 403) => {
                Err(AsPersonError::Refused(refusal))
            }
            // A question without parameters can be wrong in no other way.
            Said::Refused(Refusal { status, .. }) => {
                Err(CallError::Misbehaved(Misbehaviour::Status { status }).into())
            }
        }
    }
}
