//! Fetches the document at a URL that the operator named: no redirect is followed, and size and time are bounded
//! (`usher-http`).

use std::time::Duration;

use url::Url;
use usher_core::ConfigError;
use usher_http::{BuildError, Method, Outgoing, SendError, header};

use crate::federation::Validators;

/// SAML metadata, appendix A.
const CONTENT_TYPE: &str = "application/samlmetadata+xml, application/xml;q=0.9, text/xml;q=0.9, */*;q=0.1";
/// A header that is longer tells nothing.
const MAX_VALIDATOR: usize = 512;

#[derive(Debug)]
pub(crate) struct Fetch {
    http: Outgoing,
    url: Url,
}

/// What the server answered.
#[derive(Debug)]
pub(crate) enum Fetched {
    Document(Vec<u8>, Validators),
    /// It is the one that is known.
    NotModified,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("the document cannot be fetched")]
    Send(#[source] SendError),
    #[error(
        "the server's certificate is that of an authority (CA:TRUE), which is not taken for a server's own: have the server use \
         one that an authority has issued, and name that authority with `metadata_ca_file`; or one that it has signed itself \
         with basicConstraints=CA:FALSE, which may stand in `metadata_ca_file` itself"
    )]
    Authority,
    #[error("the server answered {0} instead of the document; redirects are not followed")]
    Status(u16),
}

impl From<SendError> for FetchError {
    fn from(error: SendError) -> Self {
        if error.is_authority_for_server() { Self::Authority } else { Self::Send(error) }
    }
}

impl FetchError {
    /// It is longer than what was to be read.
    pub(crate) fn is_too_long(&self) -> bool {
        matches!(self, Self::Send(SendError::TooLarge { .. }))
    }
}

impl Fetch {
    /// `patience` is from connecting to the last byte, `max_bytes` the longest document.
    pub(crate) fn new(
        url: Url,
        ca_pem: Option<&[u8]>,
        patience: Duration,
        max_bytes: usize,
    ) -> Result<Self, ConfigError> {
        let http = Outgoing::new(ca_pem, patience, max_bytes).map_err(|error| {
            let message = match error {
                BuildError::CaBundle(_) => {
                    "has no readable certificate; write a PEM file with at least one".to_owned()
                }
                BuildError::Client(error) => format!("cannot be used: {error}"),
            };
            ConfigError::at("metadata_ca_file", message)
        })?;
        Ok(Self { http, url })
    }

    /// The document, unless it is the one that `known` tells.
    pub(crate) async fn document(&self, known: &Validators) -> Result<Fetched, FetchError> {
        let mut request =
            self.http.request(Method::GET, self.url.clone()).header(header::ACCEPT, CONTENT_TYPE);
        if let Some(etag) = &known.etag {
            request = request.header(header::IF_NONE_MATCH, etag);
        }
        if let Some(date) = &known.last_modified {
            request = request.header(header::IF_MODIFIED_SINCE, date);
        }
        let is_known = *known != Validators::default();
        let answer = self.http.send(request).await?;
        let validator = |name| {
            let value = answer.headers.get(name)?.to_str().ok()?;
            (value.len() <= MAX_VALIDATOR).then(|| value.to_owned())
        };
        match answer.status.as_u16() {
            200 => {
                let validators = Validators {
                    etag: validator(header::ETAG),
                    last_modified: validator(header::LAST_MODIFIED),
                };
                Ok(Fetched::Document(answer.body, validators))
            }
            304 if is_known => Ok(Fetched::NotModified),
            status => Err(FetchError::Status(status)),
        }
    }
}
