//! `providers`: single sign-on. Each entry names exactly one backend by the key its section stands under.

use std::{collections::BTreeSet, fmt, path::Path, time::Duration};

use ruma_common::MxcUri;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use usher_core::{Descriptor, ProviderId, Requirement};

use super::{
    Problems,
    fields::Fields as _,
    requirements::{self, RawRequirement},
    section,
};
use crate::registry::Backends;

/// One configured upstream, its backend's section not yet understood.
#[derive(Clone)]
pub struct ProviderConfig {
    /// Its place in the file, such as `providers[0]`, for the backend's own problems.
    pub path: String,
    /// What clients and people are shown.
    pub descriptor: Descriptor,
    /// The backend's kind, such as `cas`; registered.
    pub kind: String,
    /// The backend's section.
    pub section: Value,
    /// Permitted difference between the provider's clock and ours.
    pub skew: Duration,
    /// Whether its people may be made accounts.
    pub allows_new_accounts: bool,
    /// Whether a session that somebody still has there is enough for UI auth, without proof that they authenticated anew.
    pub live_session_is_enough: bool,
    /// Whether sessions at homeservers end when their person is logged out there.
    pub ends_sessions: bool,
    /// Whether people are offered to sign out there.
    pub sign_out: SignOutOffer,
    /// What must be true of its people, all of it, at every sign-in.
    pub require: Vec<Requirement>,
}

/// Whether people are offered to sign out at a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignOutOffer {
    /// They are, where the provider has a place for it.
    Offer,
    /// They are, and the provider is asked to send them back.
    OfferAndReturn,
    /// They are not.
    Never,
}

/// Without the section, which may hold a secret.
impl fmt::Debug for ProviderConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderConfig")
            .field("path", &self.path)
            .field("descriptor", &self.descriptor)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawProvider {
    /// The provider's id: 1 to 255 letters, digits, `-`, `.`, `_`, `~`. It is in URLs that are registered
    /// elsewhere and in the database: never change it. Required.
    id: Option<String>,
    /// What people read on the button, such as `University of Canadialand`. Required.
    name: Option<String>,
    /// An icon for clients that show one: an `mxc://` URI.
    icon: Option<String>,
    /// A brand for clients that know some (`identity_providers[].brand` of the client-server API).
    brand: Option<String>,
    /// Permitted difference between the provider's clock and ours. Default: 60s.
    skew: Option<String>,
    /// Whether its people may be made accounts. With `false`, those who have one sign in as ever, and nobody new does.
    /// Default: true.
    new_accounts: Option<bool>,
    /// Whether people may confirm a dangerous request (UI auth) by a session they still have at this provider, without
    /// proof that they authenticated anew. Only for a provider that cannot prove it. Default: false.
    live_session_is_enough: Option<bool>,
    /// What becomes of somebody's sessions at their homeservers when this provider says that they were logged out there:
    /// `end_sessions` (the devices are deleted, with the keys on them), or `keep_sessions` (only logins under way come to
    /// nothing). Default: `end_sessions`.
    on_logout: Option<String>,
    /// Whether people are offered to sign out at this provider, once they have confirmed something or signed in as somebody
    /// else: `offer`, `offer_and_return` (the provider is asked to send them back to `https://<portal>/_usher/signed-out`,
    /// which has to be registered there), or `never`. Default: `offer`.
    sign_out: Option<String>,
    /// What must be true of its people, all of it, at every sign-in. Default: nothing.
    require: Vec<RawRequirement>,
}

const OWN_KEYS: [&str; 10] = [
    "id",
    "name",
    "icon",
    "brand",
    "skew",
    "new_accounts",
    "live_session_is_enough",
    "on_logout",
    "sign_out",
    "require",
];

