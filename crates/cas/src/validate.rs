//! One validation: what is asked of the CAS server (CAS protocol 2.5.1, 2.6.1, 2.8, 2.9), and what its HTTP
//! answer means before it is read.

use std::time::Duration;

use url::Url;
use usher_core::{ConfigError, ProviderError};
use usher_http::{BuildError, Method, Outgoing, SendError};

use crate::{
    config::Settings,
    response::{self, FailureCode, Success, Verdict},
    ticket::{Ticket, TicketKind},
};

/// The longest answer that is read, in bytes.
const MAX_BODY: usize = 256 * 1024;

/// Asks one CAS server.
#[derive(Debug)]
pub(crate) struct Validator {
    http: Outgoing,
    login: Url,
    service: Url,
    proxy: Url,
}

/// What is to be validated.
#[derive(Debug)]
pub(crate) struct Question<'a> {
    pub(crate) ticket: Ticket<'a>,
    /// The service URL of the attempt, as it was at `/login`.
    pub(crate) service: &'a str,
    /// Whether only a ticket from new credentials counts.
    pub(crate) renew: bool,
}

/// The CAS server said no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the CAS server does not vouch for the ticket ({0:?})")]
struct Failed(FailureCode);

/// An HTTP answer that a validation does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the CAS server answered {0}")]
struct UnexpectedStatus(u16);

impl Validator {
    pub(crate) fn new(http: &Outgoing, settings: &Settings) -> Result<Self, ConfigError> {
        let http = match &settings.ca_pem {
            None => http.with_timeout(settings.timeout).with_max_body(MAX_BODY),
            Some(pem) => client_trusting(pem, settings.timeout)?,
        };
        let prefix = if settings.has_attributes { "p3/" } else { "" };
        Ok(Self {
            http,
            login: settings.url("login"),
            service: settings.url(&format!("{prefix}serviceValidate")),
            proxy: settings.url(&format!("{prefix}proxyValidate")),
        })
    }

    /// Whom the ticket stands for. The ticket is spent, whatever comes of it.
    pub(crate) async fn validate(&self, question: &Question<'_>) -> Result<Success, ProviderError> {
        let mut url = match question.ticket.kind() {
            TicketKind::Service => self.service.clone(),
            TicketKind::Proxy => self.proxy.clone(),
        };
        url.query_pairs_mut()
            .append_pair("service", question.service)
            .append_pair("ticket", question.ticket.as_str());
        if question.renew {
            url.query_pairs_mut().append_pair("renew", "true");
        }
        let body = self.get(url, |status| (200..300).contains(&status)).await?;
        match response::read(&body) {
            Ok(Verdict::Success(success)) => Ok(success),
            Ok(Verdict::Failure(code)) => Err(reaction(code)),
            Err(error) if error.is_garbage() => Err(ProviderError::unavailable(error)),
            Err(error) => Err(ProviderError::unverified(error)),
        }
    }

    /// Whether there is a login page. It may send the browser on.
    pub(crate) async fn probe(&self) -> Result<(), ProviderError> {
        self.get(self.login.clone(), |status| (200..400).contains(&status)).await.map(drop)
    }

    async fn get(&self, url: Url, is_fine: fn(u16) -> bool) -> Result<Vec<u8>, ProviderError> {
        let answer = match self.http.send(self.http.request(Method::GET, url)).await {
            Ok(answer) => answer,
            Err(
                error @ (SendError::NotConnected(_) | SendError::Ambiguous(_) | SendError::TooLarge { .. }),
            ) => return Err(ProviderError::unavailable(error)),
        };
        let status = answer.status.as_u16();
        match status {
            status if is_fine(status) => Ok(answer.body),
            // Nothing a browser brings causes these: base_url leads elsewhere, or a gate is in front of it.
            300..=399 | 401 | 404 | 405 | 410 => {
                Err(ProviderError::Internal(UnexpectedStatus(status).into()))
            }
            _ => Err(ProviderError::unavailable(UnexpectedStatus(status))),
        }
    }
}

fn client_trusting(pem: &[u8], timeout: Duration) -> Result<Outgoing, ConfigError> {
    Outgoing::new(Some(pem), timeout, MAX_BODY).map_err(|error| match error {
        BuildError::CaBundle(_) => {
            ConfigError::at("ca_file", "has no readable certificate; write a PEM file with at least one")
        }
        BuildError::Client(error) => ConfigError::at("ca_file", format!("cannot be used: {error}")),
    })
}

/// CAS protocol 2.5.3: whose fault each failure is.
fn reaction(code: FailureCode) -> ProviderError {
    let failed = Failed(code);
    match code {
        FailureCode::InvalidTicket
        | FailureCode::InvalidService
        | FailureCode::InvalidTicketSpec
        | FailureCode::InvalidProxyCallback
        | FailureCode::Unknown => ProviderError::unverified(failed),
        FailureCode::InternalError => ProviderError::unavailable(failed),
        FailureCode::InvalidRequest | FailureCode::Unauthorized => ProviderError::Internal(failed.into()),
    }
}
