//! What the log says of metadata: every line names the provider it is about, since an operator may have several, and federations have
//! no other name.

use usher_core::Timestamp;

use super::{LookError, Upkeep, expiry::End, known::Known};
use crate::{federation::Federation, time};

impl Upkeep {
    pub(super) fn tell_read(&self, federation: &Federation) {
        let (provider, idp, report) = (&self.provider, &self.whose, &federation.report);
        tracing::info!(
            provider.id = %provider,
            %idp,
            identity_providers = federation.len(),
            passed_over = report.passed_over,
            bytes = report.bytes,
            peak_kib = report.peak_kib,
            "the metadata of a federation was read"
        );
        if report.passed_over > 0 {
            let examples = report.examples.join("; ");
            tracing::warn!(provider.id = %provider, %idp, examples, "identity providers were passed over");
        }
        if report.unreached.count > 0 {
            let (left_out, examples) = (report.unreached.count, report.unreached.examples.join("; "));
            tracing::warn!(
                provider.id = %provider,
                %idp,
                left_out,
                examples,
                "identity providers are left out because they want signed requests: give Usher `keys`"
            );
        }
        if let Some(cause) = &report.not_kept {
            tracing::warn!(
                provider.id = %provider,
                %idp,
                cause,
                "metadata cannot be kept for the next start, when nobody will sign in until it is fetched"
            );
        }
    }

    pub(super) fn tell_changed(&self) {
        let (provider, idp) = (&self.provider, &self.whose);
        tracing::info!(provider.id = %provider, %idp, "the metadata has changed and was read again");
    }

    pub(super) fn tell_copy_is_used(&self) {
        let (provider, idp) = (&self.provider, &self.whose);
        tracing::info!(
            provider.id = %provider,
            %idp,
            "the metadata of the last run is used until it is fetched anew"
        );
    }

    pub(super) fn tell_endless(&self) {
        let (provider, idp) = (&self.provider, &self.whose);
        tracing::warn!(
            provider.id = %provider,
            %idp,
            "the metadata has no `validUntil`: whoever keeps a copy of it can give it to us for ever"
        );
    }

    pub(super) fn tell_unsigned(&self) {
        let (provider, idp) = (&self.provider, &self.whose);
        tracing::error!(
            provider.id = %provider,
            %idp,
            "the identity provider wants signed requests, so that nobody signs in there: give Usher `keys`"
        );
    }

    pub(super) fn tell_end(&self, end: End) {
        let (provider, idp) = (&self.provider, &self.whose);
        match end {
            End::Near(until) => tracing::warn!(
                provider.id = %provider,
                %idp,
                valid_until = time::format(until),
                "the metadata expires soon, and then nobody signs in there until there is a newer one"
            ),
            End::Past(until) => tracing::warn!(
                provider.id = %provider,
                %idp,
                valid_until = time::format(until),
                "the metadata has expired, so that nobody signs in there until there is a newer one"
            ),
        }
    }

    /// `key` of the config says where to look.
    pub(super) fn tell_failure(&self, cause: &LookError, key: &str, now: Timestamp) {
        let (provider, idp, cause) = (&self.provider, &self.whose, chain(cause));
        if matches!(self.known(), Known::Nothing) || self.is_over(now) {
            tracing::error!(
                provider.id = %provider,
                %idp,
                key,
                cause,
                "metadata cannot be had, so that nobody signs in there"
            );
        } else {
            tracing::warn!(
                provider.id = %provider,
                %idp,
                key,
                cause,
                "metadata could not be renewed; what is known is used"
            );
        }
    }
}

/// The error and what it came from.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut chain = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        chain = format!("{chain}: {error}");
        source = error.source();
    }
    chain
}
