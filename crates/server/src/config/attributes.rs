//! Which attributes the config looks at: all that is kept of a person between two pages.

use std::collections::BTreeSet;

use usher_core::mapping::LocalpartTemplate;

use super::{Config, HomeserverConfig, MappingConfig, NewAccountConfig, ProviderConfig};

/// The attributes of a person that can make a difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UsedAttributes {
    /// These.
    Named(BTreeSet<String>),
    /// A template looks at them in a way that cannot be told before it is rendered.
    All,
}

impl UsedAttributes {
    /// Whether it is one of them.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        match self {
            Self::Named(names) => names.contains(name),
            Self::All => true,
        }
    }

    fn add<'n>(&mut self, added: impl IntoIterator<Item = &'n str>) {
        if let Self::Named(names) = self {
            names.extend(added.into_iter().map(str::to_owned));
        }
    }

    fn add_template(&mut self, template: &LocalpartTemplate) {
        match template.attributes() {
            Some(used) => self.add(used.iter().map(String::as_str)),
            None => *self = Self::All,
        }
    }
}

impl Config {
    /// Every attribute that a selector, a requirement or a template looks at.
    #[must_use]
    pub fn used_attributes(&self) -> UsedAttributes {
        let mut used = UsedAttributes::Named(BTreeSet::new());
        for selector in &self.selection {
            used.add(selector.attributes());
        }
        let MappingConfig { mapping, reserved: _ } = &self.mapping;
        used.add_template(&mapping.template);
        // Field by field: a new one that looks at attributes has to be added here.
        for provider in &self.providers {
            let ProviderConfig {
                require,
                path: _,
                descriptor: _,
                kind: _,
                section: _,
                skew: _,
                allows_new_accounts: _,
                live_session_is_enough: _,
                ends_sessions: _,
                sign_out: _,
            } = provider;
            used.add(require.iter().map(|requirement| requirement.attribute.as_str()));
        }
        for homeserver in &self.homeservers {
            let HomeserverConfig {
                require,
                adopt,
                new_account,
                path: _,
                server_name: _,
                name: _,
                base_url: _,
                upstream_url: _,
                hosts: _,
                well_known: _,
                handoff: _,
                profile: _,
                allows_new_accounts: _,
                ca_pem: _,
                timeout: _,
                pass_through_timeout: _,
                listener: _,
            } = homeserver;
            used.add(require.iter().map(|requirement| requirement.attribute.as_str()));
            used.add(adopt.iter().map(|rule| rule.attribute.as_str()));
            let NewAccountConfig { display_name, email, join: _ } = new_account;
            for template in [display_name, email].into_iter().flatten() {
                used.add_template(template);
            }
        }
        used
    }
}
