//! `homeservers[].adopt`, `new_account` and `profile`: what becomes of accounts on a homeserver.

use std::collections::BTreeSet;

use ruma_common::{OwnedRoomOrAliasId, RoomOrAliasId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use usher_core::{Issuer, ProviderId, mapping::LocalpartTemplate};

use super::Problems;

/// Accounts that were there before Usher, and who comes into them.
#[derive(Clone, Debug)]
pub struct AdoptRule {
    /// Where it stands, such as `homeservers[0].adopt[0]`.
    pub path: String,
    /// Whose word is taken.
    pub provider: ProviderId,
    /// Who vouches inside it; whoever there is, if there is only one.
    pub issuer: Option<Issuer>,
    /// The attribute whose only value is the localpart.
    pub attribute: String,
}

/// What a new account is given.
#[derive(Clone, Debug, Default)]
pub struct NewAccountConfig {
    /// A template of the display name, over the same names as `mapping.localpart`.
    pub display_name: Option<LocalpartTemplate>,
    /// A template of the e-mail address.
    pub email: Option<LocalpartTemplate>,
    /// Rooms to join.
    pub join: Vec<OwnedRoomOrAliasId>,
}

/// What is kept up to date.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProfileConfig {
    /// The display name, by the template for new accounts.
    pub updates_display_name: bool,
}

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawAdopt {
    /// Whose word is taken: a provider's `id`. Required.
    provider: Option<String>,
    /// Whose word inside the provider: for SAML the entity id of the identity provider. Required where a provider stands for
    /// many, since each of them could name anybody's account.
    issuer: Option<String>,
    /// The attribute whose only value is the localpart of the person's existing account. Required.
    attribute: Option<String>,
    /// Your word that the provider never gives a value of this attribute to somebody else and that nobody can change
    /// their own: whoever has the value gets the account. Required: `true`.
    immutable: Option<bool>,
}

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawNewAccount {
    /// A template of the display name, such as `{{ attributes.displayName }}`.
    display_name: Option<String>,
    /// A template of the e-mail address, such as `{{ attributes.mail }}`. Synapse only, and only if the application
    /// service's own user is a server administrator there.
    email: Option<String>,
    /// Aliases of rooms that a new account joins, such as `#welcome:eng.ac.cdl`.
    join: Vec<String>,
}

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawProfile {
    /// What follows the provider after the account was made; there is `display_name`. It is set anew when what
    /// `new_account.display_name` gives has changed. Default: nothing.
    update: Vec<String>,
}

pub(super) fn adopt(
    raw: Vec<RawAdopt>,
    path: &str,
    providers: &[ProviderId],
    problems: &mut Problems,
) -> Vec<AdoptRule> {
    let mut seen = BTreeSet::new();
    let mut rules = Vec::new();
    for (index, raw) in raw.into_iter().enumerate() {
        let at = |key: &str| format!("{path}[{index}].{key}");
        if raw.immutable != Some(true) {
            problems.error(
                at("immutable"),
                "must be true: whoever has the attribute's value gets the account, so give only an attribute whose \
                 values are never given to somebody else and cannot be changed by people themselves",
            );
        }
        let attribute = raw.attribute.filter(|name| !name.trim().is_empty());
        if attribute.is_none() {
            problems.missing(&at("attribute"), "the name of an attribute, such as `matrixLocalpart`");
        }
        let provider = match raw.provider.map(ProviderId::parse) {
            Some(Ok(id)) if providers.contains(&id) => Some(id),
            Some(_) => {
                problems.error(at("provider"), "is not the `id` of one of `providers`");
                None
            }
            None => {
                problems.missing(&at("provider"), "the `id` of one of `providers`");
                None
            }
        };
        let Ok(issuer) = raw.issuer.map(Issuer::parse).transpose() else {
            problems.error(at("issuer"), "is not the name of an issuer, such as `https://idp.ac.cdl/idp`");
            continue;
        };
        if provider.as_ref().is_some_and(|id| !seen.insert((id.clone(), issuer.clone()))) {
            problems.error(at("provider"), "stands twice; one attribute of a provider names the account");
        } else if let (Some(provider), Some(attribute)) = (provider, attribute) {
            rules.push(AdoptRule { path: format!("{path}[{index}]"), provider, issuer, attribute });
        }
    }
    rules
}

impl RawNewAccount {
    pub(super) fn validate(self, path: &str, problems: &mut Problems) -> NewAccountConfig {
        let mut template = |key: &str, source: Option<String>| {
            source.and_then(|source| {
                LocalpartTemplate::parse(&source)
                    .map_err(|error| problems.error(format!("{path}.{key}"), error.to_string()))
                    .ok()
            })
        };
        let display_name = template("display_name", self.display_name);
        let email = template("email", self.email);
        let mut join = Vec::new();
        for (index, room) in self.join.iter().enumerate() {
            match RoomOrAliasId::parse(room) {
                Ok(room) if join.contains(&room) => {
                    problems.warn(format!("{path}.join[{index}]"), "stands twice");
                }
                Ok(room) => join.push(room),
                Err(_) => problems.error(
                    format!("{path}.join[{index}]"),
                    "is not the alias of a room; give one such as #welcome:eng.ac.cdl",
                ),
            }
        }
        NewAccountConfig { display_name, email, join }
    }
}

impl RawProfile {
    /// `homeserver` is the path of the section around it.
    pub(super) fn validate(
        self,
        homeserver: &str,
        new_account: &NewAccountConfig,
        problems: &mut Problems,
    ) -> ProfileConfig {
        let mut profile = ProfileConfig::default();
        for (index, what) in self.update.iter().enumerate() {
            let path = format!("{homeserver}.profile.update[{index}]");
            if what != "display_name" {
                problems.error(path, "is nothing that is kept up to date; there is `display_name`");
                continue;
            }
            profile.updates_display_name = true;
            if new_account.display_name.is_none() {
                let template = format!("{homeserver}.new_account.display_name");
                problems.missing(&template, "a template: `profile.update` takes the display name from it");
            }
        }
        profile
    }
}
