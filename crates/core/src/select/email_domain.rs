//! A table from the domains of e-mail addresses to homeservers.

use async_trait::async_trait;
use ruma_common::OwnedServerName;

use super::{Ballot, HomeserverSelector, Scope, SelectError, Selection, chosen_or_refused};

/// Rows in the order of the config; the first row that matches any value of the attribute decides.
#[derive(Clone, Debug)]
pub struct EmailDomains {
    /// Whose addresses it is about.
    pub scope: Scope,
    /// The attribute with the addresses, as the provider releases it.
    pub attribute: String,
    /// The rows.
    pub rows: Vec<DomainRow>,
}

/// One row.
#[derive(Clone, Debug)]
pub struct DomainRow {
    /// Which domains it matches.
    pub domain: DomainPattern,
    /// Where those people belong.
    pub homeserver: OwnedServerName,
}

/// A domain, or everything below one. ASCII letters in any case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DomainPattern {
    /// `eng.ac.cdl`: this domain.
    Exact(String),
    /// `*.ac.cdl`: every domain below `ac.cdl`, at any depth, but not `ac.cdl` itself.
    Below(String),
}

/// Why a pattern was not accepted. The text finishes a sentence that begins with the pattern's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a domain; give one such as eng.ac.cdl, or *.ac.cdl for all below it, in ASCII (xn--…)")]
pub struct DomainError;

impl DomainPattern {
    /// Reads `eng.ac.cdl` or `*.ac.cdl`.
    pub fn parse(text: &str) -> Result<Self, DomainError> {
        let (domain, is_below) = text.strip_prefix("*.").map_or((text, false), |rest| (rest, true));
        let is_label = |label: &str| {
            !label.is_empty()
                && label.len() <= 63
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        if domain.len() > 253 || !domain.split('.').all(is_label) {
            return Err(DomainError);
        }
        let domain = domain.to_ascii_lowercase();
        Ok(if is_below { Self::Below(domain) } else { Self::Exact(domain) })
    }

    /// Whether every domain that `later` matches is matched by this one too, so that a later row is never reached.
    #[must_use]
    pub fn covers(&self, later: &Self) -> bool {
        match (self, later) {
            (_, Self::Exact(domain)) => self.is_match(domain),
            (Self::Exact(_), Self::Below(_)) => false,
            (Self::Below(parent), Self::Below(domain)) => parent == domain || self.is_match(domain),
        }
    }

    fn is_match(&self, domain: &str) -> bool {
        match self {
            Self::Exact(expected) => domain.eq_ignore_ascii_case(expected),
            Self::Below(parent) => {
                // By bytes: `domain` may have characters of several, and no boundary where ours would cut.
                let (domain, parent) = (domain.as_bytes(), parent.as_bytes());
                let Some(dot) = domain.len().checked_sub(parent.len() + 1).filter(|dot| *dot > 0) else {
                    return false;
                };
                domain[dot] == b'.' && domain[dot + 1..].eq_ignore_ascii_case(parent)
            }
        }
    }
}

/// What stands after the last `@` of an address (RFC 5321: before it, a quoted `@` is allowed).
fn domain(address: &str) -> Option<&str> {
    address.rsplit_once('@').filter(|(local, _)| !local.is_empty()).map(|(_, domain)| domain)
}

#[async_trait]
impl HomeserverSelector for EmailDomains {
    async fn select<'a>(&self, ballot: &Ballot<'a>) -> Result<Selection<'a>, SelectError> {
        if !self.scope.covers(ballot.identity) {
            return Ok(Selection::Pass);
        }
        let values = ballot.identity.values(&self.attribute);
        let domains: Vec<_> = values.iter().filter_map(|value| domain(value)).collect();
        let row = self.rows.iter().find(|row| domains.iter().any(|domain| row.domain.is_match(domain)));
        Ok(row.map_or(Selection::Pass, |row| chosen_or_refused(ballot, &row.homeserver)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_is_what_it_is_or_what_lies_below() {
        for (pattern, address, expected) in [
            ("eng.ac.cdl", "alice@eng.ac.cdl", true),
            ("eng.ac.cdl", "alice@ENG.ac.Cdl", true),
            ("ENG.ac.cdl", "alice@eng.ac.cdl", true),
            ("eng.ac.cdl", "alice@lab.eng.ac.cdl", false),
            ("eng.ac.cdl", "alice@xeng.ac.cdl", false),
            ("eng.ac.cdl", "alice@eng.ac.cdl.", false),
            ("eng.ac.cdl", "alice@eng.ac.cdl@evil.example", false),
            ("eng.ac.cdl", "alice@evil.example@eng.ac.cdl", true),
            ("eng.ac.cdl", "@eng.ac.cdl", false),
            ("eng.ac.cdl", "eng.ac.cdl", false),
            ("eng.ac.cdl", "", false),
            ("*.ac.cdl", "alice@eng.ac.cdl", true),
            ("*.ac.cdl", "alice@lab.eng.AC.cdl", true),
            ("*.ac.cdl", "alice@ac.cdl", false),
            ("*.ac.cdl", "alice@.ac.cdl", false),
            ("*.ac.cdl", "alice@evilac.cdl", false),
            ("*.ac.cdl", "alice@föö.ac.cdl", true),
            ("*.c", "alice@ö.c", true),
            ("*.cd", "alice@ö", false),
        ] {
            let pattern = DomainPattern::parse(pattern).expect("a pattern");
            let is_match = domain(address).is_some_and(|domain| pattern.is_match(domain));
            assert_eq!(is_match, expected, "{pattern:?} {address}");
        }
    }

    #[test]
    fn a_wider_domain_covers_a_narrower_one() {
        for (earlier, later, expected) in [
            ("eng.ac.cdl", "ENG.ac.cdl", true),
            ("eng.ac.cdl", "hist.ac.cdl", false),
            ("*.ac.cdl", "eng.ac.cdl", true),
            ("*.ac.cdl", "ac.cdl", false),
            ("*.ac.cdl", "*.ac.cdl", true),
            ("*.ac.cdl", "*.lab.ac.cdl", true),
            ("*.lab.ac.cdl", "*.ac.cdl", false),
            ("ac.cdl", "*.ac.cdl", false),
        ] {
            let parse = |text| DomainPattern::parse(text).expect("a pattern");
            assert_eq!(parse(earlier).covers(&parse(later)), expected, "{earlier} before {later}");
        }
    }

    #[test]
    fn what_is_no_domain_is_refused() {
        for pattern in
            ["", "*", "*.", "a..b", ".a", "a.", "*a.b", "a.*", "a@b", "föö.cdl", "a b", &"a".repeat(64)]
        {
            assert_eq!(DomainPattern::parse(pattern), Err(DomainError), "{pattern}");
        }
    }
}
