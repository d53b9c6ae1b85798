//! What the last good look has found.

use std::{sync::Arc, time::Duration};

use usher_core::Timestamp;

use crate::{federation::Federation, metadata::Idp};

#[derive(Clone, Debug)]
pub(super) enum Known {
    Nothing,
    One(Arc<Idp>),
    Many(Arc<Federation>),
}

impl Known {
    pub(super) fn valid_until(&self) -> Option<Timestamp> {
        match self {
            Self::Nothing => None,
            Self::One(idp) => idp.valid_until,
            Self::Many(federation) => federation.report.valid_until,
        }
    }

    pub(super) fn cache_duration(&self) -> Option<Duration> {
        match self {
            Self::Nothing => None,
            Self::One(idp) => idp.cache_duration,
            Self::Many(federation) => federation.report.cache_duration,
        }
    }

    pub(super) fn wants_signed_requests(&self) -> bool {
        match self {
            Self::Nothing | Self::Many(_) => false,
            Self::One(idp) => idp.wants_signed_requests,
        }
    }

    pub(super) fn published(&self) -> Option<Timestamp> {
        match self {
            Self::Nothing => None,
            Self::One(idp) => idp.published,
            Self::Many(federation) => federation.report.published,
        }
    }
}
