//! What a person may have: requirements of providers and homeservers, and who is made a new account.

use usher_core::{Identity, Requirement};
use usher_store::people::Person;

use crate::app::{App, ServedHomeserver};

/// Whether a person meets what their provider's section requires of its people. Nobody is let in by a provider that is
/// not configured.
pub(crate) fn is_admitted(app: &App, identity: &Identity) -> bool {
    app.providers.get(&identity.provider).is_some_and(|provider| all_met(&provider.require, identity))
}

/// Whether a person meets what a homeserver requires.
pub(crate) fn meets(homeserver: &ServedHomeserver, identity: &Identity) -> bool {
    all_met(&homeserver.config.require, identity)
}

/// Whether a homeserver can be offered to a person: they meet what it requires, and they have an account there or can
/// come to one.
pub(super) fn may_have(
    app: &App,
    identity: &Identity,
    person: &Person,
    homeserver: &ServedHomeserver,
) -> bool {
    let is_known = person.links.iter().any(|link| link.server_name == homeserver.config.server_name);
    meets(homeserver, identity) && (is_known || may_come(app, identity, homeserver))
}

/// Whether somebody without an account there can come to one: a new one, or one from before Usher that an attribute of
/// theirs may name. Whether that one is theirs is found out when they choose it.
fn may_come(app: &App, identity: &Identity, homeserver: &ServedHomeserver) -> bool {
    let provider = app.providers.get(&identity.provider);
    let is_open = homeserver.config.allows_new_accounts
        && provider.is_some_and(|provider| provider.allows_new_accounts);
    is_open
        || homeserver.config.adopt.iter().any(|rule| {
            let values = identity.values(&rule.attribute);
            rule.provider == identity.provider && values.iter().any(|value| !value.trim().is_empty())
        })
}

fn all_met(requirements: &[Requirement], identity: &Identity) -> bool {
    requirements.iter().all(|requirement| requirement.is_met(identity))
}
