//! What an id_token must say (OpenID Connect Core 3.1.3.7), and what is common to all of the provider's tokens.

use std::time::Duration;

use serde_json::Value;
use subtle::ConstantTimeEq as _;
use usher_core::{Evidence, Timestamp};

use crate::{
    claims::Claims,
    config::Settings,
    jws::{Verified, half_hash},
    said::Said,
};

/// What this login's token must fit.
pub(crate) struct Expected<'a> {
    pub(crate) settings: &'a Settings,
    /// The one that went with the request.
    pub(crate) nonce: &'a str,
    /// The one that came with the token.
    pub(crate) access_token: &'a str,
    pub(crate) now: Timestamp,
    /// By how much the provider's clock may be off.
    pub(crate) leeway: Duration,
}

/// Why a token that the provider has signed proves nobody. Every variant is one check.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ClaimFault {
    #[error("`iss` is {0:?}, another provider")]
    Issuer(Said),
    #[error("`aud` does not name this client")]
    Audience,
    #[error("`aud` names {0:?} as well, which is not among `additional_audiences`")]
    AnotherAudience(Said),
    #[error("`azp` is missing although there are several audiences")]
    NoAuthorizedParty,
    #[error("`azp` names another client")]
    AuthorizedParty,
    #[error("`exp` is missing or no time")]
    NoExpiry,
    #[error("the token has expired")]
    Expired,
    #[error("`iat` is missing or no time")]
    NoIssueTime,
    #[error("the token was issued in the future")]
    IssuedInTheFuture,
    #[error("the token is not valid yet")]
    NotYetValid,
    #[error("`nonce` is missing")]
    NoNonce,
    #[error("`nonce` is another request's")]
    Nonce,
    #[error("`at_hash` is another access token's")]
    AccessTokenHash,
    #[error("`auth_time` is no time")]
    AuthenticationTime,
    #[error("`sub` is missing or no text")]
    NoSubject,
    #[error("the token is a {0:?}")]
    Kind(Said),
    #[error("`events` does not say that this is a logout")]
    NoLogout,
    #[error("a logout token must have no `nonce`")]
    HasNonce,
    #[error("`jti` is missing or no text")]
    NoTokenId,
    #[error("neither `sub` nor `sid` is there")]
    NobodyNamed,
    #[error("the token would be good for too long")]
    TooLongLived,
}

/// Judges a token that was verified, in the order of the section.
pub(crate) fn check(token: &Verified, expected: &Expected<'_>) -> Result<(), ClaimFault> {
    let claims = &token.claims;
    // A token that says that it is something else, is (RFC 8725 section 3.11).
    if let Some(kind) = token.kind.as_deref().filter(|kind| *kind != "jwt") {
        return Err(ClaimFault::Kind(Said::new(kind)));
    }
    issuer(claims, expected.settings)?;
    audience(claims, expected.settings)?;
    authorized_party(claims, expected.settings)?;
    times(claims, expected.leeway, expected.now)?;
    // 11: "a nonce Claim MUST be present and its value checked".
    let nonce = claims.get("nonce").and_then(Value::as_str).ok_or(ClaimFault::NoNonce)?;
    if !bool::from(nonce.as_bytes().ct_eq(expected.nonce.as_bytes())) {
        return Err(ClaimFault::Nonce);
    }
    // 3.1.3.8: if it is there, it is checked.
    if let Some(hash) = claims.get("at_hash") {
        let own = half_hash(token.algorithm, expected.access_token);
        let is_own = hash.as_str().is_some_and(|hash| bool::from(hash.as_bytes().ct_eq(own.as_bytes())));
        if !is_own {
            return Err(ClaimFault::AccessTokenHash);
        }
    }
    subject(claims).map(drop)
}

/// 2: exactly the issuer, to the letter.
pub(crate) fn issuer(claims: &Claims, settings: &Settings) -> Result<(), ClaimFault> {
    let issuer = claims.get("iss").and_then(Value::as_str).unwrap_or_default();
    if issuer == settings.issuer.as_str() { Ok(()) } else { Err(ClaimFault::Issuer(Said::name(issuer))) }
}

