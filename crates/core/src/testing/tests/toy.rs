//! A provider of a made-up protocol whose upstream lives in the same struct, with one flaw if asked.
//!
//! Its answers are forms with `attempt` (the handle) and `code`; the upstream knows what each code stands for.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use url::Url;

use super::super::{Death, Guard, Impossible, Parameter, Person, Place, ScriptedUpstream, Twist};
use crate::{
    Callback, Challenge, Ctx, Demand, Descriptor, Evidence, Freshness, Handle, Identity, Issuer, Outcome,
    Proof, ProviderError, ProviderId, SsoProvider, Subject, Timestamp,
    provider::{
        BrowserStep, Endpoint, Method, OneTime, ParameterError, Parameters, ProviderState, ReturnTrip,
        SignOut, WayOut,
    },
};

/// What is wrong with a toy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    DropsAValue,
    AnotherReturnTrip,
    LongState,
    IgnoresState,
    IgnoresDemand,
    IgnoresHandle,
    TakesTheFirst,
    TakesTheQuery,
    MissingIsAnOutage,
    IgnoresAudience,
    ErrorsAreOutages,
    ForgetsWhatItSpent,
    AlwaysFresh,
    TellsTheCode,
    OffersInVain,
    AlwaysReturns,
    SignsOutNowhere,
    TellsTheSecret,
}

pub(super) struct Toy {
    provider: Arc<ToyProvider>,
}

#[derive(Debug)]
struct ToyProvider {
    flaw: Option<Flaw>,
    descriptor: Descriptor,
    upstream: Mutex<Upstream>,
}

#[derive(Default)]
struct Upstream {
    twist: Option<Twist>,
    grants: HashMap<String, Grant>,
}

/// Codes are nobody's business.
impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Upstream")
    }
}

#[derive(Clone)]
struct Grant {
    handle: String,
    is_for_us: bool,
    evidence: Evidence,
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Why(String);

const SECRET: &str = "the toy's secret";
const NOW: Timestamp = Timestamp::from_secs(1_767_225_600);

impl Toy {
    pub(super) fn new(flaw: Option<Flaw>) -> Self {
        let id = ProviderId::parse("toy").expect("a valid id");
        let descriptor = Descriptor { id, name: "Toy".to_owned(), icon: None, brand: None };
        Self { provider: Arc::new(ToyProvider { flaw, descriptor, upstream: Mutex::default() }) }
    }
}

impl ToyProvider {
    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    fn upstream(&self) -> std::sync::MutexGuard<'_, Upstream> {
        self.upstream.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read<'a>(&self, callback: &'a Callback, name: &'static str) -> Result<&'a str, ProviderError> {
        let first = |parameters: &'a Parameters| {
            parameters.iter().find(|(key, value)| *key == name && !value.is_empty()).map(|(_, value)| value)
        };
        let read = match callback.form.one(name) {
            Err(_) if self.has(Flaw::TakesTheFirst) => {
                first(&callback.form).ok_or(ParameterError::Missing(name))
            }
            Err(_) if self.has(Flaw::TakesTheQuery) => {
                first(&callback.query).ok_or(ParameterError::Missing(name))
            }
            read => read,
        };
        read.map_err(|error| {
            if self.has(Flaw::MissingIsAnOutage) {
                ProviderError::unavailable(error)
            } else {
                ProviderError::malformed(error)
            }
        })
    }

    fn exchange(&self, code: &str) -> Result<Grant, ProviderError> {
        let upstream = self.upstream();
        let told = if self.has(Flaw::TellsTheCode) { code } else { "the code" };
        match upstream.twist {
            Some(Twist::Dead(_)) => return Err(ProviderError::unavailable(Why("dead".to_owned()))),
            Some(Twist::Error(name)) if !self.has(Flaw::ErrorsAreOutages) => {
                return Err(ProviderError::Refused(Why(name.to_owned()).into()));
            }
            _ => {}
        }
        let unknown = Why(format!("{told} is unknown"));
        let grant = upstream.grants.get(code).cloned();
        if self.has(Flaw::ErrorsAreOutages) {
            return grant.ok_or(ProviderError::unavailable(unknown));
        }
        grant.ok_or(ProviderError::unverified(unknown))
    }
}

#[async_trait]
impl SsoProvider for ToyProvider {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn endpoint(&self, method: Method, tail: &str) -> Option<Endpoint> {
        (method == Method::Post && tail == "answer").then_some(Endpoint::Answer)
    }

    async fn begin(&self, _: &Ctx<'_>, demand: &Demand) -> Result<Challenge, ProviderError> {
        let padding = if self.has(Flaw::LongState) { 2000 } else { 0 };
        let action = Url::parse("https://toy.example/").expect("a valid URL");
        let is_fresh = matches!(demand.freshness, Freshness::Since(_));
        Ok(Challenge {
            step: BrowserStep::PostForm {
                action,
                fields: vec![
                    ("attempt".to_owned(), demand.handle.to_string()),
                    ("fresh".to_owned(), is_fresh.to_string()),
                ],
            },
            state: ProviderState::new(format!("{:padding$}", demand.handle.as_str())),
            returns_by: if self.has(Flaw::AnotherReturnTrip) {
                ReturnTrip::Navigation
            } else {
                ReturnTrip::CrossSitePost
            },
        })
    }

    fn handle(&self, callback: &Callback) -> Result<Handle, ProviderError> {
        Handle::parse(self.read(callback, "attempt")?).map_err(ProviderError::malformed)
    }

