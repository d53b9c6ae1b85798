//! `selection`: who decides where a person belongs.

mod decision_service;
mod known;
mod spread;
mod tables;

use std::{collections::BTreeSet, path::Path};

use ruma_common::OwnedServerName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;
use usher_core::{
    HomeserverSelector, ProviderId,
    select::{
        Ask, AttributeTable, Chain, EmailDomains, Fixed, Rendezvous, RendezvousKey, RoundRobin, Sticky,
        UserTable, Weighted,
    },
};

pub use decision_service::DecisionServiceConfig;

use super::Problems;
use crate::select::DecisionService;
use known::Known;

/// One selector, validated.
#[derive(Clone, Debug)]
pub enum SelectorConfig {
    /// Where they were sent before.
    Sticky,
    /// By an attribute's values.
    Attribute(AttributeTable),
    /// By the domain of an e-mail address.
    EmailDomain(EmailDomains),
    /// By name.
    Users(UserTable),
    /// By hash.
    Rendezvous(Rendezvous),
    /// In turn.
    RoundRobin(Vec<Weighted>),
    /// By what an HTTP service says.
    DecisionService(DecisionServiceConfig),
    /// By what the person says.
    Ask(Ask),
    /// One for everybody.
    Fixed(Fixed),
}

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawSelector {
    /// Where they were sent before, whatever has become of their attributes. Usually first.
    sticky: Option<RawSticky>,
    /// By the values of one attribute.
    attribute: Option<tables::RawAttribute>,
    /// By the domain of their e-mail address.
    email_domain: Option<tables::RawEmailDomain>,
    /// By name, for those no attribute tells apart.
    users: Option<tables::RawUsers>,
    /// Spread by hash: the same person always lands on the same homeserver, with nothing to remember.
    rendezvous: Option<spread::RawRendezvous>,
    /// In turn, by weight. Whoever was sent somewhere before stays there.
    round_robin: Option<spread::RawRoundRobin>,
    /// As a service of yours answers.
    decision_service: Option<decision_service::RawDecisionService>,
    /// As they choose on a page, out of what they may have.
    ask: Option<RawAsk>,
    /// Everybody to one homeserver.
    fixed: Option<RawFixed>,
}

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct RawSticky {}

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct RawAsk {
    /// The server names of those that are listed, in this order. Default: all of `homeservers`.
    homeservers: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct RawFixed {
    /// The server name of the homeserver. Required.
    homeserver: Option<String>,
}

const KINDS: &str = "`sticky`, `attribute`, `email_domain`, `users`, `rendezvous`, `round_robin`, \
                     `decision_service`, `ask`, `fixed`";

pub(super) fn validate(
    raw: Option<Vec<RawSelector>>,
    homeservers: &[OwnedServerName],
    providers: &[ProviderId],
    portal: Option<&Url>,
    directory: &Path,
    problems: &mut Problems,
) -> Vec<SelectorConfig> {
    let Some(raw) = raw else {
        problems.missing(
            "selection",
            "at least one selector, such as `attribute` or `users`, or nobody new has a homeserver",
        );
        return Vec::new();
    };
    let known = Known { homeservers, providers, portal };
    let mut selectors = Vec::new();
    let mut last_word: Option<String> = None;
    for (index, raw) in raw.into_iter().enumerate() {
        let path = format!("selection[{index}]");
        if let Some(earlier) = &last_word {
            problems
                .error(&path, format!("is never asked: {earlier} decides for everybody; put it before that"));
        }
        let Some(selector) = raw.validate(&path, &known, directory, problems) else { continue };
        if last_word.is_none() && matches!(selector, SelectorConfig::Sticky) {
            warn_of_late_sticky(&selectors, &path, problems);
        }
        if last_word.is_none() && selector.has_the_last_word(homeservers) {
            last_word = Some(path);
        }
        selectors.push(selector);
    }
    if !problems.has_errors() && !selectors.iter().any(SelectorConfig::sends_anybody_new) {
        problems.error("selection", "sends nobody new anywhere; add `attribute` or `users`");
    }
    selectors
}

/// Names are an exception to what people were given before; what most people have is not.
fn warn_of_late_sticky(earlier: &[SelectorConfig], path: &str, problems: &mut Problems) {
    if earlier.iter().any(|selector| matches!(selector, SelectorConfig::Sticky)) {
        problems.warn(path, "stands twice; what a first `sticky` does not know, a second does not either");
    } else if earlier.iter().any(|selector| !matches!(selector, SelectorConfig::Users(_))) {
        problems.warn(
            path,
            "is not first: whoever a selector before it sends somewhere is not held where they were; put it first",
        );
    }
}

impl RawSelector {
    fn validate(
        self,
        path: &str,
        known: &Known<'_>,
        directory: &Path,
        problems: &mut Problems,
    ) -> Option<SelectorConfig> {
        let Self {
            sticky,
            attribute,
            email_domain,
            users,
            rendezvous,
            round_robin,
            decision_service,
            ask,
            fixed,
        } = self;
        let mut found = Vec::new();
        let at = |kind: &str| format!("{path}.{kind}");
        found.extend(sticky.map(|_| Some(SelectorConfig::Sticky)));
        found.extend(
            attribute
                .map(|raw| raw.validate(&at("attribute"), known, problems).map(SelectorConfig::Attribute)),
        );
        found.extend(
            email_domain.map(|raw| {
                raw.validate(&at("email_domain"), known, problems).map(SelectorConfig::EmailDomain)
            }),
        );
        found.extend(users.map(|raw| raw.validate(&at("users"), known, problems).map(SelectorConfig::Users)));
        found.extend(
            rendezvous
                .map(|raw| raw.validate(&at("rendezvous"), known, problems).map(SelectorConfig::Rendezvous)),
        );
        found
            .extend(round_robin.map(|raw| {
                raw.validate(&at("round_robin"), known, problems).map(SelectorConfig::RoundRobin)
            }));
        found.extend(decision_service.map(|raw| {
            raw.validate(&at("decision_service"), known.portal, directory, problems)
                .map(SelectorConfig::DecisionService)
        }));
        found.extend(ask.map(|raw| raw.validate(&at("ask"), known, problems).map(SelectorConfig::Ask)));
        found.extend(fixed.map(|raw| {
            known
                .homeserver(raw.homeserver.as_deref(), &at("fixed.homeserver"), problems)
                .map(|name| SelectorConfig::Fixed(Fixed(name)))
        }));
        match found.len() {
            0 => problems.missing(path, &format!("one of {KINDS}")),
            1 => return found.pop().flatten(),
            _ => problems.error(
                path,
                "has several selectors in one entry; give each its own, so that their order is clear",
            ),
        }
        None
    }
}

impl RawAsk {
    fn validate(self, path: &str, known: &Known<'_>, problems: &mut Problems) -> Option<Ask> {
        let Some(raw) = self.homeservers else { return Some(Ask::default()) };
        let path = format!("{path}.homeservers");
        if raw.is_empty() {
            problems.error(path, "names nobody's homeserver; leave the key out to ask about all of them");
            return None;
        }
        let mut seen = BTreeSet::new();
        let mut homeservers = Vec::new();
        for (index, raw) in raw.iter().enumerate() {
            let path = format!("{path}[{index}]");
            let Some(name) = known.homeserver(Some(raw), &path, problems) else { continue };
            if !seen.insert(name.clone()) {
                problems.error(path, "stands twice; list every homeserver once");
            }
            homeservers.push(name);
        }
        Some(Ask { homeservers: Some(homeservers) })
    }
}

impl SelectorConfig {
    fn sends_anybody_new(&self) -> bool {
        match self {
            Self::Sticky => false,
            Self::Users(table) => !table.users.is_empty(),
            Self::Attribute(_)
            | Self::EmailDomain(_)
            | Self::Rendezvous(_)
            | Self::RoundRobin(_)
            | Self::DecisionService(_)
            | Self::Ask(_)
            | Self::Fixed(_) => true,
        }
    }

    /// Whether nobody who comes this far can be sent anywhere by a later selector.
    fn has_the_last_word(&self, all: &[OwnedServerName]) -> bool {
        let are_all = |named: &mut dyn Iterator<Item = &OwnedServerName>| {
            named.collect::<BTreeSet<_>>() == all.iter().collect::<BTreeSet<_>>()
        };
        match self {
            Self::Fixed(_) | Self::Ask(Ask { homeservers: None }) => true,
            Self::Ask(Ask { homeservers: Some(named) }) => are_all(&mut named.iter()),
            Self::RoundRobin(weighted) => are_all(&mut weighted.iter().map(|one| &one.server_name)),
            Self::Rendezvous(Rendezvous { key: RendezvousKey::Subject, homeservers }) => {
                are_all(&mut homeservers.iter().map(|one| &one.server_name))
            }
            Self::Sticky
            | Self::Attribute(_)
            | Self::EmailDomain(_)
            | Self::Users(_)
            | Self::Rendezvous(_)
            | Self::DecisionService(_) => false,
        }
    }

    /// Whether it says the same of the same person with the same attributes every time. If not, two first visits at
    /// once may hear different things, and what was decided first has to be written down before it is acted on.
    #[must_use]
    pub fn is_steady(&self) -> bool {
        match self {
            Self::Sticky
            | Self::Attribute(_)
            | Self::EmailDomain(_)
            | Self::Users(_)
            | Self::Rendezvous(_)
            | Self::Fixed(_) => true,
            Self::RoundRobin(_) | Self::DecisionService(_) | Self::Ask(_) => false,
        }
    }

    /// The attributes it looks at.
    pub(super) fn attributes(&self) -> Vec<&str> {
        match self {
            Self::Attribute(table) => vec![&table.attribute],
            Self::EmailDomain(table) => vec![&table.attribute],
            Self::Rendezvous(Rendezvous { key: RendezvousKey::Attribute(name), .. }) => vec![name],
            Self::DecisionService(service) => service.attributes.iter().map(String::as_str).collect(),
            Self::Sticky
            | Self::Users(_)
            | Self::Rendezvous(Rendezvous { key: RendezvousKey::Subject, .. })
            | Self::RoundRobin(_)
            | Self::Ask(_)
            | Self::Fixed(_) => Vec::new(),
        }
    }
}

/// The chain that the validated selectors make.
#[must_use]
pub fn build(selectors: &[SelectorConfig]) -> Chain {
    let build = |selector: &SelectorConfig| -> Box<dyn HomeserverSelector> {
        match selector {
            SelectorConfig::Sticky => Box::new(Sticky),
            SelectorConfig::Attribute(table) => Box::new(table.clone()),
            SelectorConfig::EmailDomain(table) => Box::new(table.clone()),
            SelectorConfig::Users(table) => Box::new(table.clone()),
            SelectorConfig::Rendezvous(spread) => Box::new(spread.clone()),
            SelectorConfig::RoundRobin(weighted) => Box::new(RoundRobin::new(weighted)),
            SelectorConfig::DecisionService(service) => Box::new(DecisionService::new(service.clone())),
            SelectorConfig::Ask(ask) => Box::new(ask.clone()),
            SelectorConfig::Fixed(fixed) => Box::new(fixed.clone()),
        }
    };
    Chain(selectors.iter().map(build).collect())
}
