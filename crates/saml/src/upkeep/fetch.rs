//! Fetches the document at a URL that the operator named: no redirect is followed, and size and time are bounded
//! (`usher-http`).

use std::time::Duration;

use url::Url;
use usher_core::ConfigError;
use usher_http::{BuildError, Method, Outgoing, SendError, header};

use crate::metadata::MAX_BYTES;

/// From connecting to the last byte.
const TIMEOUT: Duration = Duration::from_secs(30);
/// SAML metadata, appendix A.
const CONTENT_TYPE: &str = "application/samlmetadata+xml, application/xml;q=0.9, text/xml;q=0.9, */*;q=0.1";

#[derive(Debug)]
pub(super) struct Fetch {
    http: Outgoing,
    url: Url,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("the document cannot be fetched")]
    Send(#[from] SendError),
    #[error("the server answered {0} instead of the document; redirects are not followed")]
    Status(u16),
}

impl Fetch {
    pub(super) fn new(url: Url, ca_pem: Option<&[u8]>) -> Result<Self, ConfigError> {
        let http = Outgoing::new(ca_pem, TIMEOUT, MAX_BYTES).map_err(|error| {
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

    pub(super) async fn document(&self) -> Result<Vec<u8>, FetchError> {
        let request = self.http.request(Method::GET, self.url.clone()).header(header::ACCEPT, CONTENT_TYPE);
        let answer = self.http.send(request).await?;
        match answer.status.as_u16() {
            200 => Ok(answer.body),
            status => Err(FetchError::Status(status)),
        }
    }
}
