//! An HTTP service of the operator's decides where a person belongs.
//!
//! `POST` with JSON: who signed in, the attributes that the config names, where they may go, where they were sent
//! before. The answer is 200 and exactly one of `{"homeserver": NAME}`, `{"ask": [NAMES]}`, `{"pass": true}`,
//! `{"refuse": true}`, every name being one that was offered. Anything else is no answer: the person is asked to come
//! again, and never sent where nobody said they belong.

use std::collections::BTreeMap;

use async_trait::async_trait;
use ruma_common::{OwnedServerName, ServerName};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use usher_core::{Ballot, Candidate, HomeserverSelector, SelectError, Selection, select::Reason};
use usher_http::{Method, SendError, header};

use crate::config::DecisionServiceConfig;

/// Asks the service, every time anew.
#[derive(Debug)]
pub(crate) struct DecisionService(DecisionServiceConfig);

/// Why the service's word could not be taken.
#[derive(Debug, thiserror::Error)]
enum NoDecision {
    #[error("the decision service could not be asked")]
    Send(#[source] SendError),
    #[error("the decision service answered with status {0}")]
    Status(u16),
    #[error("the decision service's answer is not one of the four")]
    Shape(#[source] serde_json::Error),
    #[error("the decision service's answer says nothing, or several things")]
    Unclear,
    #[error("the decision service named {0}, which was not offered")]
    NotOffered(OwnedServerName),
    #[error("the decision service named {0} twice")]
    Twice(OwnedServerName),
}

#[derive(Serialize)]
struct Question<'a> {
    provider: &'a str,
    issuer: &'a str,
    subject: &'a str,
    attributes: BTreeMap<&'a str, &'a [String]>,
    candidates: Vec<Offered<'a>>,
    earlier: Option<&'a ServerName>,
}

#[derive(Serialize)]
struct Offered<'a> {
    server_name: &'a ServerName,
    name: &'a str,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    homeserver: Option<OwnedServerName>,
    ask: Option<Vec<OwnedServerName>>,
    pass: Option<bool>,
    refuse: Option<bool>,
}

impl DecisionService {
    pub(crate) fn new(config: DecisionServiceConfig) -> Self {
        Self(config)
    }

    async fn decide<'a>(&self, ballot: &Ballot<'a>) -> Result<Selection<'a>, NoDecision> {
        let body = serde_json::to_vec(&self.question(ballot)).expect("a question is plain data");
        let mut request = self
            .0
            .outgoing
            .request(Method::POST, self.0.url.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json")
            .body(body);
        if let Some(token) = &self.0.token {
            request = request.bearer_auth(token.expose_secret());
        }
        let answer = self.0.outgoing.send(request).await.map_err(NoDecision::Send)?;
        if answer.status.as_u16() != 200 {
            return Err(NoDecision::Status(answer.status.as_u16()));
        }
        understand(ballot, &serde_json::from_slice(&answer.body).map_err(NoDecision::Shape)?)
    }

    fn question<'q>(&'q self, ballot: &Ballot<'q>) -> Question<'q> {
        let identity = ballot.identity;
        // One that was not released has no values, and stands there all the same.
        let told = self.0.attributes.iter().map(|name| (name.as_str(), identity.values(name)));
        let offered = |one: &'q Candidate| Offered { server_name: &one.server_name, name: &one.name };
        Question {
            provider: identity.provider.as_str(),
            issuer: identity.issuer.as_str(),
            subject: identity.subject.as_str(),
            attributes: told.collect(),
            candidates: ballot.offered().map(offered).collect(),
            earlier: ballot.earlier,
        }
    }
}

fn understand<'a>(ballot: &Ballot<'a>, answer: &Answer) -> Result<Selection<'a>, NoDecision> {
    let offer =
        |name: &OwnedServerName| ballot.offer(name).ok_or_else(|| NoDecision::NotOffered(name.clone()));
    match answer {
        Answer { homeserver: Some(name), ask: None, pass: None, refuse: None } => {
            offer(name).map(Selection::Chosen)
        }
        Answer { homeserver: None, ask: Some(names), pass: None, refuse: None } if !names.is_empty() => {
            let mut asked: Vec<&Candidate> = Vec::new();
            for name in names {
                let candidate = offer(name)?;
                if asked.contains(&candidate) {
                    return Err(NoDecision::Twice(name.clone()));
                }
                asked.push(candidate);
            }
            Ok(ballot.ask(asked))
        }
        Answer { homeserver: None, ask: None, pass: Some(true), refuse: None } => Ok(Selection::Pass),
        Answer { homeserver: None, ask: None, pass: None, refuse: Some(true) } => {
            Ok(Selection::Refuse(Reason::Declined))
        }
        Answer { .. } => Err(NoDecision::Unclear),
    }
}

#[async_trait]
impl HomeserverSelector for DecisionService {
    async fn select<'a>(&self, ballot: &Ballot<'a>) -> Result<Selection<'a>, SelectError> {
        self.decide(ballot).await.map_err(|error| SelectError::Unavailable(Box::new(error)))
    }
}