/// 3: this client, and nobody who is not trusted.
pub(crate) fn audience(claims: &Claims, settings: &Settings) -> Result<(), ClaimFault> {
    let audiences = audiences(claims);
    if !audiences.contains(&settings.client_id.as_str()) {
        return Err(ClaimFault::Audience);
    }
    let is_trusted =
        |name: &&str| *name == settings.client_id || settings.additional_audiences.contains(*name);
    match audiences.iter().find(|name| !is_trusted(name)) {
        Some(other) => Err(ClaimFault::AnotherAudience(Said::name(other))),
        None => Ok(()),
    }
}

/// Texts alone: a list with something else in it names nobody.
fn audiences(claims: &Claims) -> Vec<&str> {
    match claims.get("aud") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => {
            several.iter().map(Value::as_str).collect::<Option<_>>().unwrap_or_default()
        }
        _ => Vec::new(),
    }
}

/// 4 and 5: with several audiences there is one it was issued to, and if it is named at all, it is this client.
fn authorized_party(claims: &Claims, settings: &Settings) -> Result<(), ClaimFault> {
    match claims.get("azp") {
        Some(party) if party.as_str() == Some(&settings.client_id) => Ok(()),
        Some(_) => Err(ClaimFault::AuthorizedParty),
        None if audiences(claims).len() > 1 => Err(ClaimFault::NoAuthorizedParty),
        None => Ok(()),
    }
}

/// 9 and 10, and RFC 7519 section 4.1.5: not over, not from the future, within the leeway.
pub(crate) fn times(claims: &Claims, leeway: Duration, now: Timestamp) -> Result<(), ClaimFault> {
    let expires = claims.get("exp").and_then(instant).ok_or(ClaimFault::NoExpiry)?;
    if expires.plus(leeway) <= now {
        return Err(ClaimFault::Expired);
    }
    let issued = claims.get("iat").and_then(instant).ok_or(ClaimFault::NoIssueTime)?;
    if issued > now.plus(leeway) {
        return Err(ClaimFault::IssuedInTheFuture);
    }
    if let Some(begins) = claims.get("nbf") {
        let begins = instant(begins).ok_or(ClaimFault::NotYetValid)?;
        if begins > now.plus(leeway) {
            return Err(ClaimFault::NotYetValid);
        }
    }
    Ok(())
}

/// OpenID Connect Core 2: "a locally unique and never reassigned identifier".
pub(crate) fn subject(claims: &Claims) -> Result<&str, ClaimFault> {
    let subject = claims.get("sub").and_then(Value::as_str).filter(|subject| !subject.is_empty());
    subject.ok_or(ClaimFault::NoSubject)
}

/// `auth_time` (OpenID Connect Core 2): when the person authenticated, in the provider's own, signed words.
pub(crate) fn evidence(claims: &Claims) -> Result<Evidence, ClaimFault> {
    match claims.get("auth_time") {
        None | Some(Value::Null) => Ok(Evidence::Unstated),
        Some(time) => instant(time).map(Evidence::AuthenticatedAt).ok_or(ClaimFault::AuthenticationTime),
    }
}

/// A NumericDate (RFC 7519 section 2): seconds, maybe with a fraction, which is cut off.
pub(crate) fn instant(value: &Value) -> Option<Timestamp> {
    let seconds = match value.as_i64() {
        Some(seconds) => seconds,
        None => whole(value.as_f64()?)?,
    };
    // Until the year 9999: beyond is no time that anybody means.
    (0..=253_402_300_799).contains(&seconds).then(|| Timestamp::from_secs(seconds))
}

#[expect(clippy::cast_possible_truncation, reason = "within the bounds, seconds are far below 2^53")]
fn whole(seconds: f64) -> Option<i64> {
    (0.0..1e12).contains(&seconds).then_some(seconds as i64)
}
