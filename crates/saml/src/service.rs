//! Usher as a service provider: its names and addresses, and what it makes of a response. It is shared with the threads that messages are
//! made and verified on.

use std::time::Duration;

use url::Url;
use usher_core::{
    Evidence, ProviderError, Subject, Timestamp,
    provider::{Document, Keepsake, OneTime, UpstreamSession},
};

use crate::{
    config::Settings,
    discovery::DISCO,
    document::ServiceProvider,
    encryption::Opener,
    gate::GateError,
    keys::OwnKey,
    logout::Memory,
    metadata::Idp,
    person,
    response::{self, Question, ResponseError, Signed},
};

/// Our assertion consumer service, below the endpoints.
pub(crate) const ACS: &str = "acs";
/// Our single logout service.
pub(crate) const SLO: &str = "slo";
/// Our metadata, and by default our entity id.
pub(crate) const METADATA: &str = "metadata";

/// A service provider, as the operator wants it.
pub(crate) struct Service {
    pub(crate) settings: Settings,
    pub(crate) entity_id: String,
    pub(crate) acs: String,
    pub(crate) disco: Url,
    pub(crate) slo: String,
}

/// A person and their answer.
pub(crate) struct Proven {
    pub(crate) keepsake: Option<Keepsake>,
    pub(crate) subject: Subject,
    pub(crate) evidence: Evidence,
    pub(crate) session: Option<UpstreamSession>,
    pub(crate) spend: OneTime,
    pub(crate) attributes: person::Attributes,
}

impl Service {
    pub(crate) fn new(endpoints: &Url, settings: Settings) -> Self {
        let below = |name: &str| {
            let mut url = endpoints.clone();
            url.set_path(&format!("{}/{name}", endpoints.path().trim_end_matches('/')));
            url
        };
        let entity_id = settings.entity_id.clone().unwrap_or_else(|| below(METADATA).into());
        Self { settings, entity_id, acs: below(ACS).into(), disco: below(DISCO), slo: below(SLO).into() }
    }

    /// The key of our requests, if they are signed.
    pub(crate) fn signs_with(&self) -> Option<&OwnKey> {
        self.settings.keys.first().filter(|_| self.settings.signs_requests)
    }

    /// What decrypts what is for us.
    pub(crate) fn opener(&self) -> Opener<'_> {
        Opener { keys: &self.settings.keys, allows_rsa_1_5: self.settings.policy.allows_rsa_1_5 }
    }

    /// What the identity provider's operator needs to know.
    pub(crate) fn metadata(&self) -> Document {
        let Settings { keys, signs_requests, name_id_format, policy, is_federation, .. } = &self.settings;
        let us = ServiceProvider {
            entity_id: &self.entity_id,
            acs: &self.acs,
            disco: is_federation.then_some(&self.disco),
            // Who cannot sign an answer has none to give.
            slo: (!keys.is_empty()).then_some(&self.slo),
            keys,
            signs_requests: *signs_requests,
            wants_signed_assertions: matches!(policy.signed, Signed::Assertion | Signed::Both),
            name_id_format: name_id_format.as_deref(),
        };
        us.metadata()
    }

    /// Who the response says they are. What it is held against is the operator's and the attempt's.
    pub(crate) fn prove(&self, encoded: &str, question: &Question<'_>) -> Result<Proven, ProviderError> {
        let assertion = response::read(encoded, question).map_err(reaction)?;
        let naming = &self.settings.naming;
        let attributes = person::attributes(&assertion, naming, question.idp);
        let subject = person::subject(&assertion, &attributes, naming, question);
        Ok(Proven {
            keepsake: Memory::of(&assertion, question.idp),
            subject: subject.map_err(ProviderError::unverified)?,
            evidence: person::evidence(&assertion),
            session: person::session(&assertion, question),
            spend: person::one_time(&assertion, question),
            attributes,
        })
    }

    pub(crate) fn question<'a>(
        &'a self,
        now: Timestamp,
        skew: Duration,
        request_id: &'a str,
        idp: &'a Idp,
    ) -> Question<'a> {
        Question {
            now,
            skew,
            acs: &self.acs,
            entity_id: &self.entity_id,
            request_id,
            idp,
            policy: &self.settings.policy,
            keys: &self.settings.keys,
        }
    }
}

/// Whose fault each failure is.
fn reaction(error: ResponseError) -> ProviderError {
    match error {
        // The identity provider's choice of an algorithm, most of the time: the answer is whole, and cannot be trusted.
        ResponseError::Gate(GateError::Signature(_)) | ResponseError::Unproven(_) => {
            ProviderError::unverified(error)
        }
        ResponseError::Encoding | ResponseError::Gate(_) | ResponseError::Schema(_) => {
            ProviderError::malformed(error)
        }
        ResponseError::Denied(_) => ProviderError::Refused(error.into()),
        ResponseError::Rejected(_) => ProviderError::Internal(error.into()),
    }
}
