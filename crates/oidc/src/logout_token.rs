//! What a logout token must say (OpenID Connect Back-Channel Logout 1.0, section 2.6). Anybody can send one: nothing is
//! believed of it before its signature is.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use usher_core::{
    Ctx, Subject,
    provider::{EndedSession, LogoutNotice, LogoutProof, OneTime, UpstreamSession},
};

use crate::{
    config::Settings,
    id_token::{ClaimFault, audience, instant, issuer, times},
    jws::Verified,
    said::Said,
};

/// The event's name, section 2.4.
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// Its id is remembered for as long as it is good. Section 2.4 recommends two minutes.
const MAX_LIFETIME: Duration = Duration::from_hours(24);
const MAX_SESSION_BYTES: usize = 128;

/// Judges a token that was verified, and reads it.
pub(crate) fn read(token: &Verified, settings: &Settings, ctx: &Ctx<'_>) -> Result<LogoutNotice, ClaimFault> {
    let (claims, now, leeway) = (&token.claims, ctx.now, ctx.skew);
    // Section 2.4: `logout+jwt` is recommended, and neither an access token's nor another event's type is it.
    if let Some(kind) = token.kind.as_deref().filter(|kind| !matches!(*kind, "logout+jwt" | "jwt")) {
        return Err(ClaimFault::Kind(Said::new(kind)));
    }
    issuer(claims, settings)?;
    audience(claims, settings)?;
    times(claims, leeway, now)?;
    // "Verify that the Logout Token contains a sub Claim, a sid Claim, or both".
    let (subject, session) = (text(claims.get("sub")), text(claims.get("sid")));
    if subject.is_none() && session.is_none() {
        return Err(ClaimFault::NobodyNamed);
    }
    // "Verify that the Logout Token contains an events Claim whose value is JSON object containing the member name".
    let is_logout = claims.get("events").and_then(|events| events.get(EVENT)).is_some_and(Value::is_object);
    if !is_logout {
        return Err(ClaimFault::NoLogout);
    }
    // "Verify that the Logout Token does not contain a nonce Claim": it cannot be an id_token.
    if claims.contains_key("nonce") {
        return Err(ClaimFault::HasNonce);
    }
    let id = text(claims.get("jti")).ok_or(ClaimFault::NoTokenId)?;
    let expires = claims.get("exp").and_then(instant).ok_or(ClaimFault::NoExpiry)?;
    if expires > now.plus(MAX_LIFETIME) {
        return Err(ClaimFault::TooLongLived);
    }
    // Where another claim names people, `sub` is nobody's name here, and the session has to be named.
    let subject = if settings.subject.is_claim("sub") { subject } else { None };
    if subject.is_none() && session.is_none() {
        return Err(ClaimFault::NobodyNamed);
    }
    let subject = subject.map(Subject::parse).transpose().map_err(|_| ClaimFault::NoSubject)?;
    Ok(LogoutNotice {
        issuer: settings.issuer.clone(),
        subject,
        sessions: session.map(session_named).map(EndedSession::One).into_iter().collect(),
        proof: LogoutProof::Signed,
        // "optionally verify that another Logout Token with the same jti value has not been recently received": always.
        spend: vec![OneTime { key: format!("logout:{id}"), until: expires.plus(leeway) }],
    })
}

/// The provider's session in an id_token and in a logout token (`sid`, section 2.1). It is kept in cookies, so that a long
/// one is kept by its hash.
pub(crate) fn session_named(id: &str) -> UpstreamSession {
    let is_short = id.len() <= MAX_SESSION_BYTES;
    UpstreamSession::Unique(if is_short {
        id.to_owned()
    } else {
        BASE64URL_NOPAD.encode(&Sha256::digest(id))
    })
}

fn text(value: Option<&Value>) -> Option<&str> {
    value.and_then(Value::as_str).filter(|text| !text.is_empty())
}
