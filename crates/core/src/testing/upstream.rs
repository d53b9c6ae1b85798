//! What a backend's tests give the suite: a provider, a browser, and an upstream that can lie.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;

use crate::{
    Callback, Issuer, SsoProvider, Subject, Timestamp,
    provider::{BrowserStep, Identity},
};

/// One provider under test with the world around it. Built afresh for every claim, honest until twisted, and
/// configured so that one trip of the browser settles an attempt (no discovery page).
#[async_trait]
pub trait ScriptedUpstream: Send + Sync {
    /// The provider under test.
    fn provider(&self) -> Arc<dyn SsoProvider>;

    /// The time that the provider is told, and that the upstream puts into its answers.
    fn now(&self) -> Timestamp {
        Timestamp::from_secs(1_767_225_600)
    }

    /// Who signs in, as the provider must say it.
    fn person(&self) -> Person;

    /// From now on the upstream lies like this. A twist that the protocol has no way to express is
    /// [`Impossible`]; the suite takes that for an answer only where a protocol can truly lack it.
    async fn twist(&self, twist: Twist) -> Result<(), Impossible>;

    /// Plays browser and upstream: takes `step`, signs the person in, and returns what the browser brings to
    /// the provider's endpoint. Where `step` asks for fresh credentials, the person presents them. It works while
    /// the upstream is dead, too: a person can have got their answer a moment before.
    async fn browse(&self, step: &BrowserStep) -> Callback;

    /// The parameters of a callback that decide something. Others may be there and are left alone.
    fn parameters(&self) -> Vec<Parameter>;

    /// The errors the provider can state, by a name that [`Twist::Error`] understands, each with the
    /// [`kind`](crate::ProviderError::kind) of the error it must become.
    fn errors(&self) -> Vec<(&'static str, &'static str)>;

    /// What must show nowhere, beyond the values of [`parameters`](Self::parameters), the provider's state and
    /// the person's attributes: client secrets, key material. Each long enough not to occur by accident.
    fn secrets(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Who signs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Who vouches.
    pub issuer: Issuer,
    /// The issuer's name for them.
    pub subject: Subject,
    /// Every attribute that the provider must pass on, with every value in order. One should have several
    /// values, one a character outside ASCII.
    pub attributes: BTreeMap<String, Vec<String>>,
}

impl Person {
    /// Whether `identity` is this person, whole.
    #[must_use]
    pub fn is(&self, identity: &Identity) -> bool {
        identity.issuer == self.issuer
            && identity.subject == self.subject
            && identity.attributes == self.attributes
    }
}

/// How the upstream lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Twist {
    /// It is honest again. Asked for after any lie but [`Death::ConnectionRefused`].
    Honest,
    /// Its answers are genuine, but made for another service provider.
    WrongAudience,
    /// It answers with one of [`ScriptedUpstream::errors`].
    Error(&'static str),
    /// It is dead in this way. Impossible where the provider never calls the upstream.
    Dead(Death),
    /// It answers from a session an hour old although fresh credentials were asked for, and says so as the
    /// protocol has it.
    Stale,
    /// It answers, but does not say when the person authenticated. Impossible where the protocol always says.
    Unstated,
}

/// How an upstream can be dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// Nobody listens.
    ConnectionRefused,
    /// It takes requests and never answers.
    Silent,
    /// It answers 500.
    Failing,
    /// It answers 200 with something that is not of the protocol.
    Garbage,
    /// It answers 200 with a body that never ends.
    Endless,
}

/// The protocol has no way to express a twist, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Impossible(pub &'static str);

/// A parameter that decides something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Where it travels.
    pub place: Place,
    /// What must hold when one of its bytes changes.
    pub guard: Guard,
}

/// Where a parameter travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the query.
    Query,
    /// In the form.
    Form,
}

/// What must hold when one byte of a parameter changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// The answer is refused (a ticket, a code, a state).
    EveryByte,
    /// The answer is refused, or says exactly what it said before: a signature need not cover every byte of a
    /// message around it (SAML, a signed assertion in an unsigned response).
    Meaning,
}
