//! What a selector may name: homeservers and providers of the same config, and issuers.

use ruma_common::{OwnedServerName, ServerName};
use url::Url;
use usher_core::{Issuer, ProviderId, select::Scope};

use crate::config::Problems;

/// What there is.
pub(super) struct Known<'a> {
    pub homeservers: &'a [OwnedServerName],
    pub providers: &'a [ProviderId],
    /// Where the portal itself is.
    pub portal: Option<&'a Url>,
}

impl Known<'_> {
    /// A homeserver; required.
    pub(super) fn homeserver(
        &self,
        raw: Option<&str>,
        path: &str,
        problems: &mut Problems,
    ) -> Option<OwnedServerName> {
        let Some(raw) = raw else {
            problems.missing(path, "the `server_name` of one of `homeservers`");
            return None;
        };
        let found = ServerName::parse(raw).ok().filter(|name| self.homeservers.contains(name));
        // Said only if the list itself is sound: its own problems come first.
        if found.is_none() && !problems.iter().any(|problem| problem.path.starts_with("homeservers")) {
            let known = self.homeservers.iter().map(AsRef::<str>::as_ref).collect::<Vec<_>>().join(", ");
            problems.error(path, format!("is not one of `homeservers`; there are: {known}"));
        }
        found
    }

    /// A provider.
    pub(super) fn provider(&self, raw: String, path: &str, problems: &mut Problems) -> Option<ProviderId> {
        let provider = ProviderId::parse(raw).ok().filter(|id| self.providers.contains(id));
        if provider.is_none() && !problems.iter().any(|problem| problem.path.starts_with("providers")) {
            problems.error(path, "is not the `id` of one of `providers`");
        }
        provider
    }

    /// Limits to one provider, one issuer or both; `None` if a limit is wrong, since a table without it is for more
    /// people than was meant.
    pub(super) fn scope(
        &self,
        provider: Option<String>,
        raw_issuer: Option<String>,
        path: &str,
        problems: &mut Problems,
    ) -> Option<Scope> {
        let provider = match provider {
            None => None,
            Some(raw) => Some(self.provider(raw, &format!("{path}.provider"), problems)?),
        };
        let issuer = match raw_issuer {
            None => None,
            Some(raw) => Some(issuer(raw, &format!("{path}.issuer"), problems)?),
        };
        Some(Scope { provider, issuer })
    }
}

/// Who vouches inside a provider, as it names itself.
pub(super) fn issuer(raw: String, path: &str, problems: &mut Problems) -> Option<Issuer> {
    Issuer::parse(raw).map_err(|error| problems.error(path, error.to_string())).ok()
}