    async fn complete(
        &self,
        _: &Ctx<'_>,
        demand: &Demand,
        state: ProviderState,
        callback: &Callback,
    ) -> Result<Outcome, ProviderError> {
        let handle = self.read(callback, "attempt")?;
        let refuse = |why: &str| Err(ProviderError::unverified(Why(why.to_owned())));
        let grant = self.exchange(self.read(callback, "code")?)?;
        if state.as_str() != handle && !self.has(Flaw::IgnoresState) && !self.has(Flaw::IgnoresHandle) {
            return refuse("another attempt's state");
        }
        if demand.handle.as_str() != handle
            && !self.has(Flaw::IgnoresDemand)
            && !self.has(Flaw::IgnoresHandle)
        {
            return refuse("another attempt's demand");
        }
        if grant.handle != handle && !self.has(Flaw::IgnoresHandle) {
            return refuse("another attempt's code");
        }
        if !grant.is_for_us && !self.has(Flaw::IgnoresAudience) {
            return refuse("another audience");
        }
        let Person { issuer, subject, mut attributes } = person();
        if self.has(Flaw::DropsAValue) {
            for values in attributes.values_mut() {
                values.truncate(1);
            }
        }
        let is_fresh = self.has(Flaw::AlwaysFresh);
        let evidence = if is_fresh { Evidence::CredentialsPresented } else { grant.evidence };
        let provider = self.descriptor.id.clone();
        let identity = Identity { provider, issuer, subject, evidence, attributes, upstream_session: None };
        let until = NOW.plus(Duration::from_mins(1));
        // The key is a bearer value no longer: real backends store identifiers, which a log may show.
        let one_time = OneTime { key: format!("answer to {handle}"), until };
        let spend = if self.has(Flaw::ForgetsWhatItSpent) { vec![] } else { vec![one_time] };
        Ok(Outcome::Done(Proof { identity, spend, keepsake: None }))
    }

    fn offers_sign_out(&self) -> bool {
        true
    }

    async fn sign_out(&self, _: &Ctx<'_>, wish: &SignOut<'_>) -> Result<Option<WayOut>, ProviderError> {
        if self.has(Flaw::OffersInVain) {
            return Ok(None);
        }
        let place = if self.has(Flaw::SignsOutNowhere) { "mailto:toy" } else { "https://toy.example/out" };
        let always = "https://portal.example/_usher/signed-out";
        let back = wish.return_to.map(Url::as_str).or(self.has(Flaw::AlwaysReturns).then_some(always));
        let told = self.has(Flaw::TellsTheSecret).then_some(SECRET);
        let step = BrowserStep::PostForm {
            action: Url::parse(place).expect("a valid URL"),
            fields: [("back", back), ("secret", told)]
                .into_iter()
                .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
                .collect(),
        };
        Ok(Some(step.into()))
    }

    async fn probe(&self, _: &Ctx<'_>) -> Result<(), ProviderError> {
        match self.upstream().twist {
            Some(Twist::Dead(_)) => Err(ProviderError::unavailable(Why("dead".to_owned()))),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl ScriptedUpstream for Toy {
    fn provider(&self) -> Arc<dyn SsoProvider> {
        Arc::<ToyProvider>::clone(&self.provider)
    }

    fn now(&self) -> Timestamp {
        NOW
    }

    fn person(&self) -> Person {
        person()
    }

    async fn twist(&self, twist: Twist) -> Result<(), Impossible> {
        if twist == Twist::Dead(Death::Endless) {
            return Err(Impossible("the toy has no bodies"));
        }
        self.provider.upstream().twist = Some(twist);
        Ok(())
    }

    async fn browse(&self, step: &BrowserStep) -> Callback {
        let BrowserStep::PostForm { fields, .. } = step else { panic!("the toy posts forms") };
        let field = |name| fields.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value);
        let mut upstream = self.provider.upstream();
        let evidence = match upstream.twist {
            Some(Twist::Unstated) => Evidence::Unstated,
            Some(Twist::Stale) => Evidence::AuthenticatedAt(NOW.minus(Duration::from_hours(1))),
            _ if field("fresh") == "true" => Evidence::AuthenticatedAt(NOW),
            _ => Evidence::Unstated,
        };
        let is_for_us = upstream.twist != Some(Twist::WrongAudience);
        let handle = field("attempt").to_owned();
        let code =
            format!("code-{:016x}", 0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(upstream.grants.len() as u64 + 1));
        let form = format!("attempt={handle}&code={code}");
        upstream.grants.insert(code, Grant { handle, is_for_us, evidence });
        Callback::new(Method::Post, "answer", "", &form)
    }

    fn parameters(&self) -> Vec<Parameter> {
        let every = |name| Parameter { name, place: Place::Form, guard: Guard::EveryByte };
        vec![every("attempt"), every("code")]
    }

    fn errors(&self) -> Vec<(&'static str, &'static str)> {
        vec![("access_denied", "refused")]
    }

    fn secrets(&self) -> Vec<String> {
        vec![SECRET.to_owned()]
    }
}

fn person() -> Person {
    let values = |values: &[&str]| values.iter().map(|&value| value.to_owned()).collect();
    let attributes =
        [("mail", values(&["alice@ac.cdl"])), ("member", values(&["group-of-staff", "group-of-bücher"]))];
    Person {
        issuer: Issuer::parse("https://toy.example").expect("a valid issuer"),
        subject: Subject::parse("alice").expect("a valid subject"),
        attributes: BTreeMap::from(attributes.map(|(name, values)| (name.to_owned(), values))),
    }
}