pub(super) fn validate(
    raw: Vec<Value>,
    directory: &Path,
    backends: &Backends,
    problems: &mut Problems,
) -> Vec<ProviderConfig> {
    let mut ids = BTreeSet::new();
    let mut providers = Vec::new();
    for (index, value) in raw.into_iter().enumerate() {
        let path = format!("providers[{index}]");
        let Value::Object(mut own) = value else {
            problems.error(path, "must be a section with `id`, `name` and one backend, such as `cas`");
            continue;
        };
        let rest: Vec<_> = own.keys().filter(|key| !OWN_KEYS.contains(&key.as_str())).cloned().collect();
        let sections: Vec<_> = rest.into_iter().filter_map(|key| own.remove_entry(&key)).collect();
        let backend = backend(sections, &path, backends, problems);
        let mut raw: RawProvider = section::read_at(Value::Object(own), &path, problems);
        let require = requirements::validate(std::mem::take(&mut raw.require), &path, problems);
        let allows_new_accounts = raw.new_accounts.unwrap_or(true);
        let ends_sessions = match raw.on_logout.as_deref() {
            None | Some("end_sessions") => true,
            Some("keep_sessions") => false,
            Some(_) => {
                let message = "must be `end_sessions` or `keep_sessions`";
                problems.error(format!("{path}.on_logout"), message);
                true
            }
        };
        let sign_out = match raw.sign_out.as_deref() {
            None | Some("offer") => SignOutOffer::Offer,
            Some("offer_and_return") => SignOutOffer::OfferAndReturn,
            Some("never") => SignOutOffer::Never,
            Some(_) => {
                let message = "must be `offer`, `offer_and_return` or `never`";
                problems.error(format!("{path}.sign_out"), message);
                SignOutOffer::Never
            }
        };
        let live_session_is_enough = raw.live_session_is_enough.unwrap_or(false);
        if live_session_is_enough {
            problems.warn(
                format!("{path}.live_session_is_enough"),
                "lets whoever uses a person's browser while they are signed in there confirm what needs their password",
            );
        }
        let (descriptor, skew) = descriptor(raw, &path, problems);
        if descriptor.as_ref().is_some_and(|descriptor| !ids.insert(descriptor.id.clone())) {
            problems.error(format!("{path}.id"), "stands twice; give every provider its own id");
        }
        if let Some((kind, mut section)) = backend {
            let descriptor = descriptor.unwrap_or_else(|| stand_in(index));
            absolute_files(&mut section, directory);
            providers.push(ProviderConfig {
                path,
                descriptor,
                kind,
                section,
                skew,
                allows_new_accounts,
                live_session_is_enough,
                ends_sessions,
                sign_out,
                require,
            });
        }
    }
    if providers.is_empty() && !problems.has_errors() {
        problems.warn("providers", "is empty: nobody can sign in");
    }
    if !providers.is_empty() && providers.iter().all(|provider| !provider.allows_new_accounts) {
        problems.warn("providers", "have `new_accounts: false`, all of them: nobody is made an account");
    }
    providers
}

fn backend(
    mut sections: Vec<(String, Value)>,
    path: &str,
    backends: &Backends,
    problems: &mut Problems,
) -> Option<(String, Value)> {
    let known = backends.kinds().collect::<Vec<_>>().join(", ");
    for (key, _) in &sections {
        if backends.get(key).is_none() {
            problems.error(
                format!("{path}.{key}"),
                format!("is neither a key of a provider nor a backend of this build; it has: {known}"),
            );
        }
    }
    sections.retain(|(key, _)| backends.get(key).is_some());
    match sections.len() {
        0 if !problems.iter().any(|problem| problem.path.starts_with(path)) => {
            problems.error(path, format!("names no backend; add one section of: {known}"));
            None
        }
        1 => sections.pop(),
        0 => None,
        _ => {
            problems.error(path, "names several backends; give each its own entry");
            None
        }
    }
}

/// For a provider whose own keys are wrong, which was said: its backend's section can be looked at all the same.
fn stand_in(index: usize) -> Descriptor {
    let id = format!("provider-{index}");
    let id = ProviderId::parse(&id).expect("letters, a hyphen and digits");
    Descriptor { name: id.to_string(), id, icon: None, brand: None }
}

/// A backend does not know where the config file is: relative paths under `x_file` and `x_dir` are made absolute before it is
/// given its section.
fn absolute_files(section: &mut Value, directory: &Path) {
    match section {
        Value::Object(map) => {
            for (key, value) in map {
                match value {
                    Value::String(path) if key.ends_with("_file") || key.ends_with("_dir") => {
                        *path = directory.join(&*path).to_string_lossy().into_owned();
                    }
                    other => absolute_files(other, directory),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| absolute_files(item, directory)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn descriptor(raw: RawProvider, path: &str, problems: &mut Problems) -> (Option<Descriptor>, Duration) {
    let at = |key: &str| format!("{path}.{key}");
    let minute = Duration::from_mins(1);
    let skew = problems.duration(&at("skew"), raw.skew.as_deref(), minute, (Duration::ZERO, 10 * minute));
    let id = match raw.id.map(ProviderId::parse) {
        Some(Ok(id)) => Some(id),
        Some(Err(error)) => {
            problems.error(at("id"), format!("{error}; use letters, digits, `-`, `.`, `_`, `~`"));
            None
        }
        None => {
            problems.missing(&at("id"), "a short name that never changes, such as `university`");
            None
        }
    };
    if raw.name.as_deref().is_none_or(|name| name.trim().is_empty()) {
        problems.missing(&at("name"), "what people read on the button, such as `University of Canadialand`");
    }
    let icon_is_good = raw.icon.as_deref().is_none_or(|icon| <&MxcUri>::from(icon).validate().is_ok());
    if !icon_is_good {
        problems.error(
            at("icon"),
            "must be an mxc:// URI: upload the picture to a homeserver and give its address",
        );
    }
    if !raw.brand.as_deref().is_none_or(is_brand) {
        problems.error(at("brand"), "must match [a-z][a-z0-9_.-]* and have at most 255 characters");
    }
    let named = id.zip(raw.name);
    let descriptor = named.map(|(id, name)| Descriptor { id, name, icon: raw.icon, brand: raw.brand });
    (descriptor, skew)
}

/// The grammar of `brand`: client-server API v1.19, "SSO during registration/login", common namespaced identifiers.
fn is_brand(brand: &str) -> bool {
    brand.len() <= 255
        && brand.bytes().next().is_some_and(|first| first.is_ascii_lowercase())
        && brand
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'.' | b'-'))
}
