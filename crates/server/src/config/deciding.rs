//! Which keys have an attribute decide over people: whether they may come in, and where they belong.

use usher_core::{Issuer, ProviderId, Requirement, select::Scope};

use super::{Draft, SelectorConfig};

/// One of those keys.
#[derive(Clone, Debug)]
pub(crate) struct Deciding<'a> {
    /// Where it is.
    pub(crate) path: String,
    /// What it looks at.
    pub(crate) attribute: &'a str,
    /// Whose people it decides over; everybody's, if it does not say.
    pub(crate) provider: Option<&'a ProviderId>,
    /// Whose word counts; whoever's, if it does not say.
    pub(crate) issuer: Option<&'a Issuer>,
    /// Whether it could say that.
    pub(crate) takes_issuer: bool,
}

impl Draft {
    /// All of them. What spreads people, or asks somebody else, takes nobody's word; names of accounts are told apart by themselves.
    pub(crate) fn deciding(&self) -> Vec<Deciding<'_>> {
        let mut deciding = Vec::new();
        for provider in &self.providers {
            deciding.extend(required(&provider.path, Some(&provider.descriptor.id), &provider.require));
        }
        for homeserver in &self.homeservers {
            deciding.extend(required(&homeserver.path, None, &homeserver.require));
        }
        for (index, selector) in self.selection.iter().enumerate() {
            let (key, scope, attribute) = match selector {
                SelectorConfig::Attribute(table) => ("attribute.name", &table.scope, &table.attribute),
                SelectorConfig::EmailDomain(table) => {
                    ("email_domain.attribute", &table.scope, &table.attribute)
                }
                SelectorConfig::Sticky
                | SelectorConfig::Users(_)
                | SelectorConfig::Rendezvous(_)
                | SelectorConfig::RoundRobin(_)
                | SelectorConfig::DecisionService(_)
                | SelectorConfig::Ask(_)
                | SelectorConfig::Fixed(_) => continue,
            };
            let Scope { provider, issuer } = scope;
            let path = format!("selection[{index}].{key}");
            let (provider, issuer) = (provider.as_ref(), issuer.as_ref());
            deciding.push(Deciding { path, attribute, provider, issuer, takes_issuer: true });
        }
        deciding
    }
}

fn required<'a>(
    path: &str,
    provider: Option<&'a ProviderId>,
    require: &'a [Requirement],
) -> impl Iterator<Item = Deciding<'a>> {
    require.iter().enumerate().map(move |(index, requirement)| Deciding {
        path: format!("{path}.require[{index}].attribute"),
        attribute: &requirement.attribute,
        provider,
        issuer: None,
        takes_issuer: false,
    })
}
